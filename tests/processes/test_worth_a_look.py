"""What is worth a look: each kind by itself, and nothing while all is well."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from k2workers.page.annals import Happening
from k2workers.processes.child_status import GapFigures, LatencyUs, LineStatus, SubscriberBehind, Subscribers
from k2workers.processes.observers import BooksShown, DiskRingShown
from k2workers.processes.page_now import ConnectsShown, Now
from k2workers.processes.status import VenueStatus
from k2workers.processes.worth_a_look import NEAR, SKEW_S, SLOW_US, worth_a_look
from k2workers.supervision.permissions import RestWeight, ServiceState
from tests.support.prometheus import RULES
from tests.support.told import aggregator_status, seen, worker_row, worker_status

AT_MS = 1_795_780_800_000
CONNECTS = ConnectsShown(granted=6, limit=270, window_s=300.0, waiting=0, alone=0)


def now(**changes: Any) -> Now:
    """A moment in which all is well but for these."""
    usual: dict[str, Any] = {
        "at_ms": AT_MS, "since_ms": AT_MS - 60_000, "lifetimes_s": {"binance": 100.0, "slow": 14_400.0}, "status": seen(workers=[worker_row(worker_status())]),
        "ailments": [], "rates": {"trade": 5.0}, "aggregator": aggregator_status(), "connects": {"binance": CONNECTS}, "usage": {},
    }  # fmt: skip
    return Now(**usual | changes)


def _worker(**changes: Any) -> Now:
    return now(status=seen(workers=[worker_row(worker_status(**changes), shard=3)]))


def _venue(used: int = 0, failure: str = "", **refusals: ServiceState) -> Now:
    of_venue = VenueStatus(
        symbols=1, symbol_states=seen().symbol_states, venue_refusals=refusals, rest_weight=RestWeight(used, 4800, 0, 0.0),
        failure=failure,
    )  # fmt: skip
    return now(status=seen(venues={"binance": of_venue}))


def _connecting(*failures: str) -> Now:
    lines = [
        LineStatus(route="", state="", live=False, age_s=0.0, next_rotation_s=0.0, failure=each) for each in failures
    ]
    return now(
        status=seen(workers=[worker_row(worker_status(lines=[line]), shard=3 + at) for at, line in enumerate(lines)])
    )


def _gaps(count: int, **missing: int) -> Now:
    figures = GapFigures(
        gaps=9,
        gaps_open=count,
        gaps_given_up=0,
        unproven_gaps_given_up=0,
        repaired_ids=0,
        void_ids=0,
        resets=0,
        old_events=0,
    )
    return now(aggregator=aggregator_status(gaps=figures, missing=missing))


BEHIND = Subscribers(connected=1, behind=[SubscriberBehind("10.0.0.1:5", 2_500_000)], readers=[], cut=0, newest_cuts=[])


@pytest.mark.parametrize(
    ("moment", "word", "text"),
    [
        (_gaps(2, t=1, u=3), "gaps open", "2 gaps: t (1 id), u (3 ids)"),
        (_gaps(1), "gaps open", "1 gap"),
        (
            now(aggregator=aggregator_status(subscribers=BEHIND)),
            "subscribers behind",
            "10.0.0.1:5 does not read: 2.5 MB waiting",
        ),
        (
            now(aggregator=aggregator_status(latency_us=LatencyUs(1.0, 2e6, None))),
            "slow",
            "one event in a hundred takes 2 s or more from our read to its publication",
        ),
        (
            now(connects={"binance": msgspec.structs.replace(CONNECTS, granted=217)}),
            "connections near the limit",
            "binance: 217 of 270 in 5 min",
        ),
        (_venue(3841), "REST weight near the limit", "binance: 3,841 of 4,800"),
        (_venue(rest=ServiceState(61.0, 418, 2)), "binance refuses rest", "HTTP 418; next attempt in 1 min 1 s"),
        (
            _venue(connect=ServiceState(5.0, 0, 2)),
            "binance does not answer connect",
            "next attempt in 5 s",
        ),
        (_venue(failure="its name is not found"), "no symbols of binance", "its name is not found"),
        (_connecting("refused"), "connecting fails", "shard 3: refused"),
        (_connecting("refused", "refused", ""), "connecting fails", "shards 3, 4: refused"),
        (
            _worker(connection_age_s=210.1),
            "rotation overdue",
            "shard 3: its connection is 3 min 30 s old, and should be replaced after 1 min 40 s",
        ),
        (_worker(clock_ahead_s=1.26), "clock skew", "shard 3: the venue's clock is 1.3 s ahead of ours"),
        (_worker(gaps_doubted=1), "gaps doubted", "shard 3: the venue has denied the ids of 1 gap once"),
        (
            _worker(streams_refused_count=9, streams_refused={"a": "", "b": "", "c": "", "d": ""}),
            "streams refused",
            "shard 3: a, b, c",
        ),
        (now(status=seen(books=BooksShown(error="no room"))), "order books are not kept", "no room"),
        (now(status=seen(disk_ring=DiskRingShown(error="full"))), "the disk ring is not written", "full"),
    ],
)
def test_each_kind_is_told_with_where_it_is(moment: Now, word: str, text: str) -> None:
    assert [(one.word, one.text) for one in worth_a_look(moment, [])] == [(word, text)]


@pytest.mark.parametrize(
    "moment",
    [
        now(),
        now(aggregator=None),
        now(status=seen(workers=[worker_row()])),
        now(connects={"binance": msgspec.structs.replace(CONNECTS, granted=216)}),
        _venue(3840, rest=ServiceState(0.0, 429, 3)),
        _worker(connection_age_s=210.0, clock_ahead_s=SKEW_S),
        now(aggregator=aggregator_status(latency_us=LatencyUs(None, None, None))),
    ],
)
def test_up_to_each_limit_nothing_is(moment: Now) -> None:
    assert worth_a_look(moment, []) == []


def test_a_connection_of_hours_is_overdue_a_quarter_of_an_hour_after_its_time_whatever_another_venues_live() -> None:
    for age_s, found in ((15_300.0, []), (15_300.1, ["rotation overdue"])):
        worker = worker_row(worker_status(connection_age_s=age_s), venue="slow")
        assert [one.word for one in worth_a_look(now(status=seen(workers=[worker])), [])] == found


@pytest.mark.parametrize(
    ("fires", "limit"),
    [
        ("k2_venue_clock_ahead_seconds > ", SKEW_S),
        ("k2:publish_latency_seconds:p99_5m > ", SLOW_US / 1e6),
        ("k2:connects:used_ratio > ", NEAR),
    ],
)
def test_what_an_alert_fires_for_is_worth_a_look_too(fires: str, limit: float) -> None:
    assert [float(found) for found in re.findall(rf"expr: {fires}(.*)", RULES.read_text(encoding="utf-8"))] == [limit]


def test_what_happened_lately_is_told_once_a_kind_with_where_and_how_long_ago() -> None:
    happened = [
        Happening(AT_MS - 5_000, "gap", "worker-1", "gap announced"),
        Happening(AT_MS - 6_000, "ready", "", "every stream flows"),
        Happening(AT_MS - 65_000, "gap", "worker-0", "gap announced"),
        Happening(AT_MS - 70_000, "gap", "worker-1", "gap announced"),
        Happening(AT_MS - 600_000, "restart", "worker-9", "was restarted"),
    ]
    assert [(one.word, one.text) for one in worth_a_look(now(), happened)] == [
        ("gaps lately", "worker-1, worker-0; last 5 s ago")
    ]
