"""Looks at the market of a real venue: when, with what, and what the workers are told."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k2workers import metrics
from k2workers.config import Settings
from k2workers.feed.silence import LookUrgency
from k2workers.processes.look_schedule import AT_ONCE_NS
from k2workers.processes.market_watch import MarketWatch
from k2workers.processes.run_plan import RunPlan
from k2workers.processes.symbol_watch import SymbolWatch
from k2workers.supervision.control_messages import Beat, MarketSeen
from k2workers.venues.binance.settings import SpotSettings
from k2workers.venues.binance.symbols import SymbolInfo, choose
from k2workers.venues.market_evidence import top_of
from k2workers.venues.venue_settings import VenueSettings
from tests.fakes import Careless
from tests.support.told import worker_status
from tests.support.venue import Answer, Venue
from tests.support.waiting import until

SYMBOLS = ["AAAUSDT", "BBBUSDT", "CCCUSDT"]


class Watched:
    """The looks over two workers, on a venue where nothing happens by itself."""

    def __init__(self, venue: Venue, folder: Path) -> None:
        of_venues: dict[str, VenueSettings] = {"binance": SpotSettings(rest_url=venue.rest_url)}
        settings = Settings(shards=2, streams=["trade"], symbols=SYMBOLS, of_venues=of_venues)
        (plan,) = RunPlan(settings, folder, origin_ns=0).markets
        self.supervisor = Careless()
        self.symbols = SymbolWatch(plan, self.supervisor)  # type: ignore[arg-type]
        self.listed("TRADING", "TRADING", "TRADING", begin=True)
        self.watch = MarketWatch(plan, self.supervisor, self.symbols)  # type: ignore[arg-type]

    def listed(self, *status: str, begin: bool = False) -> None:
        rows = [SymbolInfo(symbol, each) for symbol, each in zip(SYMBOLS, status, strict=True) if each]
        choice = choose(SYMBOLS, rows)
        if begin:
            self.symbols.begin(choice)
        else:
            self.symbols.look(choice)

    def beats(self, *urgency: LookUrgency, market_quiet: bool = False) -> None:
        for name, each in zip(self.symbols.of_workers, urgency, strict=False):
            status = worker_status(symbols=9, look_wanted=each, market_quiet=market_quiet)
            self.supervisor.beats[name] = Beat(name, os.getpid(), {}, status, 1)

    async def turn(self) -> list[MarketSeen]:
        """What the workers are told in one turn of the parent, which permits meanwhile."""
        self.supervisor.sent.clear()
        turn = asyncio.ensure_future(self.watch.turn())
        permissions = self.supervisor.permissions["binance"]

        def done() -> bool:
            permissions.look(time.monotonic_ns())
            return turn.done()

        await until(done)
        turn.result()
        return [message for _, message in self.supervisor.sent if isinstance(message, MarketSeen)]


@pytest.fixture
def venue() -> Iterator[Venue]:
    with Venue(SYMBOLS, every_s=3600) as venue:
        yield venue


@pytest.fixture
def watched(venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    return Watched(venue, tmp_path)


async def test_nobody_is_asked_while_nothing_is_in_question(venue: Venue, watched: Watched) -> None:
    assert await watched.turn() == []
    watched.beats(LookUrgency.NO, LookUrgency.NO)
    assert await watched.turn() == []
    assert venue.requests == []


async def test_one_worker_that_asks_is_enough_and_each_is_told_of_its_symbols(venue: Venue, watched: Watched) -> None:
    venue.flows["BBBUSDT"].step(1_700_000_000_000_000)
    watched.beats(LookUrgency.NO, LookUrgency.SOON)
    before_ns = time.monotonic_ns()
    told = await watched.turn()
    assert all(before_ns < seen.asked_ns < time.monotonic_ns() for seen in told)
    assert all(seen.next_ns == seen.asked_ns + AT_ONCE_NS for seen in told)
    assert [tuple(seen.symbols) for seen in told] == list(watched.symbols.of_workers.values())
    shown = {symbol: row for seen in told for symbol, row in seen.symbols.items()}
    assert shown == {
        symbol: (flow.trade_id if symbol == "BBBUSDT" else -1, top_of(*flow.top), True)
        for symbol, flow in venue.flows.items()
    }
    assert await watched.turn() == [], "the next one comes later"
    assert watched.watch.looks == {"answered": 1, "failed": 0}


async def test_symbols_that_do_not_trade_are_said_to_and_those_that_vanished_are_not_asked_for(
    venue: Venue, watched: Watched
) -> None:
    del venue.rows[2]
    watched.listed("TRADING", "BREAK", "")
    watched.beats(LookUrgency.SOON)
    shown = {symbol: row for seen in await watched.turn() for symbol, row in seen.symbols.items()}
    assert {symbol: row[2] for symbol, row in shown.items()} == dict(zip(SYMBOLS, (True, False, False), strict=True))
    assert shown["CCCUSDT"] == (None, None, False)
    assert {asked.status for asked in venue.requests} == {200}


async def test_a_symbol_that_is_listed_as_halted_owes_nothing_though_the_market_does_not_show_it(
    venue: Venue, watched: Watched
) -> None:
    rows = [{"symbol": symbol, "lastId": 7} for symbol in SYMBOLS if symbol != "CCCUSDT"]
    venue.on_rest = lambda path, _query: Answer(200, rows) if path == "ticker/24hr" else None
    watched.listed("TRADING", "TRADING", "HALT")
    watched.beats(LookUrgency.SOON)
    shown = {symbol: row for seen in await watched.turn() for symbol, row in seen.symbols.items()}
    assert shown["CCCUSDT"] == (None, None, False)


async def test_a_look_that_fails_is_counted_and_tells_nothing(venue: Venue, watched: Watched) -> None:
    venue.on_rest = lambda *_: Answer(500)
    watched.beats(LookUrgency.AT_ONCE)
    assert await watched.turn() == []
    assert watched.watch.looks == {"answered": 0, "failed": 1}
    asked = len(venue.requests)
    assert await watched.turn() == []
    assert len(venue.requests) == asked, "it is not asked again at once"


async def test_a_market_that_is_silent_as_a_whole_is_looked_at_less_often_unless_somebody_hurries(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.beats(LookUrgency.SOON, LookUrgency.SOON, market_quiet=True)
    assert len(await watched.turn()) == 2
    monkeypatch.setattr("k2workers.processes.look_schedule.AT_ONCE_NS", 0)
    assert await watched.turn() == []
    watched.beats(LookUrgency.AT_ONCE, market_quiet=True)
    assert len(await until(watched.turn)) == 2
