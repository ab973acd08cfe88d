from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers import wire
from k2workers.events import LATE, Backfilled, BookTicker, DepthUpdate, Trade

IDS = st.integers(0, 2**63 - 1)
TRADES = st.lists(
    st.builds(Trade, IDS, st.text(max_size=5), st.text(max_size=5), st.booleans(), IDS, IDS, IDS), min_size=1
)


@given(TRADES, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_stamped_batch_reads_back_as_it_was(trades: list[Trade], epoch: int, sequence: int, at_ns: int) -> None:
    frame = wire.encode_batch("binance.trade.币安人生USDT", trades)
    stamped = wire.stamp(frame, wire.read_header(frame), epoch=epoch, sequence=sequence, publish_ns=at_ns)
    header = wire.read_header(stamped)
    assert (header.topic, header.epoch, header.sequence) == ("binance.trade.币安人生USDT", epoch, sequence)
    assert (header.count, header.first_id, header.last_id) == (len(trades), trades[0].trade_id, trades[-1].trade_id)
    assert header.publish_ns == at_ns
    assert wire.decode_events(stamped, header) == trades
    assert stamped[header.events_offset :] == frame[header.events_offset :]


@given(TRADES)
def test_late_events_are_the_same_bytes_under_another_schema_number(trades: list[Trade]) -> None:
    frame = wire.encode_batch("binance.trade.X", [Backfilled(trade) for trade in trades])
    header, plain = wire.read_header(frame), wire.encode_batch("binance.trade.X", trades)
    assert header.schema == LATE + wire.read_header(plain).schema
    assert frame[header.events_offset :] == plain[header.events_offset :]
    assert wire.decode_events(frame, header) == [Backfilled(trade) for trade in trades]


def test_the_bytes_are_plain_messagepack_after_the_topic() -> None:
    frame = wire.encode_batch("binance.book_ticker.BTCUSDT", [BookTicker(7, "1.0", "2.0", "1.1", "3.0", 99)])
    topic, _, body = frame.partition(b" ")
    assert topic == b"binance.book_ticker.BTCUSDT"
    assert msgspec.msgpack.decode(body) == [4, 0, 0, 1, 7, 7, 0, [[7, "1.0", "2.0", "1.1", "3.0", 99]]]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_wire_error(frame: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        header = wire.read_header(frame)
        wire.decode_events(frame, header)


@given(TRADES, st.data())
def test_a_damaged_batch_is_a_wire_error_or_events(trades: list[Trade], data: st.DataObject) -> None:
    frame = bytearray(wire.encode_batch("t", trades))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(wire.WireError):
        wire.decode_events(bytes(frame), wire.read_header(bytes(frame)))


def test_an_unknown_schema_is_named() -> None:
    frame = wire.encode_batch("t", [Trade(1, "", "", True, 1, 1, 1)])
    header = msgspec.structs.replace(wire.read_header(frame), schema=9999)
    with pytest.raises(wire.WireError, match="unknown schema 9999"):
        wire.decode_events(frame, header)


def test_the_newest_receive_time_is_read_without_decoding() -> None:
    at_ns = 1_795_519_162_616_442_988
    frame = wire.encode_batch("t", [DepthUpdate(1, 2, [("1", "2")], [], 5, at_ns)])
    assert wire.newest_received_ns(frame) == at_ns
    assert wire.newest_received_ns(b"t short") is None
