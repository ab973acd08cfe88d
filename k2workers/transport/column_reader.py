"""Owns columns straight from the bytes of a batch, with numpy; nobody imports this module before somebody asks for columns. Pure.

The events of a batch mostly have their bytes at the same places: the same widths of numbers, prices with as many digits. Then the batch is a
table of bytes, and a column is a few of its bytes over all rows. What the places are is learned from the first event; whether all others fit is
asked of every byte in three steps over the whole table. A batch that does not fit is decoded as usual, and its columns made from its events.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from k2workers import wire
from k2workers.events import DATA_SCHEMAS, SCHEMAS, Event
from k2workers.transport.columns import WORDS
from k2workers.transport.deliveries import Column

MAX_LAYOUTS = 64
"""Layouts that are remembered, each of some 60 kB; past it all are learned anew."""

_TABLE_ROWS = 512
"""Up to so many events what bytes must be is kept for each of them: one long step instead of a short one an event."""

_MAX_DIGITS = 18
"""More may not fit into 64 bits."""

_INTEGERS = {0xCC: ">u1", 0xCD: ">u2", 0xCE: ">u4", 0xCF: ">u8", 0xD0: ">i1", 0xD1: ">i2", 0xD2: ">i4", 0xD3: ">i8"}
"""By the first byte of MessagePack's integers; one below 0x80 is its own value."""

_FALSE, _TRUE, _TEXT, _LAST_TEXT, _ZERO, _DOT = 0xC2, 0xC3, 0xA0, 0xBF, 0x30, 0x2E


class NumpyArrays:
    """Typed sequences of Python's own values."""

    def integers(self, values: list[int]) -> Any:
        """Of 64 bits."""
        return np.array(values, np.int64)

    def lines(self, digits: str) -> Any:
        """The same of texts."""
        return np.fromstring(digits, np.int64, sep="\n")

    def flags(self, values: list[bool]) -> Any:
        """Of true and false."""
        return np.array(values, np.bool_)


class _Layout:
    """Where the fields of one event are in its bytes, and what each byte may be: from ``low`` to ``low + span``."""

    def __init__(self, names: tuple[str, ...], row: bytes) -> None:
        self._row = row
        self._low, self._span = bytearray(row), bytearray(len(row))
        self.integers: dict[str, str] = {}
        """Fields with their form; they begin at ``_places``."""
        self._places: list[int] = []
        self.flags: dict[str, int] = {}
        self.decimals: dict[str, tuple[slice, Any, int]] = {}
        """Fields with their places, what a digit in each counts, and the number of decimals."""
        at = len(wire.array_head(len(names)))
        for name in names:
            at = self._learn(name, at)
        if at != len(row):
            raise ValueError("this is not where the event ends")
        self._end()

    def _learn(self, name: str, at: int) -> int:
        """Returns where the field ends. Raises ValueError or IndexError for one that has no fixed form."""
        first = self._row[at]
        if first < 0x80:
            self._low[at], self._span[at] = 0, 0x7F
            self._integer(name, at, ">u1")
            return at + 1
        if first in _INTEGERS:
            form = _INTEGERS[first]
            end = at + 1 + int(form[-1])
            self._low[at + 1 : end], self._span[at + 1 : end] = bytes(end - at - 1), b"\xff" * (end - at - 1)
            if form == ">u8":
                self._span[at + 1] = 0x7F  # what is higher has no place in int64
            self._integer(name, at + 1, form)
            return end
        if first in (_FALSE, _TRUE):
            self._low[at], self._span[at] = _FALSE, 1
            self.flags[name] = at
            return at + 1
        if _TEXT < first <= _LAST_TEXT:
            return self._learn_decimal(name, at + 1, at + 1 + first - _TEXT)
        raise ValueError("a field that may have any length")

    def _integer(self, name: str, place: int, form: str) -> None:
        self.integers[name] = form
        self._places.append(place)

    def _learn_decimal(self, name: str, start: int, end: int) -> int:
        whole, dot, part = self._row[start:end].partition(b".")
        digits = len(whole + part)
        if not whole.isdigit() or digits > _MAX_DIGITS or (dot and not part.isdigit()):
            raise ValueError("no plain decimal")
        weights = np.zeros(end - start, np.int64)
        for at in range(start, end):
            if self._row[at] != _DOT:
                digits -= 1
                weights[at - start] = 10**digits
                self._low[at], self._span[at] = _ZERO, 9
        self.decimals[name] = slice(start, end), weights, len(part)
        return end

    def _end(self) -> None:
        self.fixed = operator.itemgetter(*(at for at, span in enumerate(self._span) if not span))
        """The bytes that are the same in every event, and tell where its fields are."""
        self.here = self.fixed(self._row)
        self._lows = np.tile(np.frombuffer(bytes(self._low), np.uint8), _TABLE_ROWS)
        self._spans = np.tile(np.frombuffer(bytes(self._span), np.uint8), _TABLE_ROWS)
        self._span_bytes = self._spans.tobytes()
        self.record = np.dtype(
            {
                "names": list(self.integers),
                "formats": list(self.integers.values()),
                "offsets": self._places,
                "itemsize": len(self._row),
            }
        )

    def table(self, data: Any, count: int) -> Any:
        """The bytes of so many events, each less the lowest that it may be: digits count from 0, flags are 0 or 1. None if one does not fit."""
        if count > _TABLE_ROWS:
            above = data.reshape(count, -1) - self._lows[: len(self._row)]
            return above if (above <= self._spans[: len(self._row)]).all() else None
        above = data - self._lows[: len(data)]
        # Half the time of two steps of numpy's that ask the same.
        highest = np.maximum(above, self._spans[: len(data)]).tobytes()
        return above.reshape(count, -1) if self._span_bytes.startswith(highest) else None


class ByteRows(msgspec.Struct, gc=False):
    """Columns of a batch that is a table of bytes."""

    layout: _Layout
    header: wire.Header
    frame: bytes
    start: int
    table: Any
    records: Any = None

    def column(self, field: str) -> Column:
        """From its bytes in all rows."""
        layout = self.layout
        decimal = layout.decimals.get(field)
        if decimal is not None:
            digits, weights, decimals = decimal
            return self.table[:, digits].dot(weights), decimals
        if field in layout.flags:
            return self.table[:, layout.flags[field]].astype(np.bool_), None
        if self.records is None:
            self.records = np.frombuffer(self.frame, layout.record, self.header.count, self.start)
        return self.records[field].astype(np.int64), None

    def events(self) -> list[Event]:
        """Decoded now."""
        return wire.decode_events(self.frame, self.header)


class ColumnReader:
    """``read`` the columns of a published batch."""

    def __init__(self) -> None:
        self._names = dict(_readable_types())
        self._layouts: dict[tuple[int, int], list[_Layout]] = {}

    def read(self, frame: bytes, header: wire.Header) -> ByteRows | None:
        """None if the events do not all have their bytes at the same places: decode them."""
        names, count = self._names.get(header.schema), header.count
        if names is None or not count:
            return None
        head = wire.array_head(count)
        start = header.events_offset + len(head)
        length, rest = divmod(len(frame) - start, count)
        if rest or not length or not frame.startswith(head, header.events_offset):
            return None
        layout = self._layout(header.schema, names, frame[start : start + length])
        if layout is None:
            return None
        table = layout.table(np.frombuffer(frame, np.uint8, -1, start), count)
        return ByteRows(layout, header, frame, start, table) if table is not None else None

    def _layout(self, schema: int, names: tuple[str, ...], row: bytes) -> _Layout | None:
        known = self._layouts.get((schema, len(row)), [])
        for layout in known:
            if layout.fixed(row) == layout.here:
                return layout
        if not row.startswith(wire.array_head(len(names))):
            return None
        try:
            layout = _Layout(names, row)
        except (ValueError, IndexError):
            return None
        if sum(map(len, self._layouts.values())) >= MAX_LAYOUTS:
            self._layouts.clear()
        self._layouts.setdefault((schema, len(row)), []).append(layout)
        return layout


def _readable_types() -> Iterator[tuple[int, tuple[str, ...]]]:
    """Types of events that hold nothing but integers, flags and decimals, with their fields."""
    for schema in DATA_SCHEMAS:
        fields = msgspec.structs.fields(SCHEMAS[schema])
        if all(field.type in (int, bool, str) and field.name not in WORDS for field in fields):
            yield schema, SCHEMAS[schema].__struct_fields__
