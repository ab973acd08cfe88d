"""The answers to joiners over real sockets: one book at a time, whoever does not read is waited for, and a Subscriber's side of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import zmq
import zmq.asyncio

from k2workers import Lost, Message, Position, Subscriber, wire
from k2workers.errors import ConfigError
from k2workers.events import BookSnapshot, DepthUpdate, Event, Heartbeat
from k2workers.transport.books_server import BOOKS_WAITING, BooksServer
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.venues.binance.streams import BOOK
from tests.support.batches import batch_of
from tests.support.waiting import WAIT_S, until

Context = zmq.Context[zmq.Socket[bytes]]


def diff(number: int) -> DepthUpdate:
    return DepthUpdate(number, number, [("1", str(number))], [], 0, 0)


def book(number: int, levels: int = 1) -> BookSnapshot:
    return BookSnapshot(number, [(str(price), str(number)) for price in range(1, levels + 1)], [], 0)


class Books:
    """A server with these books, each as it is when it is asked for."""

    def __init__(self, *topics: str, endpoint: str = "tcp://127.0.0.1:*") -> None:
        self.context: Context = zmq.Context()
        self.frames: dict[str, bytes | None] = {topic: topic.encode() for topic in topics}
        self.made: list[str] = []
        self.server = BooksServer(self.context, endpoint, self.under, self.frame)
        self.endpoint = self.server.endpoint

    def under(self, wanted: str) -> list[str]:
        return [
            topic for topic in self.frames if topic == wanted or (wanted.endswith(".") and topic.startswith(wanted))
        ]

    def frame(self, topic: str) -> bytes | None:
        self.made.append(topic)
        return self.frames[topic]

    def close(self) -> None:
        self.server.close()
        self.context.term()


@pytest.fixture
def books() -> Iterator[Books]:
    made = Books("d.a", "d.b", "e.c")
    yield made
    made.close()


def client(books: Books, **options: int) -> zmq.asyncio.Socket:
    socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    for name, value in options.items():
        socket.setsockopt(getattr(zmq, name), value)
    socket.connect(books.endpoint)
    return socket


async def known(books: Books, connections: int = 1) -> None:
    """Wait until the port knows of so many: a request of one of which it does not is passed over, and a subscriber asks again."""

    def met() -> bool:
        books.server.watch.meet()
        return len(books.server.watch.peers) >= connections

    await until(met, "the connections")


async def receive(socket: zmq.asyncio.Socket, count: int) -> list[list[bytes]]:
    async with asyncio.timeout(WAIT_S):
        return [await socket.recv_multipart() for _ in range(count)]


async def test_each_matching_topic_with_a_book_is_given_and_then_the_end(books: Books) -> None:
    books.server.start()
    with client(books) as asking:
        await known(books)
        await asking.send_multipart([b"book", b"d."])
        assert await receive(asking, 3) == [[b"book", b"d.a"], [b"book", b"d.b"], [b"end", b"d."]]
        books.frames["d.a"] = None
        await asking.send_multipart([b"book", b"d.a"])
        await asking.send_multipart([b"book", b"d.b"])
        await asking.send_multipart([b"book", b"no"])
        await asking.send_multipart([b"nonsense"])
        await asking.send_multipart([b"book", b"\xff", b"more"])
        assert await receive(asking, 4) == [[b"end", b"d.a"], [b"book", b"d.b"], [b"end", b"d.b"], [b"end", b"no"]]
    assert (books.server.requests, books.server.given) == (4, 3)


async def test_who_asks_twice_before_the_answer_is_answered_once(books: Books) -> None:
    with client(books) as asking:
        at_once: zmq.Socket[bytes] = zmq.Socket.shadow(asking.underlying)
        # Before the connection is made: then all of them come in one read of it.
        for wanted in (b"d.", b"d.", b"d.a", b"d."):
            at_once.send_multipart([b"book", wanted])
        books.server.start()
        await until(lambda: len(books.server._clients) == 0 and books.server.requests == 4)
        assert books.made.count("d.a") <= 2
        got = await receive(asking, 4)
    assert got[:2] == [[b"book", b"d.a"], [b"book", b"d.b"]]


async def test_a_client_that_does_not_read_keeps_nobody_waiting_and_gets_everything_later() -> None:
    many = [f"d.{number}" for number in range(400)]
    books = Books(*many)
    books.frames = {topic: topic.encode() + bytes(200_000) for topic in many}
    books.server.start()
    with client(books, RCVHWM=BOOKS_WAITING, RCVBUF=10_000) as sleeper, client(books) as reader:
        await known(books, 2)
        await sleeper.send_multipart([b"book", b"d."])
        await until(lambda: books.server.port._timer is not None, "the sleeper's queue is full")
        made = len(books.made)
        assert made < len(many)
        await reader.send_multipart([b"book", b"d.7"])
        assert [frames[0] for frames in await receive(reader, 2)] == [b"book", b"end"]
        got = await receive(sleeper, len(many) + 1)
        assert [frames[1].rstrip(b"\0").decode() for frames in got] == [*many, "d."]
    assert sorted(books.made) == sorted([*many, "d.7"]), "what the sleeper has no room for is made once"
    books.close()


async def test_a_client_that_has_gone_is_forgotten() -> None:
    many = [f"d.{number}" for number in range(200)]
    books = Books(*many)
    books.frames = {topic: bytes(200_000) for topic in many}
    books.server.start()
    asking = client(books, RCVHWM=1, RCVBUF=10_000)
    await known(books)
    await asking.send_multipart([b"book", b"d."])
    await until(lambda: books.server.port._timer is not None, "the queue is full")
    asking.close()
    await until(lambda: not books.server._clients, "nobody is waited for")
    books.close()


def test_an_endpoint_that_is_taken_is_named(books: Books) -> None:
    with pytest.raises(ConfigError, match="books_endpoint"):
        BooksServer(books.context, books.endpoint, books.under, books.frame)


# ── a Subscriber ────────────────────────────────────────────────────────────────────────────────────────────


class Feed:
    """A publisher with a ring and a books server, which knows the books that it is told."""

    def __init__(self) -> None:
        self.context: Context = zmq.Context()
        self.publisher = Publisher(self.context, "tcp://127.0.0.1:*")
        self.ring = ReplayRing(10_000_000, 10**12)
        self.replay = ReplayServer(self.context, "tcp://127.0.0.1:*", self.ring, epoch=1)
        self.books = Books()
        self.beats = 0
        self.replay.start()
        self.beating: asyncio.Task[None] | None = None

    def frame(self, topic: str, sequence: int, *events: Event, epoch: int = 1) -> bytes:
        return wire.publication(batch_of(topic, events, BOOK), epoch=epoch, sequence=sequence, publish_ns=1)

    def send(self, topic: str, sequence: int, *events: Event) -> None:
        made = self.frame(topic, sequence, *events)
        self.ring.put(topic, sequence, made, 0)
        self.publisher.publish(made)

    async def beat(self) -> None:
        while True:
            self.beats += 1
            batch = batch_of("heartbeat", [Heartbeat(1)])
            self.publisher.publish(wire.publication(batch, epoch=1, sequence=self.beats, publish_ns=1))
            self.publisher.subscriptions()
            await asyncio.sleep(0.05)

    def subscriber(self, *topics: str, **settings: object) -> Subscriber:
        self.beating = self.beating or asyncio.create_task(self.beat())
        known = {"snapshot_endpoint": self.replay.endpoint, "books_endpoint": self.books.endpoint, **settings}
        return Subscriber(topics, self.publisher.endpoint, **known)  # type: ignore[arg-type]

    def close(self) -> None:
        if self.beating is not None:
            self.beating.cancel()
        self.publisher.close()
        self.replay.close()
        self.books.close()
        self.context.term()


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    made = Feed()
    yield made
    made.close()


async def take(subscriber: Subscriber, count: int) -> list[tuple[str, Event | Lost]]:
    async with asyncio.timeout(WAIT_S):
        items = [await anext(subscriber) for _ in range(count)]
    return [(item.topic, item.event if isinstance(item, Message) else item) for item in items]


async def test_a_joiner_gets_books_of_quiet_and_busy_topics_and_a_running_one_after_a_loss(feed: Feed) -> None:
    feed.send("d.quiet", 4, diff(40))
    feed.send("d.busy", 7, diff(70))
    feed.books.frames = {
        "d.quiet": feed.frame("d.quiet", 4, book(40)), "d.busy": feed.frame("d.busy", 7, book(70)),
    }  # fmt: skip
    feed.books.server.start()
    async with feed.subscriber("d.", "t") as subscriber:
        assert sorted(await take(subscriber, 2)) == [("d.busy", book(70)), ("d.quiet", book(40))]
        feed.send("d.busy", 8, diff(71))
        assert await take(subscriber, 1) == [("d.busy", diff(71))]
        feed.ring = ReplayRing(10_000_000, 10**12)
        feed.replay._ring = feed.ring
        feed.books.frames["d.busy"] = feed.frame("d.busy", 11, book(74))
        feed.send("d.busy", 11, diff(74))
        feed.send("d.busy", 12, diff(75))
        assert await take(subscriber, 3) == [
            ("d.busy", Lost("d.busy", 9, 10, 72, 73)), ("d.busy", book(74)), ("d.busy", diff(75)),
        ]  # fmt: skip
        saved = Position.from_bytes(subscriber.position().to_bytes())
        place = subscriber.place("d.busy")
        assert place is not None
        assert (place.sequence, place.last_id, place.whole) == (12, 75, True)
    asked = feed.books.server.requests
    async with feed.subscriber("d.", "t", position=saved) as subscriber:
        feed.send("d.busy", 13, diff(76))
        assert await take(subscriber, 1) == [("d.busy", diff(76))]
    assert feed.books.server.requests == asked, "what is whole is not asked for"


async def test_books_that_are_there_late_come_late(feed: Feed) -> None:
    async with feed.subscriber("d.") as subscriber:
        await subscriber.wait_subscribed(WAIT_S)
        feed.send("d.x", 5, diff(50))
        assert await take(subscriber, 1) == [("d.x", diff(50))], "after its patience it goes on without"
        feed.books.frames = {"d.x": feed.frame("d.x", 5, book(50))}
        feed.books.server.start()
        assert await take(subscriber, 1) == [("d.x", book(50))]


async def test_books_of_another_life_are_asked_for_again(feed: Feed) -> None:
    feed.send("d.quiet", 4, diff(40))
    feed.books.frames = {"d.quiet": feed.frame("d.quiet", 9, book(40), epoch=7)}
    feed.books.server.start()
    async with feed.subscriber("d.") as subscriber:
        reading = asyncio.create_task(take(subscriber, 1))
        await until(lambda: feed.books.server.given > 0)
        feed.books.frames = {"d.quiet": feed.frame("d.quiet", 4, book(40))}
        assert await reading == [("d.quiet", book(40))]


async def test_nobody_is_asked_if_that_is_not_wanted(feed: Feed) -> None:
    feed.books.frames = {"d.x": feed.frame("d.x", 5, book(50))}
    feed.books.server.start()
    async with feed.subscriber("d.", books_endpoint=None) as subscriber:
        await subscriber.wait_subscribed(WAIT_S)
        feed.send("d.x", 5, diff(50))
        assert await take(subscriber, 1) == [("d.x", diff(50))]
    assert feed.books.server.requests == 0


async def test_a_plain_loop_gets_books_too(feed: Feed) -> None:
    feed.send("d.x", 5, diff(50))
    feed.books.frames = {"d.x": feed.frame("d.x", 5, book(50))}
    feed.books.server.start()
    with feed.subscriber("d.") as subscriber:
        item = await asyncio.to_thread(next, subscriber)
    assert isinstance(item, Message)
    assert item.event == book(50)
