from __future__ import annotations

import contextlib
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.events import LATE, Backfilled, BookTicker, DepthUpdate, Event, Gap, Trade
from k2workers.venues.binance.streams import LATEST
from tests.support.any_events import any_batch
from tests.support.batches import batch_of

IDS = st.integers(0, 2**63 - 1)
TRADES = st.lists(
    st.builds(Trade, IDS, st.text(max_size=5), st.text(max_size=5), st.booleans(), IDS, IDS, IDS), min_size=1
)


@given(TRADES, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_published_batch_reads_back_as_it_was(trades: list[Trade], epoch: int, sequence: int, at_ns: int) -> None:
    batch = batch_of("binance.trade.币安人生USDT", trades)
    (batch,) = wire.decode_bundle(wire.encode_bundle([batch]))
    frame = wire.publication(batch, epoch=epoch, sequence=sequence, publish_ns=at_ns)
    header = wire.read_header(frame)
    assert wire.read_place(frame) == (header.topic.encode(), epoch, sequence, at_ns)
    assert (header.topic, header.epoch, header.sequence) == ("binance.trade.币安人生USDT", epoch, sequence)
    assert (header.count, header.first_id, header.last_id) == (len(trades), trades[0].trade_id, trades[-1].trade_id)
    assert header.publish_ns == at_ns
    assert wire.decode_events(frame, header) == wire.decode_batch(batch) == trades
    assert frame[header.events_offset :] == batch.events


@given(TRADES)
def test_an_event_of_a_batch_is_read_alone(trades: list[Trade]) -> None:
    newest = wire.batch_of("t", trades[-1:], 1).events[1:]
    assert wire.decode_event(Trade, newest) == trades[-1]


@given(TRADES)
def test_late_events_are_the_same_bytes_under_another_schema_number(trades: list[Trade]) -> None:
    batch = batch_of("binance.trade.X", [Backfilled(trade) for trade in trades])
    plain = batch_of("binance.trade.X", trades)
    assert batch == msgspec.structs.replace(plain, schema=LATE + plain.schema)
    assert wire.decode_batch(batch) == [Backfilled(trade) for trade in trades]


@pytest.mark.parametrize("counts", [(1, 1), (8, 7), (8, 8), (1, 70_000), (40_000, 40_000), (15, 1, 16)])
def test_joined_batches_are_the_bytes_of_one_batch_of_all_events(counts: tuple[int, ...]) -> None:
    numbers = iter(range(sum(counts)))
    runs = [[Trade(next(numbers), "1", "2", True, 3, 4, 5) for _ in range(count)] for count in counts]
    batches = [batch_of("t", run) for run in runs]
    assert wire.joined(batches) == [batch_of("t", [trade for run in runs for trade in run])]


def test_batches_of_different_types_are_not_joined() -> None:
    gap, trades = batch_of("t", [Gap(1, 2, "", 0)]), batch_of("t", [Trade(3, "", "", True, 1, 1, 1)])
    assert wire.joined([gap, trades, gap]) == [gap, trades, gap]


def test_the_bytes_are_plain_messagepack_after_the_topic() -> None:
    batch = batch_of("binance.book_ticker.BTCUSDT", [BookTicker(7, "1.0", "2.0", "1.1", "3.0", 99)])
    topic, _, body = wire.publication(batch, epoch=5, sequence=6, publish_ns=8).partition(b" ")
    assert topic == b"binance.book_ticker.BTCUSDT"
    assert msgspec.msgpack.decode(body) == [4, 5, 6, 1, 7, 7, 8, LATEST.number, [[7, "1.0", "2.0", "1.1", "3.0", 99]]]


def test_the_protocol_page_says_at_which_byte_each_value_stands() -> None:
    page = (Path(__file__).parents[1] / "k2workers" / "transport" / "PROTOCOL.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(..)` \| (\d) bytes, (un)?signed \| `(\w+)`", page, re.MULTILINE)
    batch = batch_of("t", [Gap(-2, 2**62 + 1, "why", 9)])
    frame = wire.publication(batch, epoch=2**63 + 2, sequence=2**63 + 3, publish_ns=2**63 + 4)
    header, body = wire.read_header(frame), frame.removeprefix(b"t ")
    assert [name for *_, name in rows] == [
        name for name in wire.Header.__struct_fields__ if name not in ("topic", "events_offset")
    ]
    end = 1
    for offset, marker, size, unsigned, name in rows:
        begin = int(offset) + 1
        assert (int(offset), body[int(offset)]) == (end, int(marker, 16))
        end = begin + int(size)
        assert int.from_bytes(body[begin:end], signed=not unsigned) == getattr(header, name)
    assert f"| {end} | | | `events`" in page
    assert frame[header.events_offset :] == body[end:] == batch.events


@given(any_batch)
def test_a_batch_of_the_venues_data_is_read_in_one_step_as_in_two(events: list[Event]) -> None:
    frame = wire.publication(batch_of("t", events), epoch=2**63 + 2, sequence=2**63 + 3, publish_ns=2**63 + 4)
    header, batch = wire.read_header(frame), wire.decode_data(frame[2:])
    assert batch.events == wire.decode_events(frame, header) == events
    for name in ("epoch", "sequence", "count", "first_id", "last_id", "publish_ns", "continuity"):
        assert getattr(batch, name) == getattr(header, name)


def test_what_the_feed_says_itself_and_what_has_more_or_fewer_values_is_not_read_in_one_step() -> None:
    gap = wire.publication(batch_of("t", [Gap(1, 2, "", 3)]), epoch=1, sequence=1, publish_ns=1)
    late = wire.publication(
        batch_of("t", [Backfilled(Trade(1, "", "", True, 1, 1, 1))]), epoch=1, sequence=1, publish_ns=1
    )
    data = wire.publication(batch_of("t", [Trade(1, "", "", True, 1, 1, 1)]), epoch=1, sequence=1, publish_ns=1)
    values = msgspec.msgpack.decode(data[2:])
    for not_one in (gap[2:], late[2:], data, *map(msgspec.msgpack.encode, (values[:-1], [*values, 1]))):
        with pytest.raises(ValueError):
            wire.decode_data(not_one)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_wire_error(frame: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.decode_events(frame, wire.read_header(frame))
    with contextlib.suppress(wire.WireError):
        wire.decode_bundle(frame)


@given(TRADES, st.data())
def test_a_damaged_batch_is_a_wire_error_or_events(trades: list[Trade], data: st.DataObject) -> None:
    frame = bytearray(wire.publication(batch_of("t", trades), epoch=1, sequence=1, publish_ns=1))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(wire.WireError):
        wire.decode_events(bytes(frame), wire.read_header(bytes(frame)))


@pytest.mark.parametrize(
    "frame", [b"", b"t", b" " + bytes(60), b"t " + bytes(20), b"t " + bytes(60), b"t \x98" + bytes(60)]
)
def test_what_is_no_batch_has_no_place(frame: bytes) -> None:
    with pytest.raises(wire.WireError, match="not a batch"):
        wire.read_place(frame)


def test_an_unknown_schema_is_named() -> None:
    batch = msgspec.structs.replace(batch_of("t", [Trade(1, "", "", True, 1, 1, 1)]), schema=9999)
    with pytest.raises(wire.WireError, match="unknown schema 9999"):
        wire.decode_batch(batch)


def test_the_newest_receive_time_is_read_without_decoding() -> None:
    at_ns = 1_795_519_162_616_442_988
    batch = batch_of("t", [DepthUpdate(1, 2, [("1", "2")], [], 5, at_ns)])
    assert wire.newest_received_ns(batch.events) == at_ns
    assert wire.newest_received_ns(b"short") is None


def test_a_batch_of_another_version_is_named_as_such_and_what_is_no_batch_as_that() -> None:
    frame = wire.publication(batch_of("t", [Trade(1, "", "", True, 1, 1, 1)]), epoch=1, sequence=1, publish_ns=1)
    with pytest.raises(wire.WireError, match="another version"):
        wire.read_header(frame[:2] + b"\x98" + frame[3:])
    for not_one in (frame[:2] + b"\x90" + frame[3:], frame[1:]):
        with pytest.raises(wire.WireError, match="not a batch: "):
            wire.read_header(not_one)
