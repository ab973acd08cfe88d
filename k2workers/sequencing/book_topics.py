"""Owns what is told of the books that are kept, on topics of their own: best prices when they change, best levels at a pace, and at once that a
book is stale. Pure.

A topic begins with the first whole book. What was told last is what counts: it is told again only if it is something else, or if nobody may have
heard it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from k2workers import wire
from k2workers.book_events import STALE, WHOLE, BookLevels, BookTop
from k2workers.continuity import MADE
from k2workers.event import Event, Level
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.order_book import OrderBook

TOP = "book_top"
LEVELS = "book_"
"""What the kind of a topic begins with that holds so many levels: ``book_20``."""

Content = tuple[list[Level], list[Level]] | None
"""Best bids and asks; None: the book is stale."""

NEVER, NOT_KNOWN = "never", "not known"
"""In place of what was told last: nothing; and something, of which nobody knows what it was or whether it came."""


def levels_of(kind: str) -> int:
    """Of each side, in a topic of this kind."""
    return 1 if kind == TOP else int(kind.removeprefix(LEVELS))


class _MadeTopic:
    """One topic that is made of a book: ``count`` levels a side, or the best prices alone."""

    __slots__ = ("count", "due_ns", "name", "paced", "told")

    def __init__(self, name: str, count: int, *, paced: bool) -> None:
        self.name = name
        self.count = count
        self.paced = paced
        self.due_ns = 0
        """Before this nothing more is told of a whole book."""
        self.told: Content | str = NEVER

    def content(self, book: OrderBook) -> Content:
        """What there is to tell."""
        return (book.bid_side.nearest(self.count), book.ask_side.nearest(self.count)) if book.whole else None

    def event(self, content: Content, book: OrderBook, at_ns: int) -> Event:
        """The same as an event."""
        if self.paced:
            return levels_event(book, self.count, at_ns)
        (bid, bid_quantity), (ask, ask_quantity) = (side[0] if side else ("", "") for side in content or ([], []))
        return BookTop(book.last_id, bid, bid_quantity, ask, ask_quantity, *_state_and_times(book, at_ns))


def levels_event(book: OrderBook, count: int, at_ns: int) -> BookLevels:
    """So many of the best levels of a book."""
    bids, asks = book.bid_side.nearest(count), book.ask_side.nearest(count)
    return BookLevels(book.last_id, bids, asks, *_state_and_times(book, at_ns))


def _state_and_times(book: OrderBook, at_ns: int) -> tuple[str, int, int, int]:
    return WHOLE if book.whole else STALE, book.venue_time_ns, book.received_ns, at_ns


class BookTopics:
    """What is to be told. ``kinds`` are those of the topics (``book_top``, ``book_20``), ``prefixes`` those of the topics that the books are kept of.

    Call ``changed`` after each change of a book, and ``news`` soon after, or at ``next_ns``.
    """

    def __init__(self, kinds: Sequence[str], prefixes: Iterable[str], pace_ns: int) -> None:
        self._kinds = {kind: levels_of(kind) for kind in kinds}
        self._of_venue = {prefix.partition(".")[0]: prefix for prefix in prefixes}
        self._pace_ns = pace_ns
        self._topics: dict[str, list[_MadeTopic]] = {}
        """By the topic of which the book is kept."""
        self._changed: dict[str, OrderBook] = {}
        self._waiting: dict[str, OrderBook] = {}
        """Those of which something waits for its pace. There are hundreds, and in most turns none is due."""
        self._due: list[tuple[int, str]] = []
        """A heap: when which of them is."""

    def changed(self, source: str, book: OrderBook) -> None:
        """The book of this topic is another one now."""
        if source in self._topics or self._made(source):
            self._changed[source] = book

    def news(self, now_ns: int, wall_ns: int) -> dict[str, list[wire.Batch]]:
        """What is to be told now (monotonic and wall-clock time), by the topic of which the book is kept; it counts as told."""
        found: dict[str, list[wire.Batch]] = {}
        while self._due and self._due[0][0] <= now_ns:
            _, source = heappop(self._due)
            self._changed.setdefault(source, self._waiting.pop(source))
        for source, book in self._changed.items():
            due_ns = 0
            for topic in self._topics[source]:
                if book.whole and topic.due_ns > now_ns:
                    due_ns = min(topic.due_ns, due_ns or topic.due_ns)
                elif (content := topic.content(book)) != topic.told and (content or topic.told != NEVER):
                    event = topic.event(content, book, wall_ns)
                    found.setdefault(source, []).append(wire.batch_of(topic.name, [event], MADE.number))
                    topic.told = content
                    topic.due_ns = now_ns + self._pace_ns if topic.paced and content else 0
            if due_ns and source not in self._waiting:
                self._waiting[source] = book
                heappush(self._due, (due_ns, source))
        self._changed.clear()
        return found

    @property
    def next_ns(self) -> int | None:
        """When there may be news of what has changed and had to wait; None: nothing waits."""
        return self._due[0][0] if self._due else None

    def not_told(self, sources: Iterable[str], books: Mapping[str, OrderBook]) -> None:
        """What was told of these may not have come: it is to be told again."""
        for source in sources:
            for topic in self._topics.get(source, ()):
                topic.due_ns = 0
                if topic.told != NEVER:
                    topic.told = NOT_KNOWN
            if source in books:
                self.changed(source, books[source])

    def begin_anew(self, positions: Mapping[str, PublishedPosition], books: Mapping[str, OrderBook]) -> None:
        """Another aggregator listens, or we are another life ourselves: tell everything, and that what earlier lives told is stale."""
        self.not_told(list(self._topics), books)
        for name, position in positions.items():
            venue, _, rest = name.partition(".")
            kind, _, symbol = rest.partition(".")
            if kind in self._kinds and venue in self._of_venue:
                source = self._of_venue[venue] + symbol
                for topic in self._topics.get(source) or self._made(source):
                    if topic.name == name:
                        topic.told = NOT_KNOWN
                if source not in books:
                    forgotten = self._changed[source] = OrderBook()
                    forgotten.last_id = position.last_id
                else:
                    self._changed[source] = books[source]

    def _made(self, source: str) -> list[_MadeTopic]:
        """The topics of a book that was not known; none if its kind is not the one that they are made of."""
        venue, _, rest = source.partition(".")
        prefix = self._of_venue.get(venue)
        if prefix is None or not source.startswith(prefix):
            return []
        symbol = rest.partition(".")[2]
        made = [_MadeTopic(f"{venue}.{kind}.{symbol}", count, paced=kind != TOP) for kind, count in self._kinds.items()]
        self._topics[source] = made
        return made
