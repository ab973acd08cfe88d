"""The futures markets as the feed sees them: routes, limits, and what REST repairs, against a stand-in that differs as the documents do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from k2workers.config import load
from k2workers.errors import ConfigError
from k2workers.futures_events import FuturesTrade
from k2workers.venues.binance.futures import FUTURES_DIALECT
from k2workers.venues.binance.history import PAGE, BinanceHistory
from k2workers.venues.binance.listing import BinanceListing
from k2workers.venues.binance.usdm import BinanceUsdm
from k2workers.venues.market_evidence import Evidence
from k2workers.venues.venue import Fetched, Topic
from tests.support.venue import Answer, Venue

USDM = BinanceUsdm()
AT_MS = 1_800_000_000_000
DAY_MS = 86_400_000
SYMBOL = "AAAUSDT"


def topic(kind: str) -> Topic:
    return USDM.codec(USDM.stream_specs([kind], [SYMBOL])).topics[0]


def stand_in(rows: Sequence[object]) -> Venue:
    venue = Venue([SYMBOL], every_s=0.01, rest_path="/fapi/v1/")
    venue.on_rest = lambda _path, _query: Answer(200, list(rows))
    return venue


async def fetched(venue: Venue, kind: str, first_id: int, last_id: int, *, doubted: bool = False) -> Fetched:
    async with USDM.history(venue.rest_url, None, 1_000) as rest:
        return await rest.fetch(topic(kind), first_id, last_id, int(doubted), doubted=doubted)


def trade(number: int) -> dict[str, object]:
    return {
        "id": number,
        "price": "1.5",
        "qty": "2",
        "quoteQty": "3.0",
        "time": AT_MS,
        "isBuyerMaker": True,
        "isRPITrade": False,
    }


def aggregate(number: int, at_ms: int = AT_MS) -> dict[str, object]:
    return {"a": number, "p": "1.5", "q": "2", "f": number * 3, "l": number * 3 + 1, "T": at_ms, "m": False}


def test_each_class_of_streams_has_a_connection_of_its_own() -> None:
    specs = USDM.stream_specs(["agg_trade", "book_ticker", "depth"], ["BTCUSDT", "ETHUSDT"])
    routes = USDM.routes(specs)
    assert [(route.name, route.url("wss://fstream.binance.com")) for route in routes] == [
        ("public", "wss://fstream.binance.com/public/stream"),
        ("market", "wss://fstream.binance.com/market/stream"),
    ]
    assert [[spec.name for spec in route.specs] for route in routes] == [
        ["btcusdt@bookTicker", "ethusdt@bookTicker", "btcusdt@depth@100ms", "ethusdt@depth@100ms"],
        ["btcusdt@aggTrade", "ethusdt@aggTrade"],
    ]
    assert [route.name for route in USDM.routes(USDM.stream_specs(["agg_trade"], ["BTCUSDT"]))] == ["market"]
    assert USDM.routes([]) == []


def test_a_look_at_the_market_tells_of_the_kinds_that_the_truth_judges() -> None:
    assert USDM.evidence("agg_trade") is USDM.evidence("kline_1m") is Evidence.TRADES
    assert USDM.evidence("depth") is USDM.evidence("depth_250ms") is USDM.evidence("book_ticker") is Evidence.TOPS
    assert USDM.evidence("mark_price") is USDM.evidence("partial_depth_5") is Evidence.NONE


async def test_trades_that_the_newest_do_not_show_cannot_be_had() -> None:
    rows = [trade(number) for number in range(100, 120) if number not in (105, 106)]
    with stand_in(rows) as venue:
        first = await fetched(venue, "trade", 103, 108)
        doubted = await fetched(venue, "trade", 103, 108, doubted=True)
        older = await fetched(venue, "trade", 95, 102)
        assert {asked.path for asked in venue.requests} == {"trades"}
    assert [event.first_id for event in first.events] == [103, 104, 107, 108]
    assert all(isinstance(event, FuturesTrade) and event.origin == "MARKET" for event in first.events)
    assert list(first.unavailable) == []  # one denial is no proof
    assert list(doubted.unavailable) == [(105, 106)]
    assert list(doubted.void) == []  # trades beside the book have ids too
    assert list(older.unavailable) == [(95, 99)]


async def test_aggregates_of_more_than_a_day_ago_cannot_be_had() -> None:
    recent = [aggregate(number) for number in range(105, 110)]
    with stand_in(recent) as venue:
        reply = await fetched(venue, "agg_trade", 100, 107)
    # Its first row is not old enough for the ones before to be forgotten.
    assert (list(reply.unavailable), reply.covered) == ([], (100, 109))
    old = [aggregate(number, at_ms=1_500_000_000_000) for number in range(105, 110)]
    with stand_in(old) as venue:
        reply = await fetched(venue, "agg_trade", 100, 107)
    assert (list(reply.unavailable), reply.covered) == ([(100, 104)], (105, 109))
    assert [event.first_id for event in reply.events] == [105, 106, 107]


async def test_continuous_bars_are_asked_for_by_pair() -> None:
    row = [AT_MS, "1.0", "2.0", "1.0", "1.5", "3", AT_MS + 59_999, "4.0", 5, "1", "1.0", "0"]
    with stand_in([row]) as venue:
        for kind in ("kline_1m", "continuous_kline_1m"):
            reply = await fetched(venue, kind, AT_MS * 10**6, (AT_MS + 1) * 10**6)
            assert [type(event) for event in reply.events] == [USDM.kinds[kind].event_type]
        plain, continuous = venue.requests
    assert (plain.path, plain.query["symbol"]) == ("klines", SYMBOL)
    assert (continuous.path, continuous.query["pair"], continuous.query["contractType"]) == (
        "continuousKlines",
        SYMBOL,
        "PERPETUAL",
    )
    assert not {"timeZone", "symbol"} & continuous.query.keys()


async def test_requests_weigh_as_documented() -> None:
    rest: BinanceHistory = USDM.history("http://127.0.0.1:1", None, 1_000)
    weights = {kind: rest.weight(topic(kind)) for kind in ("trade", "agg_trade", "kline_1m")}
    assert weights == {"trade": 5, "agg_trade": 20, "kline_1m": 5}
    assert rest.weight(topic("trade"), doubted=True) == 5
    assert (rest.book_weight(topic("depth"), deep=False), rest.book_weight(topic("depth"), deep=True)) == (2, 20)
    assert USDM.market_look("http://127.0.0.1:1", None).weight(["BTCUSDT"]) == 45
    assert USDM.listing("http://127.0.0.1:1", None).weight == 2


async def test_symbols_are_read_from_the_whole_list_and_what_has_ended_is_awaited() -> None:
    rows = [
        {"symbol": "BTCUSDT", "status": "TRADING", "contractType": "PERPETUAL"},
        {"symbol": "ETHUSDT", "contractStatus": "TRADING"},
        {"symbol": "OLDUSDT", "status": "CLOSE"},
        {"symbol": "BTCUSDT_261225", "status": "PENDING_TRADING"},
    ]
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}]
    with stand_in([]) as venue:
        venue.on_rest = lambda _path, _query: Answer(200, {"symbols": rows, "rateLimits": limits})
        listing: BinanceListing = USDM.listing(venue.rest_url, None)
        choice, weight = await listing.look(["BTCUSDT", "*"], 1)
        named, _ = await listing.look(["BTCUSDT_261225"], 2)
        assert [asked.query for asked in venue.asked("exchangeInfo")] == [{}, {}]
    assert (choice.served, choice.awaited, weight) == ({"BTCUSDT": "TRADING", "ETHUSDT": "TRADING"}, 2, 2_400)
    assert named.served == {"BTCUSDT_261225": "PENDING_TRADING"}


@pytest.mark.parametrize("field", ["aggregates_kept_ns", "trades_beside_the_book"])
def test_what_holds_of_futures_does_not_hold_of_spot(field: str) -> None:
    assert getattr(FUTURES_DIALECT, field)
    assert not getattr(type(FUTURES_DIALECT)(), field)


def test_a_page_weighs_what_the_table_says() -> None:
    assert PAGE <= 1_000


async def test_the_book_with_retail_price_improvement_has_an_endpoint_and_a_weight_of_its_own() -> None:
    book = {"lastUpdateId": 7, "E": AT_MS, "T": AT_MS, "bids": [["1.5", "2"]], "asks": []}
    with stand_in([]) as venue:
        venue.on_rest = lambda _path, _query: Answer(200, book)
        async with USDM.history(venue.rest_url, None, 500) as rest:
            assert (
                rest.book_weight(topic("rpi_depth"), deep=False),
                rest.book_weight(topic("rpi_depth"), deep=True),
            ) == (20, 20)
            fetched = await rest.book(topic("rpi_depth"), deep=False)
        (asked,) = venue.requests
    assert (asked.path, asked.query["limit"]) == ("rpiDepth", "500")
    assert (fetched.snapshot.last_update_id, fetched.snapshot.bids, fetched.cut) == (7, [("1.5", "2")], False)


@pytest.mark.parametrize("kinds", [["open_interest"], ["funding_rate", "open_interest"]])
def test_kinds_that_are_all_asked_for_over_rest_are_the_users_mistake(kinds: list[str]) -> None:
    with pytest.raises(ConfigError, match="all are asked for over REST; name one that is a stream as well"):
        load({"venue": "binance_usdm", "streams": kinds}, environ={})
    specs = USDM.stream_specs([*kinds, "depth"], ["BTCUSDT"])
    assert [spec.kind for route in USDM.routes(specs) for spec in route.specs] == ["depth"]
    assert [poll.topic.kind for poll in USDM.polls(specs)] == kinds
