"""Rows of REST answers that cannot be are told from those that can."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from k2workers.venues.binance.rows import AggTradeRow, KlineRow, TradeRow, read_depth

AT = 1_700_000_000_000
TRADE = {"id": 7, "price": "1.5", "qty": "2.0", "time": AT, "isBuyerMaker": True}
AGG = {"a": 7, "p": "1.5", "q": "2.0", "f": 5, "l": 6, "T": AT, "m": True}
BAR = [AT, "1.0", "2.0", "1.0", "1.5", "3.0", AT + 59_999, "4.0", 5, "1.0", "1.0"]


@pytest.mark.parametrize(("row", "shape"), [(TRADE, TradeRow), (AGG, AggTradeRow), (BAR, KlineRow)])
def test_a_row_as_the_venue_writes_it_is_read(row: Any, shape: type) -> None:
    assert isinstance(msgspec.convert(row, shape), shape)


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        (TRADE | {"price": "abc"}, TradeRow),
        (TRADE | {"time": 5}, TradeRow),
        (AGG | {"T": 0}, AggTradeRow),
        (AGG | {"f": 9}, AggTradeRow),
        ([AT + 60_000, *BAR[1:]], KlineRow),
    ],
)
def test_a_row_that_cannot_be_is_refused(row: Any, shape: type) -> None:
    with pytest.raises(ValueError, match=r".+"):
        msgspec.convert(row, shape)


def test_an_aggregate_that_the_venue_has_invalidated_needs_no_time() -> None:
    assert msgspec.convert(AGG | {"f": -1, "l": -1, "T": 0}, AggTradeRow).f == -1


@pytest.mark.parametrize("more", [[], [[]]])
def test_levels_of_a_book_may_be_longer_than_pairs(more: list[Any]) -> None:
    book = read_depth(json.dumps({"lastUpdateId": 5, "bids": [["1.5", "1", *more]], "asks": []}).encode())
    assert (book.lastUpdateId, book.bids, book.asks) == (5, [("1.5", "1")], [])


@pytest.mark.parametrize("odd", ["NaN", "", "-1"])
def test_a_book_with_a_level_that_is_no_decimal_is_none(odd: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_depth(json.dumps({"lastUpdateId": 5, "bids": [["1.5", odd]], "asks": []}).encode())
