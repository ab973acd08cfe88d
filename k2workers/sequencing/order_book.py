"""Owns one whole order book, kept up to date by the diffs of its topic. Pure.

A ``BookSnapshot`` makes it whole, and each change must continue it. After ids that are missing, or a level that is no price and
quantity, nothing is known of it until the next snapshot.
"""

from __future__ import annotations

from k2workers.events import BookChange, BookSnapshot, Event, Gap, Level, Reset
from k2workers.sequencing.coverage import NO_ID

MAX_LEVELS = 20_000
"""Levels that a side keeps; past it the farthest from the market go, which only a snapshot of the venue could tell again."""

SLACK_LEVELS = 2_000
"""A side is cut back only when it is longer by this many, because it must be sorted for it."""


class OrderBook:
    """Levels as the venue's decimal strings, price → quantity. ``whole``: it is the venue's book as of ``last_id``.

    ``received_ns`` is that of the newest event in it.
    """

    __slots__ = ("asks", "bids", "last_id", "max_levels", "received_ns", "unreadable", "whole")

    def __init__(self, max_levels: int = MAX_LEVELS) -> None:
        self.whole = False
        self.last_id = NO_ID
        self.received_ns = 0
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.max_levels = max_levels
        self.unreadable = 0
        """Events so far with a level that is no price and quantity."""

    def take(self, event: Event) -> None:
        """The topic's next event."""
        try:
            if isinstance(event, BookChange):
                if self.whole:
                    self._apply(event)
            elif isinstance(event, BookSnapshot):
                self._begin(event)
            elif isinstance(event, Gap | Reset):
                self.lose()
        except ValueError:
            self.unreadable += 1
            self.lose()

    def lose(self) -> None:
        """Something of the topic is missing: until the next snapshot there is no book."""
        self.whole = False
        self.bids, self.asks = {}, {}

    def snapshot(self) -> BookSnapshot:
        """The book as it is, best levels first."""
        return BookSnapshot(self.last_id, _sorted(self.bids, reverse=True), _sorted(self.asks), self.received_ns)

    def _begin(self, snapshot: BookSnapshot) -> None:
        for price, quantity in (*snapshot.bids, *snapshot.asks):
            float(price), float(quantity)
        self.bids, self.asks = dict(snapshot.bids), dict(snapshot.asks)
        self.last_id, self.received_ns, self.whole = snapshot.last_update_id, snapshot.received_ns, True

    def _apply(self, diff: BookChange) -> None:
        """Raises ValueError, half done, for a level that cannot be read."""
        if diff.last_update_id <= self.last_id:
            return  # levels are absolute: the book holds them, or newer ones
        if diff.first_update_id > self.last_id + 1:
            self.lose()
            return
        for side, levels in ((self.bids, diff.bids), (self.asks, diff.asks)):
            for price, quantity in levels:
                float(price)  # or who sorts the levels would stumble over it
                if float(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)
        self.last_id, self.received_ns = diff.last_update_id, diff.received_ns
        most = self.max_levels + min(SLACK_LEVELS, self.max_levels)
        if len(self.bids) > most or len(self.asks) > most:
            self.bids = dict(_sorted(self.bids, reverse=True)[: self.max_levels])
            self.asks = dict(_sorted(self.asks)[: self.max_levels])


def _sorted(side: dict[str, str], *, reverse: bool = False) -> list[Level]:
    return sorted(side.items(), key=lambda level: float(level[0]), reverse=reverse)
