"""What is asked for next, and when an id counts as void."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from k2workers.backoff import Backoff
from k2workers.sequencing.backfill_planner import BackfillPlanner, BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.missing_ids import NOTHING, Findings
from k2workers.sequencing.ranges import IdRanges, Range

POLICY = BackfillPolicy(
    page=10, backoff=Backoff(100, 1_000), retry_failed_ns=300, patience_ns=(400,), bar_patience_ns=(200,), give_up_ns=100_000
)  # fmt: skip
S = 1_000_000_000
HOUR = 3_600 * S


def planner() -> BackfillPlanner:
    return BackfillPlanner(POLICY)


def says(covered: Range | None, found: Iterable[Range]) -> Findings:
    return Findings(covered=covered, found=found)


def asked(plan: BackfillPlanner, now_ns: int) -> BackfillRequest:
    request = plan.next(now_ns)
    assert request is not None
    return request


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
    assert plan.next(0) == BackfillRequest(2, 40, 90, Urgency.HELD, 0), "of a larger one nobody knows how much is in it"


def test_what_events_wait_for_is_asked_for_before_a_large_hole_that_was_announced() -> None:
    plan = planner()
    plan.update(1, [(1, 10_000)], Urgency.OPEN, 0)
    request = plan.next(0)
    assert request == BackfillRequest(1, 1, 10_000, Urgency.OPEN, 0)
    plan.answered(request, says((1, 10), [(1, 10)]), 1)
    plan.update(1, [(11, 10_000), (20_001, 20_002), (20_005, 20_005)], Urgency.HELD, 1, held_from=20_001)
    request = plan.next(1)
    assert request == BackfillRequest(1, 20_001, 20_005, Urgency.HELD, 0)
    plan.answered(request, says((20_001, 20_005), [(20_001, 20_005)]), 2)
    plan.update(1, [(11, 10_000)], Urgency.OPEN, 2, held_from=20_010)
    assert plan.next(2) == BackfillRequest(1, 11, 10_000, Urgency.OPEN, 0)


def test_progress_asks_on_at_once_and_failure_backs_off() -> None:
    plan = planner()
    plan.update(1, [(1, 25)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    assert plan.answered(request, says((1, 10), [(1, 10)]), 5) == []
    plan.update(1, [(11, 25)], Urgency.HELD, 5)
    request = plan.next(5)
    assert request is not None
    assert (request.first_id, request.last_id, request.attempt) == (11, 25, 0)
    plan.failed(request, 10)
    assert plan.next(10) is not None, "the first retry goes at once"
    plan.failed(request, 10)
    assert plan.next(10) is None
    assert plan.next(10 + 100) is not None


def test_an_id_is_void_only_when_a_second_reply_says_the_same_later() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = asked(plan, 0)
    assert plan.answered(request, says((5, 9), [(6, 6)]), 0) == []
    plan.update(1, [(5, 5), (7, 7)], Urgency.HELD, 0)
    assert list(plan.doubted()[0][1]) == [(5, 5), (7, 7)]
    assert plan.next(399) is None, "too soon to be sure"
    again = plan.next(400)
    assert again == BackfillRequest(1, 5, 7, Urgency.HELD, 0, doubted=True)
    assert plan.answered(again, says((5, 9), [(7, 7)]), 400) == [(5, 5)]


def test_a_reply_that_does_not_reach_an_id_says_nothing_about_it() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    for now_ns in (0, 1_000, 3_000):
        assert plan.answered(asked(plan, now_ns), says(None, []), now_ns) == []
    assert plan.doubted() == []


def test_a_reply_that_ends_before_an_id_says_nothing_about_it() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = asked(plan, 0)
    assert plan.answered(request, says((5, 6), [(6, 6)]), 0) == []
    plan.update(1, [(5, 5), (7, 7)], Urgency.HELD, 0)
    request = asked(plan, 0)
    assert (request.first_id, request.last_id, request.doubted) == (7, 7, False)
    plan.failed(request, 0)
    request = asked(plan, 400)
    assert (request.first_id, request.last_id) == (5, 5)
    assert plan.answered(request, says((5, 6), []), 400) == [(5, 5)]


def test_a_jump_of_millions_of_ids_that_never_existed_costs_one_look_each_time() -> None:
    plan, looks, now_ns = BackfillPlanner(BackfillPolicy()), 0, 0
    hole = (1_001, 3_961_000)
    void: list[tuple[int, int]] = []
    plan.update(1, [hole], Urgency.OPEN, now_ns)
    while not void:
        if (request := plan.next(now_ns)) is not None:
            looks += 1
            assert (request.first_id, request.last_id) == hole
            void = plan.answered(request, says((hole[0], hole[1] + 1_000), []), now_ns)
            plan.update(1, [] if void else [hole], Urgency.OPEN, now_ns)
        now_ns += S // 10
    assert (void, looks, now_ns // S) == ([hole], 6, 120)
    assert not plan.waiting


def test_a_page_of_rows_inside_a_hole_speaks_for_what_it_spans_and_the_next_request_goes_on_behind_it() -> None:
    plan = planner()
    plan.update(1, [(1, 5_000)], Urgency.OPEN, 0)
    plan.answered(asked(plan, 0), says((1, 3_000), [(2_991, 3_000)]), 0)
    plan.update(1, [(1, 2_990), (3_001, 5_000)], Urgency.OPEN, 0)
    request = asked(plan, 0)
    assert (request.first_id, request.last_id, request.attempt) == (3_001, 5_000, 0)
    plan.answered(request, says((3_001, 6_000), [(4_999, 5_000)]), 1)
    plan.update(1, [(1, 2_990), (3_001, 4_998)], Urgency.OPEN, 1)
    assert plan.next(1) is None, "all that is left is doubted"
    assert [list(ids) for _, ids in plan.doubted()] == [[(1, 2_990), (3_001, 4_998)]]


def test_small_holes_do_not_wait_behind_a_large_one_of_the_same_topic() -> None:
    plan = planner()
    plan.update(1, [(1, 100_000)], Urgency.OPEN, 0)
    low = 1
    served = []
    for turn in range(6):
        small = [(200_000 + 100 * place, 200_000 + 100 * place) for place in range(3) if place not in served]
        plan.update(1, [(low, 100_000), *(small if turn else [])], Urgency.OPEN, turn)
        request = asked(plan, turn)
        if request.last_id == 100_000:
            plan.answered(request, says((low, low + 9), [(low, low + 9)]), turn)
            low += 10
        else:
            plan.answered(
                request, says((request.first_id, request.last_id), [(request.first_id, request.last_id)]), turn
            )
            served.append((request.first_id - 200_000) // 100)
    assert served == [0, 1, 2]
    assert low == 31, "and the large one goes on"


def test_a_hole_that_nothing_can_be_said_of_keeps_no_other_from_its_turn() -> None:
    plan = planner()
    plan.update(1, [(1, 1), (500, 500), (900, 900)], Urgency.OPEN, 0)
    turns: list[int] = []
    now_ns = 0
    while len(turns) < 6:
        if (request := plan.next(now_ns)) is not None:
            turns.append(request.first_id)
            plan.answered(request, NOTHING, now_ns)
        now_ns += 50
    assert turns == [1, 500, 900, 1, 500, 900]


def test_proof_counts_at_once_and_what_exists_is_not_doubted() -> None:
    plan = planner()
    plan.update(1, [(1, 9)], Urgency.OPEN, 0)
    findings = Findings(covered=(1, 20), found=[(1, 2)], void=[(0, 4)], exist=[(5, 6), (8, 8)])
    assert plan.answered(asked(plan, 0), findings, 0) == [(3, 4)]
    plan.update(1, [(5, 9)], Urgency.OPEN, 0)
    assert [list(ids) for _, ids in plan.doubted()] == [[(7, 7), (9, 9)]]
    request = asked(plan, 0)
    assert (request.first_id, request.last_id, request.doubted) == (5, 8, False)
    assert plan.answered(request, says((5, 9), []), 0) == []
    assert [list(ids) for _, ids in plan.doubted()] == [[(7, 7), (9, 9)]], "a witness says that the others exist"


def test_what_the_venue_cannot_give_is_not_asked_for_again() -> None:
    plan = planner()
    plan.update(1, [(1, 9)], Urgency.OPEN, 0)
    request = asked(plan, 0)
    assert plan.answered(request, Findings(covered=(8, 20), found=[(8, 9)], unavailable=[(1, 7)]), 0) == []
    assert (plan.unavailable, plan.given_up) == ([(1, (1, 7))], [])
    plan.update(1, [], Urgency.OPEN, 0)
    assert plan.waiting == 0


@pytest.mark.parametrize("answers", [True, False])
def test_many_hopeless_gaps_cost_a_few_requests_an_hour_and_are_all_given_up_once(answers: bool) -> None:
    plan, gaps = BackfillPlanner(BackfillPolicy()), [(5_000 * n, 5_000 * n + 9) for n in range(1, 501)]
    plan.update(1, gaps, Urgency.OPEN, 0)
    requests: list[int] = []
    given_up: list[Range] = []
    for now_ns in range(0, 3 * HOUR, S):
        if (request := plan.next(now_ns)) is not None:
            requests.append(now_ns // HOUR)
            if answers:
                plan.answered(request, NOTHING, now_ns)
            else:
                plan.failed(request, now_ns, retryable=False)
        for topic_index, ids in plan.given_up:
            assert topic_index == 1
            given_up.append(ids)
        plan.given_up.clear()
        plan.update(1, [] if given_up else gaps, Urgency.OPEN, now_ns)
    assert given_up == gaps
    assert plan.waiting == 0
    assert (len(requests), set(requests)) == (20, {0})


def test_what_failed_with_all_others_is_asked_for_again_soon_after_the_venue_answers_again() -> None:
    plan, now_ns = BackfillPlanner(BackfillPolicy()), 0
    plan.update(1, [(5, 7)], Urgency.OPEN, now_ns)
    plan.update(2, [(5, 7)], Urgency.OPEN, now_ns)
    plan.probe(3, 5, 7, now_ns)
    while now_ns < HOUR // 2:
        if (request := plan.next(now_ns)) is not None:
            plan.failed(request, now_ns)
        now_ns += S
    assert all(plan.next(now_ns + wait * S) is None for wait in range(20)), (
        "after half an hour they are repeated rarely"
    )
    plan.update(4, [(1, 1)], Urgency.HELD, now_ns)
    plan.answered(asked(plan, now_ns), says((1, 1), [(1, 1)]), now_ns)
    plan.update(4, [], Urgency.OPEN, now_ns)
    assert {asked(plan, now_ns).topic_index for _ in range(3)} == {1, 2, 3}


def test_what_was_refused_is_not_asked_for_sooner_because_others_are_answered() -> None:
    plan, now_ns = planner(), 0
    plan.update(1, [(5, 7)], Urgency.OPEN, 0)
    for _ in range(3):
        while (request := plan.next(now_ns)) is None:
            now_ns += 1
        plan.failed(request, now_ns, retryable=False)
    plan.update(2, [(1, 1)], Urgency.OPEN, now_ns)
    plan.answered(asked(plan, now_ns), says((1, 1), [(1, 1)]), now_ns)
    plan.update(2, [], Urgency.OPEN, now_ns)
    assert plan.next(now_ns + 1) is None


def test_a_request_that_was_withdrawn_has_its_turn_again() -> None:
    plan = planner()
    plan.update(1, [], Urgency.FIRST_BOOK, 0, snapshot=True)
    request = asked(plan, 0)
    assert plan.next(0) is None
    plan.withdrawn(request)
    assert plan.next(0) == request
    plan.update(1, [], Urgency.FIRST_BOOK, 0)
    plan.withdrawn(request)
    plan.withdrawn(request)
    assert plan.waiting == 0


def test_only_what_is_more_urgent_is_given_where_there_is_no_room_for_the_others() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.OPEN, 0)
    plan.update(2, [(5, 7), (9, 9)], Urgency.HELD, 0, held_from=9)
    assert plan.next(0, Urgency.HELD) is None
    request = plan.next(0, Urgency.OPEN)
    assert request == BackfillRequest(2, 9, 9, Urgency.HELD, 0)
    plan.withdrawn(request)
    plan.update(2, [(5, 7)], Urgency.HELD, 0, held_from=9)
    assert plan.next(0, Urgency.OPEN) is None, "nothing waits for these"
    request = plan.next(0)
    assert request is not None
    assert request.urgency is Urgency.OPEN


def test_a_book_is_asked_for_shallow_by_those_who_have_none_and_counts_among_what_is_wanted() -> None:
    plan = planner()
    plan.update(1, [], Urgency.DEEPER_BOOK, 0, snapshot=True, deep=True)
    plan.update(2, [], Urgency.FIRST_BOOK, 0, snapshot=True)
    plan.update(3, [(1, 25), (40, 41), (90, 90)], Urgency.OPEN, 0)
    plan.update(4, [(7, 7)], Urgency.OPEN, 0)
    plan.answered(BackfillRequest(4, 7, 7, Urgency.OPEN, 0), says((7, 7), []), 0)
    assert plan.wanted(lambda request: 5 if request.snapshot else 25) == 5 + 3 * 25
    assert [asked(plan, 0).topic_index for _ in range(3)] == [3, 2, 1]
    assert plan.next(0) is None


def test_a_hole_counts_as_one_request_until_a_reply_shows_that_it_is_full_of_ids() -> None:
    plan = BackfillPlanner(BackfillPolicy())
    plan.update(0, [(1, 3_960_000)], Urgency.OPEN, 0)
    assert plan.wanted(lambda _: 25) == 25, "whether all of it exists shows the first reply"
    plan.answered(asked(plan, 0), says((1, 1_000), [(1, 1_000)]), 0)
    plan.update(0, [(1_001, 3_960_000)], Urgency.OPEN, 0)
    assert plan.wanted(lambda _: 25) == 3_959 * 25
    plan.answered(asked(plan, S), says((1_001, 3_960_001), []), S)
    assert plan.wanted(lambda _: 25) == 0


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
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.OPEN, 0)
    plan.update(1, [(5, 7), (9, 9)], Urgency.OPEN, POLICY.give_up_ns)
    request = plan.next(POLICY.give_up_ns + 1)
    assert (plan.given_up, plan.waiting) == ([(1, (5, 7))], 1)
    assert request == BackfillRequest(1, 9, 9, Urgency.OPEN, 0)
    plan.failed(request, POLICY.give_up_ns + 2)
    assert len(plan.given_up) == 1


def test_a_hole_of_which_something_comes_is_not_given_up() -> None:
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
    assert plan.answered(request, says((5, 20), []), 0) == []
    assert plan.waiting == 0
    plan.probe(2, 5, 14, 0)
    plan.update(2, [(3, 4)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    assert not request.probe, "the hole's own request shows what is newer as well"


def test_the_answer_to_a_probe_says_nothing_of_a_hole_that_was_found_meanwhile() -> None:
    plan = planner()
    plan.probe(1, 5, 14, 0)
    request = asked(plan, 0)
    plan.update(1, [(3, 6)], Urgency.HELD, 0)
    assert plan.answered(request, says((5, 20), []), 0) == []
    assert plan.doubted() == []
    assert plan.next(1_000) == BackfillRequest(1, 3, 6, Urgency.HELD, 0)


def test_a_probe_does_not_wait_until_nothing_is_doubted_and_is_repeated_when_it_fails() -> None:
    plan = planner()
    plan.update(1, [(3, 4)], Urgency.OPEN, 0)
    plan.probe(1, 9, 18, 0)
    assert plan.answered(asked(plan, 0), says((3, 4), []), 0) == []
    for attempt, now_ns in ((0, 0), (1, 0), (2, 75)):
        request = asked(plan, now_ns)
        assert (request.probe, request.attempt) == (True, attempt)
        plan.failed(request, now_ns)
        assert now_ns == 0 or plan.next(now_ns) is None


@pytest.mark.parametrize("answered", [True, False])
def test_a_probe_that_was_wanted_while_an_earlier_one_was_under_way_is_asked_whatever_came_of_that(
    answered: bool,
) -> None:
    plan = planner()
    plan.probe(1, 5, 14, 0)
    earlier = asked(plan, 0)
    plan.probe(1, 25, 34, 1)
    assert plan.next(1) is None
    if answered:
        plan.answered(earlier, NOTHING, 2)
    else:
        plan.failed(earlier, 2)
    assert plan.next(2) == BackfillRequest(1, 25, 34, Urgency.OPEN, 0, probe=True)


def test_a_probe_that_is_refused_again_and_again_ends_and_an_inquiry_at_once() -> None:
    plan, requests = BackfillPlanner(BackfillPolicy()), 0
    plan.probe(1, 5, 14, 0)
    for now_ns in range(0, 24 * HOUR, 10 * S):
        if (request := plan.next(now_ns)) is not None:
            requests += 1
            plan.failed(request, now_ns, retryable=False)
    assert (requests, plan.waiting) == (BackfillPolicy().refusals, 0)
    plan.probe(1, 3, 3, 0, inquiry=True)
    plan.failed(asked(plan, 0), 0)
    plan.failed(asked(plan, S), S, retryable=False)
    assert plan.waiting == 0


def test_a_probe_that_fails_is_repeated_however_often() -> None:
    plan, requests = BackfillPlanner(BackfillPolicy()), 0
    plan.probe(1, 5, 14, 0)
    for now_ns in range(0, HOUR, 10 * S):
        if (request := plan.next(now_ns)) is not None:
            requests += 1
            plan.failed(request, now_ns)
    assert requests > BackfillPolicy().refusals
    plan.answered(asked(plan, 2 * HOUR), NOTHING, 2 * HOUR)
    assert plan.waiting == 0


def test_an_inquiry_and_a_probe_of_what_is_newer_keep_both_their_places() -> None:
    plan = planner()
    plan.probe(1, 5, 14, 0)
    plan.probe(1, 3, 3, 0, inquiry=True)
    both = []
    for _ in range(2):
        both.append(asked(plan, 0))
        plan.answered(both[-1], NOTHING, 0)
    assert [(request.first_id, request.inquiry) for request in both] == [(5, False), (3, True)]
    assert plan.waiting == 0
    plan.probe(1, 3, 3, 0, inquiry=True)
    assert not plan.begin_anew(1), "nobody wanted to know what is newer"
    assert plan.waiting == 0


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
    assert plan.answered(request, says(None, []), 0) == []
    plan.failed(request, 0)


def test_what_a_line_brought_while_it_was_asked_for_is_wanted_no_longer_when_the_reply_comes() -> None:
    plan = planner()
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    request = plan.next(0)
    assert request is not None
    plan.update(1, [], Urgency.HELD, 0)
    assert plan.answered(request, says((5, 7), [(5, 7)]), 1) == []
    assert plan.waiting == 0


def test_what_was_lacking_of_old_ids_is_forgotten_when_they_begin_anew() -> None:
    plan = planner()
    assert not plan.begin_anew(1)
    plan.update(1, [(5, 7)], Urgency.HELD, 0)
    assert plan.answered(asked(plan, 0), says((5, 7), []), 0) == []
    old = asked(plan, 1_000)
    assert not plan.begin_anew(1)
    plan.update(1, [(5, 7)], Urgency.HELD, 1_000)
    plan.failed(old, 1_000)
    assert plan.answered(asked(plan, 2_000), says((5, 7), []), 2_000) == [], "the first reply of the new numbering"
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
    assert plan.next(0) == BackfillRequest(1, 2, 11, Urgency.OPEN, 0, probe=True)


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
            for first, last in self.plan.answered(request, says(covered, found), self.now_ns):
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


def test_bars_are_asked_for_whole_because_their_ids_are_times_and_absence_is_proof_sooner() -> None:
    plan, minute_ns = planner(), 60_000_000_000
    holes = [(0, 5 * minute_ns - 1), (8 * minute_ns, 9 * minute_ns - 1)]
    whole = (0, 9 * minute_ns - 1)
    plan.update(1, holes, Urgency.OPEN, 0, times=True)
    request = plan.next(0)
    assert request == BackfillRequest(1, *whole, Urgency.OPEN, 0)
    assert plan.answered(request, says(whole, []), 0) == []
    request = asked(plan, 200)
    assert plan.answered(request, says(whole, []), 200) == holes
    plan.update(1, [], Urgency.OPEN, 200)
    plan.update(1, holes, Urgency.OPEN, 0, times=True)
    assert plan.next(POLICY.give_up_ns + 1) is None
    assert plan.given_up == [(1, hole) for hole in holes]


def test_a_request_that_fails_when_nothing_is_wanted_any_longer_leaves_nothing_behind() -> None:
    plan = planner()
    plan.update(1, [(1, 2)], Urgency.OPEN, 0)
    request = plan.next(0)
    assert request is not None
    plan.update(1, [], Urgency.OPEN, 1)
    assert plan.waiting == 1
    plan.failed(request, 2)
    assert plan.waiting == 0


@pytest.mark.parametrize("answers", [True, False])
def test_a_book_that_was_asked_for_and_is_still_needed_is_asked_for_later(*, answers: bool) -> None:
    plan = planner()
    plan.update(1, [], Urgency.FIRST_BOOK, 0, snapshot=True)
    for now_ns in (0, 0):  # the first retry goes at once
        request = asked(plan, now_ns)
        assert request.snapshot
        if answers:
            assert plan.answered(request, NOTHING, now_ns) == []
        else:
            plan.failed(request, now_ns)
    assert plan.next(0) is None
    assert asked(plan, 1_000).snapshot
