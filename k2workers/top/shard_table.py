"""Owns the table of shards: its columns, in which order its rows stand, and which columns there is room for. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from k2workers.page.words import NONE, duration, latency, number, size
from k2workers.processes.shard_numbers import worker_name
from k2workers.processes.status import WorkerRow
from k2workers.top.clean_text import BAD, GOOD, WARN
from k2workers.top.view import FeedView


class Cell(NamedTuple):
    """What stands there, by what it is sorted, and its style."""

    words: str
    order: float | str
    style: str = ""


class Column(NamedTuple):
    """``letter``, one of the title's, sorts by it; of those that have no room the one with the highest ``rank`` goes first. ``falling``: the largest stands first."""

    title: str
    letter: str
    rank: int
    cell: Callable[[WorkerRow, FeedView], Cell]
    figures: bool = True
    falling: bool = True


def _state(worker: WorkerRow, view: FeedView) -> Cell:
    words, well = view.state_of(worker)
    return Cell(words, words, GOOD if well else BAD)


def _age(worker: WorkerRow, _: FeedView) -> Cell:
    told = worker.told
    return Cell(duration(told.connection_age_s), told.connection_age_s) if told is not None else Cell(NONE, -1.0)


def _next(worker: WorkerRow, _: FeedView) -> Cell:
    told = worker.told
    if told is None or not told.live:
        return Cell(NONE, math.inf)
    return Cell(duration(told.next_rotation_s), told.next_rotation_s)


def _lost(worker: WorkerRow, _: FeedView) -> Cell:
    count = worker.told.reconnects if worker.told is not None else 0
    return Cell(number(count), count, WARN if count else "")


def _gaps(worker: WorkerRow, _: FeedView) -> Cell:
    still = worker.told is not None and worker.told.gaps_open
    return Cell(number(worker.figures.gaps), worker.figures.gaps, BAD if still else "")


def _p99(worker: WorkerRow, _: FeedView) -> Cell:
    p99 = worker.told.latency_us.p99 if worker.told is not None else None
    return Cell(latency(p99), -1.0 if p99 is None else p99)


def _cpu(worker: WorkerRow, view: FeedView) -> Cell:
    share = view.cpu.get(worker_name(worker.figures.shard))
    return Cell(NONE, -1.0) if share is None else Cell(f"{100 * share:.1f} %", share)


def _plain(figure: Callable[[WorkerRow], float], words: Callable[[float], str] = number, style: str = "") -> Callable[[WorkerRow, FeedView], Cell]:  # fmt: skip
    def cell(worker: WorkerRow, _: FeedView) -> Cell:
        value = figure(worker)
        return Cell(words(value), value, style if value else "")

    return cell


def _rotations(worker: WorkerRow) -> float:
    return worker.told.rotations if worker.told is not None else 0


COLUMNS = (
    Column(
        "shard",
        "h",
        0,
        lambda worker, _: Cell(str(worker.figures.shard), worker.figures.shard),
        figures=False,
        falling=False,
    ),
    Column(
        "venue",
        "v",
        11,
        lambda worker, _: Cell(worker.figures.venue, worker.figures.venue),
        figures=False,
        falling=False,
    ),
    Column("state", "t", 1, _state, figures=False, falling=False),
    Column("events/s", "e", 2, _plain(lambda worker: worker.events_per_s)),
    Column("age", "a", 5, _age),
    Column("next", "x", 6, _next, falling=False),
    Column("rotated", "o", 8, _plain(_rotations)),
    Column("lost", "l", 9, _lost),
    Column("gaps", "g", 3, _gaps),
    Column("dups", "d", 13, _plain(lambda worker: worker.figures.duplicates)),
    Column("p99", "p", 10, _p99),
    Column("restarts", "r", 4, _plain(lambda worker: worker.figures.restarts, style=WARN)),
    Column("memory", "m", 12, _plain(lambda worker: worker.figures.rss_bytes, size)),
    Column("CPU", "c", 7, _cpu),
)
LETTERS = "".join(column.letter for column in COLUMNS)

_APART = 2
"""Spaces between columns."""


def shard_table(
    view: FeedView, width: int, sort: str, *, turned: bool, rows: int | None, letters: bool = True
) -> Table:
    """``sort`` is the letter of a column, ``turned`` its other direction; at most so many ``rows``. ``letters``: those that sort are marked."""
    workers = view.now.status.workers if view.now is not None else []
    several = len({worker.figures.venue for worker in workers}) > 1
    every = [column for column in COLUMNS if several or column.letter != "v"]
    cells = [[column.cell(worker, view) for column in every] for worker in workers]
    by = next((place for place, column in enumerate(every) if column.letter == sort), 0)
    cells.sort(key=lambda row: row[by].order, reverse=every[by].falling is not turned)
    table = Table(box=None, pad_edge=False, padding=(0, _APART, 0, 0), collapse_padding=True, show_edge=False)
    shown = _that_fit(every, cells, width, by)
    for place in shown:
        column = every[place]
        title = Text(column.title + (("▲" if every[by].falling is turned else "▼") if place == by else ""))
        title.stylize("bold" if place == by else "dim")
        if letters:
            at = column.title.lower().index(column.letter)
            title.stylize("underline", at, at + 1)
        table.add_column(title, justify="right" if column.figures else "left", no_wrap=True)
    for row in cells[:rows]:
        table.add_row(*(Text(row[place].words, row[place].style) for place in shown))
    return table


def _that_fit(columns: Sequence[Column], cells: Sequence[Sequence[Cell]], width: int, sorted_by: int) -> list[int]:
    """Their places; those that are left out tell the least. The one that sorts is always there."""
    widths = [
        max([len(column.title) + (place == sorted_by), *(cell_len(row[place].words) for row in cells)]) + _APART
        for place, column in enumerate(columns)
    ]
    kept: list[int] = []
    for place in sorted(range(len(columns)), key=lambda place: (place != sorted_by, columns[place].rank)):
        if sum(widths[one] for one in kept) + widths[place] - _APART <= width:
            kept.append(place)
    return sorted(kept)
