"""Owns the order books of a program that wants them kept: as of everything that it has been given, no more and no less. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from k2workers.book_events import STALE, WHOLE
from k2workers.continuity import Continuity, Repair
from k2workers.errors import ConfigError
from k2workers.events import Event, Level
from k2workers.sequencing.order_book import OrderBook
from k2workers.transport.deliveries import Lost, MessageBatch, MessageColumns
from k2workers.transport.position import Position


class Book(msgspec.Struct, frozen=True, gc=False):
    """A book as of ``update_id``: (price, quantity) as the venue writes them, best first.

    ``state`` is ``whole``, or ``stale``: it has not come yet, or changes of it are missing; then it has no levels. ``age_s`` is how long ago the newest
    change in it was read from the venue. ``venue_time_ns`` is 0 where the venue has not said it.
    """

    topic: str
    state: str
    update_id: int
    bids: list[Level]
    asks: list[Level]
    venue_time_ns: int
    received_ns: int
    age_s: float


class KeptBooks:
    """The books of what is subscribed under these topics and prefixes. Raises ConfigError for a program that goes on from a ``position``."""

    def __init__(self, topics: Sequence[str], position: Position | None = None) -> None:
        if position is not None:
            raise ConfigError("keep_books = True: allowed only without a position, which holds no books")
        self._topics = topics
        self._books: dict[str, OrderBook] = {}

    def take(self, item: MessageBatch | MessageColumns | Lost) -> None:
        """The program is given this."""
        if isinstance(item, Lost):
            if item.topic in self._books:
                self._books[item.topic].lose()
        elif _of_a_book(item.continuity):
            for event in item.events:
                self.take_event(item.topic, event, item.continuity)

    def take_event(self, topic: str, event: Event, continuity: Continuity) -> None:
        """The same of one event."""
        if not _of_a_book(continuity):
            return
        book = self._books.get(topic)
        if book is None:
            book = self._books[topic] = OrderBook()
        book.take(event)

    def book(self, name: str, levels: int | None, now_ns: int) -> Book:
        """The book of a topic, or of a venue's symbol (``binance.BTCUSDT``), with so many levels a side or all (wall-clock time).

        Raises ConfigError if nothing of the kind is subscribed.
        """
        topic = self._topic_of(name)
        book = self._books.get(topic, OrderBook())
        bids, asks = (
            side.sorted() if levels is None else side.nearest(levels) for side in (book.bid_side, book.ask_side)
        )
        age_s = (now_ns - book.received_ns) / 1e9 if book.received_ns else 0.0
        state = WHOLE if book.whole else STALE
        return Book(topic, state, book.last_id, bids, asks, book.venue_time_ns, book.received_ns, age_s)

    def _topic_of(self, name: str) -> str:
        if name in self._books:
            return name
        venue, _, symbol = name.partition(".")
        for topic in self._books:
            if topic.startswith(f"{venue}.") and topic.split(".", 2)[-1] == symbol:
                return topic
        if not any(_covers(topic, name, f"{venue}.", symbol) for topic in self._topics):
            raise ConfigError(
                f"book {name!r}: allowed is a topic of book changes that is subscribed, or its venue and symbol, such as VENUE.SYMBOL; "
                f"subscribed are {', '.join(self._topics)}"
            )
        return name


def _of_a_book(continuity: Continuity) -> bool:
    return continuity.repair is Repair.BOOK


def _covers(topic: str, name: str, venue: str, symbol: str) -> bool:
    """Whether a book of this name may come under a topic or prefix that is subscribed."""
    if not topic.endswith("."):
        return topic == name or (topic.startswith(venue) and topic.split(".", 2)[-1] == symbol)
    return name.startswith(topic) or ("." not in symbol and topic.startswith(venue))
