"""Owns the published bytes: one ZeroMQ frame a batch. Nothing else encodes or decodes events.

``topic``, one space, then one MessagePack array of eight:
``[schema, epoch, sequence, count, first_id, last_id, publish_ns, events]``. The seven leading values have
a fixed width, so a batch is stamped by writing one packed struct before the untouched bytes of ``events``.
``events`` is an array of arrays in the field order of the schema's type (``k2workers.events``). A schema number above
``LATE`` says that the events fill a gap announced before.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from k2workers.errors import K2Error
from k2workers.events import LATE, SCHEMA_OF, SCHEMAS, Backfilled, Event

# array of 8; uint16 schema; uint64 epoch; uint64 sequence; uint32 count; int64 first; int64 last; uint64 time
_HEADER = struct.Struct(">BBHBQBQBIBqBqBQ")
_NUMBERS, _NUMBERS_AT = struct.Struct(">QBQ"), struct.calcsize(">BBHB")
"""Epoch and sequence, and where they are in the header."""

_TIME, _TIME_AT = struct.Struct(">Q"), struct.calcsize(">BBHBQBQBIBqBqB")
_ARRAY_8, _U16, _U32, _U64, _I64 = 0x98, 0xCD, 0xCE, 0xCF, 0xD3
_SPACE = 0x20

_encode_events = msgspec.msgpack.Encoder().encode
_decoders = {
    number: msgspec.msgpack.Decoder(list[event_type])  # type: ignore[valid-type]
    for number, event_type in SCHEMAS.items()
}


class WireError(K2Error):
    """Bytes that are not a batch of ours: wrong version, another publisher, or damage."""


class Header(msgspec.Struct, frozen=True, gc=False):
    """The seven leading values of a batch, and where its events begin in the frame."""

    topic: str
    schema: int
    epoch: int
    sequence: int
    count: int
    first_id: int
    last_id: int
    publish_ns: int
    events_offset: int


def encode_batch(topic: str, events: Sequence[Event]) -> bytes:
    """A batch of consecutive events of one topic and one type, not yet stamped (sequence and time are 0).

    ``Backfilled`` events must all hold the same type.
    """
    schema = SCHEMA_OF.get(type(events[0]))
    if schema is None:
        events = [late.event for late in events if isinstance(late, Backfilled)]
        schema = LATE + SCHEMA_OF[type(events[0])]
    header = _HEADER.pack(
        _ARRAY_8, _U16, schema, _U64, 0, _U64, 0, _U32, len(events),
        _I64, events[0].first_id, _I64, events[-1].last_id, _U64, 0,
    )  # fmt: skip
    return topic.encode() + b" " + header + _encode_events(events)


def stamp(frame: bytes, header: Header, *, epoch: int, sequence: int, publish_ns: int) -> bytes:
    """The same batch with the publisher's numbers; nothing else is touched."""
    begin = header.events_offset - _HEADER.size
    buffer = bytearray(frame)
    _NUMBERS.pack_into(buffer, begin + _NUMBERS_AT, epoch, _U64, sequence)
    _TIME.pack_into(buffer, begin + _TIME_AT, publish_ns)
    return bytes(buffer)


def read_header(frame: bytes) -> Header:
    """The leading values of a batch. Raises WireError if the bytes are not one."""
    space = frame.find(_SPACE)
    try:
        (array, t1, schema, t2, epoch, t3, sequence, t4, count, t5, first_id, t6, last_id, t7, publish_ns) = (
            _HEADER.unpack_from(frame, space + 1)
        )
        topic = frame[:space].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"not a batch of {len(frame)} bytes: {error}") from None
    if space < 1 or (array, t1, t2, t3, t4, t5, t6, t7) != (_ARRAY_8, _U16, _U64, _U64, _U32, _I64, _I64, _U64):
        raise WireError(f"not a batch: {frame[:64]!r}")
    return Header(topic, schema, epoch, sequence, count, first_id, last_id, publish_ns, space + 1 + _HEADER.size)


def decode_events(frame: bytes, header: Header) -> list[Event]:
    """The typed events of a batch. Raises WireError for an unknown schema or damaged bytes."""
    late = header.schema > LATE
    decoder = _decoders.get(header.schema - LATE if late else header.schema)
    if decoder is None:
        raise WireError(f"unknown schema {header.schema} on topic {header.topic}; known are {sorted(_decoders)}")
    try:
        events = decoder.decode(memoryview(frame)[header.events_offset :])
    except ValueError as error:  # msgspec's own errors and those of invalid UTF-8
        raise WireError(f"damaged events on topic {header.topic}: {error}") from None
    return [Backfilled(event) for event in events] if late else events


def newest_received_ns(frame: bytes) -> int | None:
    """When the last event of a batch was read from its socket, without decoding: its last field is a uint64 of ns.

    Every event type ends with the time we learned of it, and MessagePack writes such a number in nine bytes.
    """
    if len(frame) < _HEADER.size or frame[-9] != _U64:
        return None
    return int.from_bytes(frame[-8:])
