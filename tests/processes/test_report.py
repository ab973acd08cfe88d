from __future__ import annotations

from typing import Any

from k2workers.processes import report
from k2workers.processes.child_status import Published
from k2workers.processes.status import WorkerFigures
from k2workers.rotation.record import RotationRecord
from tests.support.told import rotated

S = 1_000_000_000


def rotation(shard: int, started_s: float, cut_s: float, reason: str = "scheduled_rotation") -> RotationRecord:
    return rotated(shard, reason=reason, started_ns=int(started_s * S), cut_ns=int(cut_s * S))


def test_rotations_one_after_the_other_are_never_concurrent() -> None:
    found = report.rotations_summary([rotation(1, 10, 11), rotation(0, 5, 6), rotation(0, 15, 16)])
    assert (found["count"], found["max_concurrent"], found["min_spacing_s"]) == (3, 1, 5.0)
    assert found["by_shard"] == {0: 2, 1: 1}


def test_overlapping_rotations_are_seen() -> None:
    found = report.rotations_summary([rotation(0, 0, 3), rotation(1, 1, 4), rotation(2, 2, 5)])
    assert (found["max_concurrent"], found["min_spacing_s"]) == (3, 1.0)


def test_rotations_that_the_venue_forced_are_told_apart_from_scheduled_ones() -> None:
    forced = [rotation(n, 10 + n / 10, 11 + n / 10, "server_shutdown") for n in range(3)]
    found = report.rotations_summary([rotation(0, 0, 1), rotation(1, 5, 6), *forced])
    assert found["by_reason"] == {"scheduled_rotation": 2, "server_shutdown": 3}
    assert (found["min_spacing_s"], found["max_concurrent"]) == (5.0, 3)
    assert found["min_spacing_by_reason_s"] == {"scheduled_rotation": 5.0, "server_shutdown": 0.1}


def test_no_rotation_has_no_spacing() -> None:
    found = report.rotations_summary([])
    assert (found["count"], found["max_concurrent"], found["min_spacing_s"]) == (0, 0, None)


def test_the_report_adds_up_what_the_processes_said() -> None:
    worker: dict[str, Any] = {"shard": 0, "venue": "binance", "pid": 1, "restarts": 0, "rss_bytes": 2, "cpu_s": 3.0}
    built = report.build(
        venue="binance",
        shards=2,
        symbols=["A"],
        duration_s=1.5,
        complaints=["a process was killed"],
        unready=[],
        workers=[WorkerFigures(**worker, events_received=5, duplicates=1, gaps=2)] * 2,
        published=Published(events_published=9, gaps=5, gaps_open=2, gaps_given_up=1, repaired_ids=7, void_ids=1),
        rotations=[],
        truth=None,
    )
    assert (built["clean"], built["complaints"]) == (False, ["a process was killed"])
    assert built["events"]["received"] == 10
    assert built["events"] == {
        "received": 10, "published": 9, "duplicates_dropped": 2,
        "gaps": 5, "gaps_repaired": 2, "gaps_open": 2, "gaps_given_up": 1, "repaired_ids": 7, "void_ids": 1, "resets": 0,
    }  # fmt: skip
    assert built["workers"] == [worker, worker]
    assert (built["latency_us"], built["continuity"]) == ({}, [])
    assert "truth" not in built
