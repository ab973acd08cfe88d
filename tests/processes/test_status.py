"""The JSON of /status: its keys are what users' programs read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from k2workers import metrics
from k2workers.config import Settings
from k2workers.network.venue_answers import Answer, Service
from k2workers.processes import run_plan
from k2workers.processes.child_status import (
    BooksStatus,
    DiskRingStatus,
    PeerCut,
    ReaderTold,
    SubscriberBehind,
    Subscribers,
    WorkerStatus,
    told,
)
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.observers import BooksShown, DiskRingShown
from k2workers.processes.readiness import Reason, Word
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.run_plan import RunPlan
from k2workers.processes.status import RunView, VenueStatus, together
from k2workers.processes.symbol_watch import SymbolStates
from k2workers.supervision.child import ChildState
from k2workers.supervision.control_channel import _decoder, _encode
from k2workers.supervision.control_messages import Beat
from k2workers.supervision.permissions import RestWeight, ServiceState
from tests.fakes import Careless
from tests.support.told import aggregator_status, seen, worker_row, worker_status

BEFORE_ITS_FIRST_BEAT = {
    "shard": 1, "venue": "binance", "pid": None, "restarts": 0, "rss_bytes": 0, "cpu_s": 0.0, "events_received": 0, "duplicates": 0, "gaps": 0,
    "events_per_s": 1.0, "alive": False,
}  # fmt: skip
WORKER = {
    "shard": 0, "venue": "binance", "pid": 10, "restarts": 1, "rss_bytes": 9, "cpu_s": 0.5, "events_received": 7, "duplicates": 2, "gaps": 3,
    "state": "live", "live": True, "fresh": True, "symbols": 1, "connection_age_s": 1.5, "next_rotation_s": 13.5, "rotations": 2,
    "reconnects": 0, "gaps_open": 0, "gaps_doubted": 0, "books": 0, "books_missing": 0, "weight_wanted": 0, "repairs_waiting": 0,
    "clock_ahead_s": 0.0, "kinds_unreadable": ["depth"], "streams_silent": 0, "streams_unproven": 0, "streams_quiet": 0,
    "streams_learned": 0, "data_expected": False, "market_quiet": False, "look_wanted": 0, "streams": 1, "streams_refused_count": 0,
    "streams_refused": {"x": "no"}, "streams_seen": 1,
    "lines": [{"route": "", "state": "live", "live": True, "age_s": 1.5, "next_rotation_s": 13.5, "failure": ""}], "received": {"trade": 7},
    "latency_us": {"p50": 100.0, "p99": 200.0, "p999": 500.0}, "topics_unserved": {}, "events_per_s": 1.0, "alive": True,
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
    "disk_ring": {},
    "venue_refusals": {"rest": {"paused_s": 0.5, "refused_with": 429, "refusals": 1}},
    "rest_weight": {"used": 50, "limit": 4800, "wanted": 0, "wait_s": 0.0},
    "venues": {
        "binance": {
            "symbols": 3,
            "symbol_states": {"count": {"trading": 3}, "not_trading": {}, "unknown_nearest": {}, "left_out": {}, "no_room": []},
            "venue_refusals": {},
            "rest_weight": {"used": 50, "limit": 4800, "wanted": 0, "wait_s": 0.0},
            "failure": "no name server",
        },
    },
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
        venues={
            "binance": VenueStatus(
                symbols=3,
                symbol_states=SymbolStates(count={"trading": 3}, not_trading={}, unknown_nearest={}, left_out={}, no_room=[]),
                venue_refusals={}, rest_weight=RestWeight(50, 4800, 0, 0.0), failure="no name server",
            ),
        },
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
        aggregator_status(events_published=1, subscribers=SUBSCRIBERS),
        BooksStatus(books=2, whole=1),
        DiskRingStatus(bytes=9, oldest_age_s=5.0, frames=7, holes=1, write_failures=2, error="full"),
    ],
)
def test_what_a_child_tells_comes_through_the_control_channel_as_it_is(status: msgspec.Struct) -> None:
    beat = _decoder.decode(_encode(Beat("x", os.getpid(), {}, status, 1)))
    assert isinstance(beat, Beat)
    assert told(beat, type(status)) == status
    assert told(None, type(status)) is None


@pytest.mark.parametrize("changed", [{"symbols": "many"}, {"unheard_of": 1}])
def test_a_beat_of_another_shape_is_an_error(changed: dict[str, Any]) -> None:
    plain = msgspec.to_builtins(worker_status())
    with pytest.raises(msgspec.ValidationError):
        told(Beat("worker-0", 1, {}, plain | changed, 1), WorkerStatus)


class Watched:
    """The view of a feed of two workers, of one venue or each of its own, whose children are never started."""

    def __init__(self, folder: Path, *venues: str) -> None:
        settings = Settings(venue=[*venues], shards=2 // len(venues), streams=["trade"])
        plan = RunPlan(settings, folder, origin_ns=0)
        self.supervisor = Careless()
        supervisor: Any = self.supervisor
        self.feeds = [MarketFeed(market, supervisor) for market in plan.markets]
        self.view = RunView(settings, supervisor, self.feeds, ResourceMeter("test"))
        for number in range(2):
            feed = self.feeds[number % len(venues)]
            feed.shards[f"worker-{number}"], feed.waiting_for = number, ""
        for number, name in enumerate((run_plan.AGGREGATOR, *run_plan.OBSERVERS, *self.view.workers)):
            self.supervisor.children[name] = ChildState(pid=number, alive=True, ready=True, restarts=0, last_beat_s=0.1)

    def tells(self, name: str, status: msgspec.Struct, **counters: int) -> None:
        pid = self.supervisor.children[name].pid
        assert pid is not None
        self.supervisor.beats[name] = Beat(name, pid, counters, status, 1)

    def changes(self, name: str, **changes: Any) -> None:
        self.supervisor.children[name] = msgspec.structs.replace(self.supervisor.children[name], **changes)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return _told(tmp_path, monkeypatch, "binance")


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return _told(tmp_path, monkeypatch, "binance", "binance_us")


def _told(folder: Path, monkeypatch: pytest.MonkeyPatch, *venues: str) -> Watched:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(folder))
    made = Watched(folder, *venues)
    made.tells("worker-0", worker_status(weight_wanted=3), events_received=7, duplicates=2)
    made.tells("worker-1", worker_status(shard=1, weight_wanted=4))
    return made


def test_a_feed_of_which_all_is_told_is_ready_and_its_figures_are_those_of_its_children(watched: Watched) -> None:
    watched.tells(run_plan.AGGREGATOR, aggregator_status(events_published=5, subscribers=SUBSCRIBERS))
    watched.tells(run_plan.BOOKS, BooksStatus(books=2, whole=1))
    told = DiskRingStatus(bytes=9, oldest_age_s=5.0, frames=7, holes=1, write_failures=2, error="full")
    watched.tells(run_plan.DISK_RING, told)
    status = watched.view.status()
    assert (status.ready, status.published, status.subscribers) == (True, 5, SUBSCRIBERS)
    assert status.disk_ring == DiskRingShown(bytes=9, oldest_age_s=5.0, holes=1, error="full")
    assert (status.books, status.rest_weight.wanted) == (BooksShown(books=2, whole=1), 7)
    figures = [(row.figures.shard, row.figures.events_received, row.figures.duplicates) for row in status.workers]
    assert figures == [(0, 7, 2), (1, 0, 0)]


def test_the_feed_needs_no_books_process_to_be_healthy_and_ready(watched: Watched) -> None:
    watched.changes(run_plan.BOOKS, alive=False)
    watched.changes(run_plan.DISK_RING, alive=False)
    assert (watched.view.unhealthy(), watched.view.unready()) == ([], [])
    watched.changes("worker-1", alive=False)
    assert watched.view.unhealthy() == ["worker-1 is not running"]
    assert [reason.word for reason in watched.view.unready()] == [Word.PROCESS_DOWN]


def test_what_an_earlier_life_reported_says_nothing_of_the_present_one(watched: Watched) -> None:
    watched.changes("worker-0", pid=99)
    assert [reason.line() for reason in watched.view.unready()] == ["starting: worker-0 has not reported yet"]
    assert watched.view.status().workers[0].figures.events_received == 7


def test_of_several_venues_each_has_its_own_figures_and_the_whole_is_all_of_them_or_the_worst(several: Watched) -> None:
    refused = several.supervisor.permissions["binance_us"]
    refused.gate.answered(Service.CONNECT, Answer(429, retry_after_s=600.0), 0, time.monotonic_ns())
    status = several.view.status()
    assert status.venue == "binance,binance_us"
    assert [(row.figures.shard, row.figures.venue) for row in status.workers] == [(0, "binance"), (1, "binance_us")]
    assert {name: venue.rest_weight.wanted for name, venue in status.venues.items()} == {"binance": 3, "binance_us": 4}
    assert status.venues["binance"].venue_refusals["connect"].refusals == 0
    assert status.venue_refusals["connect"] == status.venues["binance_us"].venue_refusals["connect"]
    assert (status.shards, status.ready) == (2, True)


def test_the_venue_that_does_not_flow_is_named_where_there_are_others(several: Watched) -> None:
    several.tells("worker-1", worker_status(shard=1, live=False))
    assert [reason.line() for reason in several.view.unready()] == [
        "no_connection: worker-1 (binance_us) lacks a connection"
    ]
    several.changes("worker-1", alive=False)
    assert [reason.line() for reason in several.view.unready()] == [
        "process_down: worker-1 (binance_us) is not running"
    ]
    several.feeds[0].waiting_for = "symbols"
    assert several.view.unready()[0].line() == "starting: waiting for symbols of binance"
    several.feeds[1].waiting_for = "symbols"
    assert several.view.unready()[0].line() == "starting: waiting for symbols"


def test_a_run_that_was_told_to_end_says_so_and_not_that_its_processes_are_down(watched: Watched) -> None:
    watched.changes("worker-0", alive=False)
    watched.supervisor.stopping = True
    assert [reason.line() for reason in watched.view.unready()] == [
        "stopping: the run was told to end, and publishes what it has received"
    ]


def test_symbols_of_several_venues_add_up() -> None:
    one, two = (
        SymbolStates(count={"trading": number}, not_trading={name: "HALT"}, unknown_nearest={}, left_out={}, no_room=[name])
        for number, name in ((1, "A"), (2, "B"))
    )  # fmt: skip
    assert together([one, two]) == SymbolStates(
        count={"trading": 3},
        not_trading={"A": "HALT", "B": "HALT"},
        unknown_nearest={},
        left_out={},
        no_room=["A", "B"],
    )
    assert together([one]) == one
