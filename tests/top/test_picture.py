"""What is seen of a feed on screens of any size: the verdict first, and nothing wider than there is room."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from k2workers.page.annals import Happening, Holding
from k2workers.processes.child_status import PeerCut, ReaderTold, SubscriberBehind, Subscribers
from k2workers.processes.page_now import ConnectsShown
from k2workers.processes.resource_meter import Usage
from k2workers.processes.status import VenueStatus
from k2workers.processes.topic_page import TopicsFound, TopicShown
from k2workers.processes.worth_a_look import WorthALook
from k2workers.supervision.child import ChildState
from k2workers.supervision.permissions import RestWeight, ServiceState
from k2workers.top.keys import Keys
from k2workers.top.picture import Seen, picture
from k2workers.top.shard_table import LETTERS
from k2workers.top.view import FeedView
from tests.processes.test_worth_a_look import AT_MS, now
from tests.support.told import aggregator_status, seen, worker_row, worker_status

SUBSCRIBERS = Subscribers(
    connected=3, behind=[SubscriberBehind("10.0.0.1:5", 2_500_000)], readers=[ReaderTold("mine\x1b[2J", 1, 0), ReaderTold("slow", 7, 4)],
    cut=1, newest_cuts=[PeerCut("10.0.0.2:6", "publish", "slow")],
)  # fmt: skip


def _view(shards: int = 2, *, ailments: int = 0, watch: int = 0, **changes: Any) -> FeedView:
    view = FeedView(0.0)
    of_venue = VenueStatus(
        symbols=1, symbol_states=seen().symbol_states, venue_refusals={"rest": ServiceState(0.0, 429, 3)}, rest_weight=RestWeight(240, 4800, 0, 0.0)
    )  # fmt: skip
    children = {
        "aggregator": ChildState(pid=1, alive=True, ready=True, restarts=2, last_beat_s=0.1),
        "books": ChildState(pid=2, alive=True, ready=False, restarts=0, last_beat_s=0.1),
        "witness": ChildState(pid=None, alive=False, ready=False, restarts=0, last_beat_s=None),
    }
    status = {
        "workers": [worker_row(worker_status(shard=n, gaps_doubted=1), shard=n) for n in range(shards)],
        "venues": {"binance": of_venue}, "children": children, "demo": True, "ready": not ailments, **changes.pop("status", {}),
    }  # fmt: skip
    usual: dict[str, Any] = {
        "status": seen(**status), "aggregator": aggregator_status(subscribers=SUBSCRIBERS, missing={"v.trade.X": 2}),
        "ailments": [Holding("gaps_open", f"worker-{n}", f"worker-{n} has 1", AT_MS - 5_000) for n in range(ailments)],
        "connects": {"binance": ConnectsShown(granted=6, limit=270, window_s=300.0, waiting=2, alone=1)},
        "usage": {"parent": Usage(50_000_000, 1.0, 5), "aggregator": Usage(1, 1.0, 6), "books": Usage(1, 1.0, 7), "witness": Usage(1, 1.0, 8), "worker-0": Usage(1, 1.0, 9)},
    }  # fmt: skip
    view.now = now(**usual | changes)
    view.cpu = {"parent": 0.012}
    view.watch = [WorthALook("slow", f"number {n}") for n in range(watch)]
    view.happened = [
        Happening(AT_MS - 1_000, "restart", "worker-1", "was restarted"),
        Happening(AT_MS - 2_000, "not ready", "worker-1", "process_down: worker-1 is not running"),
    ]
    return view


def _drawn(
    view: FeedView,
    columns: int = 100,
    rows: int | None = None,
    keys: str | None = None,
    *,
    now_s: float = 0.0,
    why: str = "",
) -> list[str]:
    console = Console(width=columns, file=io.StringIO())
    pressed = None
    if keys is not None:
        pressed = Keys(LETTERS)
        pressed.press(keys)
    shown = Seen(view, url="http://127.0.0.1:9091", why=why, at_ms=AT_MS, now_s=now_s)
    return [line.rstrip() for line in picture(shown, console, rows, pressed)]


def test_a_snapshot_has_everything() -> None:
    lines = _drawn(_view())
    whole = "\n".join(lines)
    assert lines[0].startswith("All is well: every stream flows, since ")
    assert lines[0].endswith(", for 1 min")
    assert lines[1].startswith(
        "k2workers  DEMO (embedded exchange)  binance  up 1 s  2 events/s  1 symbol  3 rotations"
    )
    assert [line.split()[0] for line in lines[3:5]] == ["0", "1"]
    for words in (
        "rates        trade 5 a second",
        "to our read p99 200 µs (shard 1), from there to publication p50 100 µs, p99 200 µs",
        "open 0", "denied once by the venue 2", "v.trade.X 2 ids", "3 connected, 1 disconnected by the feed; 0 B kept for replay",
        "mine\N{REPLACEMENT CHARACTER}[2J: 1 batch waiting", "slow: 7 batches waiting, 4 lost", "10.0.0.1:5 does not read: 2.5 MB waiting",
        "6 of 270 connections in 5 min, 2 waiting, 1 without permission", "REST weight 240 of 4,800", "3 refusals",
        "parent 50.0 MB 1.2 %; aggregator 1 B, 2 restarts; books starting 1 B; witness down 1 B",
        "restart worker-1: was restarted", "not ready process_down: worker-1 is not running",
    ):  # fmt: skip
        assert words in whole.replace("\n             ", " "), words
    assert "sort" not in whole and "\x1b" not in whole


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"ailments": 2}, "Not ready: gaps open, since "),
        (
            {"ailments": 1, "status": {"waiting_for": "symbols", "ready": False}},
            "Starting: waiting for symbols, since ",
        ),
        ({"status": {"ready": False}}, "Not ready: …, since "),
    ],
)
def test_the_first_line_says_what_is_wrong_and_since_when(changes: dict[str, Any], first: str) -> None:
    assert _drawn(_view(**changes))[0].startswith(first)


def test_what_is_wrong_and_what_is_worth_a_look_follow_as_far_as_there_is_room() -> None:
    lines = _drawn(_view(ailments=6, watch=5))
    assert lines[2] == "  gaps open  worker-0 has 1, for 5 s"
    assert lines[6:9] == ["  … 2 more", "  slow  number 0", "  slow  number 1"]
    assert lines[11] == "  … 1 more"
    small = _drawn(_view(ailments=6, watch=5), rows=20)
    assert [small[4], small[7]] == ["  … 4 more", "  … 3 more"]


def test_a_reason_is_told_to_its_end_over_as_many_lines_as_it_takes() -> None:
    view = _view()
    view.watch = [WorthALook("connecting fails", f"{'a long way ' * 12}and why it is not found")]
    assert "and why it is not found" in " ".join(line.strip() for line in _drawn(view))


def test_before_anything_is_told_what_is_not_known_is_not_said() -> None:
    lines = _drawn(_view(status={"workers": [worker_row()]}, aggregator=None, rates={}, connects={"other": ConnectsShown(granted=0, limit=1, window_s=1.0, waiting=0, alone=0)}))  # fmt: skip
    whole = "\n".join(lines)
    assert "rates      –" in whole
    assert "to our read –" in whole
    assert "gaps       –" in whole
    assert "subscribers" not in whole
    assert "other: 0 of 1 connections in 1 s" in whole


def test_a_feed_that_does_not_answer_is_said_first_with_what_was_true_before() -> None:
    lines = _drawn(_view(ailments=1), now_s=65.0, why="nobody listens there")
    assert lines[0] == "The feed does not answer at http://127.0.0.1:9091"
    assert "for 1 min 5 s: nobody listens there. Below is its last report. Retrying." in lines[1]
    assert lines[2].startswith("k2workers  DEMO") and lines[3].startswith("shard")
    assert _drawn(FeedView(0.0), rows=10, keys="", now_s=1.0)[-1].startswith("q: end")
    assert _drawn(FeedView(0.0), now_s=1.0) == ["asking http://127.0.0.1:9091 …"]
    assert "for 1 s: it says nothing. Retrying." in _drawn(FeedView(0.0), now_s=1.0, why="it says nothing")[1]
    assert "for 4 s. Retrying." in _drawn(FeedView(0.0), now_s=4.0)[1]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("rows", [1, 6, 12, 24, 50])
@pytest.mark.parametrize("keys", [None, "", "e", "/x"])
def test_nothing_is_wider_or_longer_than_the_screen(columns: int, rows: int, keys: str | None) -> None:
    view = _view(shards=30, ailments=6, watch=5)
    lines = _drawn(view, columns, rows, keys)
    assert len(lines) <= rows
    assert all(cell_len(line) <= columns for line in lines), lines
    if keys == "":
        assert lines[-1].startswith("q: end")


def test_rows_that_have_no_room_are_counted_and_the_rest_keeps_a_third() -> None:
    lines = _drawn(_view(shards=30), rows=30, keys="")
    (more,) = [line for line in lines if line.startswith("… ")]
    shown = [line for line in lines if line.split() and line.split()[0].isdecimal()]
    assert more == f"… {30 - len(shown)} more"
    assert len(shown) > 10
    assert any(line.startswith("rates") for line in lines)


def test_a_search_takes_the_place_of_the_rest() -> None:
    view = _view()
    view.found = TopicsFound(9, 1, [TopicShown(topic="v.trade.X", state="flowing", age_s=0.1)])
    lines = _drawn(view, rows=24, keys="/tra")
    assert any(line.startswith("v.trade.X") for line in lines)
    assert not any(line.startswith("rates") for line in lines)
    assert lines[-1] == "/tra█  1 of 9 topics  Esc: back"
    assert _drawn(view, rows=24, keys="/tra\r")[-1] == "/tra  1 of 9 topics  Esc: back"
    view.found = None
    assert _drawn(view, rows=24, keys="/")[-2:] == ["searching …", "/█  Esc: back"]


def test_the_last_line_says_how_it_is_sorted() -> None:
    assert _drawn(_view(), rows=24, keys="e")[-1] == "q: end   /: topics   s or a letter: sort (by events/s)"
