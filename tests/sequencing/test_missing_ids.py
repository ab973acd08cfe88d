"""The missing ids of one topic: which are asked for next, and what replies make of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k2workers.sequencing.missing_ids import (
    LONGEST_DELAY_NS,
    NOTHING,
    SHORTEST_DELAY_NS,
    Findings,
    MissingIds,
    Question,
)
from k2workers.sequencing.ranges import IdRanges

FROM_START, NOBODY_WAITS = 0, 2**63
S = 1_000_000_000


def missing(*ranges: tuple[int, int], patience_ns: tuple[int, ...] = (100, 400)) -> MissingIds:
    ids = MissingIds(10, patience_ns)
    ids.want(list(ranges), 0)
    return ids


def asked(ids: MissingIds, now_ns: int, held_from: int = NOBODY_WAITS) -> Question:
    question = ids.question(now_ns, held_from, due=True)
    assert question is not None
    ids.asked(question)
    return question


def test_what_is_new_and_what_came_is_told_apart() -> None:
    ids = MissingIds(10, (100,))
    assert ids.want([(5, 9)], 0) == (True, False)
    assert ids.want([(5, 9)], 0) == (False, False)
    assert ids.want([(5, 9), (20, 21)], 0) == (True, False)
    assert ids.want([(6, 7), (9, 9), (20, 22)], 0) == (True, True)
    assert ids.want([(3, 7)], 0) == (True, True)
    assert ids.want([], 0) == (False, True)
    assert not ids


def test_ids_that_come_between_and_before_known_ones_are_asked_for_first() -> None:
    ids = missing((10, 12), (20, 22))
    asked(ids, 0)
    asked(ids, 0)
    assert ids.want([(8, 22)], 0) == (True, False)
    assert len(ids) == 4
    assert asked(ids, 0) == Question(8, 12, held=False, doubted=False), "with what fits the page"


def test_what_is_not_doubted_waits_for_its_turn_and_what_is_for_its_look() -> None:
    ids = missing((1, 4), (8, 8))
    assert ids.question(0, NOBODY_WAITS, due=False) is None
    ids.learn(1, 8, Findings(covered=(1, 3)), 0)
    assert ids.question(99, NOBODY_WAITS, due=False) is None
    assert ids.question(100, NOBODY_WAITS, due=False) == Question(1, 3, held=False, doubted=True)
    assert ids.question(99, NOBODY_WAITS, due=True) == Question(4, 8, held=False, doubted=False)


def test_a_look_that_comes_too_soon_does_not_count() -> None:
    ids = missing((1, 4))
    for now_ns in (0, 50, 99):
        assert ids.learn(1, 4, Findings(covered=(1, 9)), now_ns).void == []
    assert ids.learn(1, 4, Findings(covered=(1, 9)), 100).void == []
    assert ids.learn(1, 4, Findings(covered=(1, 9)), 399).void == []
    learned = ids.learn(1, 4, Findings(covered=(1, 9)), 400)
    assert (learned.void, learned.news, len(ids)) == ([(1, 4)], True, 0)


def test_a_look_without_an_answer_is_repeated_at_growing_times() -> None:
    ids = missing((1, 4))
    ids.learn(1, 4, Findings(covered=(1, 4)), 0)
    ids.learn(1, 4, NOTHING, 100)
    assert ids.question(100 + SHORTEST_DELAY_NS - 1, NOBODY_WAITS, due=True) is None
    for now_ns, delay_ns in ((20 * S, 20 * S), (3_000 * S, LONGEST_DELAY_NS)):
        ids.learn(1, 4, NOTHING, now_ns)
        assert ids.question(now_ns + delay_ns - 1, NOBODY_WAITS, due=True) is None
        assert ids.question(now_ns + delay_ns, NOBODY_WAITS, due=True) is not None


def test_holes_around_the_one_whose_turn_it_is_are_asked_for_with_it_if_they_fit_a_page() -> None:
    ids = missing((1, 1), (5, 5), (9, 9), (14, 14))
    asked(ids, 0)
    ids.learn(5, 5, Findings(covered=(5, 5)), 0)
    assert asked(ids, 0) == Question(9, 14, held=False, doubted=False)
    assert asked(ids, 0) == Question(1, 9, held=False, doubted=False)


def test_ids_that_are_proven_to_exist_are_never_doubted_again() -> None:
    ids = missing((1, 4))
    ids.learn(1, 4, Findings(covered=(1, 4)), 0)
    assert not ids.learn(1, 4, Findings(covered=(1, 4), exist=[(2, 3)]), 100).news
    assert list(ids.doubted) == [(1, 1), (4, 4)]
    for now_ns in (100, 200, 800):
        assert (2, 3) not in ids.learn(2, 3, Findings(covered=(1, 4)), now_ns).void
    assert list(ids.doubted) == [(1, 1), (4, 4)]
    assert ids.learn(1, 4, Findings(void=[(2, 3)]), 900).void == [(2, 3)], "unless something proves the opposite"


def test_what_events_wait_for_goes_first() -> None:
    ids = missing((1, 5_000), (9_000, 9_001))
    assert asked(ids, 0, held_from=9_000) == Question(9_000, 9_001, held=True, doubted=False)
    ids.learn(9_000, 9_001, Findings(covered=(9_000, 9_001)), 0)
    assert asked(ids, 0, held_from=9_000) == Question(1, 5_000, held=False, doubted=False), (
        "until it is looked for again"
    )


def test_what_the_lane_did_not_take_is_still_missing() -> None:
    ids = missing((1, 4))
    learned = ids.learn(1, 4, Findings(covered=(1, 4), found=[(1, 4)]), 0)
    assert (learned.void, learned.news) == ([], False)
    assert ids.want([(1, 4)], 0) == (False, False)
    assert asked(ids, 0) == Question(1, 4, held=False, doubted=False)


def test_what_is_wanted_no_longer_is_forgotten() -> None:
    ids = missing((1, 4))
    ids.learn(1, 4, Findings(covered=(1, 2)), 0)
    assert list(ids.doubted) == [(1, 2)]
    ids.clear()
    assert (len(ids), list(ids.doubted), ids.give_up(10**20)) == (0, [], [])
    assert ids.want([(1, 4)], 0) == (True, False)
    assert list(ids.doubted) == []


def test_only_that_of_which_nothing_came_for_long_is_given_up() -> None:
    ids = missing((1, 4), (20, 24))
    ids.want([(1, 4), (22, 24), (30, 30)], 50)
    assert ids.give_up(0) == []
    assert ids.give_up(1) == [(1, 4)]
    assert ids.give_up(50) == []
    assert ids.give_up(51) == [(22, 24), (30, 30)]
    assert ids.give_up(10**9) == []


def test_requests_are_counted_by_page_without_what_is_doubted() -> None:
    ids = missing((1, 25), (28, 29), (35, 36), (90, 90), (200, 200))
    assert ids.requests == 4, "of none it is known how much is in it"
    ids.learn(1, 25, Findings(covered=(1, 3), found=[(1, 3)]), 0)
    ids.want([(4, 25), (28, 29), (35, 36), (90, 90), (200, 200)], 0)
    assert ids.requests == 3 + 1 + 1 + 1
    ids.learn(200, 200, Findings(covered=(200, 200)), 0)
    assert ids.requests == 5
    ids.learn(90, 90, Findings(exist=[(90, 90)]), 0)
    assert ids.requests == 5
    assert missing().requests == 0


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda at: (at[0], at[0] + at[1])), max_size=5)


@given(first=RANGES, second=RANGES, covered=st.tuples(st.integers(0, 60), st.integers(0, 60)), found=RANGES, void=RANGES, exist=RANGES)  # fmt: skip
def test_the_parts_are_always_the_ids_that_are_wanted_and_not_settled(
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    covered: tuple[int, int],
    found: list[tuple[int, int]],
    void: list[tuple[int, int]],
    exist: list[tuple[int, int]],
) -> None:
    ids = MissingIds(10, (100,))
    ids.want(list(IdRanges(first)), 0)
    ids.want(list(IdRanges(second)), 1)
    learned = ids.learn(5, 50, Findings(covered=covered, found=found, void=void, exist=exist), 2)
    left = {n for part in ids._parts for n in range(part.first, part.last + 1)}
    settled = {n for low, high in learned.void for n in range(low, high + 1)}
    wanted = {n for low, high in IdRanges(second) for n in range(low, high + 1)}
    assert left | settled == wanted
    assert not left & settled
    assert sum(part.ids for part in ids._parts) == len(left)
    assert [part.first for part in ids._parts] == sorted(part.first for part in ids._parts)
    assert settled <= {n for low, high in void for n in range(max(5, low), min(50, high) + 1)}
