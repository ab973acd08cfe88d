"""Owns the event types that the feed makes of the order books that it keeps; their rows stand in ``events.py``."""

from __future__ import annotations

from k2workers.event import Event, Level

WHOLE, STALE = "whole", "stale"
"""What a book can be. Of a stale one changes are missing: nothing is known of it until it is whole again."""


class BookTop(Event, frozen=True, array_like=True, gc=False):
    """The best bid and ask of a book that the feed keeps. Unless ``state`` is ``whole`` they are empty, and nothing is known of the book; so they are
    of a side without a level.

    ``venue_time_ns`` is 0 where the venue has not said it, ``received_ns`` of the newest change in the book, ``at_ns`` when it was told.
    """

    update_id: int
    bid_price: str
    bid_quantity: str
    ask_price: str
    ask_quantity: str
    state: str
    venue_time_ns: int
    received_ns: int
    at_ns: int


class BookLevels(Event, frozen=True, array_like=True, gc=False):
    """The best levels of a book that the feed keeps, complete, best first; none unless ``state`` is ``whole``. Times as in ``BookTop``."""

    update_id: int
    bids: list[Level]
    asks: list[Level]
    state: str
    venue_time_ns: int
    received_ns: int
    at_ns: int
