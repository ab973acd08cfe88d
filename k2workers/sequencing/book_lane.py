"""Owns the lane of a diff-depth topic: the chain of update ids, and the snapshot that heals a break in it. Pure.

Diffs cannot be fetched again. After a hole the lane announces the gap, lets the diffs flow, and wants a snapshot. The
venue's procedure (Binance spot, "How to manage a local order book correctly") decides when one fits:

1. buffer diffs from the first after the hole, whose first id is U (until a snapshot is requested, the newest are enough);
2. fetch a snapshot with ``lastUpdateId`` L;
3. L < U - 1: the snapshot is older than the buffer; fetch again;
4. drop the buffered diffs whose last id is at most L (they are in it);
5. apply the others in order: the book is then as of the last diff's last id.

The lane publishes that book as a ``BookSnapshot`` once the diffs have reached L, so that the very next diff continues
it: levels are absolute, and a diff that spans L is applied whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from k2workers.events import BookChange, BookSnapshot, Event
from k2workers.sequencing.chain_lane import ChainLane
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.doubts import FAR_IDS
from k2workers.sequencing.lane import NOT_RECEIVED, Verdict
from k2workers.sequencing.order_book import OrderBook
from k2workers.sequencing.ranges import Range
from k2workers.sequencing.shared_ids import reach_ahead

MAX_BUFFERED = 600
"""Diffs kept while a snapshot is under way or at hand (a minute at 100 ms); beyond that the oldest is dropped, and the snapshot must be newer."""

MAX_WAITING = 20
"""Diffs kept before one is requested, for hundreds of topics may wait minutes for their turn: what the venue gives then is hardly older."""


class BookLane(ChainLane):
    """One diff-depth topic."""

    __slots__ = (
        "_asked",
        "_buffer",
        "_cut",
        "_levels",
        "_outrun",
        "_quiet",
        "_requested",
        "_snapshot",
        "broken",
        "checks",
        "has_book",
        "needs_snapshot",
        "patient",
        "urgent",
    )

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.needs_snapshot = True
        """Whether a snapshot is to be published: because subscribers lack a valid book, or some of them do, or one with more levels."""
        self.has_book = False
        """Whether subscribers have a valid book."""
        self.urgent = True
        """Whether anybody lacks a book; if not, the next one only has more levels."""
        self.broken = False
        """Whether they were told that the one they had holds no longer."""
        self.patient = False
        """Whether another line may bring missing diffs; otherwise a hole is announced at once."""
        self.checks = False
        """Whether the book is only fetched to see if changes were missed: if there are none it is not published."""
        self._requested = False
        self._buffer: deque[BookChange] = deque(maxlen=MAX_WAITING)
        self._snapshot: BookSnapshot | None = None
        self._cut = False
        """Whether the snapshot at hand has fewer levels than there are."""
        self._levels = 0
        """How many were asked for when the snapshot at hand was fetched: there may be more of a side that has as many. 0: it is not known."""
        self._outrun = False
        """Whether the venue gave a book that was older than the diffs: what it gives later fits those that are kept."""
        self._asked = False
        """Whether the book is only published anew: the chain up to the last id is unbroken."""
        self._quiet = False
        """Whether a book is published as it comes, without a diff that continues it: none has come for long, or they are withheld."""

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        return super().offer(event, now_ns, hold_ns if self.patient else 0)

    def resume(self, published: PublishedPosition) -> None:
        super().resume(published)
        self.broken = len(self.open) > 0
        self.needs_snapshot = self.broken or not published.whole
        self.has_book = not self.needs_snapshot

    @property
    def only_next(self) -> bool:
        return not self.needs_snapshot and not self.checks and super().only_next

    def begin_anew(self, first_new_id: int, at_ns: int) -> None:
        super().begin_anew(first_new_id, at_ns)
        self._break()

    def reopen(self, first_id: int, last_id: int, at_ns: int) -> None:
        known = list(self.open)
        super().reopen(first_id, last_id, at_ns)
        if list(self.open) != known:  # else we were only told again, and the book that heals it is on its way
            self._break()

    def take_back(self, events: Iterable[Event]) -> None:
        super().take_back(events)
        self._break()

    def wanted(self) -> list[Range]:
        return []  # diffs cannot be fetched

    def _announce_far(self, first_id: int, last_id: int, noticed_ns: int) -> None:
        self._announce()
        self._announce_gap(first_id, last_id, noticed_ns)  # a book makes it good, however wide it is

    def _still_new(self, event: Event) -> bool:
        return False  # a diff that comes late heals nothing: only a whole book does

    @property
    def requested(self) -> bool:
        """Whether a snapshot is under way; set by whoever requests it."""
        return self._requested

    @requested.setter
    def requested(self, under_way: bool) -> None:
        self._requested = under_way
        self._make_room()

    def _make_room(self) -> None:
        """Call it when ``_requested``, ``_snapshot`` or ``_outrun`` has changed."""
        many = self._requested or self._snapshot is not None or self._outrun
        self._buffer = deque(self._buffer, maxlen=MAX_BUFFERED if many else MAX_WAITING)

    def ask_book(self, *, withheld: bool = False) -> bool:
        """Publish a book anew, for those who have none; False if one is under way, or nothing is known of the topic yet.

        ``withheld``: changes may have been made that no line brings. A book that is ahead of the last one takes their place; if it is not
        ahead, or a diff shows that none was missed, none is published.
        """
        if self.checks and not withheld:
            self.checks = False  # somebody lacks it, whatever it shows
            return True
        if self.last_id is None or (self.needs_snapshot and self.urgent):
            return False
        if self.needs_snapshot:
            self.urgent = True  # the one with more levels, but sooner
        else:
            self._ask_anew(urgent=True)
            self.checks = withheld
        self._quiet = withheld
        return True

    def _ask_anew(self, *, urgent: bool) -> None:
        self._await_snapshot()
        self._asked, self.urgent = True, urgent

    def offer_snapshot(self, snapshot: BookSnapshot, *, cut: bool = False, levels: int = 0) -> bool:
        """Take a fetched book; False if it is too old for the diffs at hand (step 3), or unreadable, and another is needed.

        One that is ``cut`` is followed by one with more levels, when there is time for it. ``levels`` of each side were asked for.
        """
        if self._new_life_shows_in(snapshot):
            assert self._doubts is not None
            self._go_on_with(*self._doubts.pop_run(), 0, 0)
        if not self._buffer and self._quiet:
            return self._adopt(snapshot, cut=cut)
        if not self._buffer and not self._asked:
            return False
        # The chain is unbroken: what comes next begins right after the last id.
        first_id = self._buffer[0].first_update_id if self._buffer else (self.last_id or 0) + 1
        if not first_id - 1 <= snapshot.last_update_id <= first_id + FAR_IDS:
            self._outrun = snapshot.last_update_id < first_id
            return False  # or it is a glitch, for which the diffs would never come up
        book = OrderBook()
        book.take(snapshot)
        if not book.whole:
            return False
        self._snapshot, self._cut, self._levels = snapshot, cut, levels
        return self._heal()

    @property
    def awaits_fetch(self) -> bool:
        """Whether a snapshot must be fetched: one is needed, diffs are buffered (step 1), and none is at hand.

        A topic that had a book needs no diff: a quiet one could not be asked for otherwise.
        """
        if self.doubted is not None:
            return True
        return self.needs_snapshot and self._snapshot is None and (len(self._buffer) > 0 or self._asked or self._quiet)

    @property
    def lacks_diffs(self) -> bool:
        """Whether a book is needed, and no diff has come since: if that lasts, call ``do_without_diffs``."""
        return (
            self.needs_snapshot and not self._buffer and not self._quiet and (self.urgent or self._snapshot is not None)
        )

    def do_without_diffs(self) -> None:
        """Publish the venue's book as it comes: the next diff continues it, or shows what was missing."""
        self._quiet = True
        if self._snapshot is not None:
            self._adopt(self._snapshot, cut=self._cut)

    def _adopt(self, snapshot: BookSnapshot, *, cut: bool) -> bool:
        """Publish a book that no diff has come up to; what lies before it counts as missed."""
        book = OrderBook()
        book.take(snapshot)
        last_id = snapshot.last_update_id
        known_id = last_id if self.last_id is None else self.last_id
        if not book.whole or not known_id <= last_id <= known_id + reach_ahead(snapshot, self.newest):
            return False
        if last_id > known_id:
            self._announce_gap(known_id + 1, last_id, snapshot.received_ns)
        elif self.checks:
            self._go_on_unchanged()
            return True
        self.last_id = last_id
        self._cut = cut
        self._publish(book, snapshot.received_ns)
        # What waits behind a hole goes on from the book, and keeps its deadline where one remains.
        self._release(0, 2**62)
        return True

    def _new_life_shows_in(self, snapshot: BookSnapshot) -> bool:
        """Whether a book shows that a diff far behind is one of new ids: it is below all that we had, and has come to that diff."""
        doubted = self.doubted
        return (
            doubted is not None
            and self.last_id is not None
            and doubted.first_id <= snapshot.last_update_id < self.last_id
        )

    def _accept_run(self, events: list[Event], last_id: int) -> None:
        super()._accept_run(events, last_id)
        self._keep(events)

    def _accept(self, event: Event) -> None:
        super()._accept(event)
        self._keep((event,))

    def _keep(self, events: Iterable[Event]) -> None:
        """Buffer accepted diffs while subscribers lack a valid book (step 1)."""
        if self.checks:
            self._go_on_unchanged()
        if self.needs_snapshot:
            self._quiet = False
            self._buffer += [event for event in events if isinstance(event, BookChange)]
            if self._snapshot is not None:
                self._heal()

    def _announce_gap(self, first_id: int, last_id: int, noticed_ns: int, cause: str = NOT_RECEIVED) -> None:
        super()._announce_gap(first_id, last_id, noticed_ns, cause)
        self._break()

    def _break(self) -> None:
        self.broken, self.has_book = True, False
        self._await_snapshot()

    def _await_snapshot(self) -> None:
        self.needs_snapshot = self.urgent = True
        self._asked = self._quiet = self.checks = self._outrun = False
        self._buffer.clear()
        self._snapshot = None
        self._make_room()

    def _go_on_unchanged(self) -> None:
        """No change was missed: the book that subscribers have holds."""
        self.needs_snapshot = self._asked = self._quiet = self.checks = False

    def _heal(self) -> bool:
        """Steps 4 and 5, once the diffs have reached the snapshot. False if one of them cannot be read, and a newer snapshot is needed."""
        snapshot = self._snapshot
        if snapshot is None or self.last_id is None or self.last_id < snapshot.last_update_id:
            return True
        book = OrderBook(is_part=lambda count: 0 < self._levels <= count)
        book.take(snapshot)
        for place, diff in enumerate(self._buffer, 1):
            book.take(diff)
            if not book.whole:
                self._begin_again_after(place)
                return False
        self._publish(book, snapshot.received_ns)
        return True

    def _publish(self, book: OrderBook, received_ns: int) -> None:
        """The book as of the topic's last id."""
        assert self.last_id is not None
        self.ready.append(msgspec.structs.replace(book.snapshot(known=True), received_ns=received_ns))
        self.mixed = True
        self.repaired += self.open.remove(0, self.last_id)
        self.needs_snapshot = self.broken = self._asked = self._quiet = self.checks = self._outrun = False
        self.has_book = True
        self._snapshot = None
        self._buffer.clear()
        if self._cut:
            self._ask_anew(urgent=False)

    def _begin_again_after(self, count: int) -> None:
        """Only a snapshot that holds so many of the buffered diffs fits."""
        for _ in range(count):
            self._buffer.popleft()
        self._snapshot = None
        self._make_room()
        self._asked = True  # nothing is missing up to the last id, and no further diff may come
