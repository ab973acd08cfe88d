"""What a look at the market shows of a symbol can be compared with what its events tell."""

from __future__ import annotations

import pytest

from k2workers.venues.market_evidence import top_of


@pytest.mark.parametrize(
    ("bid", "ask", "top"),
    [
        ("99.50000000", "101.00", "99.5 101"),
        ("99.5", "101", "99.5 101"),
        ("100", "200", "100 200"),
        ("0.00000000", "101.0", None),
        ("99.0", "0.00", None),
    ],
)
def test_best_prices_are_the_same_however_many_zeros_follow_and_none_without_a_side(
    bid: str, ask: str, top: str | None
) -> None:
    assert top_of(bid, ask) == top
