from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from k2workers.sequencing.ranges import IdRanges

ids = st.integers(0, 40)
steps = st.lists(st.tuples(st.booleans(), ids, ids), max_size=30)


@given(steps)
def test_it_is_a_set_of_ids(done: list[tuple[bool, int, int]]) -> None:
    ranges, model = IdRanges(), set[int]()
    for adding, first, last in done:
        span = set(range(first, last + 1))
        if adding:
            ranges.add(first, last)
            model |= span
        else:
            assert ranges.remove(first, last) == len(model & span)
            model -= span
        listed = list(ranges)
        assert {n for low, high in listed for n in range(low, high + 1)} == model
        assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(listed)), "disjoint, joined, rising"
        assert ranges.ids == len(model)
        assert len(ranges) == len(listed)


@given(steps, ids, ids)
def test_within_is_the_part_between(done: list[tuple[bool, int, int]], first: int, last: int) -> None:
    ranges = IdRanges((a, b) for _, a, b in done)
    part = {n for low, high in ranges.within(first, last) for n in range(low, high + 1)}
    assert part == {n for n in range(first, last + 1) if n in ranges}


def test_neighbours_are_joined() -> None:
    assert list(IdRanges([(5, 6), (1, 2), (3, 4)])) == [(1, 6)]


def test_only_the_highest_ranges_are_kept_and_those_below_are_told() -> None:
    ranges = IdRanges([(1, 2), (5, 6), (9, 9)])
    assert ranges.keep_newest(3) == []
    assert ranges.keep_newest(1) == [(1, 2), (5, 6)]
    assert list(ranges) == [(9, 9)]
    assert ranges.keep_newest(0) == [(9, 9)]
    assert not list(ranges)
