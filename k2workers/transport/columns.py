"""Owns a batch as columns: one sequence a field instead of one object an event. Pure; ``column_reader.py`` makes them from bytes where numpy is.

Each column is made when it is asked for: a program that reads three fields of nine pays for three.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from k2workers import wire
from k2workers.events import DATA_SCHEMAS, SCHEMAS, Event
from k2workers.transport.deliveries import Column, MessageBatch, MessageColumns, Rows

_DECIMALS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:\n-?[0-9]+(?:\.[0-9]+)?)*")
"""Plain ones, a line each. Of any other form (an exponent, an empty one) the text itself is the only exact value."""

_FEW_DIGITS = 18
"""So many always fit into 64 bits, a point among them or not."""

_TYPES = frozenset(SCHEMAS[schema] for schema in DATA_SCHEMAS)
WORDS = frozenset({
    "contract_type", "interval", "order_type", "origin", "pair", "side", "state", "status", "time_in_force",
})  # fmt: skip
"""Fields that are text and no number, also where all of it is digits."""

Read = Callable[[bytes, wire.Header], Rows | None]
"""Columns from the bytes of a batch; None if it must be decoded."""


class Arrays(Protocol):
    """What makes typed sequences of Python's own values: numpy's arrays, or the standard library's."""

    def integers(self, values: list[int]) -> Any:
        """Of 64 bits. Raises OverflowError if one does not fit."""

    def lines(self, digits: str) -> Any:
        """The same of texts, a line each: plain digits, that fit."""

    def flags(self, values: list[bool]) -> Any:
        """Of true and false."""


class StandardArrays:
    """``array.array`` and lists, where numpy is not installed."""

    def integers(self, values: list[int]) -> Any:
        """Of 64 bits."""
        return array("q", values)

    def lines(self, digits: str) -> Any:
        """The same of texts."""
        return array("q", map(int, digits.split("\n")))

    def flags(self, values: list[bool]) -> Any:
        """As they are."""
        return values


class EventRows(msgspec.Struct, frozen=True, gc=False):
    """Columns of events that are here as events already."""

    of: list[Event]
    arrays: Arrays

    def column(self, field: str) -> Column:
        """One of them."""
        values = list(map(attrgetter(field), self.of))
        kinds = set(map(type, values))
        try:
            if kinds == {int}:
                return self.arrays.integers(values), None
            if kinds == {bool}:
                return self.arrays.flags(values), None
            if kinds == {str} and field not in WORDS:
                if (decimals := _common_decimals(values)) is not None:
                    return self.arrays.lines("\n".join(values).replace(".", "")), decimals
                if (scaled := _scaled(values)) is not None:
                    return self.arrays.integers(scaled[0]), scaled[1]
        except OverflowError:
            pass  # as they are
        return values, None

    def events(self) -> list[Event]:
        """They themselves."""
        return self.of


def columns_of(batch: MessageBatch, arrays: Arrays) -> MessageColumns | None:
    """A batch as columns; None if its events are none of the venue's data (a gap, a book, a late one …), which come one by one."""
    event_type = type(batch.events[0])
    if event_type not in _TYPES:
        return None
    rows = EventRows(batch.events, arrays)
    return MessageColumns(
        batch.topic, batch.sequence, batch.publish_ns, batch.continuity, event_type, len(batch.events), rows
    )


def _common_decimals(texts: Sequence[str]) -> int | None:
    """The number of decimals if all texts have as many, at least one, of few digits and no sign: as a venue's nearly always are. Else None."""
    decimals = len(texts[0]) - texts[0].find(".") - 1
    point, joined = -decimals - 1, "".join(texts)
    alike = (
        joined.count(".") == len(texts)
        and decimals + 1 < min(map(len, texts))
        and max(map(len, texts)) <= _FEW_DIGITS
        and {text[point] for text in texts} == {"."}
        and joined.isascii()
        and joined.replace(".", "").isdigit()
        and point < -1
    )
    return decimals if alike else None


def _scaled(texts: Sequence[str]) -> tuple[list[int], int] | None:
    """The integers and their number of decimals; None if not all are plain decimals."""
    joined = "\n".join(texts)
    if _DECIMALS.fullmatch(joined) is None or joined.count("\n") != len(texts) - 1:
        return None
    places = [len(text) - text.find(".") - 1 if "." in text else 0 for text in texts]
    most = max(places)
    integers = map(int, joined.replace(".", "").split("\n"))
    return [integer * 10 ** (most - have) for integer, have in zip(integers, places, strict=True)], most
