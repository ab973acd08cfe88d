"""Whether the feed is ready, from what its processes report: every word has its cause, and nothing else is a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from k2workers.processes import readiness
from k2workers.processes.readiness import MEANING, VenueFlow, Word
from k2workers.supervision.child import ChildState
from k2workers.supervision.permissions import RestWeight
from tests.support.told import worker_status

UP = ChildState(pid=1, alive=True, ready=True, restarts=0, last_beat_s=0.4)
NO_WAIT = RestWeight(used=0, limit=100, wanted=0, wait_s=0.0)


def told(
    *,
    waiting_for: str = "",
    child: dict[str, Any] | None = None,
    worker: dict[str, Any] | None = None,
    wait_s: float = 0,
) -> list[str]:
    """The lines of a feed of one worker in which all is well but what is named."""
    children = {"aggregator": UP, "worker-0": replace(UP, **(child or {}))}
    weight = RestWeight(used=10, limit=100, wanted=30, wait_s=wait_s)
    flow = VenueFlow(workers={"worker-0": worker_status(**(worker or {}))}, rest_weight=weight)
    reasons = readiness.unready(waiting_for, children, [flow])
    return [reason.line() for reason in reasons]


def test_a_feed_that_flows_is_ready() -> None:
    assert told() == []
    assert readiness.unready("", {}, [VenueFlow(workers={}, rest_weight=NO_WAIT)]) == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"waiting_for": "symbols"}, "starting: waiting for symbols"),
        ({"child": {"ready": False}}, "starting: worker-0 does not serve yet"),
        ({"child": {"last_beat_s": None}}, "starting: worker-0 does not serve yet"),
        ({"child": {"alive": False}}, "process_down: worker-0 is not running"),
        ({"child": {"last_beat_s": 5.2}}, "process_down: worker-0 has not reported for 5 s"),
        ({"worker": {"live": False}}, "no_connection: worker-0 lacks a connection"),
        ({"worker": {"fresh": False}}, "stale_connection: worker-0 has received nothing on its connection lately"),
        ({"worker": {"streams_refused_count": 2}}, "streams_refused: the venue refuses 2 streams of worker-0"),
        ({"worker": {"streams_unproven": 3}}, "streams_unproven: worker-0 has 3 without an event, and the venue was not asked yet"),
        ({"worker": {"streams_silent": 2}}, "streams_silent: worker-0 has 2"),
        ({"worker": {"kinds_unreadable": ["trade", "depth"]}}, "kind_unreadable: worker-0 cannot read messages of depth, trade"),
        ({"worker": {"gaps_open": 4}}, "gaps_open: worker-0 has 4"),
        ({"worker": {"books_missing": 274, "books": 300}}, "books_missing: worker-0 lacks 274 of 300 books"),
    ],
)  # fmt: skip
def test_each_kind_of_trouble_is_named_and_says_where(given: dict[str, Any], line: str) -> None:
    assert told(**given) == [line]


def test_a_worker_that_serves_is_not_believed_before_it_has_reported() -> None:
    children = {"worker-0": UP, "worker-1": replace(UP, alive=False)}
    flow = VenueFlow(workers={"worker-0": None, "worker-1": None}, rest_weight=NO_WAIT)
    reasons = readiness.unready("", children, [flow])
    assert [reason.line() for reason in reasons] == [
        "process_down: worker-1 is not running", "starting: worker-0 has not reported yet",
    ]  # fmt: skip


def test_the_wait_for_weight_is_a_reason_only_beside_one_that_it_would_end() -> None:
    assert told(wait_s=40) == []
    assert told(wait_s=40, worker={"live": False}) == ["no_connection: worker-0 lacks a connection"]
    waits = "waiting_for_weight: about 190 s until the venue's limit allows the 30 that are wanted"
    assert told(wait_s=189.6, worker={"books_missing": 5})[1:] == [waits]
    assert told(wait_s=189.6, worker={"gaps_open": 1})[1:] == [waits]


def test_of_several_venues_the_one_that_does_not_flow_is_named_and_only_its_own_weight_is_waited_for() -> None:
    weight = RestWeight(used=10, limit=100, wanted=30, wait_s=40)
    flows = [
        VenueFlow(apart="here", workers={"worker-0": worker_status(), "worker-1": worker_status()}, rest_weight=weight),
        VenueFlow(apart="there", workers={"worker-2": worker_status(gaps_open=4)}, rest_weight=weight),
    ]
    children = {"worker-0": UP, "worker-1": replace(UP, last_beat_s=5.0), "exchange-there": replace(UP, alive=False)}
    assert [(reason.where, reason.line()) for reason in readiness.unready("", children, flows)] == [
        ("worker-1", "process_down: worker-1 (here) has not reported for 5 s"),
        ("exchange-there", "process_down: exchange-there is not running"),
        ("worker-2", "gaps_open: worker-2 (there) has 4"),
        ("there", "waiting_for_weight: about 40 s until there's limit allows the 30 that are wanted"),
    ]


def test_what_is_denied_or_quiet_is_no_reason() -> None:
    assert told(worker={"gaps_doubted": 7, "streams_quiet": 9, "repairs_waiting": 2, "kinds_unreadable": []}) == []


def test_every_word_is_counted_also_those_that_do_not_hold() -> None:
    workers = {name: worker_status(gaps_open=2) for name in ("worker-0", "worker-1")}
    reasons = readiness.unready("", {}, [VenueFlow(workers=workers, rest_weight=replace(NO_WAIT, wait_s=0.2))])
    assert readiness.counts(reasons) == {word.value: 0 for word in Word} | {"gaps_open": 4, "waiting_for_weight": 1}
    assert msgspec.to_builtins(reasons[0]) == {
        "reason": "gaps_open", "where": "worker-0", "count": 2, "text": "worker-0 has 2",
    }  # fmt: skip


def test_the_page_of_health_explains_every_word_in_one_table() -> None:
    page = (Path(__file__).parents[2] / "k2workers" / "HEALTH.md").read_text(encoding="utf-8")
    rows = [f"| `{word.value}` | {meaning} |" for word, meaning in MEANING.items()]
    assert "\n".join(rows) in page
    assert list(MEANING) == list(Word)
