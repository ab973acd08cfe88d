"""Owns what every event is, whatever its type: ``events.py`` has the types that any venue may send, and the table of them all."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

Level = tuple[str, str]
"""One price level: (price, absolute quantity); quantity zero deletes the level."""


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What every event can answer: the first and last venue id it stands for."""

    @property
    def first_id(self) -> int:
        return FIRST_OF[type(self)](self)

    @property
    def last_id(self) -> int:
        return LAST_OF[type(self)](self)


FIRST_OF: dict[type[Event], Callable[[Event], int]] = {}
"""How to read the first id fastest; the same function object as in ``LAST_OF`` if a type has only one id. ``events.TABLE`` fills both."""
LAST_OF: dict[type[Event], Callable[[Event], int]] = {}
