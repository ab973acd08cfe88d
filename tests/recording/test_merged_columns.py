"""Rows are the same after the columns of several files became those of one, whatever is in them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from k2workers.events import Event, Gap, ReferencePrice
from k2workers.futures_events import CompositeIndex
from k2workers.recording import merged_columns
from k2workers.recording.row import Row
from k2workers.recording.row_table import stretch_of, table_of
from tests.recording.support import change, row, trade
from tests.support.any_events import DATA_TYPES, batches_of


def merged(*files: Sequence[Row], at_once: int | None = None) -> tuple[pa.Schema, list[Row]]:
    tables = [table_of(rows) for rows in files]
    schema = merged_columns.schema_of(merged_columns.valued(table.schema, table.to_batches()) for table in tables)
    batches = [merged_columns.as_in(batch, schema) for table in tables for batch in table.to_batches(at_once)]
    return schema, [each for batch in batches for each in stretch_of(batch).rows()]


several = st.sampled_from([kind for kind in DATA_TYPES if kind is not CompositeIndex]).flatmap(
    lambda kind: st.lists(batches_of(kind, most=5), min_size=2, max_size=3)
)


@settings(max_examples=40)
@given(several, st.sampled_from([None, 1, 2]))
def test_whatever_the_venue_sends_comes_back(files: list[list[Event]], at_once: int | None) -> None:
    # What we learn ourselves is a time of this machine, which has 64 bits.
    rows = [[row(event) for event in events if -(2**63) <= event.received_ns < 2**63] for events in files]  # type: ignore[attr-defined]
    rows = [some for some in rows if some]
    if rows:
        assert merged(*rows, at_once=at_once)[1] == [each for some in rows for each in some]


def prices(*texts: str) -> list[Row]:
    return [row(change(number, number, (text, "1"))) for number, text in enumerate(texts, 1)]


def test_decimals_of_one_scale_stay_so_and_others_become_texts() -> None:
    def of(*files: Sequence[Row]) -> pa.DataType:
        schema, rows = merged(*files)
        assert rows == [each for some in files for each in some]
        return schema.field("bids").type.value_type.field("price").type

    assert of(prices("1.50"), prices("2.25")) == pa.decimal128(18, 2)
    assert of(prices("1.50"), prices("1234567890123456789.25")) == pa.decimal128(38, 2)
    assert of(prices("1.50", "0.00000001"), prices("2.25")) == pa.string()
    assert of(prices("0.00000001"), prices("2.25")) == pa.string()


def test_a_file_without_a_value_makes_no_texts_of_the_decimals_of_others() -> None:
    schema, rows = merged(
        prices("1.50"),
        [row(change(2, 2))],
        [row(trade(3))],
        [row(ReferencePrice(None, 3, 4))],
        [row(Gap(4, 4, "x", 1))],
    )
    assert schema.field("bids").type.value_type.field("price").type == pa.decimal128(18, 2)
    assert schema.field("asks").type.value_type.field("price").type == pa.string()
    assert schema.field("price").type == pa.decimal128(18, 2)
    assert schema.names[-1] == "received_ns"
    assert [type(each.of).__name__ for each in rows] == [
        "DepthUpdate", "DepthUpdate", "Trade", "ReferencePrice", "Gap",
    ]  # fmt: skip


def test_the_columns_that_differ_are_named() -> None:
    schemas = [table_of(rows).schema for rows in (prices("1.50"), prices("1.5"), [row(trade(1))])]
    assert merged_columns.differing(schemas) == ["bids"]
    assert merged_columns.differing(schemas[:1]) == []
