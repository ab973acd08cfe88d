"""Columns from bytes: the same as from events, wherever they are read at all."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.events import SCHEMAS, AggTrade, AveragePrice, BookTicker, DepthUpdate, Event, Gap, Kline, Trade
from k2workers.transport.deliveries import MessageColumns
from k2workers.venues.binance.streams import CHAIN
from tests.support.any_events import any_batch
from tests.support.batches import batch_of
from tests.transport.test_columns import assert_the_same

pytest.importorskip("numpy", reason="columns are read from bytes only where numpy is installed")

from k2workers.transport import column_reader
from k2workers.transport.column_reader import MAX_LAYOUTS, ColumnReader

READER = ColumnReader()


def frame_of(events: list[Event], topic: str = "t") -> bytes:
    return wire.publication(batch_of(topic, events), epoch=1, sequence=2, publish_ns=3)


def read(frame: bytes, reader: ColumnReader = READER) -> MessageColumns | None:
    header = wire.read_header(frame)
    rows = reader.read(frame, header)
    if rows is None:
        return None
    return MessageColumns("t", 2, 3, CHAIN, SCHEMAS[header.schema], header.count, rows)


def trade(number: int, price: str = "60000.10", quantity: str = "0.5", at_ns: int = 2**60) -> Trade:
    return Trade(number, price, quantity, number % 3 == 0, at_ns, at_ns + 1, at_ns + 2)


@given(any_batch)
def test_what_is_read_holds_what_the_events_hold(events: list[Event]) -> None:
    found = read(frame_of(events))
    if found is not None:
        assert_the_same(found, events)


@given(any_batch, st.data())
def test_a_damaged_batch_is_read_as_the_events_that_it_still_is_or_not_at_all(
    events: list[Event], data: st.DataObject
) -> None:
    frame = bytearray(frame_of(events))
    start = wire.read_header(bytes(frame)).events_offset
    frame[data.draw(st.integers(start, len(frame) - 1))] = data.draw(st.integers(0, 255))
    header = wire.read_header(bytes(frame))
    found = read(bytes(frame))
    if found is not None:
        assert_the_same(found, wire.decode_events(bytes(frame), header))


@pytest.mark.parametrize("count", [1, 15, 16, 512, 513, 70_000])
def test_events_of_one_form_are_read_whatever_their_number(count: int) -> None:
    events: list[Event] = [trade(2**20 + number, f"{10_000 + number}.25") for number in range(count)]
    found = read(frame_of(events))
    assert found is not None
    assert_the_same(found, events)
    assert (found["price"].dtype, found["buyer_is_maker"].dtype, found.decimals("price")) == ("int64", "bool", 2)
    assert found["price"].flags.owndata and found["trade_id"].flags.writeable


@pytest.mark.parametrize(
    "event",
    [
        AggTrade(2**33, 5, 2**17, "0.00012345", "12345678.12345678", False, 2**60, 2**60, 2**60),
        BookTicker(200, "1.00", "20000", "1.01", "7.5", 2**60),
        Kline(
            2**60,
            2**60,
            "1.5",
            "1.6",
            "1.4",
            "1.5",
            "123.45678901",
            "12345.5",
            "0.1",
            "0.10",
            2**31,
            2**32,
            999,
            True,
            2**60,
            2**60,
        ),
        Trade(0, "123456789012345678", "0.123456789012345678"[:19], True, 1, 2, 3),
    ],
)
def test_types_of_integers_flags_and_decimals_are_read(event: Event) -> None:
    found = read(frame_of([event] * 3))
    assert found is not None
    assert_the_same(found, [event] * 3)


@pytest.mark.parametrize(
    "events",
    [
        [trade(1), trade(2, quantity="10.5")],
        [trade(1), trade(2, "6000.100")],
        [trade(1), trade(200)],
        [trade(1, "-5.0")],
        [trade(1, "")],
        [trade(1, "1e5")],
        [trade(1, "1.")],
        [trade(1, ".5")],
        [trade(1, "1" * 19)],
        [trade(1, "1" * 40)],
        [trade(1, at_ns=2**63)],
        [trade(1, at_ns=-1)],
        [trade(1, "60000.10"), trade(2, "60000:10")],
        [DepthUpdate(1, 2, [("1", "2")], [], 3, 4)],
        [AveragePrice("5m", "1.5", 1, 2, 3)],
        [Gap(1, 2, "", 3)],
    ],
)
def test_whatever_is_of_no_one_form_is_left_to_be_decoded(events: list[Event]) -> None:
    assert read(frame_of(events)) is None


def test_a_count_that_does_not_fit_the_bytes_is_left_to_be_decoded() -> None:
    frame = frame_of([trade(1), trade(2)])
    header = wire.read_header(frame)
    for wrong in (0, 1, 4):
        assert READER.read(frame, msgspec.structs.replace(header, count=wrong)) is None
    assert READER.read(frame[:-1], header) is None
    assert READER.read(frame[: header.events_offset + 1], header) is None


def test_events_with_another_number_of_fields_are_left_to_be_decoded() -> None:
    frame = frame_of([trade(1)])
    at = wire.read_header(frame).events_offset + 1
    assert read(frame[:at] + bytes([frame[at] + 1]) + frame[at + 1 :], ColumnReader()) is None


def test_layouts_are_found_again_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    learn = column_reader._Layout.__init__

    def counted(self: column_reader._Layout, names: tuple[str, ...], row: bytes) -> None:
        made.append(row)
        learn(self, names, row)

    monkeypatch.setattr(column_reader._Layout, "__init__", counted)
    reader = ColumnReader()
    for _ in range(3):
        for price in ("1.25", "12.5", "125."):
            read(frame_of([trade(1, price)]), reader)
    assert len(made) == 2 + 3  # what cannot be read is looked at each time
    for whole in range(1, 9):
        for part in range(1, 10):
            assert read(frame_of([trade(1, f"{'1' * whole}.{'2' * part}")]), reader) is not None
            assert sum(map(len, reader._layouts.values())) <= MAX_LAYOUTS


def test_values_of_python_become_arrays_of_their_own_type() -> None:
    arrays = column_reader.NumpyArrays()
    integers, flags = arrays.integers([-1, 2**63 - 1]), arrays.flags([True, False])
    assert (integers.dtype, integers.tolist()) == ("int64", [-1, 2**63 - 1])
    assert (flags.dtype, flags.tolist()) == ("bool", [True, False])
    lines = arrays.lines("007\n999999999999999999")
    assert (lines.dtype, lines.tolist()) == ("int64", [7, 999_999_999_999_999_999])
    with pytest.raises(OverflowError):
        arrays.integers([2**63])


def test_bytes_behind_an_event_leave_the_batch_to_be_decoded() -> None:
    assert read(frame_of([trade(1)]) + b"\xc0", ColumnReader()) is None
