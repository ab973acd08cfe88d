"""Whether a dead child is started again."""

from __future__ import annotations

from k2workers.backoff import Backoff
from k2workers.supervision.restart import RestartPolicy, RestartTracker

POLICY = RestartPolicy(intensity=3, period_ns=1_000, backoff=Backoff(100, 400), stable_ns=500)
QUICK, STABLE = 10, 500


def test_the_first_restart_is_at_once_and_later_ones_wait_longer() -> None:
    tracker = RestartTracker(POLICY)
    assert [tracker.died(now_ns, QUICK, 0.0) for now_ns in (0, 1, 2)] == [0, 50, 100]
    assert tracker.restarts == 3


def test_one_death_more_than_the_intensity_gives_up() -> None:
    tracker = RestartTracker(POLICY)
    for now_ns in (0, 1, 2):
        assert tracker.died(now_ns, QUICK, 0.5) is not None
    assert tracker.died(999, QUICK, 0.5) is None
    assert tracker.restarts == 3


def test_deaths_older_than_the_period_are_forgotten() -> None:
    tracker = RestartTracker(POLICY)
    for now_ns in (0, 1, 2):
        tracker.died(now_ns, QUICK, 0.5)
    assert tracker.died(1_000, QUICK, 0.0) is not None, "the death at 0 is a whole period ago"


def test_a_life_that_lasted_makes_the_delays_begin_anew() -> None:
    tracker = RestartTracker(POLICY)
    assert [tracker.died(now_ns, QUICK, 0.0) for now_ns in (0, 1, 2)] == [0, 50, 100]
    assert tracker.died(1_001, STABLE, 0.0) == 0


def test_a_child_that_dies_once_a_period_is_restarted_for_ever() -> None:
    tracker = RestartTracker(POLICY)
    assert all(tracker.died(n * 1_000, STABLE, 0.9) == 0 for n in range(100))
    assert tracker.restarts == 100


def test_without_an_intensity_a_child_is_restarted_for_ever_and_more_and_more_seldom() -> None:
    tracker = RestartTracker(RestartPolicy(intensity=None, period_ns=1_000, backoff=Backoff(100, 400)))
    delays = [tracker.died(now_ns, QUICK, 0.0) for now_ns in range(500)]
    assert delays[:5] == [0, 50, 100, 200, 200]
    assert (set(delays[5:]), tracker.restarts) == ({200}, 500)
