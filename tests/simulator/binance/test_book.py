"""One symbol's book as price levels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.simulator.binance.book import Changes, Side

BIDS, ASKS = 1, -1


@pytest.mark.parametrize("sign", [BIDS, ASKS])
@given(changes=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3)), max_size=60), count=st.integers(1, 8))
def test_a_side_holds_the_last_quantity_of_each_price_best_first(
    sign: int, changes: list[tuple[int, int]], count: int
) -> None:
    side, model = Side(sign), dict[int, int]()
    for price, quantity in changes:
        side.set(price, quantity)
        model[price] = quantity
    levels = sorted(((price, left) for price, left in model.items() if left), reverse=sign == BIDS)
    assert side.top(count) == levels[:count]
    assert side.best() == (levels[0] if levels else (0, 0))
    assert len(side) == len(levels)


def test_changes_are_told_as_the_venue_sends_them() -> None:
    changes = Changes(7)
    changes.bids.update({3: 1, 5: 0})
    changes.asks.update({9: 2, 8: 4})
    assert changes.first_id == 7
    assert changes.sorted_levels() == ([(5, 0), (3, 1)], [(8, 4), (9, 2)])
