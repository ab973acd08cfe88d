"""What the status page shows of a feed, and what is remembered of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import metrics
from k2workers.feed.topic_watch import Unserved
from k2workers.page.line_history import GONE
from k2workers.processes import run_plan
from k2workers.processes.child_status import LatencyUs, LineStatus
from k2workers.processes.page_view import PageView
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.supervision.control_messages import BEAT_FRESH_S, Beat
from tests.processes.test_status import Watched
from tests.support.told import aggregator_status, rotated, worker_status

S = 1_000_000_000


class Seen:
    """The page of a feed of two workers that are never started."""

    def __init__(self, folder: Path, *venues: str) -> None:
        self.begun_ns = time.monotonic_ns()
        self.feed = Watched(folder, *venues)
        supervisor: Any = self.feed.supervisor
        self.page = PageView(self.feed.view, supervisor, self.feed.feeds, ResourceMeter("test"))

    def tells(self, number: int, *, ago_s: float = 0.1, pid: int | None = None, gaps: int = 0, **changes: Any) -> None:
        """A worker told this so long before the page was made."""
        name = f"worker-{number}"
        own_pid = pid or self.feed.supervisor.children[name].pid
        assert own_pid is not None
        line = LineStatus(route="", state="live", live=True, age_s=10 - ago_s, next_rotation_s=1.0)
        status = msgspec.to_builtins(worker_status(shard=number, **{"lines": [line], **changes}))
        at_ns = self.begun_ns - int(ago_s * S)
        self.feed.supervisor.beats[name] = Beat(name, own_pid, {"gaps": gaps}, status, at_ns)

    def part(self, name: str) -> Any:
        return json.loads(self.page.parts()[name])

    @property
    def trail(self) -> dict[str, list[float | None]]:
        figures: dict[str, list[float | None]] = json.loads(self.page.trail(lambda ask: ask()).body)["figures"]
        return figures


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    made = Seen(tmp_path, "binance")
    for number in range(2):
        made.tells(number)
    return made


def test_what_is_live_holds_the_status_and_what_else_the_parent_knows(seen: Seen) -> None:
    told = msgspec.to_builtins(aggregator_status(missing={"binance.trade.X": 2}))
    seen.feed.supervisor.beats[run_plan.AGGREGATOR] = Beat(run_plan.AGGREGATOR, 0, {}, told, 1)
    seen.page.look()
    now = seen.part("now")
    assert now["status"]["ready"] is True
    assert [worker["figures"]["shard"] for worker in now["status"]["workers"]] == [0, 1]
    assert now["aggregator"]["missing"] == {"binance.trade.X": 2}
    assert now["connects"] == {"binance": {"granted": 0, "limit": 270, "window_s": 300.0, "waiting": 0, "alone": 0}}
    assert now["lifetimes_s"] == {"binance": 4 * 3_600}
    assert set(now["usage"]) == {"parent", "aggregator", "books", "disk-ring", "worker-0", "worker-1"}
    assert (now["ailments"], now["rates"]) == ([], {})
    assert abs(now["at_ms"] - time.time() * 1_000) < 60_000
    assert now["since_ms"] <= now["at_ms"]


def test_before_anything_is_told_the_page_shows_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    made = Seen(tmp_path, "binance")
    made.page.look()
    now = made.part("now")
    assert (now["aggregator"], now["status"]["ready"], made.part("lines")) == (None, False, [])
    assert [(ailment["word"], ailment["where"]) for ailment in now["ailments"]] == [
        ("starting", "worker-0"), ("starting", "worker-1"),
    ]  # fmt: skip


def test_what_is_wrong_is_said_of_the_same_moment_as_whether_anything_is(seen: Seen) -> None:
    seen.page.look()
    seen.feed.changes("worker-1", alive=False)
    now = seen.part("now")
    assert (now["status"]["ready"], [one["word"] for one in now["ailments"]]) == (False, ["process_down"])
    assert now["since_ms"] == now["ailments"][0]["since_ms"] == now["at_ms"]


def test_rates_latencies_and_the_latest_of_both_are_remembered(seen: Seen) -> None:
    seen.tells(0, ago_s=2.0, received={"trade": 100})
    seen.page.look()
    seen.tells(0, ago_s=1.0, received={"trade": 150}, latency_us=LatencyUs(1.0, 5_000.0, None))
    seen.page.look()
    assert seen.part("now")["rates"] == {"trade": 50.0}
    assert seen.trail["rate trade"] == [None, 50.0]
    assert seen.trail["read p99"] == [200.0, 5_000.0], "of the worst worker"
    assert seen.trail["publish p99"] == [None, None]


def test_connections_are_remembered_by_route_and_a_rotation_shows_with_its_reason(seen: Seen) -> None:
    lines = [LineStatus(route=route, state="live", live=True, age_s=3.0, next_rotation_s=1.0) for route in ("m", "p")]
    seen.tells(0, lines=lines)
    seen.page.look()
    now_ns = time.time_ns()
    seen.page.rotated("worker-0", rotated(0, route="p", opened_ns=now_ns - S, cut_ns=now_ns, lifetime_s=3.0))
    first, second, third = seen.part("lines")
    assert [(route["worker"], route["venue"], route["route"]) for route in (first, second, third)] == [
        ("worker-0", "binance", "m"), ("worker-0", "binance", "p"), ("worker-1", "binance", ""),
    ]  # fmt: skip
    assert [bar["end"] for bar in second["spans"]] == ["scheduled_rotation", ""]
    assert second["spans"][0]["ended_ms"] - second["spans"][0]["carried_ms"] == pytest.approx(3_000, abs=1_000)
    assert len(first["spans"]) == len(third["spans"]) == 1


def test_what_a_worker_lost_is_told_once(seen: Seen) -> None:
    seen.page.look()
    seen.tells(0, gaps=2, reconnects=1)
    for _ in range(2):
        seen.page.look()
    assert [one["word"] for one in seen.part("watch")] == ["connections lost lately", "gaps lately"]
    told = [(one["kind"], one["where"], one["text"]) for one in seen.part("happened")]
    assert told == [
        ("connection lost", "worker-0", "connection lost"),
        ("gap", "worker-0", "gap announced ×2"),
    ]


def test_of_a_worker_that_died_nothing_goes_on_and_its_next_life_is_another(seen: Seen) -> None:
    seen.tells(0, ago_s=2.0, received={"trade": 0})
    seen.page.look()
    seen.tells(0, ago_s=1.0, received={"trade": 50})
    seen.page.look()
    assert seen.part("now")["rates"]
    seen.feed.changes("worker-0", pid=99, restarts=1)
    seen.page.look()
    assert (seen.part("lines")[0]["spans"][0]["end"], seen.part("now")["rates"]) == (GONE, {})
    assert [one["kind"] for one in seen.part("happened")] == ["restart", "not ready"]
    line = LineStatus(route="", state="live", live=True, age_s=0.0, next_rotation_s=1.0)
    seen.tells(0, pid=99, received={"trade": 3}, lines=[line])
    seen.page.look()
    assert [bar["end"] for bar in seen.part("lines")[0]["spans"]] == [GONE, ""]
    assert [one["kind"] for one in seen.part("happened")][:2] == ["ready", "over"]


def test_of_a_process_that_stands_still_no_rate_and_no_latency_goes_on(seen: Seen) -> None:
    told = msgspec.to_builtins(aggregator_status(latency_us=LatencyUs(50.0, 100.0, None)))
    seen.feed.supervisor.beats[run_plan.AGGREGATOR] = Beat(run_plan.AGGREGATOR, 0, {}, told, 1)
    seen.tells(0, ago_s=2.0, received={"trade": 0})
    seen.page.look()
    seen.tells(0, ago_s=1.0, received={"trade": 50})
    seen.page.look()
    for name in ("worker-0", "worker-1", run_plan.AGGREGATOR):
        seen.feed.changes(name, last_beat_s=BEAT_FRESH_S + 0.1)
    seen.page.look()
    assert seen.trail["rate trade"] == [None, 50.0, None]
    assert seen.trail["read p99"] == [200.0, 200.0, None]
    assert seen.trail["publish p99"] == [100.0, 100.0, None]
    assert [route["spans"][0]["ended_ms"] for route in seen.part("lines")] == [None, None], (
        "its connection may well live"
    )
    seen.feed.changes(run_plan.AGGREGATOR, last_beat_s=0.1, pid=7)
    seen.page.look()
    assert seen.trail["publish p99"][-1] is None, "told by a process before this one"


def test_topics_are_those_that_are_asked_for_with_what_is_known_of_them(seen: Seen) -> None:
    seen.feed.feeds[0].symbols._status = {"BTCUSDT": "TRADING", "ETHUSDT": "TRADING"}
    seen.tells(1, topics_unserved={"binance.trade.ETHUSDT": Unserved.SILENT})
    knows = seen.page.knows()
    assert list(knows.asked()) == ["binance.trade.BTCUSDT", "binance.trade.ETHUSDT"]
    assert knows.unserved == {"binance.trade.ETHUSDT": "silent"}
    assert knows.missing == {}


def test_several_venues_are_each_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    made = Seen(tmp_path, "binance", "binance_us")
    for number in range(2):
        made.tells(number)
    made.page.look()
    assert set(made.part("now")["connects"]) == {"binance", "binance_us"}
    assert [route["venue"] for route in made.part("lines")] == ["binance", "binance_us"]
