"""An event of any type, made from its row alone: what a new type needs no word for here."""

from __future__ import annotations

import typing
from typing import Any

from k2workers.events import Event, EventRow, Kline

MINUTE_NS = 60_000_000_000
WIDTH = 3
"""How many ids an event stands for whose type has a first and a last one."""

_EMPTY: dict[Any, Any] = {int: 0, str: "1", bool: False, list: [], dict: {}}


def sample(row: EventRow, number: int, learned_ns: int = 1) -> Event:
    """The ``number``-th event of a topic in which nothing is missing, counted from 0."""
    values = {name: _value(hint) for name, hint in typing.get_type_hints(row.type).items() if name in _fields(row)}
    if issubclass(row.type, Kline):
        opens = number * MINUTE_NS
        values |= {"open_time_ns": opens, "close_time_ns": opens + MINUTE_NS - 1_000, "final": True}
    elif row.first == row.last:
        values[row.first] = number
    else:
        values |= {row.first: number * WIDTH, row.last: number * WIDTH + WIDTH - 1}
    if row.learned not in (row.first, row.last):
        values[row.learned] = learned_ns
    return row.type(**values)


def _fields(row: EventRow) -> tuple[str, ...]:
    return row.type.__struct_fields__


def _value(hint: Any) -> Any:
    kind = typing.get_origin(hint) or hint
    if kind in _EMPTY:
        return _EMPTY[kind]
    return None  # text or nothing
