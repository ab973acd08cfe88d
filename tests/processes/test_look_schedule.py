"""How often the whole market is looked at."""

from __future__ import annotations

import functools
import itertools

from k2workers.processes.look_schedule import FAILED_FIRST_NS, FAILED_MOST_NS, LookSchedule

S = 1_000_000_000
ALL = 84
"""The weight of a look at more symbols than can be named."""


class Clock:
    """A schedule that is asked every half second."""

    def __init__(self) -> None:
        self.schedule = LookSchedule()
        self.now_ns = 0

    def looks(
        self, seconds: int, *, at_once: bool = False, quiet: bool = False, weight: int = ALL, allowed: int = 4_800
    ) -> list[float]:
        """When there were looks, in seconds."""
        found = []
        for _ in range(2 * seconds):
            if self.schedule.due(
                at_once=at_once, market_quiet=quiet, weight=weight, allowed=allowed, now_ns=self.now_ns
            ):
                self.schedule.asked(market_quiet=quiet, weight=weight, now_ns=self.now_ns)
                self.schedule.ended(answered=True, now_ns=self.now_ns)
                found.append(self.now_ns / S)
            self.now_ns += S // 2
        return found


def test_while_something_is_in_question_there_is_a_look_every_six_seconds() -> None:
    assert Clock().looks(19) == [0, 6, 12, 18]


def test_an_urgent_look_waits_three_seconds_only() -> None:
    clock = Clock()
    assert clock.looks(2, weight=6) == [0]
    assert clock.looks(6, at_once=True, weight=6) == [3, 6]


def test_urgent_looks_at_many_symbols_are_spread_so_that_none_waits_for_long() -> None:
    looks = Clock().looks(300, at_once=True)
    assert max(b - a for a, b in itertools.pairwise(looks)) < 7


def test_the_first_urgent_looks_come_at_once_also_where_few_can_be_had_and_the_others_are_spread() -> None:
    looks = Clock().looks(300, at_once=True, weight=45, allowed=1_920)
    assert looks[:4] == [0, 3, 6, 11.5]
    assert max(b - a for a, b in itertools.pairwise(looks)) < 6
    assert all(sum(at <= look < at + 60 for look in looks) <= 12 for at in looks)
    assert Clock().looks(61, at_once=True, weight=45, allowed=600) == [0, 15, 30, 45, 60]


def test_looks_that_are_not_urgent_leave_some_of_the_weight_for_those_that_are() -> None:
    clock = Clock()
    assert len(clock.looks(55, weight=45, allowed=1_920)) == 8
    assert clock.looks(5, at_once=True, weight=45, allowed=1_920)


def test_looks_never_use_more_than_their_share_of_the_weight() -> None:
    for weight in (6, 44, ALL):
        looks = Clock().looks(300, at_once=True, weight=weight)
        most = max(weight * sum(at <= look < at + 60 for look in looks) for at in looks)
        assert most <= 0.3 * 4_800
        assert len(looks) >= 300 / 3 * 0.3


def test_one_look_a_minute_is_always_possible() -> None:
    assert Clock().looks(121, weight=4_000) == [0, 60, 120]


def test_a_market_that_is_silent_as_a_whole_is_looked_at_ever_later_until_it_is_not() -> None:
    clock = Clock()
    assert clock.looks(155, quiet=True) == [0, 12, 36, 84, 144]
    assert clock.looks(14) == [155, 161, 167]


def test_looks_that_fail_pause_ever_longer_until_one_is_answered() -> None:
    schedule, pauses = LookSchedule(), []
    for _ in range(7):
        schedule.asked(market_quiet=False, weight=6, now_ns=0)
        pauses.append(schedule.ended(answered=False, now_ns=0))
    assert pauses == [5, 10, 20, 20, 20, 20, 20]
    due = functools.partial(schedule.due, at_once=True, market_quiet=False, weight=6, allowed=4_800)
    assert not due(now_ns=FAILED_MOST_NS - 1)
    assert due(now_ns=FAILED_MOST_NS)
    assert schedule.ended(answered=True, now_ns=0) == 0
    assert schedule.ended(answered=False, now_ns=0) == FAILED_FIRST_NS / S


def test_when_the_next_look_may_go_is_known_and_true() -> None:
    for weight in (6, 44, ALL, 300, 4_000):
        clock = Clock()
        for _ in range(20):
            looks = clock.looks(61, at_once=True, weight=weight)[-1:]
            next_ns = clock.schedule.next_ns(at_once=True, weight=weight, allowed=4_800)
            after = clock.looks(61, at_once=True, weight=weight)[0]
            assert 0 <= after * S - next_ns < S // 2, (weight, looks, after)
