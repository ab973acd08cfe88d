"""What is asked for next, and when an id counts as void."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from k2workers.backoff import Backoff
from k2workers.sequencing.backfill_planner import BackfillPlanner, BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.ranges import IdRanges

POLICY = BackfillPolicy(page=10, backoff=Backoff(100, 1_000), confirm_ns=400, give_up_ns=100_000)


def planner() -> BackfillPlanner:
    return BackfillPlanner(POLICY)


def test_the_most_urgent_topic_goes_first_and_each_topic_only_once() -> None:
    plan = planner()
    plan.update(1, [(1, 2)], Urgency.OPEN, 0)
    plan.update(2, [], Urgency.FIRST_BOOK, 0, snapshot=True)
    plan.update(3, [(5, 5)], Urgency.HELD, 1)
    plan.update(4, [], Urgency.BROKEN_BOOK, 2, snapshot=True)
    order = [plan.next(10) for _ in range(5)]
    assert [request.topic_index for request in order if request] == [3, 4, 1, 2]
    assert order[4] is None


def test_one_request_covers_several_holes_that_fit_into_a_page() -> None:
    plan = planner()
    plan.update(1, [(1, 2), (5, 6), (40, 90)], Urgency.HELD, 0)
    assert plan.next(0) == BackfillRequest(1, 1, 6, Urgency.HELD, 0)
    plan.update(2, [(40, 90)], Urgency.HELD, 0)
    assert plan.next(0) == BackfillRequest(2, 40, 49, Urgency.HELD, 0)


def test_what_events_wait_for_is_asked_for_before_a_large_hole_that_was_announced() -> None:
    plan = planner()
    plan.update(1, [(1, 10_000)], Urgency.OPEN, 0)
    request = plan.next(0)
    assert request == BackfillRequest(1, 1, 10, Urgency.OPEN, 0)
    plan.answered(request, (1, 10), [(1, 10)], 1)
    plan.update(1, [(11, 10_000), (20_001, 20_002), (20_005, 20_005)], Urgency.HELD, 1, held_from=20_001)
    request = plan.next(1)
    assert request == BackfillRequest(1, 20_001, 20_005, Urgency.HELD, 0)
    plan.answered(request, (20_001, 20_005), [(20_001, 20_005)], 2)
    plan.update(1, [(11, 10_000)], Urgency.OPEN, 2, held_from=20_010)
    assert plan.next(2) == BackfillRequest(1, 11, 20, Urgency.OPEN, 0)


def test_progress_asks_on_at_once_and_failure_backs_off() -> None:
    plan = planner()
    plan.update(1, [(1, 25)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    assert plan.answered(request, (1, 10), [(1, 10)], 5) == []
    plan.update(1, [(11, 25)], Urgency.HELD, 5)
    request = plan.next(5)
    assert request is not None
    assert (request.first_id, request.last_id, request.attempt) == (11, 20, 0)
    plan.failed(request, 10)
    assert plan.next(10) is not None, "the first retry goes at once"
    plan.failed(request, 10)
    assert plan.next(10) is None
    assert plan.next(10 + 100) is not None
    plan.failed(request, 200, wait_ns=5_000)
    assert plan.next(5_000) is None


def test_an_id_is_void_only_when_a_second_reply_says_the_same_later() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    assert plan.answered(request, (5, 9), [(6, 6)], 0) == []
    plan.update(1, [(5, 5), (7, 7)], Urgency.HELD, 0)
    again = plan.next(0)
    assert again is not None
    assert plan.answered(again, (5, 9), [], 399) == [], "too soon to be sure"
    third = plan.next(1_000)
    assert third is not None
    assert plan.answered(third, (5, 9), [(7, 7)], 1_000) == [(5, 5)]


def test_a_reply_that_does_not_reach_an_id_says_nothing_about_it() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    for now_ns in (0, 1_000, 3_000):
        request = plan.next(now_ns)
        assert request is not None
        assert plan.answered(request, None, [], now_ns) == []


def test_a_reply_that_ends_before_an_id_says_nothing_about_it() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    for now_ns, void in ((0, []), (1_000, [(5, 5)])):
        request = plan.next(now_ns)
        assert request is not None
        assert plan.answered(request, (5, 6), [(6, 6)], now_ns) == void


def test_a_new_hole_is_asked_for_at_once_however_long_an_older_one_waits() -> None:
    plan, now_ns = planner(), 0
    plan.update(1, [(5, 7)], Urgency.OPEN, now_ns)
    for _ in range(9):
        while (request := plan.next(now_ns)) is None:
            now_ns += 1
        plan.failed(request, now_ns)
    assert plan.next(now_ns + 1) is None
    plan.update(1, [(5, 7), (20, 21)], Urgency.OPEN, now_ns + 1)
    assert plan.next(now_ns + 1) is not None


def test_what_cannot_be_had_is_given_up_in_the_end_and_keeps_no_newer_hole_from_its_turn() -> None:
    plan, beyond = planner(), 5 + POLICY.page
    plan.update(1, [(5, 7)], Urgency.OPEN, 0)
    plan.update(1, [(5, 7), (9, 9), (beyond, beyond)], Urgency.OPEN, POLICY.give_up_ns)
    assert plan.next(POLICY.give_up_ns + 1) is None
    assert (plan.given_up, plan.waiting) == ([(1, (5, 9))], 0)
    plan.update(1, [(beyond, beyond)], Urgency.OPEN, POLICY.give_up_ns + 1)
    request = plan.next(POLICY.give_up_ns + 2)
    assert request == BackfillRequest(1, beyond, beyond, Urgency.OPEN, 0)
    plan.failed(request, POLICY.give_up_ns + 2)
    assert len(plan.given_up) == 1


def test_what_is_filled_from_its_beginning_is_not_given_up() -> None:
    plan = planner()
    for first in range(5, 10):
        plan.update(1, [(first, 10)], Urgency.OPEN, first * POLICY.give_up_ns)
        request = plan.next(first * POLICY.give_up_ns)
        assert request is not None
        plan.failed(request, first * POLICY.give_up_ns)
    assert plan.given_up == []


def test_a_probe_asks_once_and_makes_nothing_void() -> None:
    plan = planner()
    plan.probe(1, 5, 14, 0)
    request = plan.next(0)
    assert request == BackfillRequest(1, 5, 14, Urgency.OPEN, 0, probe=True)
    assert plan.answered(request, (5, 20), [], 0) == []
    assert plan.waiting == 0
    plan.probe(2, 5, 14, 0)
    plan.update(2, [(3, 4)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    assert not request.probe, "the hole's own request shows what is newer as well"


def test_the_answer_to_a_probe_says_nothing_of_a_hole_that_was_found_meanwhile() -> None:
    plan = planner()
    plan.probe(1, 5, 14, 0)
    request = plan.next(0)
    assert request is not None
    plan.update(1, [(3, 6)], Urgency.HELD, 0)
    assert plan.answered(request, (5, 20), [], 0) == []
    request = plan.next(1_000)
    assert request == BackfillRequest(1, 3, 6, Urgency.HELD, 0)
    assert plan.answered(request, (3, 20), [], 1_000) == [], "the first reply that was asked for these ids"


def test_what_is_not_wanted_any_longer_is_not_asked_for() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    plan.update(1, [], Urgency.HELD, 0)
    assert plan.next(0) is None
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    plan.update(1, [], Urgency.HELD, 0)
    plan.failed(request, 0)
    assert plan.next(10_000) is None
    plan.update(1, [], Urgency.HELD, 0)
    assert plan.waiting == 0
    assert plan.answered(request, None, [], 0) == []
    plan.failed(request, 0)


def test_what_a_line_brought_while_it_was_asked_for_is_wanted_no_longer_when_the_reply_comes() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    plan.update(1, [], Urgency.HELD, 0)
    assert plan.answered(request, (5, 7), [(5, 7)], 1) == []
    assert plan.waiting == 0


def test_what_was_lacking_of_old_ids_is_forgotten_when_they_begin_anew() -> None:
    plan = planner()
    assert not plan.begin_anew(1)
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    assert plan.answered(request, (5, 7), [], 0) == []
    old = plan.next(1_000)
    assert old is not None
    assert not plan.begin_anew(1)
    plan.update(1, [(5, 7)], Urgency.HELD, 1_000)
    plan.failed(old, 1_000)
    request = plan.next(2_000)
    assert request is not None
    assert plan.answered(request, (5, 7), [], 2_000) == [], "the first reply of the new numbering"
    assert not plan.begin_anew(1)
    assert plan.waiting == 0


def test_a_request_that_is_under_way_when_ids_begin_anew_ends_before_another_begins() -> None:
    plan = planner()
    plan.probe(1, 5, 14, 0)
    request = plan.next(0)
    assert request is not None
    assert plan.begin_anew(1), "its answer will not count"
    plan.probe(1, 2, 11, 0)
    assert plan.next(0) is None
    plan.failed(request, 0)
    assert plan.next(0) == BackfillRequest(1, 2, 11, Urgency.OPEN, 1, probe=True)


class LaggingDatabase(RuleBasedStateMachine):
    """A venue whose database shows ids late and in order, some ids that never existed, replies that fail.

    Invariants: an id that exists is never called void; one topic has at most one request under way; in the end every
    wanted id is found or void.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plan = planner()
        self.now_ns = 0
        self.exists: set[int] = set()
        self.newest = 0
        self.visible = 0
        self.wanted = IdRanges()
        self.asking: BackfillRequest | None = None

    @rule(existing=st.booleans(), size=st.integers(1, 8))
    def miss(self, existing: bool, size: int) -> None:
        first = self.newest + 2
        self.newest += size + 2
        if existing:
            self.exists |= set(range(first, first + size))
        self.exists |= {first - 1, first + size}
        self.wanted.add(first, first + size - 1)
        self._update()

    @rule(passed=st.integers(1, 1_000))
    def time_passes(self, passed: int) -> None:
        self.now_ns += passed

    @rule(more=st.integers(0, 12))
    def database_catches_up(self, more: int) -> None:
        self.visible = min(self.newest + 1, self.visible + more)

    @precondition(lambda self: self.asking is None)
    @rule()
    def ask(self) -> None:
        self.asking = self.plan.next(self.now_ns)
        assert self.plan.next(self.now_ns) is None

    @precondition(lambda self: self.asking is not None)
    @rule(fails=st.booleans())
    def answer(self, fails: bool) -> None:
        request, self.asking = self.asking, None
        assert request is not None
        if fails:
            self.plan.failed(request, self.now_ns)
        else:
            rows = sorted(n for n in self.exists if request.first_id <= n <= self.visible)[: POLICY.page]
            covered = (request.first_id, rows[-1]) if rows else None
            found = [(n, n) for n in rows if n <= request.last_id]
            for first, last in self.plan.answered(request, covered, found, self.now_ns):
                assert not self.exists & set(range(first, last + 1)), "called void although it exists"
                self.wanted.remove(first, last)
            for n, _ in found:
                self.wanted.remove(n, n)
        self._update()

    @invariant()
    def everything_is_found_or_void_in_the_end(self) -> None:
        if self.now_ns % 7:  # not after every step: it runs to the end on a copy of time
            return
        self.visible = self.newest + 1
        for _ in range(200):
            if not len(self.wanted):
                break
            self.now_ns += 1_000
            self.asking = self.asking or self.plan.next(self.now_ns)
            if self.asking is not None:
                self.answer(fails=False)
        assert not len(self.wanted)

    def _update(self) -> None:
        self.plan.update(1, list(self.wanted), Urgency.HELD, self.now_ns)


TestLaggingDatabase = LaggingDatabase.TestCase
TestLaggingDatabase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_bars_are_asked_for_and_given_up_whole_because_their_ids_are_times() -> None:
    plan, minute_ns = planner(), 60_000_000_000
    holes = [(0, 5 * minute_ns - 1), (8 * minute_ns, 9 * minute_ns - 1)]
    plan.update(1, holes, Urgency.OPEN, 0, times=True)
    assert plan.next(0) == BackfillRequest(1, 0, 9 * minute_ns - 1, Urgency.OPEN, 0)
    plan.failed(BackfillRequest(1, 0, 9 * minute_ns - 1, Urgency.OPEN, 0), 0)
    assert plan.next(POLICY.give_up_ns + 1) is None
    assert plan.given_up == [(1, (0, 9 * minute_ns - 1))]


def test_a_request_that_fails_when_nothing_is_wanted_any_longer_leaves_nothing_behind() -> None:
    plan = planner()
    plan.update(1, [(1, 2)], Urgency.OPEN, 0)
    request = plan.next(0)
    assert request is not None
    plan.update(1, [], Urgency.OPEN, 1)
    assert plan.waiting == 1
    plan.failed(request, 2)
    assert plan.waiting == 0
