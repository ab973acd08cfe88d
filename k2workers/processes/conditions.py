"""Owns which events a reader wants to see: conditions on their fields, as in ``quantity>=1``. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from k2workers.events import ROW_OF, TABLE, Backfilled, Event, Part
from k2workers.transport.items import Message

_ABOUT = ("topic", "symbol", "type", "sequence", "publish_ns")
"""What a condition may also name: facts about any event."""

_PLAIN = (str, int, float, bool, str | None, int | None, float | None)

FIELDS = frozenset(
    field.name for row in TABLE for field in msgspec.structs.fields(row.type) if field.type in _PLAIN
).union(_ABOUT)
"""Fields of events that have one value, and what is a fact about any event."""

_TEXTS = frozenset({"topic", "symbol", "type"})
"""These have no order."""

TYPES = frozenset(row.type.__name__ for row in TABLE) | {Backfilled.__name__}
"""What ``type`` may be."""

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip

_SAYS = frozenset({Part.GAP, Part.VOID, Part.GIVEN_UP, Part.RESET})
"""What the feed itself says of ids: it has no prices, and whoever looks for some is to learn that they may be missing."""

ALLOWED = "FIELD=VALUE (or several values between commas), FIELD!=VALUE, or FIELD with <, <=, >, >= and a number"


class Condition(NamedTuple):
    """One field, how it compares, and with what."""

    field: str
    compare: str
    values: tuple[str, ...]

    def holds(self, message: Message) -> bool:
        """Whether the event is wanted as far as this says."""
        event = message.event
        found = _values(message, self.field)
        if not found:
            row = ROW_OF.get(type(event))
            return row is not None and row.part in _SAYS
        if self.compare in _ORDERS:
            number, bound = _number(found[0]), _number(self.values[0])
            return number is not None and _ORDERS[self.compare](number, bound)
        alike = any(_alike(one, value) for one in found for value in self.values)
        return alike is (self.compare == "=")


def conditions(words: Sequence[str]) -> tuple[list[Condition], list[str]]:
    """Read them; and what is wrong with those that are none, in words."""
    read, problems = [], []
    for word in words:
        parts = re.fullmatch(r"\s*(\w+)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", word)
        mistake = _mistake_in(*parts.groups()) if parts is not None else f"allowed: {ALLOWED}"
        if parts is None or mistake:
            problems.append(f"where = {word!r}: {mistake} (flag --where)")
        else:
            read.append(Condition(parts[1], parts[2], _values_in(parts[2], parts[3])))
    return read, problems


def _values_in(compare: str, text: str) -> tuple[str, ...]:
    return (text,) if compare in _ORDERS else tuple(one.strip() for one in text.split(","))


def _mistake_in(field: str, compare: str, text: str) -> str:
    """What is wrong with what could be a condition; empty if nothing is."""
    if field not in FIELDS:
        return f"no event has a field {field!r} to compare; {_near(field, FIELDS, 'price, quantity, symbol, type')}"
    if compare in _ORDERS:
        if field in _TEXTS:
            return f"{field!r} is no number; allowed: {field}=VALUE or {field}!=VALUE"
        return "" if _number(text) is not None else f"{text!r} is not a number; allowed: {ALLOWED}"
    strange = sorted({*_values_in(compare, text)} - TYPES) if field == "type" else []
    return f"no event is of type {strange[0]!r}; {_near(strange[0], TYPES, 'Trade, BookTicker')}" if strange else ""


def _near(name: str, among: Collection[str], usual: str) -> str:
    import difflib  # only a mistake pays for it

    by_small = {one.lower(): one for one in among}
    near = [by_small[one] for one in difflib.get_close_matches(name.lower(), sorted(by_small), n=3)]
    return f"there are {', '.join(near) or usual} …"


def _values(message: Message, field: str) -> list[object]:
    """What the event has there: nothing if it has no such field. One that came late counts as what came, and as late."""
    event: Event = message.event
    late = isinstance(event, Backfilled)
    if isinstance(event, Backfilled):
        event = event.event
    if field == "type":
        return [type(event).__name__, *([Backfilled.__name__] if late else [])]
    if field == "symbol":
        return [message.topic.split(".", 2)[-1]]
    if field in {"topic", "sequence", "publish_ns"}:
        return [getattr(message, field)]
    return [getattr(event, field)] if field in event.__struct_fields__ else []


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _alike(value: object, wanted: str) -> bool:
    """Numbers by what they are worth (1 and 1.00), all else by what is written."""
    number, other = _number(value), _number(wanted)
    if number is not None and other is not None:
        return number == other
    written = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    return written == wanted
