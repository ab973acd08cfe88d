"""Owns the way of what is told of books: to the aggregator, as a worker's bundles go, so that it is numbered, kept and published like all else.

The feed waits for none of it: a bundle that finds no room is refused, and its topics are told anew, as they are then. What is told in one moment goes
together, and a moment is ``GATHER_S`` at least: so the aggregator has no more than 200 such bundles a second to take, however many books change.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping

from k2workers import wire
from k2workers.continuity import RECORDS
from k2workers.events import Status
from k2workers.every import Every
from k2workers.processes.child_settings import BookTopicsSettings
from k2workers.sequencing.book_topics import BookTopics
from k2workers.sequencing.order_book import OrderBook
from k2workers.transport.bundle_protocol import LIFE, MAKER, Welcome
from k2workers.transport.bundle_sender import BundleSender
from k2workers.transport.latest_outbox import LatestOutbox
from k2workers.wire import SendOutcome

GATHER_S = 0.005
"""How long what has changed waits for more; that a book is stale waits for nothing."""

AGAIN_S = 0.25
"""After so long what was refused is told again."""

STATUS_S = 1.0
STATUS_TOPIC = "status.books"

BUNDLES_WAITING = 64
"""Bundles that wait in ZeroMQ for the aggregator. More would only be older."""

BOOKS_A_BUNDLE = 100
"""An aggregator that takes several bundles at a time has other things to do in between."""


class BookTeller:
    """Tells what becomes of ``books``. Make it and ``start`` it inside the running loop; call ``changed`` after each change."""

    def __init__(self, settings: BookTopicsSettings, books: Mapping[str, OrderBook]) -> None:
        self.told = 0
        """Events so far."""
        self.refused = 0
        """Bundles that found no room."""
        self._books = books
        self._topics = BookTopics(settings.kinds, settings.prefixes, settings.pace_ns)
        name = f"{MAKER.decode()}books{LIFE.decode()}{secrets.token_hex(8)}"
        self._sender = BundleSender(
            settings.bundle_endpoint, name, high_water_mark=BUNDLES_WAITING, outbox=LatestOutbox
        )
        self._telling = Every(AGAIN_S, self._tell, "book_topics", give_up=None)
        self._status = Every(STATUS_S, self._say_status, "book_status", give_up=None)
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """When the timer ends, on the loop's clock."""
        self._stale_s: float | None = None
        """Since when a book is stale and nobody was told, on the loop's clock."""

    def start(self) -> None:
        """Say hello to the aggregator."""
        self._sender.start(on_welcome=self._begin_anew)
        self._telling.start()
        self._status.start(at_once=False)

    def changed(self, topic: str, book: OrderBook, *, at_once: bool) -> None:
        """The book of this topic is another one now."""
        self._topics.changed(topic, book)
        if at_once:
            self._stale_s = self._stale_s or asyncio.get_running_loop().time()
            self._telling.soon()
        else:
            self._tell_in(GATHER_S)

    @property
    def in_haste(self) -> bool:
        """Whether it has been waiting for its turn long enough with a book that is stale: whoever has much to do lets it have one."""
        return self._stale_s is not None and asyncio.get_running_loop().time() >= self._stale_s + GATHER_S

    def close(self) -> None:
        """Tell nothing any longer; what ZeroMQ holds reaches the aggregator, if it still reads."""
        self._telling.stop()
        self._status.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._sender.close()

    def _begin_anew(self, welcome: Welcome) -> None:
        self._topics.begin_anew(welcome.positions, self._books)
        self._telling.soon()

    def _tell_in(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + delay_s
        if self._timer is not None:
            if due_s >= self._due_s:
                return
            self._timer.cancel()  # levels wait for their pace: what has changed now does not
        self._timer, self._due_s = loop.call_at(due_s, self._now), due_s

    def _now(self) -> None:
        self._timer = None
        self._telling.soon()

    def _tell(self) -> None:
        self._stale_s = None
        if not self._sender.welcomed:
            return  # all of it is told anew then
        now_ns = time.monotonic_ns()
        news = self._topics.news(now_ns, time.time_ns())
        sources = list(news)
        for begin in range(0, len(sources), BOOKS_A_BUNDLE):
            some = sources[begin : begin + BOOKS_A_BUNDLE]
            batches = [batch for source in some for batch in news[source]]
            if self._sender.push(batches) is SendOutcome.SENT:
                self.told += len(batches)
            else:
                self.refused += 1
                self._topics.not_told(some, self._books)
        if self._topics.next_ns is not None:
            self._tell_in(max(GATHER_S, (self._topics.next_ns - now_ns) / 1e9))

    def _say_status(self) -> None:
        whole = sum(book.whole for book in self._books.values())
        status = Status("books", {"books": len(self._books), "whole": whole}, time.time_ns())
        if self._sender.welcomed:
            self._sender.push([wire.batch_of(STATUS_TOPIC, [status], RECORDS.number)])
