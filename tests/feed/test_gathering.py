"""A quiet feed is read at once; a busy one rests, but never when it is behind."""

from __future__ import annotations

import itertools
import random

import pytest

from k2workers.feed.gathering import FULL_READ_BYTES, PROFILES_NS, WORTH_IT, Gathering

WINDOW = 500_000


def rests(rate: float, *, at_random: bool, events: int = 20_000) -> float:
    """Share of reads after which a feed of so many events a second rests; evenly spaced, or as independent trades come."""
    chance = random.Random(7)
    gaps_ns = (int(1e9 * (chance.expovariate(rate) if at_random else 1 / rate)) for _ in range(events))
    gathering, reads, rested, read_ns, waiting = Gathering(WINDOW), 0, 0, 10**9, 0
    for at_ns in itertools.accumulate(gaps_ns, initial=10**9):
        if at_ns > read_ns and waiting:
            rest_ns = gathering.rest_ns(read_ns, waiting, waiting * 180)
            reads, rested, waiting = reads + 1, rested + bool(rest_ns), 0
            read_ns = max(at_ns, read_ns + rest_ns)
        waiting += 1
    return rested / reads


def test_a_quiet_feed_does_not_rest() -> None:
    assert [rests(rate, at_random=False) for rate in (100, 1_000, 2_000)] == [0.0] * 3
    assert rests(100, at_random=True) < 0.001
    assert rests(1_000, at_random=True) < 0.04


@pytest.mark.parametrize("at_random", [False, True])
def test_a_busy_feed_rests_after_every_read(at_random: bool) -> None:
    assert rests(20_000, at_random=at_random) > 0.9
    assert rests(50_000, at_random=at_random) > 0.9


def test_two_events_close_together_by_chance_cause_no_rest() -> None:
    gathering = Gathering(WINDOW)
    assert [gathering.rest_ns(10**9 + at_ns, 1, 180) for at_ns in (0, 50_000, 600_000)] == [0, 0, 0]


def test_a_worker_that_is_behind_does_not_rest() -> None:
    gathering = Gathering(WINDOW)
    gathering.rest_ns(10**9, 400, FULL_READ_BYTES)
    assert gathering.rest_ns(10**9 + 1_000, 400, FULL_READ_BYTES) == 0


@pytest.mark.parametrize("messages", [1, 1_000_000])
def test_a_window_of_nothing_never_rests(messages: int) -> None:
    gathering = Gathering(0)
    assert [gathering.rest_ns(10**9 + number, messages, 180) for number in range(1, WORTH_IT * 2)] == [0] * 7


def test_the_profiles_are_in_order_and_the_quickest_never_rests() -> None:
    assert list(PROFILES_NS) == ["fast", "balanced", "cheap"]
    assert 0 == PROFILES_NS["fast"] < PROFILES_NS["balanced"] < PROFILES_NS["cheap"]
    gathering = Gathering(PROFILES_NS["cheap"])
    # A thousand events a second are worth it there, as they are not in the others.
    rests = [gathering.rest_ns(10**9 + number * 1_000_000, 1, 180) for number in range(1, 5)]
    assert rests[-1] == PROFILES_NS["cheap"]
    gathering = Gathering(PROFILES_NS["balanced"])
    assert not any(gathering.rest_ns(10**9 + number * 1_000_000, 1, 180) for number in range(1, 5))
