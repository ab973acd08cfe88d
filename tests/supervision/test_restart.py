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


def test_lives_that_never_came_to_serve_are_given_up_after_so_many_in_a_row_and_a_period() -> None:
    tracker = RestartTracker(RestartPolicy(intensity=100, most_unready=3, period_ns=1_000))
    assert tracker.died(0, QUICK, 0.0, served=True) is not None
    assert [tracker.died(now_ns, 10, 0.0, served=False) is None for now_ns in (100, 200, 300)] == [False] * 3
    assert tracker.died(1_089, 10, 0.0, served=False) is not None, (
        "a period after the first of them began is a moment away"
    )
    assert tracker.died(1_090, 10, 0.0, served=False) is None
    assert "started 5 times in a row and never came to serve" in tracker.why


def test_a_life_that_came_to_serve_makes_the_count_begin_anew() -> None:
    tracker = RestartTracker(RestartPolicy(intensity=100, most_unready=2, period_ns=1_000))
    for now_ns, served in ((0, False), (2_000, True), (3_000, False), (3_500, False)):
        assert tracker.died(now_ns, 10, 0.0, served=served) is not None
    assert tracker.died(4_000, 10, 0.0, served=False) is None


def test_a_child_that_the_others_can_do_without_may_never_come_to_serve() -> None:
    tracker = RestartTracker(RestartPolicy(intensity=None, most_unready=2, period_ns=10))
    assert all(tracker.died(now_ns, 10, 0.0, served=False) is not None for now_ns in range(0, 1_000, 100))
