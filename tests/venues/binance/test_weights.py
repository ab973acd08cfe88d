"""What requests cost, as the venue documents it."""

from __future__ import annotations

import pytest

from k2workers.venues.binance.weights import SPOT_WEIGHTS


@pytest.mark.parametrize(
    ("levels", "weight"), [(1, 5), (100, 5), (101, 25), (500, 25), (501, 50), (1_000, 50), (5_000, 250), (9_000, 250)]
)
def test_a_book_costs_by_its_levels(levels: int, weight: int) -> None:
    assert SPOT_WEIGHTS.of_book(levels) == weight


@pytest.mark.parametrize(("names", "weight"), [(0, 80), (1, 2), (20, 2), (21, 40), (100, 40), (101, 80)])
def test_statistics_cost_by_the_symbols_that_are_named(names: int, weight: int) -> None:
    assert SPOT_WEIGHTS.of_statistics(names) == weight


def test_the_fewest_levels_that_are_priced_cost_least() -> None:
    assert SPOT_WEIGHTS.cheap_levels == 100
    assert SPOT_WEIGHTS.of_book(SPOT_WEIGHTS.cheap_levels) == min(weight for _, weight in SPOT_WEIGHTS.book)
