"""One side of a book: its nearest levels in order, however it changes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2workers.event import Level
from k2workers.sequencing.book_side import FEW, RANKED, BookSide

changes = st.lists(st.tuples(st.integers(1, 4 * RANKED), st.integers(0, 2)), max_size=30)


def levels_of(change: list[tuple[int, int]]) -> list[Level]:
    return [(f"{price / 10:.1f}", str(quantity)) for price, quantity in change]


def sorted_plainly(sign: int, levels: dict[str, str]) -> list[Level]:
    return sorted(levels.items(), key=lambda level: sign * float(level[0]))


@pytest.mark.parametrize("sign", [-1, 1])
@given(
    st.lists(st.integers(1, 4 * RANKED), unique=True, max_size=4 * RANKED),
    st.lists(st.tuples(changes, st.integers(0, 2 * RANKED)), max_size=20),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_nearest_levels_are_those_of_all_levels_sorted(
    sign: int, begins: list[int], steps: list[tuple[list[tuple[int, int]], int]], part: bool
) -> None:
    side = BookSide(sign, levels_of([(price, 1) for price in begins]), part=part)
    plain = dict(levels_of([(price, 1) for price in begins]))
    for change, asked in steps:
        for price, quantity in levels_of(change):
            plain[price] = quantity
            if quantity == "0":
                del plain[price]
        side.take(levels_of(change))
        expected = sorted_plainly(sign, plain)
        end = max(sign * price / 10 for price in begins) if part and begins else math.inf
        known = [level for level in expected if sign * float(level[0]) <= end]
        assert (side.nearest(asked), side.sorted(), side.known()) == (known[:asked], expected, known)
        assert side.best == (sign * float(known[0][0]) if known else None)
        assert side.ends == (not known and end < math.inf)
        assert side.runs_short(asked) == (len(known) < min(asked, len(begins) / 2) and end < math.inf)


@pytest.mark.parametrize("sign", [-1, 1])
@given(
    st.lists(st.integers(1, 4 * RANKED), unique=True, min_size=50, max_size=4 * RANKED),
    st.integers(1, 50),
    st.lists(changes, max_size=40),
    st.integers(0, 75),
)
@settings(max_examples=60, deadline=None)
def test_of_a_part_the_nearest_levels_are_those_of_the_whole_or_fewer_of_them(
    sign: int, begins: list[int], told: int, steps: list[list[tuple[int, int]]], walked: int
) -> None:
    whole = BookSide(sign, levels_of([(price, 1) for price in begins]))
    plain = dict(whole.sorted())
    part = BookSide(sign, whole.nearest(told), part=True)
    gone = [(price, "0") for price, _ in sorted_plainly(sign, plain)[:walked]]  # the market walks
    for change in [*map(levels_of, steps), gone]:
        for price, quantity in change:
            plain[price] = quantity
            if not float(quantity):
                del plain[price]
        part.take(change)
        nearest = part.nearest(FEW)
        assert nearest == sorted_plainly(sign, plain)[: len(nearest)]
        assert len(nearest) >= told / 2 or part.runs_short(FEW)


def test_a_market_that_moves_far_keeps_its_order_with_few_looks_at_all_levels() -> None:
    side, looks = BookSide(1, [(str(price), "1") for price in range(1_000, 3_000)]), 0
    for price in range(1_000, 2_500):
        before = side._order
        assert side.nearest(20)[0] == (str(price), "1")
        looks += side._order is not before
        side.take([(str(price), "0.000")])
    assert looks <= 2_500 * 16 // 500
    for price in range(2_499, 400, -1):
        side.take([(str(price), "2")])
        assert side.nearest(2)[0] == (str(price), "2")
    assert len(side._order) <= 2 * max(RANKED, len(side.levels) // 16) + 1


def test_levels_beyond_those_in_order_are_left_to_the_dict_until_so_many_are_asked_for() -> None:
    side = BookSide(1, [(str(price), "1") for price in range(1, 10 * RANKED)])
    assert side.nearest(1) == [("1", "1")]
    side.take([("5000.5", "1"), (str(9 * RANKED), "0"), (str(9 * RANKED + 1), "2")])
    assert side.nearest(RANKED + 1) == side.sorted()[: RANKED + 1]
    assert side.nearest(FEW) == side.sorted()[:FEW]
    assert side.nearest(20 * RANKED) == side.sorted()
    assert len(side._order) <= 2 * FEW, "for whoever asks for very many, no more is kept in order"


def test_of_two_ways_to_write_a_price_the_later_one_is_in_the_order() -> None:
    side = BookSide(1, [("2", "3")])
    assert side.nearest(3) == [("2", "3")]
    side.take([("1.0", "1"), ("1.00", "2")])
    assert side.nearest(3) == [("1.00", "2"), ("2", "3")]
    side.take([("1.0", "0"), ("1.00", "0"), ("1", "0.0")])
    assert side.nearest(3) == side.sorted() == [("2", "3")]


def test_a_side_that_is_short_enough_is_not_cut_and_stays_known_to_its_end() -> None:
    side = BookSide(1, [("1", "1"), ("2", "1")])
    side.cut(2)
    assert (side.sorted(), side.ends) == ([("1", "1"), ("2", "1")], False)


def test_cut_leaves_the_nearest() -> None:
    side = BookSide(-1, [(str(price), "1") for price in range(9)])
    assert side.nearest(1) == [("8", "1")]
    side.cut(2)
    assert side.levels == {"8": "1", "7": "1"}
    assert side.nearest(9) == [("8", "1"), ("7", "1")]


@pytest.mark.parametrize("level", [("abc", "1"), ("1", "abc"), ("1", "")])
def test_a_level_that_is_no_price_and_quantity_is_an_error(level: Level) -> None:
    with pytest.raises(ValueError):
        BookSide(1).take([level])
