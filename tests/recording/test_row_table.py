"""Rows are the same after they were columns, whatever is in them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.events import (
    TABLE,
    Backfilled,
    BookSnapshot,
    Event,
    Gap,
    GivenUp,
    ReferencePrice,
    Reset,
    Status,
    Trade,
    Void,
)
from k2workers.futures_events import CompositeIndex
from k2workers.recording.row import Kept, Loss, Restart, Row
from k2workers.recording.row_table import stretch_of, table_of
from tests.recording.support import change, row, trade
from tests.support.any_events import any_batch
from tests.support.samples import sample


def back(table: pa.Table, at_once: int | None = None) -> list[Row]:
    return [row for batch in table.to_batches(at_once) for row in stretch_of(batch).rows()]


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.type.__name__)
def test_events_of_every_type_come_back(kind: object) -> None:
    rows = [row(sample(kind, number, 9)) for number in range(5)]  # type: ignore[arg-type]
    assert back(table_of(rows)) == rows


@given(any_batch.filter(lambda events: not isinstance(events[0], CompositeIndex)), st.booleans())
def test_whatever_the_venue_sends_comes_back(events: list[Event], late: bool) -> None:
    # What we learn ourselves is a time of this machine, which has 64 bits.
    rows = [row(Backfilled(event) if late else event) for event in events if -(2**63) <= event.received_ns < 2**63]  # type: ignore[attr-defined]
    if rows:
        assert back(table_of(rows)) == rows
        assert back(table_of(rows), 2) == rows


MARKS: list[Kept] = [
    Gap(3, 4, "between workers", 8), Void(3, 3, 9), GivenUp(4, 4, "denied", 9), Reset(-2, 1, 9), Loss(5, 6, None, None, 11), Loss(0, -1, 7, 8, 11),
    Restart("feed", 12),
]  # fmt: skip


def test_what_was_said_of_ids_stands_between_the_events() -> None:
    rows = [row(trade(1)), *map(row, MARKS), row(Backfilled(trade(3)))]
    assert back(table_of(rows)) == rows
    assert back(table_of([row(mark) for mark in MARKS])) == [row(mark) for mark in MARKS]


def test_books_and_changes_are_in_one_table() -> None:
    book = BookSnapshot(9, [("1.50", "0.10")], [("2.00", "3.25")], 7)
    rows = [
        Row(None, None, book),
        row(change(10, 12, ("1.50", "0.00"), ("1.40", "2.00"))),
        row(book),
        row(change(13, 13)),
    ]
    table = table_of(rows)
    assert back(table) == rows
    assert back(table, 1) == rows
    level = table.schema.field("bids").type.value_type
    assert (level.field("price").type, level.field("quantity").type) == (pa.decimal128(18, 2), pa.decimal128(18, 2))


@pytest.mark.parametrize(
    ("prices", "kind"),
    [
        (["61685.99000000", "0.00000001", "0.00000000", "-1.50000000"], pa.decimal128(18, 8)),
        (["12", "7"], pa.decimal128(18, 0)),
        (["1234567890123456789.25", "0.00"], pa.decimal128(38, 2)),
        (["1.5", "1.50"], pa.string()),
        (["-0.00", "1.00"], pa.string()),
        (["01.50", "1.50"], pa.string()),
        (["1E5", "1.5"], pa.string()),
        (["", "1.5"], pa.string()),
        (["1.5\n", "1.5"], pa.string()),
        ([f"1{'0' * 40}", "1"], pa.string()),
    ],
)
def test_prices_are_integers_with_a_scale_where_nothing_of_their_text_is_lost(prices: list[str], kind: object) -> None:
    rows = [row(Trade(number, price, "1", True, 1, 1, 1)) for number, price in enumerate(prices)]
    table = table_of(rows)
    assert table.schema.field("price").type == kind
    assert back(table) == rows


def test_a_price_that_is_none_stays_none() -> None:
    rows = [row(ReferencePrice(None, 3, 4)), row(ReferencePrice("1.5", 3, 4))]
    assert back(table_of(rows)) == rows
    assert back(table_of(rows[:1])) == rows[:1]


def test_records_of_the_feed_and_lists_of_words_are_text() -> None:
    rows = [row(Status("rotation", {"shard": 1, "reason": None, "ok": True}, 3))]
    assert back(table_of(rows)) == rows
    rows = [row(CompositeIndex("1.2", [("A", "B", "1", "2", "3")], 3, 4))]
    assert back(table_of(rows)) == rows


def test_each_row_has_its_place_among_the_times_of_the_others() -> None:
    late, told = Row(None, None, Backfilled(trade(9, 99))), row(Restart("recorder", 50))

    def times(rows: list[Row], not_before_ns: int = 0) -> list[int]:
        (batch,) = table_of(rows).to_batches()
        return stretch_of(batch).times(not_before_ns)

    assert times([row(trade(1, 3)), row(trade(2, 5)), row(trade(3, 4))]) == [3, 5, 5], "never back"
    assert times([row(trade(1, 3)), row(trade(2, 5))], 4) == [4, 5]
    assert times([late, row(trade(1, 3)), late, row(trade(2, 5))], 2) == [2, 3, 3, 5], "fetched later"
    assert times([row(trade(1, 3)), told, row(trade(2, 5)), row(trade(3, 60)), told]) == [3, 5, 5, 60, 60]
    assert times([row(trade(1, 3)), told, row(trade(2, 60))]) == [3, 50, 60], "said before what follows"
