"""Owns rows as columns of Arrow, and back, exactly. Knows no file.

Prices and quantities become decimals, which are integers with one scale for the column, if all of a table's texts have the same number of decimals, as
those of one symbol nearly always do; then the text is back when the decimal is written with its scale. Otherwise they stay texts. All times are ns since 1970.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from k2workers.event import FIRST_OF, LAST_OF, Level
from k2workers.events import ROW_OF, Backfilled, Event, Gap, GivenUp, Reset, Void
from k2workers.recording.row import Kept, Loss, Restart, Row

DIGITS = (18, 38)
"""What decimals are tried with: 18 fit into 64 bits."""

_RECORDED: tuple[type[Kept], ...] = (*ROW_OF, Loss, Restart)
_TYPES = {kind.__name__: kind for kind in _RECORDED}
_MARKS = (Gap, Void, GivenUp, Reset, Loss, Restart)
"""What is no event of the venue: its fields have columns that every file has."""

_DATA = tuple(row.type for row in ROW_OF.values() if row.type not in _MARKS)
_LEARNED: dict[type[Kept], str] = {
    **{kind: row.learned for kind, row in ROW_OF.items()},
    Loss: "at_ns",
    Restart: "at_ns",
}
_OTHERS = {"received_ns": "newest_received_ns"}
"""Columns of fields that are called like one of every topic, and are not when we learned of the event: of the newest change in a book."""

_FIELDS = {kind: {field.name: field.type for field in msgspec.structs.fields(kind)} for kind in _RECORDED}


def table_of(rows: Sequence[Row]) -> pa.Table:
    """The rows of one topic as a table: what every topic has, then the fields of its events."""
    kept = [row.event for row in rows]
    kinds = set(map(type, kept))
    marks = [event if isinstance(event, _MARKS) else None for event in kept] if kinds.intersection(_MARKS) else []
    sequences = [of.first_sequence if isinstance(of, Loss) else number for number, _, of in rows]
    columns: dict[str, pa.Array] = {
        "type": pa.array([type(event).__name__ for event in kept], pa.string()),
        "late": pa.array([type(row.of) is Backfilled for row in rows], pa.bool_()),
        "sequence": pa.array(sequences, pa.int64()),
        "last_sequence": _of_marks(marks, len(rows), lambda mark: getattr(mark, "last_sequence", None)),
        "publish_ns": pa.array([publish_ns for _, publish_ns, _ in rows], pa.int64()),
        "first_id": _of_marks(marks, len(rows), lambda mark: _end_of(FIRST_OF, "first_id", mark)),
        "last_id": _of_marks(marks, len(rows), lambda mark: _end_of(LAST_OF, "last_id", mark)),
        "cause": _of_marks(marks, len(rows), lambda mark: getattr(mark, "cause", None), pa.string()),
    }
    for name, hint in _fields_of(kinds).items():
        columns[_OTHERS.get(name, name)] = _column([getattr(event, name, None) for event in kept], hint)
    columns["received_ns"] = pa.array(_learned(kept, kinds), pa.int64())
    return pa.table(columns)


class Stretch(NamedTuple):
    """Consecutive rows of one topic: a list for each part of a ``Row``, and when we learned of each. Before each of ``ends`` the rows are of one
    type, all of them late or none, and all of them the recorder's own or none.
    """

    of: list[Kept]
    sequences: list[int | None]
    published: list[int | None]
    taken_ns: list[int]
    ends: list[int]

    def rows(self) -> Iterator[Row]:
        """The same as rows."""
        return map(Row, self.sequences, self.published, self.of)

    def times(self, not_before_ns: int) -> list[int]:
        """When each row has its place: where a time goes back, that of the row before counts, and so it does for what was fetched later.

        What the recorder says for itself it may have said long after what follows was published: it comes with that at the latest.
        """
        times = self.taken_ns
        if None in self.sequences:
            times, following_ns = list[int](), 0
            for row, taken_ns in zip(reversed([*self.rows()]), reversed(self.taken_ns), strict=True):
                if row.timed:
                    following_ns = taken_ns
                times.append(0 if row.fetched else min(taken_ns, following_ns))
            times.reverse()
        if times and (times[0] < not_before_ns or times != sorted(times)):
            times = list(itertools.accumulate([max(times[0], not_before_ns), *times[1:]], max))
        return times


def stretch_of(batch: pa.RecordBatch) -> Stretch:
    """The rows again. Raises KeyError, ValueError or TypeError for what is no such table."""
    columns, of, begin = _Columns(batch), list[Kept](), 0
    ends = _ends(batch)
    for end in ends:
        made = columns.made(_TYPES[batch.column("type")[begin].as_py()], begin, end)
        of += map(Backfilled, made) if batch.column("late")[begin].as_py() else made
        begin = end
    published, sequences = columns["publish_ns"], columns["sequence"]
    if None in published:
        sequences = [None if at_ns is None else number for at_ns, number in zip(published, sequences, strict=True)]
    return Stretch(of, sequences, published, columns["received_ns"], ends)


def _end_of(ends: dict[type[Event], Callable[[Event], int]], name: str, mark: Any) -> int | None:
    read = ends.get(type(mark))
    return read(mark) if read is not None else getattr(mark, name, None)


def _of_marks(marks: list[Any], count: int, value: Callable[[Any], Any], kind: Any = None) -> pa.Array:
    kind = pa.int64() if kind is None else kind
    if not marks:
        return pa.nulls(count, kind)
    return pa.array([None if mark is None else value(mark) for mark in marks], kind)


def _fields_of(kinds: set[type[Any]]) -> dict[str, Any]:
    """The fields of these types of events that are no column of every topic, in their order."""
    found: dict[str, Any] = {}
    for kind in (each for each in _DATA if each in kinds):
        found |= {name: hint for name, hint in _FIELDS[kind].items() if name != _LEARNED[kind]}
    return found


def _learned(kept: list[Kept], kinds: set[type[Any]]) -> list[int]:
    names = {_LEARNED[kind] for kind in kinds}
    if len(names) == 1:
        return list(map(attrgetter(names.pop()), kept))
    return [getattr(event, _LEARNED[type(event)]) for event in kept]


# ── one column ──────────────────────────────────────────────────────────────────────────────────────────────


def _column(values: list[Any], hint: Any) -> pa.Array:
    if hint is int:
        return _integers(values)
    if hint is bool:
        return pa.array(values, pa.bool_())
    if hint in (str, str | None):
        return _decimals(pa.array(values, pa.string()))
    if hint == list[Level]:
        return _levels(values)
    return pa.array([None if value is None else msgspec.json.encode(value).decode() for value in values], pa.string())


def _integers(values: list[int | None]) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:  # what a venue may send has no bound
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _levels(books: list[list[Level] | None]) -> pa.Array:
    offsets, at = [], 0
    for levels in books:
        offsets.append(None if levels is None else at)
        at += len(levels or ())
    flat = [level for levels in books for level in levels or ()]
    prices = _decimals(pa.array([price for price, _ in flat], pa.string()))
    quantities = _decimals(pa.array([quantity for _, quantity in flat], pa.string()))
    levels_of = pa.StructArray.from_arrays([prices, quantities], ["price", "quantity"])
    return pa.ListArray.from_arrays(pa.array([*offsets, at], pa.int32()), levels_of)


def _decimals(texts: pa.Array) -> pa.Array:
    """As decimals if each text follows from its number and the scale of the column."""
    known = next((text for text in texts if text.is_valid), None)
    if known is None:
        return texts
    scale = len(known.as_py().partition(".")[2])
    places = rf"\.[0-9]{{{scale}}}" if scale else ""
    form = rf"^-?(0|[1-9][0-9]*){places}$"
    if not _all(texts, form) or _any(texts, r"^-[0.]*$"):
        return texts
    for digits in DIGITS:
        try:
            return texts.cast(pa.decimal128(digits, scale))
        except pa.ArrowInvalid:
            continue
    return texts


def _all(texts: pa.Array, form: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, form)).as_py())


def _any(texts: pa.Array, form: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, form)).as_py())


# ── and back ────────────────────────────────────────────────────────────────────────────────────────────────


class _Columns:
    """The values of a table by column, each made when it is first asked for."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._made: dict[str, list[Any]] = {}

    def __getitem__(self, name: str) -> list[Any]:
        values = self._made.get(name)
        if values is None:
            values = self._made[name] = _values(self._batch.column(name))
        return values

    def made(self, kind: type[Any], begin: int, end: int) -> list[Any]:
        """The rows from ``begin`` to ``end``, which are of this type."""
        fields = []
        for name, hint in _FIELDS[kind].items():
            values = self[_source(kind, name)][begin:end]
            read = _reader(hint, values)
            fields.append(values if read is None else map(read, values))
        return list(map(kind, *fields))


def _ends(batch: pa.RecordBatch) -> list[int]:
    """Where rows end that are alike in type, in being late, and in being the recorder's own."""
    alike = batch.column("type"), batch.column("late"), batch.column("publish_ns").is_null()
    return sorted({end for column in alike for end in pc.run_end_encode(column).run_ends.to_pylist()})


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_decimal(column.type):
        texts: list[Any] = texts_of(column).to_pylist()
        return texts
    if pa.types.is_list(column.type):
        return _books(column)
    values: list[Any] = column.to_pylist()
    return values


def texts_of(decimals: pa.Array) -> pa.Array:
    """As the venue wrote them."""
    texts = decimals.cast(pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    # Arrow writes numbers below a millionth with an exponent.
    return pa.array(
        [format(Decimal(text), "f") if text is not None and "E" in text else text for text in texts.to_pylist()],
        pa.string(),
    )


def _books(column: pa.ListArray) -> list[list[Level] | None]:
    flat, offsets, valid = column.values, column.offsets.to_pylist(), column.is_valid().to_pylist()
    base = offsets[0]
    flat = flat.slice(base, offsets[-1] - base)
    levels = list(zip(_values(flat.field("price")), _values(flat.field("quantity")), strict=True))
    return [
        levels[begin - base : end - base] if there else None
        for begin, end, there in zip(offsets[:-1], offsets[1:], valid, strict=True)
    ]


def _reader(hint: Any, values: list[Any]) -> Callable[[Any], Any] | None:
    """What makes a field of what is in its column, if that is not the same."""
    if hint is int:
        return int if isinstance(next((value for value in values if value is not None), None), str) else None
    if hint in (bool, str, str | None, int | None) or hint == list[Level]:
        return None
    return msgspec.json.Decoder(hint).decode


def _source(kind: type[Any], name: str) -> str:
    """The column in which a field of a type is."""
    if name == _LEARNED[kind]:
        return "received_ns"
    if name in _OTHERS:
        return _OTHERS[name]
    if kind is Loss:
        return {"first_sequence": "sequence"}.get(name, name)
    row = ROW_OF.get(kind)
    if row is not None and kind in _MARKS:
        return {row.first: "first_id", row.last: "last_id"}.get(name, name)
    return name
