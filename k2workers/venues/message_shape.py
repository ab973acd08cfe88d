"""Owns how a venue's messages are written, byte for byte: what lets the native lane read the plain ones. Pure; knows no venue.

A shape says less than the message's Struct and more than JSON: in which order the keys stand, and nothing between them. A message that is written
otherwise is read through its Struct, as every message is where there is no native lane.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from k2workers.errors import StateError
from k2workers.events import Event


class Item(enum.IntEnum):
    """What a part of a shape is; the numbers are those of ``native/lane.h``."""

    LITERAL = 0
    SYMBOL = 1
    ID = 2
    TIME = 3
    FLAG = 4
    SKIPPED_FLAG = 5
    """A flag that no event has."""
    DECIMAL = 6
    LEVELS = 7
    PREDECESSOR = 8
    """An id; an event has the one after it."""


RECEIVED = -1
"""The slot of the time of the read, which no message holds."""


class ShapePart(NamedTuple):
    """One literal or field. ``slot`` numbers the fields (-1: none); a time is between ``low`` and ``high`` in units of ``unit_ns``."""

    item: Item
    slot: int = -1
    literal: bytes = b""
    low: int = 0
    high: int = 0
    unit_ns: int = 0


class TimeUnit(NamedTuple):
    """What a time of the venue may be, and the ns of one unit of it."""

    low: int
    high: int
    unit_ns: int


class MessageShape(msgspec.Struct, frozen=True):
    """What follows the stream's name in a message, and which slot holds each field of the event, by name and in order."""

    event_type: type[Event]
    parts: tuple[ShapePart, ...]
    slots: dict[str, int]


class PlainStream(msgspec.Struct, frozen=True):
    """A stream whose messages have a shape, with the index of its topic."""

    name: str
    symbol: str
    topic_index: int
    shape: MessageShape


class Written(msgspec.Struct, frozen=True):
    """How the messages of a codec's streams are written: the bytes before each stream's name, and the streams that have a shape."""

    prefix: bytes
    streams: Sequence[PlainStream]


NOTHING_WRITTEN = Written(b"", ())
"""Of a codec that has no shapes: Python reads all of its messages."""

_FIELD = re.compile(r"<(\w*)>")


def message_shape(
    before: str, text: str, behind: str, items: Mapping[str, Item], event_type: type[Event], time: TimeUnit
) -> MessageShape:
    """The shape of a message from its text, in which ``<name>`` stands for the field of this name and ``<>`` for a flag that no event has.

    ``items`` says what each field is. A field of the event is the message's of the same name; of a time, which ends with ``_ns``
    there, without that. Raises StateError for a field that the text lacks.
    """
    parts: list[ShapePart] = []
    slot_of: dict[str, int] = {}
    for place, piece in enumerate(_FIELD.split(before + text + behind)):
        if place % 2 == 0:
            if piece:
                parts.append(ShapePart(Item.LITERAL, literal=piece.encode()))
        elif not piece:
            parts.append(ShapePart(Item.SKIPPED_FLAG))
        elif items[piece] is Item.SYMBOL:
            parts.append(ShapePart(Item.SYMBOL))
        else:
            slot = slot_of[piece] = len(slot_of)
            bounds = time if items[piece] is Item.TIME else ()
            parts.append(ShapePart(items[piece], slot, b"", *bounds))
    slots = {name: _slot_of(name, slot_of, event_type) for name in event_type.__struct_fields__}
    return MessageShape(event_type, tuple(parts), slots)


def _slot_of(name: str, slot_of: Mapping[str, int], event_type: type[Event]) -> int:
    if name == "received_ns":
        return RECEIVED
    slot = slot_of.get(name, slot_of.get(name.removesuffix("_ns")))
    if slot is None:
        raise StateError(f"the shape of {event_type.__name__} lacks {name}")
    return slot
