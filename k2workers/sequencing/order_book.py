"""Owns one whole order book, kept up to date by the diffs of its topic. Pure.

A ``BookSnapshot`` makes it whole, and each change must continue it. After ids that are missing, or a level that is no price and
quantity, nothing is known of it until the next snapshot; nor when the market has left the levels that the last one told.
"""

from __future__ import annotations

from collections.abc import Callable

from k2workers.events import BookChange, BookSnapshot, Event, Gap, Reset
from k2workers.sequencing.book_side import BookSide
from k2workers.sequencing.coverage import NO_ID

MAX_LEVELS = 20_000
"""Levels that a side keeps; past it the farthest from the market go, which only a snapshot of the venue could tell again."""

SLACK_LEVELS = 2_000
"""A side is cut back only when it is longer by this many, because it must be sorted for it."""


class OrderBook:
    """Levels as the venue's decimal strings, price → quantity. ``whole``: it is the venue's book as of ``last_id``.

    ``is_part`` tells of a side that came with so many levels whether the venue may have more of it; without it each is taken for all there is.
    ``received_ns`` and ``venue_time_ns`` (0: not known) are those of the newest event in it.
    """

    __slots__ = (
        "_is_part",
        "ask_side",
        "bid_side",
        "last_id",
        "max_levels",
        "received_ns",
        "unreadable",
        "venue_time_ns",
        "whole",
    )

    def __init__(self, max_levels: int = MAX_LEVELS, is_part: Callable[[int], bool] = lambda _: False) -> None:
        self.whole = False
        self.last_id = NO_ID
        self.received_ns = self.venue_time_ns = 0
        self.bid_side, self.ask_side = BookSide(-1), BookSide(1)
        self.max_levels = max_levels
        self._is_part = is_part
        self.unreadable = 0
        """Events so far with a level that is no price and quantity."""

    @property
    def bids(self) -> dict[str, str]:
        """Price → quantity."""
        return self.bid_side.levels

    @property
    def asks(self) -> dict[str, str]:
        """Price → quantity."""
        return self.ask_side.levels

    @property
    def crossed(self) -> bool:
        """Whether the best bid is not below the best ask: then something is wrong with it."""
        bid, ask = self.bid_side.best, self.ask_side.best
        return bid is not None and ask is not None and -bid >= ask

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
        self.bid_side, self.ask_side = BookSide(-1), BookSide(1)

    def runs_short(self, levels: int) -> bool:
        """Whether a side has fewer levels than so many that are known for sure, and a new snapshot would tell more."""
        return self.whole and (self.bid_side.runs_short(levels) or self.ask_side.runs_short(levels))

    def agrees_with(self, snapshot: BookSnapshot, levels: int) -> bool | None:
        """Whether the best levels of both are the same; None where that cannot be told: they are of different moments.

        Of those farther from the market neither need know all; nor the book kept here so many, when the market has gone far.
        """
        if not self.whole or snapshot.last_update_id != self.last_id:
            return None
        sides = (self.bid_side, -1, snapshot.bids), (self.ask_side, 1, snapshot.asks)
        return all(_agree(own, BookSide(sign, theirs), levels) for own, sign, theirs in sides)

    def snapshot(self, *, known: bool = False) -> BookSnapshot:
        """The book as it is, best levels first; ``known``: without those that have changed far from the market, where others are not known."""
        bids, asks = (side.known() if known else side.sorted() for side in (self.bid_side, self.ask_side))
        return BookSnapshot(self.last_id, bids, asks, self.received_ns)

    def _begin(self, snapshot: BookSnapshot) -> None:
        for price, quantity in (*snapshot.bids, *snapshot.asks):
            float(price), float(quantity)
        self.bid_side, self.ask_side = (
            BookSide(sign, levels, part=self._is_part(len(levels)))
            for sign, levels in ((-1, snapshot.bids), (1, snapshot.asks))
        )
        self.last_id, self.received_ns, self.whole = snapshot.last_update_id, snapshot.received_ns, True
        self.venue_time_ns = 0

    def _apply(self, diff: BookChange) -> None:
        """Raises ValueError, half done, for a level that cannot be read."""
        if diff.last_update_id <= self.last_id:
            return  # levels are absolute: the book holds them, or newer ones
        if diff.first_update_id > self.last_id + 1:
            self.lose()
            return
        self.bid_side.take(diff.bids)
        self.ask_side.take(diff.asks)
        if self.bid_side.ends or self.ask_side.ends:
            self.lose()
            return
        self.last_id, self.received_ns = diff.last_update_id, diff.received_ns
        self.venue_time_ns = diff.venue_time_ns
        most = self.max_levels + min(SLACK_LEVELS, self.max_levels)
        if len(self.bids) > most or len(self.asks) > most:
            self.bid_side.cut(self.max_levels)
            self.ask_side.cut(self.max_levels)


def _agree(own: BookSide, theirs: BookSide, levels: int) -> bool:
    nearest, fresh = own.nearest(levels), theirs.nearest(levels)
    return nearest == (fresh[: len(nearest)] if own.bounded else fresh)
