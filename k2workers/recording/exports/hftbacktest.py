"""Owns what a step is in hftbacktest (its version 2): events with its numbers and flags. Pure; the order they need is ``event_order``'s.

Prices and quantities are float64 there, and a book is cleared before a whole one is set.
"""

from __future__ import annotations

from typing import NamedTuple

from k2workers.events import AnyAggregate, AnyTrade, BookChange, BookSnapshot
from k2workers.recording.exports.book_steps import Step
from k2workers.recording.exports.tardis import is_off_book

DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
EXCHANGE, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
"""Flags: the event counts for the exchange, for whoever listens to it; bids, or a buyer took; asks, or a seller took."""


class Told(NamedTuple):
    """One message of the venue: events (what it is, price, quantity) of the same times. Of messages with the same time trades come first: a change of the book that they made
    would else be counted twice in a queue.
    """

    venue_ns: int
    local_ns: int
    is_trade: bool
    events: list[tuple[int, float, float]]


def told(step: Step) -> Told | None:
    """What the step is there; None if it is nothing."""
    event = step.event
    if event is None:
        return Told(step.venue_ns, step.at_ns, False, [(CLEAR, 0.0, 0.0)])
    if isinstance(event, AnyTrade | AnyAggregate):
        if is_off_book(event):
            return None
        what = TRADE | (SELL if event.buyer_is_maker else BUY)
        return Told(step.venue_ns, step.at_ns, True, [(what, float(event.price), float(event.quantity))])
    if not isinstance(event, BookSnapshot | BookChange):
        return None
    whole = isinstance(event, BookSnapshot)
    what = SNAPSHOT if whole else DEPTH
    events = [(CLEAR, 0.0, 0.0)] if whole else []
    events += [(what | BUY, float(price), float(quantity)) for price, quantity in event.bids]
    events += [(what | SELL, float(price), float(quantity)) for price, quantity in event.asks]
    return Told(step.venue_ns, step.at_ns, False, events)
