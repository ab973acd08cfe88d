"""What a child is told at its start, and what it tells the parent, where no test is about it."""

from __future__ import annotations

from typing import Any

from k2workers.feed.silence import LookUrgency
from k2workers.logs.log import LogSettings
from k2workers.processes.child_status import (
    AggregatorStatus,
    GapFigures,
    LatencyUs,
    LineStatus,
    Subscribers,
    WorkerStatus,
)
from k2workers.processes.observers import BooksShown, DiskRingShown
from k2workers.processes.status import FeedStatus, WorkerFigures, WorkerRow
from k2workers.processes.symbol_watch import SymbolStates
from k2workers.rotation.policy import SCHEDULED
from k2workers.rotation.record import RotationRecord
from k2workers.supervision.permissions import RestWeight

LOGS = LogSettings("info", "json")


def worker_status(**changes: Any) -> WorkerStatus:
    """What a worker tells of which all is well but for these."""
    usual: dict[str, Any] = {
        "shard": 0, "state": "live", "live": True, "fresh": True, "symbols": 1, "connection_age_s": 1.5, "next_rotation_s": 13.5,
        "rotations": 2, "reconnects": 0, "gaps_open": 0, "gaps_doubted": 0, "books": 0, "books_missing": 0, "weight_wanted": 0,
        "repairs_waiting": 0, "clock_ahead_s": 0.0, "kinds_unreadable": [], "streams_silent": 0, "streams_unproven": 0, "streams_quiet": 0,
        "streams_learned": 0, "data_expected": False, "market_quiet": False, "look_wanted": LookUrgency.NO, "streams": 1,
        "streams_refused_count": 0, "streams_refused": {}, "streams_seen": 1, "lines": [LineStatus(route="", state="live", live=True, age_s=1.5, next_rotation_s=13.5)],
        "received": {"trade": 7}, "latency_us": LatencyUs(100.0, 200.0, 500.0), "topics_unserved": {},
    }  # fmt: skip
    return WorkerStatus(**usual | changes)


def aggregator_status(**changes: Any) -> AggregatorStatus:
    """What the aggregator tells if all is well but for these."""
    usual: dict[str, Any] = {
        "events_published": 1, "subscribers": Subscribers(connected=0, behind=[], readers=[], cut=0, newest_cuts=[]),
        "gaps": GapFigures(gaps=0, gaps_open=0, gaps_given_up=0, unproven_gaps_given_up=0, repaired_ids=0, void_ids=0, resets=0, old_events=0), "missing": {},
        "topics": 1, "ring_bytes": 0, "latency_us": LatencyUs(100.0, 200.0, 500.0),
    }  # fmt: skip
    return AggregatorStatus(**usual | changes)


def rotated(shard: int, **changes: Any) -> RotationRecord:
    """The record of a rotation of this shard in which all went well."""
    usual: dict[str, Any] = {
        "reason": SCHEDULED, "started_ns": 0, "opened_ns": 0, "cut_ns": 0, "overlap_ms": 0.0, "lifetime_s": 15.0, "duplicates": 0,
        "gap": 0, "proven": 1, "unproven": 0, "quiet": 0, "complete": True, "handovers": [],
    }  # fmt: skip
    return RotationRecord(shard=shard, **usual | changes)


def worker_row(told: WorkerStatus | None = None, **changes: Any) -> WorkerRow:
    """A worker as the parent sees it: nothing has happened but this."""
    own = {name: changes.pop(name, unsaid) for name, unsaid in (("events_per_s", 1.0), ("alive", True))}
    usual: dict[str, Any] = {
        "shard": 0, "venue": "binance", "pid": 10, "restarts": 0, "rss_bytes": 0, "cpu_s": 0.0, "events_received": 0, "duplicates": 0, "gaps": 0,
    }  # fmt: skip
    return WorkerRow(figures=WorkerFigures(**usual | changes), told=told, **own)


def seen(**changes: Any) -> FeedStatus:
    """A feed as the parent sees it: nothing has happened but this."""
    usual: dict[str, Any] = {
        "venue": "binance", "demo": False, "uptime_s": 1.0, "waiting_for": "", "ready": True, "unready": [], "shards": 0, "symbols": 1,
        "symbol_states": SymbolStates(count={"trading": 1}, not_trading={}, unknown_nearest={}, left_out={}, no_room=[]),
        "rotations": 3, "events_per_s": 2.0, "published": 0, "subscribers": None, "books": BooksShown(), "disk_ring": DiskRingShown(), "venue_refusals": {},
        "rest_weight": RestWeight(0, 4800, 0, 0.0), "venues": {}, "children": {}, "workers": [],
    }  # fmt: skip
    return FeedStatus(**usual | changes)
