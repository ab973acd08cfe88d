"""The JSON of /status: its keys are what users' programs read."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from k2workers.processes.child_status import (
    AggregatorStatus,
    BooksStatus,
    PeerCut,
    ReaderTold,
    SubscriberBehind,
    Subscribers,
    WorkerStatus,
    told,
)
from k2workers.processes.readiness import Reason, Word
from k2workers.processes.status import BooksShown
from k2workers.processes.symbol_watch import SymbolStates
from k2workers.supervision.child import ChildState
from k2workers.supervision.control_channel import _decoder, _encode
from k2workers.supervision.control_messages import Beat
from k2workers.supervision.permissions import RestWeight, ServiceState
from tests.support.told import seen, worker_row, worker_status

BEFORE_ITS_FIRST_BEAT = {
    "shard": 1, "pid": None, "restarts": 0, "rss_bytes": 0, "cpu_s": 0.0, "events_received": 0, "duplicates": 0, "gaps": 0,
    "events_per_s": 1.0, "alive": False,
}  # fmt: skip
WORKER = {
    "shard": 0, "pid": 10, "restarts": 1, "rss_bytes": 9, "cpu_s": 0.5, "events_received": 7, "duplicates": 2, "gaps": 3,
    "state": "live", "live": True, "fresh": True, "symbols": 1, "connection_age_s": 1.5, "next_rotation_s": 13.5, "rotations": 2,
    "reconnects": 0, "gaps_open": 0, "gaps_doubted": 0, "books": 0, "books_missing": 0, "weight_wanted": 0, "repairs_waiting": 0,
    "clock_ahead_s": 0.0, "kinds_unreadable": ["depth"], "streams_silent": 0, "streams_unproven": 0, "streams_quiet": 0,
    "streams_learned": 0, "data_expected": False, "market_quiet": False, "look_wanted": 0, "streams": 1, "streams_refused_count": 0,
    "streams_refused": {"x": "no"}, "streams_seen": 1, "events_per_s": 1.0, "alive": True,
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "venue": "binance", "demo": True, "uptime_s": 1.0, "waiting_for": "workers", "ready": False,
    "unready": [{"reason": "gaps_open", "where": "worker-0", "count": 2, "text": "worker-0 has 2"}],
    "shards": 2, "symbols": 3,
    "symbol_states": {
        "count": {"trading": 1, "no_room": 1}, "not_trading": {"A": "HALT"}, "unknown_nearest": {"B": "BC"}, "left_out": {"C": "why"},
        "no_room": ["D"],
    },
    "rotations": 4, "events_per_s": 2.0, "published": 5,
    "subscribers": {
        "connected": 1, "behind": [{"peer": "p", "bytes": 6}], "readers": [{"name": "r", "waiting": 7, "lost": 8}], "cut": 9,
        "newest_cuts": [{"peer": "q", "port": "publish_endpoint", "cause": "slow"}],
    },
    "books": {"books": 2, "whole": 0, "error": "taken"},
    "venue_refusals": {"rest": {"paused_s": 0.5, "refused_with": 429, "refusals": 1}},
    "rest_weight": {"used": 50, "limit": 4800, "wanted": 0, "wait_s": 0.0},
    "children": {
        "worker-0": {"pid": 10, "alive": True, "ready": True, "restarts": 1, "last_beat_s": 0.4},
        "worker-1": {"pid": None, "alive": False, "ready": False, "restarts": 0, "last_beat_s": None},
    },
    "workers": [WORKER, BEFORE_ITS_FIRST_BEAT],
}  # fmt: skip

SUBSCRIBERS = Subscribers(
    connected=1,
    behind=[SubscriberBehind("p", 6)],
    readers=[ReaderTold("r", 7, 8)],
    cut=9,
    newest_cuts=[PeerCut("q", "publish_endpoint", "slow")],
)


def test_every_key_of_the_json_is_there_and_in_its_place() -> None:
    workers = [
        worker_row(
            worker_status(kinds_unreadable=["depth"], streams_refused={"x": "no"}),
            restarts=1, rss_bytes=9, cpu_s=0.5, events_received=7, duplicates=2, gaps=3,
        ),
        worker_row(None, shard=1, pid=None, alive=False),
    ]  # fmt: skip
    status = seen(
        demo=True, waiting_for="workers", ready=False, unready=[Reason(Word.GAPS_OPEN, "worker-0", 2, "worker-0 has 2")], shards=2, symbols=3,
        symbol_states=SymbolStates(
            count={"trading": 1, "no_room": 1}, not_trading={"A": "HALT"}, unknown_nearest={"B": "BC"}, left_out={"C": "why"}, no_room=["D"]
        ),
        rotations=4, published=5, subscribers=SUBSCRIBERS, books=BooksShown(books=2, whole=0, error="taken"),
        venue_refusals={"rest": ServiceState(0.5, 429, 1)}, rest_weight=RestWeight(50, 4800, 0, 0.0),
        children={
            "worker-0": ChildState(pid=10, alive=True, ready=True, restarts=1, last_beat_s=0.4),
            "worker-1": ChildState(pid=None, alive=False, ready=False, restarts=0, last_beat_s=None),
        },
        workers=workers,
    )  # fmt: skip
    assert status.as_data() == WHOLE
    assert list(status.as_data()) == list(WHOLE)


def test_what_nobody_has_told_yet_is_an_empty_object() -> None:
    shown = seen().as_data()
    assert (shown["subscribers"], shown["books"], shown["workers"]) == ({}, {}, [])


@pytest.mark.parametrize(
    "status",
    [
        worker_status(),
        AggregatorStatus(events_published=1, subscribers=SUBSCRIBERS),
        BooksStatus(books=2, whole=1),
    ],
)
def test_what_a_child_tells_comes_through_the_control_channel_as_it_is(status: msgspec.Struct) -> None:
    beat = _decoder.decode(_encode(Beat("x", os.getpid(), {}, status)))
    assert isinstance(beat, Beat)
    assert told(beat, type(status)) == status
    assert told(None, type(status)) is None


@pytest.mark.parametrize("changed", [{"symbols": "many"}, {"unheard_of": 1}])
def test_a_beat_of_another_shape_is_an_error(changed: dict[str, Any]) -> None:
    plain = msgspec.to_builtins(worker_status())
    with pytest.raises(msgspec.ValidationError):
        told(Beat("worker-0", 1, {}, plain | changed), WorkerStatus)
