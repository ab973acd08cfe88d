"""How Binance writes its messages: as recorded, and as the stand-in, which has texts of its own, writes them."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from k2workers.venues.binance.messages import MESSAGE_OF, KlineMessage
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.written import TEXTS, shape_of
from k2workers.venues.message_shape import RECEIVED, Item
from k2workers.venues.venue import Outcome
from tests.bench.frames import frames, symbols


def test_every_text_holds_every_field_of_its_event() -> None:
    for message in TEXTS:
        shape = shape_of(message, 1_000)
        assert shape is not None
        assert shape.event_type is message.made
        assert set(shape.slots) == set(message.made.__struct_fields__)
        assert [name for name, slot in shape.slots.items() if slot == RECEIVED] == ["received_ns"]
        fields = {known.name for known in msgspec.structs.fields(message)}
        slots = [part.slot for part in shape.parts if part.slot >= 0]
        assert sorted(slots) == list(range(len(slots)))
        assert len(slots) == len(fields - {"symbol"})


def test_a_kind_without_a_text_has_no_shape() -> None:
    assert shape_of(KlineMessage, 1_000) is None


def test_times_have_the_bounds_of_their_unit() -> None:
    for unit_ns, digits in ((1_000, 16), (1_000_000, 13)):
        shape = shape_of(next(iter(TEXTS)), unit_ns)
        assert shape is not None
        times = [part for part in shape.parts if part.item is Item.TIME]
        assert {(len(str(part.low)), len(str(part.high)), part.unit_ns) for part in times} == {
            (digits, digits, unit_ns)
        }


@pytest.mark.parametrize("kind", ["trade", "agg_trade", "book_ticker", "depth"])
def test_the_codec_tells_of_each_stream_how_it_is_written(kind: str) -> None:
    venue = BinanceSpot()
    names = symbols(2)
    codec = venue.codec(venue.stream_specs([kind], names))
    written = codec.written
    assert [(stream.symbol, stream.topic_index) for stream in written.streams] == [(names[0], 0), (names[1], 1)]
    assert all(stream.shape.event_type in MESSAGE_OF for stream in written.streams)
    for data, stream in zip(frames(kind, names, 2), written.streams, strict=True):
        text = data[2:] if data[1] < 126 else data[4:]
        assert text.startswith(written.prefix + stream.name.encode())
        literals = [part.literal for part in stream.shape.parts if part.item is Item.LITERAL]
        at = len(written.prefix) + len(stream.name.encode())
        assert text[at:].startswith(literals[0])
        for earlier, later in itertools.pairwise(literals):
            at = text.index(earlier, at) + len(earlier)
            assert later in text[at:]


def test_a_codec_that_learns_another_unit_of_time_tells_it() -> None:
    venue = BinanceSpot()
    codec = venue.codec(venue.stream_specs(["trade"], ["AUSDT"]))
    before = codec.written
    (data,) = frames("trade", ["AUSDT"], 1, time_unit_us=1_000)
    assert codec.decode(data[4:], 1, []) is Outcome.EVENTS
    assert codec.written is not before
    units = {part.unit_ns for stream in codec.written.streams for part in stream.shape.parts if part.item is Item.TIME}
    assert units == {1_000_000}


def test_streams_that_are_added_are_told_too() -> None:
    venue = BinanceSpot()
    codec = venue.codec(venue.stream_specs(["trade"], ["AUSDT"]))
    codec.add(venue.stream_specs(["kline_1m", "book_ticker"], ["AUSDT"]))
    assert [stream.name for stream in codec.written.streams] == ["ausdt@trade", "ausdt@bookTicker"]
