"""Symbols that come, change and go while the feed runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import metrics
from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.processes.run_plan import RunPlan
from k2workers.processes.symbol_watch import SymbolWatch, read_selectors
from k2workers.supervision.control_messages import Beat, Serve
from k2workers.venues.binance.settings import SpotSettings
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.symbols import SymbolInfo, choose
from k2workers.venues.venue_settings import VenueSettings
from tests.fakes import Careless
from tests.support.told import worker_status
from tests.support.venue import Venue


class Run:
    """A watch over two workers of which each has room for two symbols."""

    def __init__(self, folder: Path) -> None:
        (plan,) = RunPlan(Settings(shards=2, streams=["trade", "depth"], symbols=["*"]), folder, origin_ns=0).markets
        plan.venue = BinanceSpot()
        plan.venue.limits = msgspec.structs.replace(plan.venue.limits, streams_per_connection=4)
        self.supervisor = Careless()
        self.watch = SymbolWatch(plan, self.supervisor)  # type: ignore[arg-type]

    def listed(self, **status: str) -> Any:
        return choose(["*"], [SymbolInfo(symbol, each) for symbol, each in status.items()])

    def beat(self, name: str, symbols: int) -> None:
        self.supervisor.beats[name] = Beat(name, os.getpid(), {}, worker_status(symbols=symbols), 1)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    return Run(tmp_path)


def test_newcomers_go_to_the_worker_with_the_fewest_and_no_other_moves(run: Run) -> None:
    specs = run.watch.begin(run.listed(AUSDT="TRADING", BUSDT="TRADING", CUSDT="TRADING"))
    few = next(spec for spec in specs if len(spec.settings.symbols) == 1)
    run.watch.look(run.listed(AUSDT="TRADING", BUSDT="TRADING", CUSDT="TRADING", DUSDT="TRADING"))
    ((name, spec),) = run.supervisor.specs.items()
    assert name == few.name
    assert spec.settings.symbols == (*few.settings.symbols, "DUSDT")
    assert sorted(run.watch.symbols) == ["AUSDT", "BUSDT", "CUSDT", "DUSDT"]


def test_a_worker_is_told_until_it_reports_as_many(run: Run) -> None:
    (spec,) = run.watch.begin(run.listed(AUSDT="TRADING"))
    run.watch.remind()
    assert run.supervisor.sent == []  # not running yet
    run.beat(spec.name, 1)
    run.watch.remind()
    assert run.supervisor.sent == []
    run.watch.look(run.listed(AUSDT="TRADING", BUSDT="TRADING"))
    run.watch.remind()
    assert run.supervisor.sent == [(spec.name, Serve(("AUSDT", "BUSDT")))] * 2
    run.beat(spec.name, 2)
    run.watch.remind()
    assert len(run.supervisor.sent) == 2


def test_what_does_not_fit_is_named_and_taken_by_nobody(run: Run) -> None:
    run.watch.begin(run.listed(AUSDT="TRADING", BUSDT="TRADING"))
    everything = {f"{letter}USDT": "TRADING" for letter in "ABCDE"}
    run.watch.look(run.listed(**everything))
    assert run.watch.counts()["no_room"] == 1
    assert run.watch.status().no_room == ["EUSDT"]
    assert len(run.watch.symbols) == 4


def test_changes_are_counted_and_a_vanished_symbol_stays(run: Run) -> None:
    run.watch.begin(run.listed(AUSDT="TRADING", BUSDT="TRADING", CUSDT="BREAK"))
    assert run.watch.counts() == {
        "trading": 2, "quiet": 0, "vanished": 0, "awaited": 1, "unknown": 0, "left_out": 0, "no_room": 0,
    }  # fmt: skip
    run.watch.look(run.listed(BUSDT="HALT", CUSDT="TRADING"))
    assert run.watch.counts() == {
        "trading": 1, "quiet": 1, "vanished": 1, "awaited": 0, "unknown": 0, "left_out": 0, "no_room": 0,
    }  # fmt: skip
    assert run.watch.status().not_trading == {"AUSDT": "not listed any longer", "BUSDT": "HALT"}
    ((_, spec),) = run.supervisor.specs.items()
    assert spec.settings.symbols[-1] == "CUSDT"


@contextlib.asynccontextmanager
async def looking(file: Path, venue: Venue) -> AsyncIterator[SymbolWatch]:
    """A watch over the symbols that this file names."""
    supervisor = Careless()
    permissions = supervisor.permissions["binance"]

    async def permit() -> None:
        while True:
            permissions.look(time.monotonic_ns())
            await asyncio.sleep(0.01)

    permitting = asyncio.create_task(permit())
    try:
        of_venues: dict[str, VenueSettings] = {"binance": SpotSettings(rest_url=venue.rest_url)}
        settings = Settings(symbols=[f"file:{file}"], of_venues=of_venues)
        yield SymbolWatch(RunPlan(settings, file.parent, origin_ns=0).markets[0], supervisor)  # type: ignore[arg-type]
    finally:
        permitting.cancel()


async def test_a_file_of_symbols_with_odd_lines_serves_the_others(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "symbols.txt"
    file.write_bytes(b"\xef\xbb\xbfAAAUSDT  # the first\n\n  # no symbol\n\xff\xfe\nBBBUSDT\n")
    with Venue(["AAAUSDT", "BBBUSDT", "CCCUSDT"]) as venue:
        async with looking(file, venue) as watch:
            choice = await watch.choose()
            assert list(choice.served) == ["AAAUSDT", "BBBUSDT"]
            assert len(choice.unknown) == 1
        file.write_bytes(b"# none\n")
        async with looking(file, venue) as watch:
            with pytest.raises(ConfigError, match=r"symbols\.txt.*names no symbol"):
                await watch.choose()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("a pipe that nobody writes to", "not a regular file"),
        ("a device without end", "not a regular file"),
        ("a directory", "cannot be read"),
        ("a recording", "far too large"),
    ],
)
def test_what_is_no_file_of_symbols_keeps_nobody_waiting(kind: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "symbols.txt"
    if kind == "a pipe that nobody writes to":
        os.mkfifo(path)
    elif kind == "a device without end":
        path.symlink_to("/dev/zero")
    elif kind == "a directory":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(2**40)  # of holes: it takes no room
    with pytest.raises(ConfigError, match=words) as told:
        read_selectors([f"file:{path}"])
    assert f"symbols = 'file:{path}': " in str(told.value)
    assert "Errno" not in str(told.value)


async def test_a_file_that_changes_or_goes_hides_nothing_of_what_is_served(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "symbols.txt"
    file.write_text("AAAUSDT\nBBBUSDT\nTYPO\n")
    with Venue(["AAAUSDT", "BBBUSDT", "CCCUSDT"]) as venue:
        async with looking(file, venue) as watch:
            watch.begin(await watch.choose())
            file.write_text("AAAUSDT\nCCCUSDT\n")
            watch.look(await watch.choose())
            assert watch.symbols == ["AAAUSDT", "BBBUSDT", "CCCUSDT"]
            assert watch.counts() | {"trading": 3, "vanished": 0, "unknown": 0} == watch.counts()
            file.unlink()
            del venue.rows[1]
            watch.look(await watch.choose())
            assert watch.counts() | {"trading": 2, "vanished": 1} == watch.counts()
