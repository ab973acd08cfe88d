"""Owns the bytes of batches: as workers hand them over, and as they are published. Nothing else encodes or decodes events.

Published, one ZeroMQ frame a batch: ``topic``, one space, then one MessagePack array of nine:
``[schema, epoch, sequence, count, first_id, last_id, publish_ns, continuity, events]``. The eight leading values have
a fixed width, so a batch is published by putting one packed struct before the untouched bytes of ``events``.
``continuity`` says how the topic's ids follow each other (``k2workers.continuity``).
``events`` is an array of arrays in the field order of the schema's type (``k2workers.events``). A schema number above
``LATE`` says that the events fill a gap announced before.

From a worker to the aggregator, one frame a bundle: the MessagePack array of its batches, each an array in the field order of
``Batch``. A frame for each batch cost both sides 8 µs a batch more; opaque bytes for the events cost the aggregator, which
all shards share, nothing for each event.
"""

from __future__ import annotations

import enum
import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Union, cast

import msgspec

from k2workers.errors import K2Error
from k2workers.events import DATA_SCHEMAS, FIRST_OF, LAST_OF, LATE, SCHEMA_OF, SCHEMAS, Backfilled, Event

# array of 9 and uint16; schema; uint64 epoch; uint64 sequence; uint32 count; int64 first; int64 last; uint64 time; uint16
_HEADER = struct.Struct(">HHBQBQBIBqBqBQBH")
_ARRAY_8_U16, _ARRAY_9_U16, _U16, _U32, _U64, _I64 = 0x98CD, 0x99CD, 0xCD, 0xCE, 0xCF, 0xD3
_LEADS = (_ARRAY_9_U16, _U64, _U64, _U32, _I64, _I64, _U64, _U16)
_PLACE = struct.Struct(">5xQxQ24xQ")
"""Epoch, sequence and time of the same."""
_SPACE = 0x20
_SHORT_ARRAY, _LONG_ARRAY, _VERY_LONG_ARRAY = 0x90, 0xDC, 0xDD
"""First bytes of MessagePack arrays: of up to 15 elements (count in the same byte), of up to 65,535, of more."""

_encode = msgspec.msgpack.Encoder().encode


def _decoder(event_type: type[Event]) -> Callable[[bytes | memoryview], list[Event]]:
    return msgspec.msgpack.Decoder(list[event_type]).decode  # type: ignore[valid-type]


def _late_decoder(event_type: type[Event]) -> Callable[[bytes | memoryview], list[Event]]:
    decode = _decoder(event_type)
    return lambda data: [Backfilled(event) for event in decode(data)]


_decode_of = {number: _decoder(event_type) for number, event_type in SCHEMAS.items()} | {
    LATE + number: _late_decoder(event_type) for number, event_type in SCHEMAS.items()
}


_decode_one_of: dict[type[Event], Callable[[bytes], Event]] = {
    event_type: msgspec.msgpack.Decoder(event_type).decode for event_type in SCHEMA_OF
}


class WireError(K2Error):
    """Bytes that are not a batch of ours: wrong version, another publisher, or damage."""

    blame = "feed"


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive events of one topic and one type, not published yet. ``events`` is their MessagePack array.

    ``continuity`` is the number of the topic's ``Continuity``.
    """

    topic: str
    schema: int
    count: int
    first_id: int
    last_id: int
    continuity: int
    events: bytes


_decode_batches = msgspec.msgpack.Decoder(list[Batch]).decode


class Header(msgspec.Struct, frozen=True, gc=False):
    """The eight leading values of a published batch, and where its events begin in the frame."""

    topic: str
    schema: int
    epoch: int
    sequence: int
    count: int
    first_id: int
    last_id: int
    publish_ns: int
    continuity: int
    events_offset: int


class DataBatch(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """A published batch of what the venue sent, as ``decode_data`` reads it. Its schema is in its type, its topic stands before it."""

    epoch: int
    sequence: int
    count: int
    first_id: int
    last_id: int
    publish_ns: int
    continuity: int
    events: list[Event]


def _data_batch(schema: int) -> type[DataBatch]:
    """Of one type of events. The schema number comes first in the array, where msgspec expects what tells types apart."""
    event_type = SCHEMAS[schema]
    events = ("events", list[event_type])  # type: ignore[valid-type]
    return cast("type[DataBatch]", msgspec.defstruct(f"DataBatch{schema}", [events], bases=(DataBatch,), tag=schema))


# ── from a worker to the aggregator ─────────────────────────────────────────────────────────────────────────


def batch_of(topic: str, events: Sequence[Event], continuity: int) -> Batch:
    """A batch of these; the topic's continuity is given as its number. ``Backfilled`` events must all hold the same type."""
    event_type = type(events[0])
    schema = SCHEMA_OF.get(event_type)
    if schema is None:
        events = [late.event for late in events if isinstance(late, Backfilled)]
        event_type = type(events[0])
        schema = LATE + SCHEMA_OF[event_type]
    first_id, last_id = FIRST_OF[event_type](events[0]), LAST_OF[event_type](events[-1])
    return Batch(topic, schema, len(events), first_id, last_id, continuity, _encode(events))


class SendOutcome(enum.Enum):
    """What became of a bundle, and so what the caller does next."""

    SENT = enum.auto()
    """Handed to ZeroMQ, and kept until acknowledged. Nothing to do."""
    BACK_PRESSURED = enum.auto()
    """Kept, and sent in order as soon as the aggregator reads. The caller may carry on; it may also slow down."""
    REFUSED = enum.auto()
    """Dropped and counted: the bound on kept bytes is reached. The caller announces what must not be missing."""
    CLOSED = enum.auto()
    """The sender is closed; the bundle is dropped. The caller stops."""


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
    try:
        return _decode_of[batch.schema](batch.events)
    except (KeyError, ValueError) as error:
        raise _unreadable(batch.topic, batch.schema, error) from None


def decode_event(event_type: type[Event], data: bytes) -> Event:
    """One event of this type, as it stands in a batch that was encoded here."""
    return _decode_one_of[event_type](data)


def joined(batches: Iterable[Batch]) -> list[Batch]:
    """The same events of one topic in as few batches as their types allow; events are not decoded."""
    return [_join(list(run)) for _, run in itertools.groupby(batches, lambda batch: (batch.schema, batch.continuity))]


def _join(run: list[Batch]) -> Batch:
    if len(run) == 1:
        return run[0]
    count = sum(batch.count for batch in run)
    elements = b"".join([array_head(count), *(batch.events[len(array_head(batch.count)) :] for batch in run)])
    first, last = run[0], run[-1]
    return Batch(first.topic, first.schema, count, first.first_id, last.last_id, last.continuity, elements)


def array_head(count: int) -> bytes:
    """How the MessagePack array of so many elements begins."""
    if count < 16:
        return bytes([_SHORT_ARRAY | count])
    if count < 2**16:
        return bytes([_LONG_ARRAY, *count.to_bytes(2)])
    return bytes([_VERY_LONG_ARRAY, *count.to_bytes(4)])


def newest_received_ns(events: bytes) -> int | None:
    """When the last event of a batch was read from its socket, without decoding: its last field is a uint64 of ns. A bundle ends with such events too.

    Every event type ends with the time we learned of it (``events.EventRow.learned``), and MessagePack writes such a number in nine bytes.
    """
    if len(events) < 9 or events[-9] != _U64:
        return None
    return int.from_bytes(events[-8:])


# ── from the aggregator to subscribers ──────────────────────────────────────────────────────────────────────


def publication(batch: Batch, *, epoch: int, sequence: int, publish_ns: int) -> bytes:
    """The frame to publish for this batch."""
    head = _HEADER.pack(
        _ARRAY_9_U16, batch.schema, _U64, epoch, _U64, sequence, _U32, batch.count,
        _I64, batch.first_id, _I64, batch.last_id, _U64, publish_ns, _U16, batch.continuity,
    )  # fmt: skip
    return b"%b %b%b" % (batch.topic.encode(), head, batch.events)


def read_header(frame: bytes) -> Header:
    """The leading values of a published batch. Raises WireError if the bytes are not one."""
    space = frame.find(_SPACE)
    try:
        (
            start,
            schema,
            t2,
            epoch,
            t3,
            sequence,
            t4,
            count,
            t5,
            first_id,
            t6,
            last_id,
            t7,
            publish_ns,
            t8,
            continuity,
        ) = _HEADER.unpack_from(frame, space + 1)
        topic = frame[:space].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"not a batch of {len(frame)} bytes: {error}") from None
    leads = (start, t2, t3, t4, t5, t6, t7, t8)
    if start == _ARRAY_8_U16:
        raise WireError(f"a batch of another version of k2workers: {frame[:64]!r}")
    if leads != _LEADS or not topic:
        raise WireError(f"not a batch: {frame[:64]!r}")
    offset = space + 1 + _HEADER.size
    return Header(topic, schema, epoch, sequence, count, first_id, last_id, publish_ns, continuity, offset)


def read_place(frame: bytes) -> tuple[bytes, int, int, int]:
    """The topic, epoch, sequence and publish time of a published batch: a third of the time of ``read_header``. Raises WireError."""
    space = frame.find(_SPACE)
    try:
        epoch, sequence, publish_ns = _PLACE.unpack_from(frame, space + 1)
    except struct.error as error:
        raise WireError(f"not a batch of {len(frame)} bytes: {error}") from None
    if space < 1 or frame[space + 1] != _ARRAY_9_U16 >> 8:
        raise WireError(f"not a batch: {frame[:64]!r}")
    return frame[:space], epoch, sequence, publish_ns


def decode_events(frame: bytes, header: Header) -> list[Event]:
    """The typed events of a published batch. Raises WireError for an unknown schema or damaged bytes."""
    try:
        return _decode_of[header.schema](memoryview(frame)[header.events_offset :])
    except (KeyError, ValueError) as error:
        raise _unreadable(header.topic, header.schema, error) from None


decode_data: Callable[[bytes | memoryview], DataBatch] = msgspec.msgpack.Decoder(
    Union[tuple(map(_data_batch, sorted(DATA_SCHEMAS)))]  # noqa: UP007 - types that are made have no other form
).decode
"""Leading values and events of a published batch, without its topic, in one step: a third of what the two above take for a small one.

Raises ValueError for whatever is no batch of ``DATA_SCHEMAS``, and also for some that ``read_header`` explains better. The widths of the leading values
are not looked at. Not a function of ours around it: that call would cost a tenth.
"""


def _unreadable(topic: str, schema: int, error: KeyError | ValueError) -> WireError:
    if isinstance(error, KeyError):
        return WireError(f"unknown schema {schema} on topic {topic}; known are {sorted(SCHEMAS)}")
    return WireError(f"damaged events on topic {topic}: {error}")  # msgspec's own errors and those of invalid UTF-8
