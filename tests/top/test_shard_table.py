"""The table of shards: its order, and what is left out where there is no room."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from k2workers.processes.child_status import LatencyUs
from k2workers.processes.status import WorkerRow
from k2workers.top.shard_table import COLUMNS, LETTERS, shard_table
from k2workers.top.view import FeedView
from tests.processes.test_worth_a_look import now
from tests.support.told import seen, worker_row, worker_status

WORKERS = [
    worker_row(worker_status(connection_age_s=7_200.0), shard=0, events_per_s=50.0, gaps=2),
    worker_row(
        worker_status(shard=1, gaps_open=1, reconnects=3, latency_us=LatencyUs(1.0, None, None)),
        shard=1, events_per_s=1_500.0, gaps=1, restarts=1, rss_bytes=45_000_000,
    ),
    worker_row(shard=2, events_per_s=0.0),
]  # fmt: skip


def _written(width: int, sort: str = "h", *, turned: bool = False, rows: int | None = None, workers: list[WorkerRow] = WORKERS) -> list[str]:  # fmt: skip
    view = FeedView(0.0)
    view.now = now(status=seen(workers=workers))
    view.cpu = {"worker-1": 0.253}
    console = Console(width=width, file=io.StringIO())
    with console.capture() as shown:
        console.print(shard_table(view, width, sort, turned=turned, rows=rows))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_it_has_every_figure_where_there_is_room() -> None:
    head, first, second, third = _written(120)
    assert head.split() == [
        "shard▲", "state", "events/s", "age", "next", "rotated", "lost", "gaps", "dups", "p99", "restarts", "memory", "CPU",
    ]  # fmt: skip
    assert first.split("  ")[0] == "0" and "2 h" in first
    for figure in ("1,500", "45.0 MB", "25.3 %", "13 s"):
        assert figure in second
    assert third.split() == ["2", "starting", "0", "–", "–", "0", "0", "0", "0", "–", "0", "0", "B", "–"]


@pytest.mark.parametrize(
    ("sort", "turned", "order"),
    [
        ("h", False, "012"),
        ("h", True, "210"),
        ("e", False, "102"),
        ("e", True, "201"),
        ("g", False, "012"),
        ("t", False, "012"),
        ("t", True, "201"),
        ("p", False, "012"),
        ("c", False, "102"),
        ("x", False, "012"),
        ("x", True, "201"),
        ("a", False, "012"),
        ("v", False, "012"),
    ],
)
def test_it_is_sorted_by_any_column(sort: str, turned: bool, order: str) -> None:
    assert "".join(line[0] for line in _written(120, sort, turned=turned)[1:]) == order


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100])
@pytest.mark.parametrize("sort", ["h", "d"])
def test_no_line_is_longer_than_the_screen_and_nothing_is_cut(width: int, sort: str) -> None:
    lines = _written(width, sort)
    assert len(lines) == 4
    assert all(len(line) <= width and "…" not in line for line in lines)
    assert ("dups▼" in lines[0]) is (sort == "d")


def test_what_tells_most_stays_longest() -> None:
    assert _written(45)[0].split() == ["shard▲", "state", "events/s", "gaps", "restarts"]


def test_whose_a_shard_is_is_said_where_there_are_several_venues() -> None:
    workers = [worker_row(worker_status(), venue="a"), worker_row(worker_status(), shard=1, venue="b")]
    head, first, second = _written(120, "v", turned=True, workers=workers)
    assert head.split()[1] == "venue▼"
    assert (first.split()[:2], second.split()[:2]) == (["1", "b"], ["0", "a"])


def test_only_so_many_rows_are_shown_and_without_a_feed_none() -> None:
    assert len(_written(80, rows=2)) == 3
    console = Console(width=80, file=io.StringIO())
    with console.capture() as shown:
        console.print(shard_table(FeedView(0.0), 80, "h", turned=False, rows=None, letters=False))
    assert len(shown.get().splitlines()) == 1


def test_each_letter_is_one_of_its_title_and_of_no_other_and_no_other_key() -> None:
    assert all(column.letter in column.title.lower() for column in COLUMNS)
    assert len(set(LETTERS)) == len(LETTERS)
    assert not set(LETTERS) & set("sq/")
