"""The books process, in one process with its feed: what it keeps, what it gives, and what it tells the workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
from structlog.testing import capture_logs

from k2workers import Message, Subscriber, wire
from k2workers.book_events import BookLevels
from k2workers.continuity import renumbered
from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Heartbeat, Reset
from k2workers.processes.books import KNOWN, TELL_S, TELL_SELDOM_S, Books, levels_wanted
from k2workers.processes.child_settings import BooksSettings
from k2workers.supervision.control_messages import BooksKept
from k2workers.transport.deliveries import Lost
from k2workers.transport.endpoint import split_tcp
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.venues.binance.streams import BOOK
from tests.support.batches import batch_of
from tests.support.told import LOGS
from tests.support.waiting import WAIT_S, until

T = "d.x"


def diff(number: int) -> DepthUpdate:
    return DepthUpdate(number, number, [("1", str(number))], [], 0, number)


def book(number: int, quantity: str = "1") -> BookSnapshot:
    return BookSnapshot(number, [("1", quantity)], [], 0)


class Feed:
    """A publisher and its ring, and the books that are made from it."""

    def __init__(self) -> None:
        self.epoch = 1
        self.sequences: dict[str, int] = {}
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.publisher = Publisher(self.context, "tcp://127.0.0.1:*")
        self.ring = ReplayRing(10_000_000, 10**12)
        self.replay = ReplayServer(self.context, "tcp://127.0.0.1:*", self.ring, epoch=1)
        self.replay.start()
        self.beats = 0
        self.now_s = 100.0
        self.books = Books(
            BooksSettings(
                endpoint=self.publisher.endpoint,
                snapshot_endpoint=self.replay.endpoint,
                books_endpoint="tcp://127.0.0.1:*",
                prefixes=("d.",),
                sizes={"d.": (100, 1000)},
                environment="test",
                logs=LOGS,
            ),
            clock=lambda: self.now_s,
        )

    def send(self, *events: Event, topic: str = T, numbering: int = 0) -> None:
        sequence = self.sequences[topic] = self.sequences.get(topic, 0) + 1
        batch = wire.batch_of(topic, events, renumbered(BOOK.number, numbering))
        frame = wire.publication(batch, epoch=self.epoch, sequence=sequence, publish_ns=1)
        self.ring.put(topic, sequence, frame, 0)
        self.publisher.publish(frame)

    async def beat(self) -> None:
        while True:
            self.beats += 1
            batch = batch_of("heartbeat", [Heartbeat(1)])
            self.publisher.publish(wire.publication(batch, epoch=self.epoch, sequence=self.beats, publish_ns=1))
            self.publisher.subscriptions()
            await asyncio.sleep(0.05)

    def place(self, topic: str = T) -> tuple[int, int, BookSnapshot] | None:
        """Epoch, sequence and content of what a joiner would be given."""
        frame = self.books.frame_of(topic) if topic in self.books.books else None
        if frame is None:
            return None
        header = wire.read_header(frame)
        (event,) = wire.decode_events(frame, header)
        assert isinstance(event, BookSnapshot)
        assert header.first_id == header.last_id == event.last_update_id
        return header.epoch, header.sequence, event


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    made = Feed()
    beating = asyncio.create_task(made.beat())
    async with made.books.subscriber:
        following = asyncio.create_task(made.books.follow())
        await made.books.subscriber.wait_subscribed(WAIT_S)
        made.books.server.start()
        yield made
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    beating.cancel()
    await made.books.close()
    made.publisher.close()
    made.replay.close()
    made.context.term()


async def test_a_book_is_given_as_of_the_last_batch_that_is_in_it(feed: Feed) -> None:
    feed.send(diff(9))
    feed.send(book(9))
    feed.send(diff(10), diff(11))
    await until(lambda: feed.place() == (1, 3, BookSnapshot(11, [("1", "11")], [], 11)))
    feed.epoch, feed.sequences = 2, {}
    await until(lambda: feed.place() == (2, 0, BookSnapshot(11, [("1", "11")], [], 11)), "quiet in the new life")
    feed.send(diff(11))
    await until(lambda: feed.place() == (2, 1, BookSnapshot(11, [("1", "11")], [], 11)), "what comes again is in it")


@pytest.mark.parametrize("harm", [Gap(12, 13, "", 0), Reset(11, 1, 0)])
async def test_after_a_gap_or_when_ids_begin_anew_there_is_no_book_until_the_venues_next(
    feed: Feed, harm: Event
) -> None:
    feed.send(book(11))
    await until(lambda: feed.place() is not None)
    numbering = int(isinstance(harm, Reset))
    feed.send(harm, numbering=numbering)
    await until(lambda: feed.books.lost == 1)
    assert (feed.place(), feed.books.whole) == (None, [])
    feed.send(book(20, "7"), numbering=numbering)
    await until(lambda: feed.place() == (1, 3, book(20, "7")))


async def test_what_was_lost_on_the_way_leaves_no_book(feed: Feed) -> None:
    feed.send(book(11))
    await until(lambda: feed.place() is not None)
    feed.ring = ReplayRing(10_000_000, 10**12)
    feed.replay._ring = feed.ring
    feed.sequences[T] = 3
    feed.send(diff(14))
    await until(lambda: feed.books.lost == 1)
    assert feed.place() is None


async def test_a_loss_after_which_nothing_comes_leaves_no_book_either(feed: Feed) -> None:
    feed.send(book(11))
    await until(lambda: feed.place() is not None)
    feed.books.take(Lost(T, 2, 2, 12, 13))
    assert (feed.place(), feed.books.lost) == (None, 1)


async def test_a_level_that_is_no_quantity_costs_one_book_until_the_venues_next(feed: Feed) -> None:
    for topic in ("d.x", "d.y"):
        feed.send(book(11), topic=topic)
    await until(lambda: len(feed.books.whole) == 2)
    with capture_logs() as logs:
        feed.send(DepthUpdate(12, 12, [("1", "abc")], [], 0, 12))
        await until(lambda: feed.books.lost == 1)
    assert [(line["event"], line["topic"]) for line in logs] == [("book_unreadable", T)]
    assert (feed.place(), feed.books.whole) == (None, ["d.y"])
    feed.send(book(13))
    await until(lambda: feed.place() == (1, 3, book(13)))


async def test_a_joiner_gets_all_books_of_a_prefix(feed: Feed) -> None:
    for topic in ("d.a", "d.b"):
        feed.send(book(11), topic=topic)
    feed.send(diff(5), topic="d.c")
    await until(lambda: len(feed.books.whole) == 2 and len(feed.books.books) == 3)
    assert feed.books.topics_under("d.") == ["d.a", "d.b", "d.c"]
    assert (feed.books.topics_under("d.b"), feed.books.topics_under("d")) == (["d.b"], [])
    async with Subscriber(
        ["d."], feed.publisher.endpoint, snapshot_endpoint=feed.replay.endpoint,
        books_endpoint=feed.books.server.endpoint,
    ) as subscriber:  # fmt: skip
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(2)]
    found = {item.topic: item.event for item in items if isinstance(item, Message)}
    assert found == {"d.a": book(11), "d.b": book(11)}


async def test_at_its_end_joiners_behind_a_screen_see_an_end_and_it_takes_no_more(tmp_path: Path) -> None:
    books = Books(
        BooksSettings(
            endpoint=f"ipc://{tmp_path}/publish",
            snapshot_endpoint=f"ipc://{tmp_path}/snapshot",
            books_endpoint="tcp://127.0.0.1:*",
            prefixes=("d.",),
            environment="test",
            logs=LOGS,
            screened_in=str(tmp_path),
        )
    )
    books.server.start()
    host, port = split_tcp(books.server.endpoint)
    async with asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection(host, port)
        assert await reader.read(1), "it is through"
        await books.close()
        await reader.read()  # to its end
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)
    writer.close()


async def test_the_workers_are_told_what_is_kept_soon_after_a_start_or_a_loss_and_seldom_else(feed: Feed) -> None:
    feed.send(book(11))
    await until(lambda: feed.place() is not None)
    assert feed.books.news() is None, "most are on their way"
    feed.now_s += TELL_S
    assert feed.books.news() == BooksKept(("d.",), (T,))
    feed.now_s += TELL_S
    assert feed.books.news() is None
    for _ in range(10):
        feed.now_s += TELL_SELDOM_S
        assert feed.books.news() is not None
    feed.now_s += TELL_SELDOM_S - 1
    assert feed.books.news() is None
    feed.send(Gap(12, 13, "", 0))
    await until(lambda: feed.books.lost == 1)
    feed.now_s += TELL_S
    assert feed.books.news() == BooksKept(("d.",), ())


async def test_a_book_whose_best_bid_is_not_below_its_best_ask_is_none(feed: Feed) -> None:
    feed.send(BookSnapshot(11, [("1", "1")], [("2", "1")], 0))
    await until(lambda: feed.place() is not None)
    with capture_logs() as logs:
        feed.send(DepthUpdate(12, 12, [("2.0", "1")], [], 0, 12))
        await until(lambda: feed.books.crossed == 1)
    assert [(line["event"], line["topic"], line["last_id"]) for line in logs] == [("book_crossed", T, 12)]
    assert (feed.place(), feed.books.lost) == (None, 1)
    feed.send(book(13))
    await until(lambda: feed.place() is not None)


async def test_a_book_that_comes_anew_is_compared_with_the_one_that_is_kept(feed: Feed) -> None:
    feed.send(book(11))
    feed.send(book(11))
    feed.send(diff(12))
    feed.send(book(13))
    await until(lambda: feed.place() == (1, 4, book(13)))
    assert feed.books.compared == {"equal": 1, "different": 0}, "of the same moment only"
    with capture_logs() as logs:
        feed.send(book(13, "2"))
        await until(lambda: feed.place() == (1, 5, book(13, "2")))
    assert feed.books.compared == {"equal": 1, "different": 1}
    assert [(line["event"], line["topic"]) for line in logs] == [("book_differs", T)]


async def test_best_levels_are_given_whole_or_stale(feed: Feed) -> None:
    feed.send(book(11))
    await until(lambda: feed.place() is not None)

    def levels() -> BookLevels:
        frame = feed.books.levels_of(T, 5)
        (event,) = wire.decode_events(frame, wire.read_header(frame))
        assert isinstance(event, BookLevels)
        return event

    assert (levels().update_id, levels().bids, levels().state) == (11, [("1", "1")], "whole")
    feed.send(Gap(12, 13, "", 0))
    await until(lambda: feed.books.lost == 1)
    assert (levels().bids, levels().state) == ([], "stale")
    assert feed.books.levels_of("d.unknown", 5) == b""


def deep(number: int, first: int, last: int) -> BookSnapshot:
    """Bids at all whole prices from ``first`` down to ``last``."""
    return BookSnapshot(number, [(str(price), "1") for price in range(first, last - 1, -1)], [], 0)


async def test_a_book_that_the_market_leaves_is_asked_for_anew_before_nothing_is_known_of_it(feed: Feed) -> None:
    books = feed.books
    for topic in ("d.x", "d.y"):
        feed.send(deep(11, 400, 301), topic=topic)
    await until(lambda: len(books.whole) == 2)
    feed.now_s += TELL_S
    assert books.news() == BooksKept(("d.",), ("d.x", "d.y"))
    with capture_logs() as logs:
        for number, price in enumerate((350, 349), 12):
            gone = [(str(each), "0") for each in range(price, 401)]
            feed.send(DepthUpdate(number, number, gone, [], 0, number))
        await until(lambda: books.books[T].last_id == 13)
    assert [(line["event"], line["topic"]) for line in logs] == [("book_runs_short", T)]
    assert (books.ran_short, books.lost, len(books.whole)) == (1, 0, 2)
    feed.now_s += TELL_S
    assert books.news() == BooksKept(("d.",), ("d.y",)), "the one that runs short is wanted"
    feed.send(deep(13, 348, 249))
    await until(lambda: not books.short)
    feed.now_s += 2 * TELL_S
    assert books.news() == BooksKept(("d.",), ("d.x", "d.y"))


def test_as_many_levels_are_wanted_as_are_told() -> None:
    assert levels_wanted(None) == KNOWN
    assert levels_wanted(("book_top", "book_20")) == KNOWN
    assert levels_wanted(("book_20", "book_700", "book_top")) == 700
