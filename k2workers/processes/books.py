"""Owns the books process: it keeps a whole book of every topic of book changes, and gives it to those who join late.

It is a subscriber like any other, beside the feed's path: the aggregator decodes nothing for it, and nobody waits for it. Of what it lacks
itself (it began late, or lost something) it tells the workers, which have the venue's book published anew. What it tells of its books
(``book_teller``) goes to the aggregator, and is published like all else.

What bounds its memory: 8 MB a book (``order_book.MAX_LEVELS`` and the slack, both sides, some 170 bytes a level; one that was fetched with 1000
levels begins with 0.4 MB), what its subscriber holds (64 MiB over all topics), and 5 books in their published form for each client that does
not read.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import structlog
import zmq

from k2workers import event_loop, every, wire
from k2workers.continuity import MADE
from k2workers.errors import ConfigError
from k2workers.events import BookSnapshot
from k2workers.every import Every
from k2workers.logs import log, outlet
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import BOOKS
from k2workers.processes.book_teller import BookTeller
from k2workers.processes.child_settings import BooksSettings
from k2workers.processes.child_status import BooksStatus
from k2workers.sequencing.book_topics import levels_event, levels_of
from k2workers.sequencing.order_book import OrderBook
from k2workers.supervision.child import settle_memory
from k2workers.supervision.child_process import ChildProcess
from k2workers.supervision.control_channel import ControlClient
from k2workers.supervision.control_messages import BooksKept
from k2workers.transport.books_server import BooksServer
from k2workers.transport.deliveries import Lost, MessageBatch
from k2workers.transport.peer_watch import LOOK_S
from k2workers.transport.replay_server import POLICY
from k2workers.transport.sockets import Context, restore_paths
from k2workers.transport.subscriber import Subscriber
from k2workers.wanted import meant_by

PLACES_S = 1.0
SUBSCRIBE_S = 60.0
TELL_S = 3.0
"""How long after a start or a loss the workers are told which books are here: most of the others are on their way by then."""

TELL_CHECK_S = 1.0
"""How often it looks whether there is something to tell."""

TELL_SELDOM_S = 60.0
"""How seldom they are told at most: the pause doubles from ``TELL_S`` on. A topic that was never heard of shows only by its absence."""

COMPARED = 20
"""Levels of each side in which a book that comes anew must be the one that is kept."""

KNOWN = 50
"""Levels of each side that are to be known for sure at least, or as many as are told, if that is more: of a book that has fewer the workers have the
venue's published anew. It takes some seconds, and the market may go on."""

ABOUT = 5
"""A number of levels is about another one if it differs by a fifth at most."""

_log = structlog.get_logger(__name__)


def levels_wanted(kinds: Sequence[str] | None) -> int:
    """How many levels are to be known for sure, if these kinds of topics are made of the books."""
    return max([KNOWN, *map(levels_of, kinds or ())])


class Books:
    """The books, the subscription they are made from, and the socket that gives them away. Make it inside the running loop."""

    def __init__(self, settings: BooksSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.books: dict[str, OrderBook] = {}
        self.lost = 0
        """How often a book ceased to be whole."""
        self.crossed = 0
        """How often one did because its best bid was not below its best ask."""
        self.ran_short = 0
        """How often too few levels of one were known for sure."""
        self.compared: Counter[str] = Counter(equal=0, different=0)
        """Books that came anew at the very change that the one kept here had come to, by whether they were the same."""
        self.short: set[str] = set()
        """Topics of which the market has left most of the levels that the venue told."""
        self._known = levels_wanted(settings.topics.kinds if settings.topics is not None else None)
        self._prefixes, self._sizes = settings.prefixes, settings.sizes
        self._tell_s = TELL_S
        self._told_s = clock()
        self.teller = None if settings.topics is None else BookTeller(settings.topics, self.books)
        self._context: Context = zmq.Context()
        self.server = BooksServer(
            self._context,
            settings.books_endpoint,
            self.topics_under,
            self.frame_of,
            levels_of=self.levels_of,
            policy=msgspec.structs.replace(POLICY, connections=settings.connections),
            screened_in=settings.screened_in,
        )
        self.subscriber = Subscriber(
            settings.prefixes,
            settings.endpoint,
            snapshot_endpoint=settings.snapshot_endpoint,
            books_endpoint=None,
            name="books",
        )

    async def follow(self) -> None:
        """Take what comes, for ever."""
        async for item in self.subscriber.batches():
            self.take(item)
            if self.teller is not None and self.teller.in_haste:
                await asyncio.sleep(0)

    def take(self, item: MessageBatch | Lost) -> None:
        """The next batch of some topic."""
        book = self.books.get(item.topic)
        if book is None:
            book = self.books[item.topic] = OrderBook(is_part=self._may_have_more(item.topic))
        whole, unreadable = book.whole, book.unreadable
        if isinstance(item, Lost):
            book.lose()
        else:
            for event in item.events:
                if isinstance(event, BookSnapshot):
                    self._compare(item.topic, book, event)
                book.take(event)
        if book.unreadable > unreadable:
            _log.warning(
                "book_unreadable", topic=item.topic, note="a level is no price and quantity: another book is awaited"
            )
        if book.crossed:
            self.crossed += 1
            _log.warning("book_crossed", topic=item.topic, last_id=book.last_id, note="another book is awaited")
            book.lose()
        if self.teller is not None:
            self.teller.changed(item.topic, book, at_once=whole and not book.whole)
        if whole and not book.whole:
            self.lost += 1
            self._tell_soon()
        if book.runs_short(self._known):
            self._miss_levels(item.topic)
        else:
            self.short.discard(item.topic)

    def _miss_levels(self, topic: str) -> None:
        if topic not in self.short:
            self.short.add(topic)
            self.ran_short += 1
            _log.info("book_runs_short", topic=topic, note="few of its levels are known for sure: another is awaited")
            self._tell_soon()

    def _tell_soon(self) -> None:
        self._tell_s, self._told_s = TELL_S, self._clock()

    def _may_have_more(self, topic: str) -> Callable[[int], bool]:
        """Whether a side that came with so many levels may be a part: it has about as many as are asked for, and some may have changed since."""
        sizes = [size for prefix, each in self._sizes.items() if topic.startswith(prefix) for size in each]
        return lambda count: any(abs(count - size) <= size // ABOUT for size in sizes)

    def _compare(self, topic: str, book: OrderBook, fresh: BookSnapshot) -> None:
        agrees = book.agrees_with(fresh, COMPARED)
        if agrees is not None:
            self.compared["equal" if agrees else "different"] += 1
        if agrees is False:
            _log.error("book_differs", topic=topic, last_id=book.last_id, note="the venue's takes its place")

    @property
    def whole(self) -> list[str]:
        """The topics of which there is a whole book."""
        return [topic for topic, book in self.books.items() if book.whole]

    def topics_under(self, wanted: str) -> list[str]:
        """The topics that match a topic, or a prefix ending in a dot."""
        return meant_by(wanted, self.books)

    def frame_of(self, topic: str) -> bytes | None:
        """The book as a published batch that stands for everything that was published up to it; None if there is no whole one."""
        book, place = self.books[topic], self.subscriber.place(topic)
        if not book.whole or place is None:
            return None
        batch = wire.batch_of(topic, [book.snapshot()], place.continuity)
        return wire.publication(batch, epoch=place.epoch, sequence=place.sequence, publish_ns=time.time_ns())

    def levels_of(self, topic: str, count: int) -> bytes:
        """The best levels of a topic's book in the form of a published batch, stale or whole; empty if none is kept."""
        book = self.books.get(topic)
        if book is None:
            return b""
        batch = wire.batch_of(topic, [levels_event(book, count, time.time_ns())], MADE.number)
        return wire.publication(batch, epoch=0, sequence=0, publish_ns=time.time_ns())

    def status(self) -> BooksStatus:
        """How many there are now."""
        return BooksStatus(books=len(self.books), whole=len(self.whole))

    def news(self) -> BooksKept | None:
        """What to tell the workers now, if anything."""
        now_s = self._clock()
        if now_s - self._told_s < self._tell_s:
            return None
        self._told_s, self._tell_s = now_s, min(2 * self._tell_s, TELL_SELDOM_S)
        return BooksKept(self._prefixes, tuple(topic for topic in self.whole if topic not in self.short))

    async def close(self) -> None:
        """Close all sockets; what joiners behind a screen were sent reaches them."""
        if self.teller is not None:
            self.teller.close()
        self.subscriber.close()
        self.server.close()
        self._context.term()
        await self.server.port.settle()


def main(name: str, control_endpoint: str, settings: BooksSettings) -> None:
    """Entry of the books process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    event_loop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: BooksSettings) -> None:
    async with ChildProcess(name, control_endpoint) as child:
        try:
            books = Books(settings)
        except ConfigError as error:
            child.tell("refused", {"error": str(error)})
            raise
        child.tell("listening", {"books": books.server.endpoint})
        child.beats(books.status)
        if books.teller is not None:
            books.teller.start()
        async with books.subscriber:
            following = asyncio.ensure_future(books.follow())
            # A subscription that failed ends the process, for a new one to begin anew.
            following.add_done_callback(lambda _: child.stopping.set())
            await books.subscriber.wait_subscribed(SUBSCRIBE_S)
            books.server.start()
            child.ready()
            settle_memory()
            instruments = Instruments(BOOKS, environment=settings.environment, component="books")
            child.metrics(lambda: _flush(books, instruments))
            child.does(
                Every(LOOK_S, books.server.watch.look, "peers", give_up=None),
                Every(TELL_CHECK_S, lambda: _tell(books, child.client), "books"),
                Every(PLACES_S, restore_paths, "places", give_up=None),
            )
            await child.stopping.wait()
            failure = following.exception() if following.done() and not following.cancelled() else None
            following.cancel()
        await books.close()
        if failure is not None:
            raise failure


def _tell(books: Books, client: ControlClient) -> None:
    news = books.news()
    if news is not None:
        client.send(news)


def _flush(books: Books, instruments: Instruments) -> None:
    whole = len(books.whole)
    instruments.flush(
        {
            "k2_books": {"whole": whole, "awaited": len(books.books) - whole},
            "k2_books_lost": books.lost,
            "k2_book_requests": books.server.requests,
            "k2_books_given": books.server.given,
            "k2_books_crossed": books.crossed,
            "k2_books_ran_short": books.ran_short,
            "k2_books_compared": books.compared,
            "k2_book_events_told": books.teller.told if books.teller is not None else 0,
            "k2_book_bundles_refused": books.teller.refused if books.teller is not None else 0,
            "k2_peers_cut": books.server.watch.cuts,
            "k2_duty_failures": every.failures,
            "k2_log_lines_dropped": outlet.dropped(),
        }
    )
