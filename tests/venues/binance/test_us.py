"""Binance.US against a stand-in that differs from Binance as its documents do: milliseconds, and a refusal of every parameter that it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from k2workers import metrics
from k2workers.config import Settings, load
from k2workers.errors import ConfigError
from k2workers.events import Trade
from k2workers.processes.run_plan import RunPlan
from k2workers.venues.binance.history import PAGE, BinanceHistory
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.us import BinanceUs
from k2workers.venues.market_evidence import SymbolSeen
from k2workers.venues.venue import Topic
from tests.support.venue import Answer, Venue

US = BinanceUs()
KNOWN = {
    "exchangeInfo": {"symbols", "symbol"},
    "trades": {"symbol", "limit"},
    "aggTrades": {"symbol", "fromId", "startTime", "endTime", "limit"},
    "klines": {"symbol", "interval", "startTime", "endTime", "limit"},
    "depth": {"symbol", "limit"},
    "ticker/24hr": {"symbol"},
    "ticker/bookTicker": {"symbol"},
}
"""The parameters in its documents, by endpoint; historicalTrades wants a key."""

AT_MS = 1_700_000_000_000


def as_documented(path: str, query: dict[str, str]) -> Answer | None:
    """A refusal of what the documents do not have."""
    if path not in KNOWN:
        return Answer(401, {"code": -2014, "msg": "API-key format invalid."})
    unread = query.keys() - KNOWN[path]
    return Answer(400, {"code": -1104, "msg": f"Not all sent parameters were read: {unread}"}) if unread else None


def stand_in(symbols: Sequence[str] = ("AAAUSDT",)) -> Venue:
    venue = Venue(symbols, every_s=0.01)
    venue.units, venue.on_rest = False, as_documented
    return venue


def topic(kind: str) -> Topic:
    return US.codec(US.stream_specs([kind], ["AAAUSDT"])).topics[0]


def history(venue: Venue) -> BinanceHistory:
    return US.history(venue.rest_url, None, 1_000)


def test_its_own_addresses_and_limits_hold_unless_others_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    (plan,) = RunPlan(Settings(venue=["binance_us"]), tmp_path, 0).markets
    (worker,) = [spec.settings for spec in plan.workers(["BTCUSDT"])]
    assert (worker.venue, worker.feed.url, worker.rest_url) == (
        "binance_us",
        "wss://stream.binance.us:9443",
        "https://api.binance.us",
    )
    (route,) = US.routes(US.stream_specs(["trade"], ["BTCUSDT"]))
    assert route.url(worker.feed.url) == "wss://stream.binance.us:9443/stream"
    assert plan.allowance.weight.limit == 1_200
    assert plan.allowance.rest_pool == "binance_us", "its weight is counted by itself"
    assert plan.book_prefixes == ("binance_us.depth.",)
    given = load({"venue": "binance_us", "binance_us_websocket_url": "ws://elsewhere"}).of_venue("binance_us")
    assert (given.websocket_url, given.rest_url) == ("ws://elsewhere", "https://api.binance.us")


def test_only_what_differs_is_not_binances() -> None:
    assert (US.limits.streams_per_connection, US.pauses) == (
        BinanceSpot.limits.streams_per_connection,
        BinanceSpot.pauses,
    )
    assert US.dialect.market == US.name


@pytest.mark.parametrize("kind", ["block_trade", "reference_price", "avg_price", "kline_1m_utc8"])
def test_a_kind_that_it_does_not_have_is_the_users_mistake(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"binance_us has no '{kind}'"):
        load({"venue": "binance_us", "streams": f"trade,{kind}"})
    assert load({"streams": f"trade,{kind}"}).streams == ["trade", kind]


def test_times_in_milliseconds_are_read() -> None:
    codec, out = US.codec(US.stream_specs(["trade"], ["AAAUSDT"])), list[tuple[int, Any]]()
    message = f'{{"stream":"aaausdt@trade","data":{{"e":"trade","E":{AT_MS},"s":"AAAUSDT","t":7,"p":"1.5","q":"2.0","T":{AT_MS},"m":true,"M":true}}}}'
    codec.decode(message.encode(), 1, out)
    ((_, found),) = out
    assert isinstance(found, Trade) and found.trade_time_ns == AT_MS * 1_000_000
    assert [entry.topic for entry in codec.topics] == ["binance_us.trade.AAAUSDT"]
    together = codec.decode_together(memoryview(f"[{message},{message}]".encode()), 2, 1)
    assert together is not None and [event.trade_time_ns for event in together[0]] == [AT_MS * 1_000_000] * 2  # type: ignore[attr-defined]


async def test_bars_are_asked_for_in_milliseconds_and_without_a_time_zone() -> None:
    row = [AT_MS, "1.0", "2.0", "1.0", "1.5", "3.0", AT_MS + 59_999, "4.0", 5, "1.0", "1.0", "0"]
    with stand_in() as venue:
        venue.on_rest = lambda path, query: as_documented(path, query) or Answer(200, [row])
        async with history(venue) as rest:
            reply = await rest.fetch(topic("kline_1m"), AT_MS * 10**6, (AT_MS + 1) * 10**6, 0)
        (asked,) = venue.asked("klines")
    assert (asked.query["startTime"], asked.query["endTime"]) == (str(AT_MS), str(AT_MS + 1))
    assert [event.first_id for event in reply.events] == [AT_MS * 10**6]


@pytest.mark.parametrize("attempt", [0, 1])
async def test_trades_come_from_memory_alone_and_older_ones_cannot_be_had(attempt: int) -> None:
    with stand_in() as venue:
        flow = venue.flows["AAAUSDT"]
        for number in range(PAGE + 100):
            flow.step(AT_MS * 1_000 + number)
        venue.halt()
        oldest, newest = flow.trades[-PAGE]["id"], flow.trades[-1]["id"]
        async with history(venue) as rest:
            reply = await rest.fetch(topic("trade"), newest - 9, newest, attempt)
            older = await rest.fetch(topic("trade"), oldest - 5, oldest + 5, attempt)
        assert {asked.path for asked in venue.requests} == {"trades"}
    assert [event.first_id for event in reply.events] == list(range(newest - 9, newest + 1))
    assert [event.first_id for event in older.events] == list(range(oldest, oldest + 6))
    assert older.unavailable == [(oldest - 5, oldest - 1)]


async def test_trades_that_never_existed_are_shown_by_aggregates_asked_for_in_milliseconds() -> None:
    with stand_in() as venue:
        venue.halt()
        flow = venue.halted["AAAUSDT"]
        for number in range(20):
            if number == 10:
                flow.skip(trades=3)
            flow.step(AT_MS * 1_000 + 1_000 * number)
        missing = next(
            entry["id"]
            for entry in flow.trades
            if entry["id"] - 1 not in {e["id"] for e in flow.trades} and entry is not flow.trades[0]
        )
        async with history(venue) as rest:
            reply = await rest.fetch(topic("trade"), missing - 3, missing - 1, 1, doubted=True)
    assert list(reply.void) == [(missing - 3, missing - 1)]


async def test_its_symbols_and_the_market_are_seen_with_documented_parameters_alone() -> None:
    with stand_in(["AAAUSDT", "BBBUSDT"]) as venue:
        venue.rate_limits[0]["limit"] = 1_200
        for selectors in (["*"], ["AAAUSDT"]):
            choice, weight = await US.listing(venue.rest_url, None).look(selectors, 0)
            assert ("AAAUSDT" in choice.served, weight) == (True, 1_200)
        look = US.market_look(venue.rest_url, None)
        seen = await look.look(["AAAUSDT"], 0)
        assert isinstance(seen["AAAUSDT"], SymbolSeen) and look.weight(["AAAUSDT"]) == look.weight([])
        assert {asked.status for asked in venue.requests} == {200}
