"""The live summary on a real terminal: it fits, it comes again after any failure, and what becomes of it is nothing to the run."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import msgspec
import pytest
from rich.console import Console

from k2workers import every
from k2workers.logs import outlet
from k2workers.processes.console import LiveSummary, table
from k2workers.processes.readiness import Reason, Word
from k2workers.processes.status import FeedStatus
from tests.support.screen import Terminal
from tests.support.told import seen, worker_row, worker_status
from tests.support.waiting import until

STATUS = seen()
HEADINGS = ["shard", "state", "events/s", "age", "s", "next", "s", "rotated", "dups", "gaps", "restarts", "MB"]


@pytest.mark.parametrize("large", [0, 1, 99_999, 999_999, 999_999.6, 10_000_000, 10**15])
@pytest.mark.parametrize("demo", [False, True])
def test_the_summary_fits_80_columns_whatever_the_figures(large: float, demo: bool) -> None:
    told = worker_status(state="backing_off", connection_age_s=86_400.4, next_rotation_s=86_400.4, rotations=large)
    worker = worker_row(
        told, shard=255, events_per_s=min(large, 999_999), duplicates=large, gaps=large, restarts=large, rss_bytes=min(large, 99_999e6)
    )  # fmt: skip
    status = seen(
        demo=demo, uptime_s=400 * 86_400.0, symbols=100_000, events_per_s=9_999_999.0, rotations=1_000_000,
        workers=[worker, msgspec.structs.replace(worker, alive=False)],
        unready=[Reason(word, "", 1, "") for word in (Word.NO_CONNECTION, Word.GAPS_OPEN)],
    )  # fmt: skip
    console = Console(width=80, file=open(os.devnull, "w"), record=True)  # noqa: PTH123, SIM115
    console.print(table(status))
    console.file.close()
    lines = console.export_text().splitlines()
    assert all(len(line) <= 80 and "…" not in line for line in lines), "\n".join(lines)
    assert len(lines) == 3 + 2 + 2
    assert lines[0].split()[0] == "k2workers"
    assert lines[2].split(maxsplit=2) == ["not", "ready:", "no_connection, gaps_open"]
    assert lines[3].split() == HEADINGS
    assert lines[5].split()[:2] == ["255", "backing_off"]
    assert lines[6].split()[:2] == ["255", "restarting"]


def test_whose_the_shards_are_is_said_where_there_are_several_venues() -> None:
    workers = [
        worker_row(worker_status(), shard=n, venue=venue)
        for n, venue in enumerate(("binance", "binance", "binance_us"))
    ]
    console = Console(width=80, file=open(os.devnull, "w"), record=True)  # noqa: PTH123, SIM115
    console.print(table(seen(venue="binance,binance_us", workers=workers)))
    console.file.close()
    lines = console.export_text().splitlines()
    assert lines[0].startswith("k2workers  binance,binance_us  up ")
    assert [line.strip() for line in lines[2:4]] == ["binance: shards 0 1", "binance_us: shard 2"]


@contextlib.contextmanager
def on_a_terminal() -> Iterator[Terminal]:
    """In the test itself: pytest gives each of its phases a stdout of its own."""
    with pytest.MonkeyPatch.context() as patch, Terminal() as made:
        patch.setenv("TERM", "xterm")
        shown = outlet.Outlet(made.theirs)
        patch.setattr(sys, "stdout", shown)
        patch.setattr(outlet, "_outlets", [shown])
        yield made
        shown.settle()


def shows(terminal: Terminal, words: str) -> bool:
    return any(words in line for line in terminal.screen.lines)


async def test_a_picture_that_could_not_be_drawn_is_drawn_again() -> None:
    asked = 0

    def status() -> FeedStatus:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("a defect")
        return STATUS

    failed_before = every.failures["summary"]
    with on_a_terminal() as terminal:
        terminal.read_on()
        async with LiveSummary(status):
            await until(lambda: shows(terminal, "2 events/s"))
    assert every.failures["summary"] == failed_before + 1


async def test_a_terminal_that_is_gone_does_not_disturb_the_end_of_the_run() -> None:
    with on_a_terminal() as terminal:
        async with LiveSummary(lambda: STATUS):
            await until(lambda: os.read(terminal.ours, 65_536))
            terminal.hang_up()
            stdout = sys.stdout
            assert isinstance(stdout, outlet.Outlet)
            stdout.write("nobody sees this\n")
            stdout.settle()
        stdout.settle()
    assert sys.stdout is not None


async def test_lines_stand_above_the_table_and_after_its_end_below_it() -> None:
    with on_a_terminal() as terminal:
        terminal.read_on()
        async with LiveSummary(lambda: STATUS):
            await until(lambda: shows(terminal, "2 events/s"))
            for number in range(40):
                sys.stdout.write(f"line {number}\n")
            await until(lambda: shows(terminal, "line 39"))
        sys.stdout.write("the end\n")
        await until(lambda: shows(terminal, "the end"))
    lines = terminal.screen.lines
    (title,) = [number for number, line in enumerate(lines) if "k2workers" in line]
    assert lines[:title] == [f"line {number}" for number in range(40)]
    assert lines[-1] == "the end"
