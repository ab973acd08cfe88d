"""A quiet symbol whose ids others take meanwhile."""

from __future__ import annotations

import pytest

from k2workers.event import Event
from k2workers.events import BookSnapshot
from k2workers.futures_events import LinkedDepthUpdate, TimedBookTicker
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.doubts import FAR_IDS
from k2workers.sequencing.lane import Lane
from k2workers.sequencing.monotone_lane import MonotoneLane
from k2workers.sequencing.shared_ids import reach_ahead

SECOND = 1_000_000_000
WALL = 1_800_000_000 * SECOND
QUIET_S = 600


def top(number: int, at_s: int) -> TimedBookTicker:
    at_ns = WALL + at_s * SECOND
    return TimedBookTicker(number, "1", "1", "2", "1", at_ns, at_ns, at_ns)


def diff(number: int, at_s: int) -> LinkedDepthUpdate:
    at_ns = WALL + at_s * SECOND
    return LinkedDepthUpdate(number, number, number, [("1", "1")], [], at_ns, at_ns, at_ns)


def book(last_id: int, at_s: int) -> BookSnapshot:
    return BookSnapshot(last_id, [], [], WALL + at_s * SECOND)


def given(lane: Lane, *events: Event) -> list[Event]:
    for event in events:
        lane.offer_run([event], 0, 0)
    return [event for run in lane.pop_ready() for event in run]


@pytest.mark.parametrize(("newest", "ids"), [(None, FAR_IDS), (top(1, 0), 7 * FAR_IDS), (top(1, 700), FAR_IDS)])
def test_it_may_be_further_ahead_the_longer_it_was_quiet(newest: Event | None, ids: int) -> None:
    assert reach_ahead(top(2, QUIET_S), newest) == ids


def test_a_quiet_symbols_best_price_goes_on_with_the_first_event() -> None:
    lane = MonotoneLane("t")
    assert given(lane, top(1, 0), top(5 * FAR_IDS, QUIET_S)) == [top(1, 0), top(5 * FAR_IDS, QUIET_S)]
    assert given(lane, top(10**12, 2 * QUIET_S)) == [], "so far no market comes in ten minutes"


def test_a_quiet_symbols_book_is_taken_that_is_as_far_ahead() -> None:
    lane = BookLane("t")
    given(lane, diff(7, 0))
    assert lane.offer_snapshot(book(7, 1))
    lane.ask_book(withheld=True)
    assert not lane.offer_snapshot(book(10**12, QUIET_S))
    assert lane.offer_snapshot(book(5 * FAR_IDS, QUIET_S))
    assert lane.last_id == 5 * FAR_IDS
