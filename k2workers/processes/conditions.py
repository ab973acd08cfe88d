"""Owns which events a reader wants to see: conditions on their fields, as in ``quantity>=1``. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
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
        if parts is None:
            problems.append(f"where = {word!r}: allowed: {ALLOWED} (flag --where)")
        elif parts[1] not in FIELDS:
            problems.append(f"where = {word!r}: no event has a field {parts[1]!r} to compare; {_near(parts[1])}")
        elif parts[2] in _ORDERS and _number(parts[3]) is None:
            problems.append(f"where = {word!r}: {parts[3]!r} is not a number; allowed: {ALLOWED} (flag --where)")
        else:
            values = (parts[3],) if parts[2] in _ORDERS else tuple(one.strip() for one in parts[3].split(","))
            read.append(Condition(parts[1], parts[2], values))
    return read, problems


def _near(name: str) -> str:
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(name, sorted(FIELDS), n=3) or ["price", "quantity", "symbol", "type"]
    return f"there are {', '.join(near)} … (flag --where)"


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
