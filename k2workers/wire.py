"""Owns the bytes of batches: as workers hand them over, and as they are published. Nothing else encodes or decodes events.

Published, one ZeroMQ frame a batch: ``topic``, one space, then one MessagePack array of eight:
``[schema, epoch, sequence, count, first_id, last_id, publish_ns, events]``. The seven leading values have
a fixed width, so a batch is published by putting one packed struct before the untouched bytes of ``events``.
``events`` is an array of arrays in the field order of the schema's type (``k2workers.events``). A schema number above
``LATE`` says that the events fill a gap announced before.

From a worker to the aggregator, one frame a bundle: the MessagePack array of its batches, each an array in the field order of
``Batch``. A frame for each batch cost both sides 8 µs a batch more; opaque bytes for the events cost the aggregator, which
all shards share, nothing for each event.
"""

from __future__ import annotations

import itertools
import operator
import struct
from collections.abc import Callable, Iterable, Sequence

import msgspec

from k2workers.errors import K2Error
from k2workers.events import IDS_OF, LATE, SCHEMA_OF, SCHEMAS, Backfilled, Event

# array of 8 and uint16; schema; uint64 epoch; uint64 sequence; uint32 count; int64 first; int64 last; uint64 time
_HEADER = struct.Struct(">HHBQBQBIBqBqBQ")
_ARRAY_8_U16, _U32, _U64, _I64 = 0x98CD, 0xCE, 0xCF, 0xD3
_SPACE = 0x20
_SHORT_ARRAY, _LONG_ARRAY, _VERY_LONG_ARRAY = 0x90, 0xDC, 0xDD
"""First bytes of MessagePack arrays: of up to 15 elements (count in the same byte), of up to 65,535, of more."""

_encode = msgspec.msgpack.Encoder().encode
_decode_of: dict[int, Callable[[bytes | memoryview], list[Event]]] = {
    number: msgspec.msgpack.Decoder(list[event_type]).decode  # type: ignore[valid-type]
    for number, event_type in SCHEMAS.items()
}


_IDS = (operator.attrgetter("first_id"), operator.attrgetter("last_id"))
"""How to read the first and last id of any event."""


class WireError(K2Error):
    """Bytes that are not a batch of ours: wrong version, another publisher, or damage."""

    blame = "feed"


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive events of one topic and one type, not published yet. ``events`` is their MessagePack array."""

    topic: str
    schema: int
    count: int
    first_id: int
    last_id: int
    events: bytes


_decode_batches = msgspec.msgpack.Decoder(list[Batch]).decode


class Header(msgspec.Struct, frozen=True, gc=False):
    """The seven leading values of a published batch, and where its events begin in the frame."""

    topic: str
    schema: int
    epoch: int
    sequence: int
    count: int
    first_id: int
    last_id: int
    publish_ns: int
    events_offset: int


# ── from a worker to the aggregator ─────────────────────────────────────────────────────────────────────────


def batch_of(topic: str, events: Sequence[Event]) -> Batch:
    """A batch of these. ``Backfilled`` events must all hold the same type."""
    event_type = type(events[0])
    schema = SCHEMA_OF.get(event_type)
    if schema is None:
        events = [late.event for late in events if isinstance(late, Backfilled)]
        event_type = type(events[0])
        schema = LATE + SCHEMA_OF[event_type]
    first_of, last_of = IDS_OF.get(event_type, _IDS)
    return Batch(topic, schema, len(events), first_of(events[0]), last_of(events[-1]), _encode(events))


def encode_bundle(batches: Sequence[Batch]) -> bytes:
    """The bytes of a bundle."""
    return _encode(batches)


def decode_bundle(data: bytes | memoryview) -> list[Batch]:
    """The batches of a bundle, which keep no view of it. Raises WireError."""
    try:
        return _decode_batches(data)
    except ValueError as error:  # msgspec's own errors and those of invalid UTF-8
        raise WireError(f"not a bundle of {len(data)} bytes: {error}") from None


def decode_batch(batch: Batch) -> list[Event]:
    """The typed events of a batch. Raises WireError for an unknown schema or damaged bytes."""
    return _decode_events(batch.topic, batch.schema, batch.events)


def joined(batches: Iterable[Batch]) -> list[Batch]:
    """The same events of one topic in as few batches as their types allow; events are not decoded."""
    return [_join(list(run)) for _, run in itertools.groupby(batches, lambda batch: batch.schema)]


def _join(run: list[Batch]) -> Batch:
    if len(run) == 1:
        return run[0]
    count = sum(batch.count for batch in run)
    elements = b"".join([_array_head(count), *(batch.events[len(_array_head(batch.count)) :] for batch in run)])
    return Batch(run[0].topic, run[0].schema, count, run[0].first_id, run[-1].last_id, elements)


def _array_head(count: int) -> bytes:
    if count < 16:
        return bytes([_SHORT_ARRAY | count])
    if count < 2**16:
        return bytes([_LONG_ARRAY, *count.to_bytes(2)])
    return bytes([_VERY_LONG_ARRAY, *count.to_bytes(4)])


def newest_received_ns(batch: Batch) -> int | None:
    """When the last event of a batch was read from its socket, without decoding: its last field is a uint64 of ns.

    Every event type ends with the time we learned of it, and MessagePack writes such a number in nine bytes.
    """
    events = batch.events
    if len(events) < 9 or events[-9] != _U64:
        return None
    return int.from_bytes(events[-8:])


# ── from the aggregator to subscribers ──────────────────────────────────────────────────────────────────────


def publication(batch: Batch, *, epoch: int, sequence: int, publish_ns: int) -> bytes:
    """The frame to publish for this batch."""
    head = _HEADER.pack(
        _ARRAY_8_U16, batch.schema, _U64, epoch, _U64, sequence, _U32, batch.count,
        _I64, batch.first_id, _I64, batch.last_id, _U64, publish_ns,
    )  # fmt: skip
    return b"%b %b%b" % (batch.topic.encode(), head, batch.events)


def read_header(frame: bytes) -> Header:
    """The leading values of a published batch. Raises WireError if the bytes are not one."""
    space = frame.find(_SPACE)
    try:
        (start, schema, t2, epoch, t3, sequence, t4, count, t5, first_id, t6, last_id, t7, publish_ns) = (
            _HEADER.unpack_from(frame, space + 1)
        )
        topic = frame[:space].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"not a batch of {len(frame)} bytes: {error}") from None
    if not (start == _ARRAY_8_U16 and t2 == t3 == t7 == _U64 and t4 == _U32 and t5 == t6 == _I64 and topic):
        raise WireError(f"not a batch: {frame[:64]!r}")
    return Header(topic, schema, epoch, sequence, count, first_id, last_id, publish_ns, space + 1 + _HEADER.size)


def decode_events(frame: bytes, header: Header) -> list[Event]:
    """The typed events of a published batch. Raises WireError for an unknown schema or damaged bytes."""
    return _decode_events(header.topic, header.schema, memoryview(frame)[header.events_offset :])


def _decode_events(topic: str, schema: int, data: bytes | memoryview) -> list[Event]:
    decode = _decode_of.get(schema)
    try:
        if decode is not None:
            return decode(data)
        decode = _decode_of.get(schema - LATE)
        if decode is None or schema < LATE:
            raise WireError(f"unknown schema {schema} on topic {topic}; known are {sorted(_decode_of)}")
        return [Backfilled(event) for event in decode(data)]
    except ValueError as error:  # msgspec's own errors and those of invalid UTF-8
        raise WireError(f"damaged events on topic {topic}: {error}") from None
