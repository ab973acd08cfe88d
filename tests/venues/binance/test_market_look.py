"""What the venue is asked to see the whole market at a glance, and what is read from the answers."""

from __future__ import annotations

import json

import pytest

from k2workers.errors import VenueError, VenueRefused
from k2workers.venues.binance.market_look import UNLISTED_NS, BinanceMarketLook
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import KINDS
from k2workers.venues.market_evidence import Evidence, SymbolSeen, top_of
from tests.support.venue import Answer, Venue

GONE = SymbolSeen(None, None, trading=False)


def named(venue: Venue) -> list[tuple[str, list[str] | str]]:
    """What was asked since the last call: path, and the names."""
    found: list[tuple[str, list[str] | str]] = [
        (asked.path, json.loads(asked.query["symbols"]) if "symbols" in asked.query else "all")
        for asked in venue.requests
    ]
    venue.requests.clear()
    return found


async def test_a_look_shows_the_last_trade_and_the_best_prices_of_each_symbol() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=3600) as venue:
        flow = venue.flows["AAAUSDT"]
        flow.step(1_700_000_000_000_000)
        look = BinanceMarketLook(venue.rest_url)
        names = ["AAAUSDT", "BBBUSDT"]
        seen = await look.look(names, 0)
        assert seen == {
            "AAAUSDT": SymbolSeen(flow.trade_id, top_of(*flow.top)),
            "BBBUSDT": SymbolSeen(-1, top_of(*venue.flows["BBBUSDT"].top)),
        }
        assert named(venue) == [("ticker/24hr", names), ("ticker/bookTicker", names)]
        assert venue.requests == []


@pytest.mark.parametrize(("symbols", "weight"), [(1, 6), (20, 6), (21, 44), (100, 44), (101, 84)])
def test_a_look_weighs_what_the_venue_documents(symbols: int, weight: int) -> None:
    assert BinanceMarketLook("http://venue").weight([f"A{n}USDT" for n in range(symbols)]) == weight


async def test_more_symbols_than_can_be_named_are_found_in_the_whole_list() -> None:
    symbols = [f"A{n}USDT" for n in range(101)]
    with Venue(symbols, every_s=3600) as venue:
        seen = await BinanceMarketLook(venue.rest_url).look(symbols, 0)
        assert list(seen) == symbols
        assert named(venue) == [("ticker/24hr", "all"), ("ticker/bookTicker", "all")]


async def test_an_empty_side_of_the_book_is_no_best_price() -> None:
    with Venue(["AAAUSDT"], every_s=3600) as venue:
        venue.flows.clear()
        assert await BinanceMarketLook(venue.rest_url).look(["AAAUSDT"], 0) == {"AAAUSDT": SymbolSeen(-1, None)}


async def test_a_symbol_that_is_listed_no_longer_costs_one_refusal_and_one_whole_look() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=3600) as venue:
        look, names = BinanceMarketLook(venue.rest_url), ["AAAUSDT", "BBBUSDT"]
        del venue.rows[1]
        with pytest.raises(VenueRefused):
            await look.look(names, 0)
        assert look.weight(names) == 84
        assert (await look.look(names, 1))["BBBUSDT"] == GONE
        named(venue)
        assert look.weight(names) == 6
        seen = await look.look(names, 2)
        assert (list(seen), seen["BBBUSDT"]) == (names, GONE)
        assert named(venue) == [("ticker/24hr", ["AAAUSDT"]), ("ticker/bookTicker", ["AAAUSDT"])]
        venue.list("BBBUSDT")
        assert (await look.look(names, UNLISTED_NS + 1))["BBBUSDT"].trading, "it is asked for again from time to time"


async def test_a_row_that_cannot_be_read_says_nothing_of_its_symbol() -> None:
    rows = [{"symbol": "AAAUSDT", "lastId": 7}, {"symbol": "BBBUSDT", "lastId": "?"}]
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=3600) as venue:
        venue.on_rest = lambda path, _: Answer(200, rows) if path == "ticker/24hr" else None
        symbols = ["AAAUSDT", "BBBUSDT", *(f"A{n}USDT" for n in range(100))]
        seen = await BinanceMarketLook(venue.rest_url).look(symbols, 0)
        assert list(seen) == ["AAAUSDT"]


@pytest.mark.parametrize("body", ["[]", "{}", "[null]"])
async def test_an_answer_without_symbols_is_none(body: str) -> None:
    with Venue(["AAAUSDT"], every_s=3600) as venue:
        venue.on_rest = lambda *_: Answer(200, body)
        with pytest.raises(VenueError):
            await BinanceMarketLook(venue.rest_url).look(["AAAUSDT"], 0)


def test_what_a_look_tells_of_each_kind() -> None:
    told = {kind: BinanceSpot().evidence(kind) for kind in KINDS}
    assert {kind for kind, evidence in told.items() if evidence is Evidence.TOPS} == {
        "book_ticker", "depth", "depth_1s",
    }  # fmt: skip
    assert [kind for kind, evidence in told.items() if evidence is Evidence.OWN_TRADES] == ["trade"]
    by_trades = {kind for kind, evidence in told.items() if evidence in (Evidence.TRADES, Evidence.OWN_TRADES)}
    assert by_trades == {kind for kind in KINDS if kind in ("trade", "agg_trade") or kind.startswith("kline_")}
