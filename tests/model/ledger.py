"""What a program was given, and whether that may be: judged item by item against what the venue made."""

from __future__ import annotations

import copy

from k2workers.events import Backfilled, Event, Gap, Trade, Void
from k2workers.sequencing.ranges import IdRanges
from k2workers.transport.reassembly import Lost
from tests.model.venue import Trades


class Finding(AssertionError):
    """Something that must never be."""


class TradeLedger:
    """One topic of trades as a program received it."""

    def __init__(self, truth: Trades) -> None:
        self.truth = truth
        self.first: int | None = None
        self.reached: int | None = None
        self.open = IdRanges()
        self.lost = IdRanges()

    def copy(self) -> TradeLedger:
        """As it stands, for a program that saves its work with its position."""
        other = copy.copy(self)
        other.open, other.lost = IdRanges(self.open), IdRanges(self.lost)
        return other

    def take(self, item: Event | Lost) -> None:
        """The next item. Raises Finding."""
        if isinstance(item, Lost):
            if item.first_id is not None and item.last_id is not None:  # otherwise the topic was not heard before
                self._ahead(item, item.first_id, item.last_id)
                self.lost.add(item.first_id, item.last_id)
        elif isinstance(item, Backfilled):
            self._real(item.event)
            if not self.open.remove(item.first_id, item.last_id) and not self.lost.remove(item.first_id, item.last_id):
                self._ahead(
                    item, item.first_id, item.last_id
                )  # its gap was announced in a life that ended before it was heard
        elif isinstance(item, Gap):
            self._ahead(item, item.first_id, item.last_id)
            self.open.add(item.first_id, item.last_id)
        elif isinstance(item, Void):
            if not self.truth.voids.issuperset(range(item.first_id, item.last_id + 1)):
                self._wrong(item, "existed")
            if not self.open.remove(item.first_id, item.last_id) and not self.lost.remove(item.first_id, item.last_id):
                self._ahead(item, item.first_id, item.last_id)
        else:
            self._real(item)
            self._ahead(item, item.first_id, item.last_id)

    def _ahead(self, item: Event | Lost, first: int, last: int) -> None:
        if self.reached is not None and first != self.reached + 1:
            self._wrong(item, "jumps over ids" if first > self.reached else "comes again")
        if last < first:
            self._wrong(item, "holds nothing")
        if self.first is None:
            self.first = first
        self.reached = last

    def _real(self, event: Event) -> None:
        if not isinstance(event, Trade) or self.truth.made.get(event.trade_id) != event:
            self._wrong(event, "was never made")

    def _wrong(self, item: Event | Lost, words: str) -> None:
        raise Finding(f"{self.truth.topic}: {item} {words}; reached {self.reached}, open {list(self.open)}")
