"""The public Subscriber against a real publisher, in both ways of use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import zmq

from k2workers import Lost, Message, MessageBatch, MessageColumns, Position, Subscriber, wire
from k2workers.errors import ConfigError, K2Error
from k2workers.events import Heartbeat, Trade
from k2workers.transport import readers, replay_server
from k2workers.transport import subscriber as subscriber_module
from k2workers.transport.batches import ITEMS_A_TURN
from k2workers.transport.endpoint import next_port
from k2workers.transport.position import TopicPosition
from k2workers.transport.publisher import Publisher
from k2workers.transport.reassembly import ASK_AGAIN_NS
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.transport.subscriber import BATCHES_A_TURN, READY_LIMIT
from k2workers.venues.binance.streams import CHAIN
from tests.support.batches import batch_of
from tests.support.names import has_ipv6
from tests.support.waiting import WAIT_S, until


class Feed:
    """A publisher that can be told what to send; its heartbeat shows that a subscription has arrived."""

    def __init__(self, host: str = "127.0.0.1", publish: str = "", epoch: int = 1) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.publisher = Publisher(self.context, publish or f"tcp://{host}:*")
        self.ring = ReplayRing(10_000_000, 10**12)
        self.server = ReplayServer(self.context, f"tcp://{host}:*", self.ring, epoch=epoch)
        self.epoch = epoch
        self.beats = 0

    def close(self) -> None:
        self.publisher.close()
        self.server.close()
        self.context.term()

    def send(self, topic: str, sequence: int, *numbers: int, epoch: int = 0, withheld: bool = False) -> None:
        batch = batch_of(topic, [Trade(number, "1", "1", True, 0, 0, number) for number in numbers])
        stamped = wire.publication(batch, epoch=epoch or self.epoch, sequence=sequence, publish_ns=1)
        self.ring.put(topic, sequence, stamped, 0)
        if not withheld:
            self.publisher.publish(stamped)

    def heartbeat(self) -> None:
        batch = batch_of("heartbeat", [Heartbeat(1)])
        self.beats += 1
        self.publisher.publish(wire.publication(batch, epoch=self.epoch, sequence=self.beats, publish_ns=1))

    async def beat(self) -> None:
        while True:
            self.heartbeat()
            self.publisher.subscriptions()
            await asyncio.sleep(0.01)


@pytest.fixture
def feed() -> Iterator[Feed]:
    made = Feed()
    yield made
    made.close()


@pytest.fixture
def neighbours() -> Iterator[Feed]:
    """A feed that answers on the port next to the one where it publishes."""
    while True:
        made = Feed()
        made.server.close()
        try:
            made.server = ReplayServer(made.context, next_port(made.publisher.endpoint), made.ring, epoch=1)
        except ConfigError:  # somebody else's port
            made.close()
        else:
            break
    yield made
    made.close()


async def subscribed(feed: Feed, subscriber: Subscriber) -> None:
    beating = asyncio.create_task(feed.beat())
    await subscriber.wait_subscribed(WAIT_S)
    beating.cancel()


def subscribed_plainly(feed: Feed, subscriber: Subscriber) -> None:
    while not subscriber._subscribed:
        feed.heartbeat()
        feed.publisher.subscriptions()
        subscriber._published.socket.poll(10)
        subscriber._take_published()
    while subscriber._published.socket.poll(100):  # heartbeats that are on their way
        subscriber._take_published()


async def test_exact_topics_and_prefixes_are_told_apart(feed: Feed) -> None:
    async with Subscriber(["b.trade.BTC", "b.depth."], feed.publisher.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        feed.send("b.trade.BTCUSDT", 1, 1)
        feed.send("b.depth.X", 1, 2)
        feed.send("b.trade.BTC", 1, 3, 4)
        items = [await anext(subscriber) for _ in range(3)]
    assert [(item.topic, item.event.first_id) for item in items if isinstance(item, Message)] == [
        ("b.depth.X", 2), ("b.trade.BTC", 3), ("b.trade.BTC", 4),
    ]  # fmt: skip


async def test_it_tells_which_life_of_the_feed_it_hears(feed: Feed) -> None:
    async with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        assert subscriber.epoch is None
        await subscribed(feed, subscriber)
        assert subscriber.epoch == 1
        feed.send("t", 1, 1, epoch=2)
        await anext(subscriber)
        assert subscriber.epoch == 2


async def test_very_many_exact_topics_are_all_heard(feed: Feed) -> None:
    topics = [f"b.trade.{number}" for number in range(3_000)]
    async with Subscriber(topics, feed.publisher.endpoint, recover=False) as subscriber:
        feed.publisher.start()
        await subscribed(feed, subscriber)
        feed.send(topics[-1], 1, 1)
        assert (await anext(subscriber)).topic == topics[-1]


async def test_a_hole_in_the_sequence_is_told_before_what_follows(feed: Feed) -> None:
    async with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        await subscribed(feed, subscriber)
        feed.send("t", 5, 50)
        feed.send("t", 9, 90)
        feed.send("t", 9, 90)
        feed.send("t", 1, 91, epoch=2)
        items = [await anext(subscriber) for _ in range(4)]
    assert items[1] == Lost("t", 6, 8, 51, 89)
    assert [item.event.first_id for item in items if isinstance(item, Message)] == [50, 90, 91]


async def test_batches_give_the_same_items_and_may_be_mixed_with_single_ones(feed: Feed) -> None:
    async with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        await subscribed(feed, subscriber)
        for sequence, numbers in ((1, (1, 2, 3)), (2, (4, 5)), (4, (9,))):
            feed.send("t", sequence, *numbers)
        first, batches = await anext(subscriber), subscriber.batches()
        rest, whole, lost, last = [await anext(batches) for _ in range(4)]
        saved = subscriber.position().topics["t"]
    assert isinstance(first, Message)
    assert isinstance(rest, MessageBatch)
    assert isinstance(whole, MessageBatch)
    assert isinstance(last, MessageBatch)
    assert [first.event.first_id, *(event.first_id for b in (rest, whole, last) for event in b.events)] == [
        1,
        2,
        3,
        4,
        5,
        9,
    ]
    assert (whole.topic, whole.sequence, whole.publish_ns) == ("t", 2, 1)
    assert lost == Lost("t", 3, 3, 6, 8)
    assert (saved.sequence, saved.last_id) == (4, 9)


async def test_what_was_lost_on_the_way_is_repaired_from_the_ring(feed: Feed) -> None:
    feed.server.start()
    async with Subscriber(["t"], feed.publisher.endpoint, snapshot_endpoint=feed.server.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        feed.send("t", 1, 10)
        feed.send("t", 2, 11, withheld=True)
        feed.send("t", 3, 12, withheld=True)
        feed.send("t", 4, 13)
        items = [await anext(subscriber) for _ in range(4)]
        assert [item.event.first_id for item in items if isinstance(item, Message)] == [10, 11, 12, 13]
        assert subscriber.counters.repaired_batches == 3


async def test_a_last_batch_that_was_lost_is_noticed_by_the_heartbeat(feed: Feed) -> None:
    feed.server.start()
    async with Subscriber(["t"], feed.publisher.endpoint, snapshot_endpoint=feed.server.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        await until(lambda: subscriber.position().joined)  # what is asked for at the start is answered
        feed.send("t", 1, 10)
        feed.send("t", 2, 11, withheld=True)
        feed.beats += 1  # one heartbeat was lost together with it
        feed.heartbeat()
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(2)]
        assert [item.event.first_id for item in items if isinstance(item, Message)] == [10, 11]


async def test_a_feed_that_is_named_is_asked_itself_for_what_was_missed(neighbours: Feed) -> None:
    feed = neighbours
    feed.server.start()
    feed.send("t", 1, 10)
    beating = asyncio.create_task(feed.beat())
    async with Subscriber(["t"], feed.publisher.endpoint, snapshot=True) as subscriber:
        feed.send("t", 2, 11, withheld=True)
        feed.send("t", 3, 12)
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(3)]
    beating.cancel()
    assert [item.event.first_id for item in items if isinstance(item, Message)] == [10, 11, 12]


async def test_where_nobody_can_be_asked_a_hole_is_told_and_last_values_are_refused(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/publish"
    feed = Feed(publish=endpoint)
    async with Subscriber(["t"], endpoint) as subscriber:
        await subscribed(feed, subscriber)
        feed.send("t", 1, 10)
        feed.send("t", 3, 12)
        items = [await anext(subscriber) for _ in range(3)]
    feed.close()
    assert items[1] == Lost("t", 2, 2, 11, 11)
    with pytest.raises(ConfigError, match="snapshot_endpoint"):
        Subscriber(["t"], endpoint, snapshot=True)


def test_a_program_goes_on_from_its_saved_position(feed: Feed) -> None:
    feed.send("t", 1, 10, 11, 12)
    feed.send("t", 2, 13)
    done = threading.Event()
    loop_thread = threading.Thread(target=serve, args=(feed, done))
    loop_thread.start()
    position = Position({"t": TopicPosition(1, 0, 10, -1, CHAIN.number, open=[])})
    with Subscriber(
        ["t"], feed.publisher.endpoint, snapshot_endpoint=feed.server.endpoint, position=position
    ) as subscriber:
        items = [next(subscriber) for _ in range(3)]
        saved = Position.from_bytes(subscriber.position().to_bytes())
    done.set()
    loop_thread.join()
    assert [item.event.first_id for item in items if isinstance(item, Message)] == [11, 12, 13]
    assert saved.topics["t"].last_id == 13


def serve(feed: Feed, done: threading.Event) -> None:
    """The publisher's side in a thread of its own, for a plain loop on the other side."""

    async def run() -> None:
        feed.server.start()
        beating = asyncio.create_task(feed.beat())
        await until(done.is_set)
        beating.cancel()

    asyncio.run(run())


async def test_a_late_joiner_first_gets_the_last_value(feed: Feed) -> None:
    feed.server.start()
    feed.send("t.a", 7, 70)
    feed.send("t.b", 3, 30)
    beating = asyncio.create_task(feed.beat())
    async with Subscriber(
        ["t."], feed.publisher.endpoint, snapshot=True, snapshot_endpoint=feed.server.endpoint
    ) as subscriber:
        feed.send("t.a", 8, 71)
        items = [await anext(subscriber) for _ in range(3)]
    beating.cancel()
    assert [(item.topic, item.sequence) for item in items if isinstance(item, Message)] == [
        ("t.a", 7), ("t.b", 3), ("t.a", 8),
    ]  # fmt: skip


async def test_a_waiting_reader_is_left_asleep_until_something_comes(feed: Feed) -> None:
    async with Subscriber(["t"], feed.publisher.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        waiting = asyncio.create_task(anext(subscriber))
        for _ in range(100):
            feed.heartbeat()
            await asyncio.sleep(0)
            assert subscriber._arrived is not None
            assert not subscriber._arrived.is_set()
        feed.send("t", 1, 1)
        assert isinstance(await waiting, Message)


async def test_silence_is_an_error_that_names_the_endpoint() -> None:
    async with Subscriber(["t"], "tcp://127.0.0.1:9") as subscriber:
        with pytest.raises(K2Error, match=r"127\.0\.0\.1:9"):
            await subscriber.wait_subscribed(0.05)


def test_a_plain_loop_works_without_an_event_loop(feed: Feed) -> None:
    done = threading.Event()

    def publish() -> None:
        sequence = 0
        while not done.is_set():
            sequence += 1
            feed.send("t", sequence, sequence)
            done.wait(0.01)

    publishing = threading.Thread(target=publish)
    publishing.start()
    with Subscriber(["t"], feed.publisher.endpoint) as subscriber:
        first, second = next(subscriber), next(subscriber)
    done.set()
    publishing.join()
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert second.sequence == first.sequence + 1


@pytest.mark.parametrize("topic", ["", "two words"])
def test_a_topic_that_cannot_be_is_refused(topic: str) -> None:
    with pytest.raises(ConfigError, match="topic"):
        Subscriber([topic])


async def test_the_first_heartbeat_is_heard_behind_any_number_of_batches(feed: Feed) -> None:
    batches = READY_LIMIT + 100
    async with Subscriber(["t"], feed.publisher.endpoint, snapshot_endpoint=feed.server.endpoint) as subscriber:
        await until(lambda: feed.publisher.subscriptions() == 2)
        for sequence in range(1, batches + 1):
            feed.send("t", sequence, sequence)
        feed.heartbeat()
        await subscriber.wait_subscribed(WAIT_S)
        got = [await anext(subscriber) for _ in range(batches)]
    assert [item.sequence for item in got if isinstance(item, Message)] == list(range(1, batches + 1))


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize(("bound", "asked"), [("[::1]", "[::1]"), ("[::]", "[::1]"), ("[::]", "127.0.0.1")])
async def test_ipv6_carries_what_is_published_what_was_missed_and_last_values(bound: str, asked: str) -> None:
    feed = Feed(bound)
    feed.server.start()
    beating = asyncio.create_task(feed.beat())
    published, snapshot = (e.replace(bound, asked) for e in (feed.publisher.endpoint, feed.server.endpoint))
    feed.send("t", 1, 1)
    async with Subscriber(["t"], published, snapshot=True, snapshot_endpoint=snapshot) as subscriber:
        feed.send("t", 2, 2, withheld=True)
        feed.send("t", 3, 3)
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(3)]
    assert [item.event.first_id for item in items if isinstance(item, Message)] == [1, 2, 3]
    beating.cancel()
    feed.close()


@pytest.mark.parametrize("step", ["tick", "take_plain"])
async def test_a_defect_reaches_the_program_that_waits(feed: Feed, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is the program's: it is not ended, and neither is its reader left to wait for ever."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # which would log it as well
    async with Subscriber(["t"], feed.publisher.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        feed.send("t", 1, 1)
        assert isinstance(await anext(subscriber), Message)
        monkeypatch.setattr(subscriber._reassembly, step, broken)
        feed.send("t", 2, 2)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="a defect"):
                await asyncio.wait_for(_read_on(subscriber), WAIT_S)


async def _read_on(subscriber: Subscriber) -> None:
    async for _ in subscriber:
        pass


@pytest.mark.parametrize("ring_bytes", [10_000_000, 300])
async def test_a_joiner_is_told_of_no_loss_before_it_joined(feed: Feed, ring_bytes: int) -> None:
    feed.ring = ReplayRing(ring_bytes, 10**12)
    feed.server.close()
    feed.server = ReplayServer(feed.context, "tcp://127.0.0.1:*", feed.ring, epoch=1)
    feed.server.start()
    for sequence in range(1, 1_001):
        feed.send("t.a", sequence, sequence)
    async with Subscriber(["t."], feed.publisher.endpoint, snapshot_endpoint=feed.server.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        await until(lambda: "t.a" in subscriber.position().topics)
        feed.send("t.b", 1, 7)
        feed.beats += 1  # one heartbeat was lost
        feed.heartbeat()
        feed.send("t.a", 1_001, 1_001, withheld=True)
        feed.beats += 1
        feed.heartbeat()
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(2)]
    assert sorted((item.topic, item.sequence) for item in items if isinstance(item, Message)) == [
        ("t.a", 1_001), ("t.b", 1),
    ]  # fmt: skip


async def test_a_position_of_a_higher_epoch_goes_on_where_the_clock_is_behind(feed: Feed) -> None:
    feed.server.start()
    feed.send("t", 1, 10, 11)
    feed.send("t", 2, 14)
    position = Position({"t": TopicPosition(9, 70, 10, -1, CHAIN.number, open=[])})
    async with Subscriber(
        ["t"], feed.publisher.endpoint, snapshot_endpoint=feed.server.endpoint, position=position
    ) as subscriber:
        await subscribed(feed, subscriber)
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(3)]
    assert [item if isinstance(item, Lost) else item.event.first_id for item in items] == [
        11, Lost("t", 0, -1, 12, 13), 14,
    ]  # fmt: skip


async def test_two_publishers_at_once_are_an_error_by_name_and_nothing_flips(feed: Feed) -> None:
    with structlog.testing.capture_logs() as logged:
        async with Subscriber(["t", "heartbeat"], feed.publisher.endpoint, recover=False) as subscriber:
            await subscribed(feed, subscriber)
            feed.send("t", 1, 10, epoch=5)
            feed.send("t", 1, 11, epoch=4)
            for number in range(12, 20):
                feed.send("t", number, number, epoch=5)
                feed.send("t", number - 10, number, epoch=4)
            got: list[int] = []
            async with asyncio.timeout(WAIT_S):
                while len(got) < 10:
                    item = await anext(subscriber)
                    got += [item.event.first_id] if isinstance(item, Message) and item.topic == "t" else []
            await until(lambda: bool(logged))
            feed.send("t", 20, 20, epoch=5)
            feed.heartbeat()
            await until(lambda: subscriber.counters.refused_batches == 10)
    assert got == list(range(10, 20))
    assert [(line["event"], line["taken_epoch"], line["refused_epoch"]) for line in logged] == [
        ("two_publishers", 4, 5)
    ]


async def test_the_newest_sequences_are_asked_for_until_they_are_answered(feed: Feed) -> None:
    """The answer of a life that nothing was heard of yet does not count."""
    feed.server.close()
    late = Feed(epoch=2)
    late.server.start()
    late.send("t", 1, 10, withheld=True)
    late.send("t", 2, 11, withheld=True)
    position = Position({"t": TopicPosition(1, 5, 10, -1, CHAIN.number, open=[])})
    async with Subscriber(
        ["t"], feed.publisher.endpoint, snapshot_endpoint=late.server.endpoint, position=position
    ) as subscriber:
        await subscribed(feed, subscriber)
        await until(lambda: subscriber._asked_ns > 0)
        beating = asyncio.create_task(feed.beat())
        feed.send("t", 6, 11, withheld=True)
        feed.send("t", 7, 12, withheld=True)
        await until(lambda: subscriber._asked_ns > 2 * ASK_AGAIN_NS)
        assert subscriber.position().topics["t"].epoch == 1
        feed.epoch = 2
        async with asyncio.timeout(WAIT_S):
            item = await anext(subscriber)
        beating.cancel()
    late.close()
    assert isinstance(item, Message)
    assert (item.event.first_id, item.sequence) == (11, 2)


async def test_a_running_subscriber_goes_on_in_a_life_whose_epoch_is_lower() -> None:
    first = Feed(epoch=9)
    first.server.start()
    published, asked = first.publisher.endpoint, first.server.endpoint
    async with Subscriber(["t"], published, snapshot_endpoint=asked) as subscriber:
        await subscribed(first, subscriber)
        first.send("t", 1, 10, 11)
        items = [await anext(subscriber) for _ in range(2)]
        first.close()
        second = Feed(publish=published, epoch=3)
        second.server.close()
        second.server = ReplayServer(second.context, asked, second.ring, epoch=3)
        second.server.start()
        second.send("t", 1, 11, 12)
        second.send("t", 2, 15, 16)
        beating = asyncio.create_task(second.beat())
        async with asyncio.timeout(WAIT_S):
            items += [await anext(subscriber) for _ in range(4)]
        beating.cancel()
        second.close()
    assert [item if isinstance(item, Lost) else item.event.first_id for item in items] == [
        10, 11, 12, Lost("t", 0, -1, 13, 14), 15, 16,
    ]  # fmt: skip


async def test_only_what_is_published_begins_another_life(feed: Feed) -> None:
    """Answers come on another way, and may overtake what the life before has published."""
    async with Subscriber(["t"], feed.publisher.endpoint) as subscriber:
        await subscribed(feed, subscriber)
        feed.send("t", 1, 10)
        assert isinstance(await anext(subscriber), Message)
        published = wire.publication(
            batch_of("t.new", [Trade(7, "1", "1", True, 0, 0, 7)]), epoch=2, sequence=1, publish_ns=1
        )
        subscriber._hear_reply(replay_server.SINCE, [b"t", replay_server.pack((2, 1, 1)), published], 0)
        subscriber._hear_reply(replay_server.NEWEST, [b"t", replay_server.pack((2, {"t": 1}))], 0)
        subscriber._put_snapshot([published])
        assert subscriber._reassembly.epoch == 1
        feed.send("t", 2, 11)
        assert isinstance(await anext(subscriber), Message)


async def test_what_a_slow_program_does_not_read_stays_in_zeromq(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "READY_LIMIT", 10)
    batches = 3_000
    async with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        await subscribed(feed, subscriber)
        for sequence in range(1, batches + 1):
            feed.send("t", sequence, sequence)
        await until(lambda: subscriber._left_waiting)
        assert len(subscriber._reassembly.ready) < batches // 2
        async with asyncio.timeout(WAIT_S):
            items = [await anext(subscriber) for _ in range(batches)]
    assert [item.sequence for item in items if isinstance(item, Message)] == list(range(1, batches + 1))


def free_endpoint() -> str:
    made = Feed()
    endpoint = made.publisher.endpoint
    made.close()
    return endpoint


async def test_a_program_is_told_when_nobody_speaks_and_when_a_feed_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "FEED_LOST_S", 0.5)
    endpoint = free_endpoint()
    told: list[bool] = []
    async with Subscriber(["t"], endpoint, recover=False, on_feed=told.append) as subscriber:
        waiting = asyncio.create_task(anext(subscriber))
        await until(lambda: told == [False], "the word that nobody speaks")
        for life in (1, 2):
            feed = Feed(publish=endpoint, epoch=life)
            beating = asyncio.create_task(feed.beat())
            await until(lambda: told[-1], "the word that it is back")
            beating.cancel()
            await until(lambda: not told[-1], "the word that it is lost")
            feed.close()
        waiting.cancel()
    assert told == [False, True, False, True, False]


async def test_a_callback_that_fails_ends_the_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "FEED_LOST_S", 0.1)
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    def fail(_: bool) -> None:
        raise RuntimeError("mine")

    async with Subscriber(["t"], free_endpoint(), recover=False, on_feed=fail) as subscriber:
        with pytest.raises(RuntimeError, match="mine"):
            await anext(subscriber)
    assert errors


def test_a_plain_loop_is_told_too(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_module, "FEED_LOST_S", 0.3)

    class Told(Exception):
        pass

    def tell(speaks: bool) -> None:
        raise Told(speaks)

    with Subscriber(["t"], feed.publisher.endpoint, recover=False, on_feed=tell) as subscriber:
        with pytest.raises(Told, match="False"):
            next(subscriber)
        assert not subscriber._speaks


async def test_topics_of_which_the_feed_has_published_nothing_are_named(neighbours: Feed) -> None:
    neighbours.server.start()
    neighbours.send("b.trade.A", 1, 1)
    async with Subscriber(["b.trade.A", "b.trade.", "b.trade.NO", "c."], neighbours.publisher.endpoint) as subscriber:
        beating = asyncio.create_task(neighbours.beat())
        await until(lambda: subscriber.absent == ["b.trade.NO", "c."])
        beating.cancel()


def test_a_message_that_comes_alone_takes_one_turn(feed: Feed) -> None:
    with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        subscribed_plainly(feed, subscriber)
        for number in (1, 2):
            feed.send("t", number, number)
            assert subscriber._published.socket.poll(int(WAIT_S * 1_000))
            assert not subscriber._take_published()
            assert len(subscriber._reassembly.ready) == number


def test_of_very_many_messages_a_turn_takes_a_few(feed: Feed) -> None:
    with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        subscribed_plainly(feed, subscriber)
        for number in range(1, 10 * BATCHES_A_TURN):
            feed.send("t", number, number)
        turns, ready = 0, subscriber._reassembly.ready
        while len(ready) < 10 * BATCHES_A_TURN - 1:
            before = len(ready)
            assert subscriber._published.socket.poll(int(WAIT_S * 1_000))
            subscriber._take_published()
            assert len(ready) - before <= BATCHES_A_TURN + 1
            turns += 1
        assert turns >= 9


async def test_columns_come_in_both_ways_of_iteration_and_the_feeds_own_events_among_them(feed: Feed) -> None:
    async with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        await subscribed(feed, subscriber)
        columns = subscriber.batches(columns=True)
        for sequence, numbers in ((1, (1, 2, 3)), (2, (4, 5)), (4, (9,))):
            feed.send("t", sequence, *numbers)
        first, second, lost, last = [await anext(columns) for _ in range(4)]
    for item, ids in ((first, [1, 2, 3]), (second, [4, 5]), (last, [9])):
        assert isinstance(item, MessageColumns)
        assert (item.event_type, item.continuity, item.count) == (Trade, CHAIN, len(ids))
        assert list(item["trade_id"]) == list(item["first_id"]) == ids
        assert (list(item["price"]), item.decimals("price")) == ([1] * len(ids), 0)
        assert item.events == [Trade(number, "1", "1", True, 0, 0, number) for number in ids]
    assert lost == Lost("t", 3, 3, 6, 8)
    with Subscriber(["t"], feed.publisher.endpoint, recover=False) as plainly:
        subscribed_plainly(feed, plainly)
        feed.send("t", 1, 1)
        item = next(plainly.batches(columns=True))
        assert isinstance(item, MessageColumns) and list(item["trade_id"]) == [1]


def test_numpy_is_not_imported_before_columns_are_asked_for() -> None:
    script = (
        "import sys; from k2workers import Subscriber; s = Subscriber(['t']); s.batches(); assert 'numpy' not in sys.modules; "
        "s.batches(columns=True); import importlib.util; assert ('numpy' in sys.modules) == bool(importlib.util.find_spec('numpy')); s.close()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=WAIT_S)


async def test_a_busy_feed_leaves_the_programs_other_tasks_their_turn(feed: Feed) -> None:
    async with Subscriber(["t"], feed.publisher.endpoint, recover=False) as subscriber:
        await subscribed(feed, subscriber)
        for number in range(1, 4_001):
            feed.send("t", number, number)
        await until(lambda: len(subscriber._reassembly.ready) == 4_000)
        seen: list[int] = []
        other = asyncio.create_task(asyncio.sleep(0))
        other.add_done_callback(lambda _: seen.append(subscriber._given))
        for _ in range(2_000):
            await anext(subscriber)
        assert seen and seen[0] <= 4 * ITEMS_A_TURN
        batches = subscriber.batches()
        other = asyncio.create_task(asyncio.sleep(0))
        other.add_done_callback(lambda _: seen.append(batches._given))
        for _ in range(2_000):
            await anext(batches)
        assert len(seen) == 2


async def test_a_start_that_fails_leaves_nothing_open() -> None:
    subscriber = Subscriber(["t"], free_endpoint(), snapshot=True)
    entering = asyncio.create_task(subscriber.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert subscriber._published.socket.closed


async def test_the_feed_is_told_who_reads_and_how_far_behind(neighbours: Feed) -> None:
    neighbours.server.start()
    async with (
        Subscriber(["t"], neighbours.publisher.endpoint, name="mine") as subscriber,
        Subscriber(["t"], neighbours.publisher.endpoint) as other,
    ):
        beating = asyncio.create_task(neighbours.beat())
        await until(lambda: len(neighbours.server.readers.furthest_behind(9, 0)) == 2)
        names = {one.name for one in neighbours.server.readers.furthest_behind(9, 0)}
        assert "mine" in names and f"{os.getpid()}" in "".join(names)
        neighbours.send("t", 1, 1)
        subscriber._report._reported_s = -readers.REPORT_S
        await until(lambda: neighbours.server.readers.furthest_behind(1, 0)[0].waiting == 1)
        assert other.counters.lost_batches == 0
        beating.cancel()


def test_books_are_kept_only_if_that_is_asked_for_and_not_from_a_position() -> None:
    with pytest.raises(ConfigError, match="keep_books = True: allowed only without a position"):
        Subscriber(["v.depth."], "tcp://127.0.0.1:1", position=Position(), keep_books=True)
    with (
        Subscriber(["v.depth."], "tcp://127.0.0.1:1") as without,
        pytest.raises(ConfigError, match="book: allowed only with keep_books = True"),
    ):
        without.book("v.X")
    with Subscriber(["v.depth."], "tcp://127.0.0.1:1", keep_books=True) as keeping:
        assert (keeping.book("v.X").state, keeping.book("v.X", 5).bids) == ("stale", [])
