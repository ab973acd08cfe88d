"""Topics where the latest value wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k2workers.events import BookTicker
from k2workers.sequencing.monotone_lane import MonotoneLane


@given(st.lists(st.integers(0, 20)))
def test_a_monotone_lane_never_goes_back(numbers: list[int]) -> None:
    lane = MonotoneLane("t")
    for number in numbers:
        lane.offer(BookTicker(number, "", "", "", "", 0), 0, 5)
    passed = [event.last_id for run in lane.pop_ready() for event in run]
    assert passed == sorted(set(passed))
    assert not lane.expire(10**9)
    assert lane.deadline_ns is None
    if numbers:
        assert passed[-1] == max(numbers)


def test_the_newest_top_is_that_of_the_last_value_that_tells_of_one() -> None:
    lane = MonotoneLane("t")
    assert lane.newest_top is None
    lane.offer(BookTicker(5, "1.0", "3", "1.1", "4", 0), 0, 0)
    lane.offer(BookTicker(4, "0.9", "3", "1.0", "4", 0), 0, 0)
    assert lane.newest_top == ("1.0", "1.1")
