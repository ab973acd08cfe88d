"""What a program was given, and whether that may be: judged item by item against what the venue made."""

from __future__ import annotations

import copy
from typing import Any, Self

from k2workers.events import (
    Backfilled,
    BookSnapshot,
    DepthUpdate,
    Event,
    Gap,
    GivenUp,
    Kline,
    Reset,
    Void,
    covered_ids,
)  # fmt: skip
from k2workers.sequencing.ranges import IdRanges
from k2workers.transport.deliveries import Lost
from tests.model.venue import BAR_NS, Bars, Book, Books, Tickers, Trades


class Finding(AssertionError):
    """Something that must never be."""


class Ledger:
    """One topic as a program received it."""

    def __init__(self, truth: Any) -> None:
        self.truth = truth
        self.reached: int | None = None
        self.open = IdRanges()
        self.lost = IdRanges()

    def copy(self) -> Self:
        """As it stands, for a program that saves its work with its position."""
        other = copy.copy(self)
        other.open, other.lost = IdRanges(self.open), IdRanges(self.lost)
        return other

    def take(self, item: Event | Lost) -> None:
        """The next item. Raises Finding."""
        raise NotImplementedError

    def unsettled(self) -> str:
        """What is not as it must be at rest; empty if all is."""
        if self.reached is not None and self.reached != self.truth.newest:
            return f"reached {self.reached} of {self.truth.newest}"
        return f"open {list(self.open)}" if self.open else ""

    def _ahead(self, item: Event | Lost, first: int, last: int) -> None:
        if self.reached is not None and first != self.reached + 1:
            self._wrong(item, "jumps over ids" if first > self.reached else "comes again")
        if last < first:
            self._wrong(item, "holds nothing")
        self.reached = last

    def _fills(self, item: Event) -> bool:
        ids = covered_ids(item.event if isinstance(item, Backfilled) else item)
        return self.open.remove(*ids) + self.lost.remove(*ids) > 0

    def _wrong(self, item: Event | Lost, words: str) -> None:
        raise Finding(f"{self.truth.topic}: {item} {words}; reached {self.reached}, open {list(self.open)}")


class TradeLedger(Ledger):
    """A topic of trades."""

    def __init__(self, truth: Trades) -> None:
        super().__init__(truth)
        self.closed = IdRanges()
        """Ids of which it was told that no event will come for them."""
        self.numbering: int | None = None
        """In which of the venue's numberings the last event was; None until the next one shows it."""
        self.numberings = 0
        """How many numberings have ended."""

    def copy(self) -> Self:
        other = super().copy()
        other.closed = IdRanges(self.closed)
        return other

    def take(self, item: Event | Lost) -> None:
        if isinstance(item, Lost):
            if item.first_id is not None and item.last_id is not None:  # otherwise the topic was not heard before
                self._ahead(item, item.first_id, item.last_id)
                self.lost.add(item.first_id, item.last_id)
        elif isinstance(item, Reset):
            self.numbering, self.numberings = None, self.numberings + 1
            self.reached = item.first_new_id - 1
            self.open, self.lost, self.closed = IdRanges(), IdRanges(), IdRanges()
        elif isinstance(item, Backfilled):
            self._real(item.event)
            if not self._fills(item) and not self.closed.remove(item.first_id, item.last_id):
                self._ahead(
                    item, item.first_id, item.last_id
                )  # its gap was announced in a life that ended before it was heard
        elif isinstance(item, Gap):
            self._ahead(item, item.first_id, item.last_id)
            self.open.add(item.first_id, item.last_id)
        elif isinstance(item, Void | GivenUp):
            ids = set(range(item.first_id, item.last_id + 1))
            if isinstance(item, Void) and not any(
                voids >= ids for _, voids in self.truth.numberings[self.numberings :]
            ):
                self._wrong(item, "existed")
            if not self._fills(item):
                self._ahead(item, item.first_id, item.last_id)
            self.closed.add(item.first_id, item.last_id)
        else:
            self._real(item)
            self._ahead(item, item.first_id, item.last_id)

    def unsettled(self) -> str:
        if self.numbering is not None and self.numbering != len(self.truth.numberings) - 1:
            return f"is in numbering {self.numbering}"
        return super().unsettled()

    def _real(self, event: Event) -> None:
        all_of_them = enumerate(self.truth.numberings)
        numbering = next((at for at, (made, _) in all_of_them if made.get(event.first_id) == event), None)
        if numbering is None:
            self._wrong(event, "was never made")
        elif self.numbering is None and numbering >= self.numberings:
            self.numbering = self.numberings = numbering
        elif numbering != self.numbering:
            self._wrong(event, f"is of numbering {numbering}, not {self.numbering}")


class TickerLedger(Ledger):
    """A topic where the latest counts, and a batch that is lost is no harm."""

    def take(self, item: Event | Lost) -> None:
        if isinstance(item, Lost):
            return
        if self.reached is not None and item.last_id <= self.reached:
            self._wrong(item, "goes back")
        self.reached = item.last_id


class BookLedger(Ledger):
    """A topic of diffs, and the book that follows from a snapshot and them."""

    def __init__(self, truth: Books) -> None:
        super().__init__(truth)
        self.book: Book | None = None
        self.owed = False
        """Whether a gap was announced and no book has come since."""

    def copy(self) -> Self:
        other = super().copy()
        if self.book is not None:
            other.book = dict(self.book[0]), dict(self.book[1])
        return other

    def take(self, item: Event | Lost) -> None:
        if isinstance(item, Lost):
            self.book = None
            if item.first_id is not None and item.last_id is not None:
                self._ahead(item, item.first_id, item.last_id)
        elif isinstance(item, Gap):
            self._ahead(item, item.first_id, item.last_id)
            self.book, self.owed = None, True
        elif isinstance(item, BookSnapshot):
            if self.reached is not None and item.last_id != self.reached:
                self._wrong(item, "is of another time")
            self.reached = item.last_id
            self.book, self.owed = (dict(item.bids), dict(item.asks)), False
            self._compare(item)
        elif isinstance(item, DepthUpdate):
            real = self.truth.made.get(item.last_id)
            if real is None or (real.bids, real.asks) != (item.bids, item.asks):
                self._wrong(item, "was never made")
            self._ahead(item, item.first_id, item.last_id)
            if self.book is not None:
                for price, quantity in item.bids:
                    if float(quantity):
                        self.book[0][price] = quantity
                    else:
                        self.book[0].pop(price, None)
                self._compare(item)
        else:
            self._wrong(item, "has no place in a book")

    def unsettled(self) -> str:
        return super().unsettled() or ("no book since a gap" if self.owed else "")

    def _compare(self, item: Event) -> None:
        if self.book != self.truth.at[item.last_id]:
            self._wrong(item, f"makes the book {self.book}, and it is {self.truth.at[item.last_id]}")


class BarLedger(Ledger):
    """A topic of bars: the latest state counts, and no last state is skipped."""

    def __init__(self, truth: Bars) -> None:
        super().__init__(truth)
        self.due: int | None = None
        """The open time of the bar that must come next, or whose last state must."""
        self.at: tuple[int, int] = (0, 0)

    def take(self, item: Event | Lost) -> None:
        if isinstance(item, Lost | Gap):
            if item.first_id is not None and item.last_id is not None:
                (self.open if isinstance(item, Gap) else self.lost).add(item.first_id, item.last_id)
                if self.due is not None and item.first_id <= self.due <= item.last_id:
                    self.due = item.last_id + 1
        elif isinstance(item, GivenUp):
            self.open.remove(item.first_id, item.last_id)
            self.lost.add(item.first_id, item.last_id)
            if self.due is not None and item.first_id <= self.due <= item.last_id:
                self.due = item.last_id + 1
        elif isinstance(item, Backfilled):
            self._final(item, item.event)
            if self._fills(item):
                return
            if self.due != item.first_id:
                self._wrong(item, "fills nothing that was named")
            # Its gap was announced in a life that ended before it was heard.
            self.at, self.due = (item.first_id, 2**63), item.first_id + BAR_NS
        elif isinstance(item, Kline):
            if item.final:
                self._final(item, item)
            at = item.open_time_ns, 2**63 if item.final else item.venue_time_ns
            if at <= self.at:
                self._wrong(item, f"comes after {self.at}")
            while self.due is not None and self.due < item.open_time_ns:
                if self.due not in self.open and self.due not in self.lost:
                    self._wrong(item, f"comes before the last state of {self.due}")
                self.due += BAR_NS
            self.at = at
            self.due = item.next_open_ns if item.final else item.open_time_ns
        else:
            self._wrong(item, "has no place among bars")

    def unsettled(self) -> str:
        if self.due is not None and self.due != self.truth.opens_ns:
            return f"is at bar {self.due} of {self.truth.opens_ns}"
        return f"open {list(self.open)}" if self.open else ""

    def _final(self, item: Event, bar: Event) -> None:
        if not isinstance(bar, Kline) or not bar.final or bar.open_time_ns not in self.truth.finals:
            self._wrong(item, "is no last state of a bar")


LEDGERS: dict[type, type[Ledger]] = {Trades: TradeLedger, Tickers: TickerLedger, Books: BookLedger, Bars: BarLedger}
