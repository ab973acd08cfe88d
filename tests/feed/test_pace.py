"""A quiet feed is read at once; a busy one rests, but never when it is behind."""

from __future__ import annotations

import pytest

from k2workers.feed.pace import FULL_READ_BYTES, WORTH_IT, Pace

WINDOW = 500_000


def rests(rate: float, reads: int = 200) -> float:
    """Share of reads after which a feed of so many evenly spaced events a second rests."""
    pace, now_ns, rested, waiting = Pace(WINDOW), 10**9, 0, 1
    gap_ns = int(1e9 / rate)
    for _ in range(reads):
        rest_ns = pace.rest_ns(now_ns, waiting, waiting * 180)
        rested += bool(rest_ns)
        passed_ns = max(rest_ns, gap_ns)
        now_ns += passed_ns
        waiting = passed_ns // gap_ns
    return rested / reads


def test_a_quiet_feed_never_rests() -> None:
    assert rests(100) == rests(1_000) == rests(4_000) == 0.0


def test_a_busy_feed_rests_after_every_read() -> None:
    assert rests(20_000) > 0.9
    assert rests(50_000) > 0.9


def test_two_events_by_chance_close_together_cause_one_rest_at_most() -> None:
    pace = Pace(WINDOW)
    pace.rest_ns(10**9, 1, 180)
    assert pace.rest_ns(10**9 + 50_000, 1, 180) == WINDOW
    assert pace.rest_ns(10**9 + 600_000, 1, 180) == 0


def test_a_worker_that_is_behind_does_not_rest() -> None:
    pace = Pace(WINDOW)
    pace.rest_ns(10**9, 400, FULL_READ_BYTES)
    assert pace.rest_ns(10**9 + 1_000, 400, FULL_READ_BYTES) == 0


@pytest.mark.parametrize("messages", [1, 1_000_000])
def test_a_window_of_nothing_never_rests(messages: int) -> None:
    pace = Pace(0)
    assert [pace.rest_ns(10**9 + number, messages, 180) for number in range(1, WORTH_IT * 2)] == [0] * 7
