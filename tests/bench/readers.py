"""Owns the measured processes: each reads all frames of a pump its own way and prints the CPU time it took, as JSON.

``python -m tests.bench.readers WAY '<Reading as JSON>'``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

import msgspec
import uvloop
import zmq
from websockets.asyncio.client import connect

from k2workers import Lost, Subscriber, Trade
from k2workers.feed.gathering import Gathering
from k2workers.feed.intake import Intake
from k2workers.feed.line import Line
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.message_rate import MessageRate
from k2workers.feed.plain_lane import FrameOutlet
from k2workers.logs.log import LogSettings
from k2workers.network.tls import client_context
from k2workers.processes.aggregator import Aggregator
from k2workers.processes.child_settings import AggregatorSettings
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.supervision.child import settle_memory
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_receiver import BundleReceiver
from k2workers.transport.bundle_sender import BundleSender
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.venue import StreamSpec
from k2workers.wire import Batch
from tests.bench import pump
from tests.bench.floor import quantiles_us
from tests.bench.frames import frames, symbols
from tests.bench.peers.meter import Meter
from tests.bench.peers.typed import decoder


class Reading(msgspec.Struct, kw_only=True):
    """What to read from where: the pump's port, or the aggregator's endpoints."""

    port: int
    kind: str = "trade"
    symbols: int = 10
    events: int = 200_000
    ca_bundle: str = ""
    push: str = ""
    publish: str = ""
    snapshot: str = ""
    gather_us: int = 500
    time_unit_us: int = 1
    shard: int = 0
    shards: int = 1
    subscribers: int = 1
    recorded: bool = False
    """The pump sends a recording of BTCUSDT."""

    @property
    def specs(self) -> list[StreamSpec]:
        """The streams that the pump sends."""
        kinds, names = [self.kind], symbols(self.symbols, self.shard, self.shards)
        if self.recorded:
            kinds, names = ["trade", "book_ticker", "depth"], ["BTCUSDT"]
        return BinanceSpot().stream_specs(kinds, names)

    @property
    def url(self) -> str:
        """The pump's address."""
        return f"{'wss' if self.ca_bundle else 'ws'}://127.0.0.1:{self.port}/stream"

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What a TLS connection is checked with."""
        return client_context(self.ca_bundle) if self.ca_bundle else None


async def worker(reading: Reading) -> None:
    """The worker's whole path: socket, frames, events, arbitration, batches, push; through the native lane, if it is built."""
    await _worker(reading, native=True)


async def worker_python(reading: Reading) -> None:
    """The same in Python alone."""
    await _worker(reading, native=False)


async def _worker(reading: Reading, *, native: bool) -> None:
    bundle_sender = BundleSender(reading.push, f"bench-{reading.shard}{bundle_protocol.LIFE.decode()}1")
    welcomed = asyncio.Event()
    bundle_sender.start(on_welcome=lambda _: welcomed.set())
    await welcomed.wait()
    meter = await _intake(reading, bundle_sender.push, bundle_sender if native else None)
    await bundle_sender.drain(10)
    bundle_sender.close()  # what ZeroMQ still had to send is part of the path
    meter.stop()
    meter.tell()


async def decode(reading: Reading) -> None:
    """The same without pushing: what the venue's side costs."""
    (await _intake(reading, lambda _: None)).tell()


async def _intake(reading: Reading, push: Callable[[list[Batch]], object], frames: FrameOutlet | None = None) -> Meter:
    meter, done = Meter(reading.events), asyncio.Event()
    intake = Intake(
        BinanceSpot().codec(reading.specs), hold_ns=10**9, push=push,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None, frames=frames,
    )  # fmt: skip
    if reading.kind == "depth":  # whose subscribers have their books: fetching them is no part of this
        intake.resume({topic.topic: PublishedPosition(0, [], whole=True) for topic in intake.topics})

    def take(line: int, messages: MessageBlock, received_ns: int) -> None:
        intake.on_messages(line, messages, received_ns)
        if meter.count(len(messages)):
            done.set()

    def take_natively(line: int, buffer: bytearray, begin: int, filled: int, received_ns: int) -> tuple[int, int, int]:
        taken = intake.take(line, buffer, begin, filled, received_ns)
        if taken[2] and meter.count(taken[2]):
            done.set()
        return taken

    on_frames = None if intake.plain is None else take_natively
    line = Line(1, reading.url, take, lambda *_: None, Gathering(reading.gather_us * 1_000), MessageRate(3), on_frames)
    settle_memory()
    await line.open(ssl_context=reading.ssl_context, timeout_s=10, close_timeout_s=1)
    await done.wait()
    assert intake.events == reading.events, (intake.dropped.counts, intake.gaps)
    line.abort()
    return meter


async def websockets(reading: Reading) -> None:
    """The ``websockets`` library's own loop and json, nothing else: what most programs do."""
    meter = Meter(reading.events)
    async with _connected(reading) as connection:
        async for message in connection:
            json.loads(message)
            if meter.count():
                break
    meter.tell()


async def websockets_msgspec(reading: Reading) -> None:
    """The same with msgspec and a struct for each message, from the bytes as they came: the most one can do with that library."""
    meter, decoded = Meter(reading.events), decoder(reading.kind).decode
    async with _connected(reading) as connection:
        while True:
            message = decoded(await connection.recv(decode=False))
            if meter.count():
                break
    assert message.data.id == 1 + (reading.events - 1) // reading.symbols, message
    meter.tell()


def _connected(reading: Reading) -> connect:
    # The pump does not answer a close: there is nothing to wait for.
    return connect(reading.url, compression=None, ping_interval=None, close_timeout=0, ssl=reading.ssl_context)


async def drain(reading: Reading) -> None:
    """Takes the bytes and throws them away: what the pump can do at most."""
    left = sum(map(len, frames(reading.kind, symbols(reading.symbols), reading.events, reading.time_unit_us)))
    meter, buffer = Meter(reading.events), bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", reading.port)) as plain:
        context = reading.ssl_context
        with context.wrap_socket(plain, server_hostname="127.0.0.1") if context else plain as connection:
            connection.sendall(pump.REQUEST)
            head = b""
            while pump.HEAD_END not in head:
                head += connection.recv(65_536)
            meter.count(0)
            left -= len(head.partition(pump.HEAD_END)[2])
            while left > 0:
                left -= connection.recv_into(buffer)
            meter.count(reading.events)
    meter.tell()


async def sink(_: Reading) -> None:
    """The other end of a push: takes and acknowledges; prints where it listens."""
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        bundle_receiver = BundleReceiver(zmq.Context.instance(), f"ipc://{directory}/push")
        bundle_receiver.start(
            lambda _worker, _batches: None, lambda: None, lambda _hello: bundle_protocol.Welcome(1, {})
        )
        sys.stdout.write(bundle_receiver.endpoint + "\n")
        sys.stdout.flush()
        while True:
            await asyncio.sleep(0.1)
            bundle_receiver.acknowledge(bundle_receiver.taken())


async def aggregator(reading: Reading) -> None:
    """The real aggregator; prints its three endpoints."""
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        running = Aggregator(
            AggregatorSettings(
                bundle_endpoint=f"ipc://{directory}/push", publish_endpoint="tcp://127.0.0.1:0", snapshot_endpoint="tcp://127.0.0.1:0",
                checkpoint=f"{directory}/checkpoint", sources={"bench": "bench"}, checkpoint_max_age_s=3_600, replay_bytes=2**26, replay_age_s=300, native=True,
                environment="bench", logs=LogSettings("info", "json"),
            )
        )  # fmt: skip
        running.start()
        sys.stdout.write(
            f"{running.bundle_receiver.endpoint} {running.publisher.endpoint} {running.snapshots.endpoint}\n"
        )
        sys.stdout.flush()
        settle_memory()
        await asyncio.Event().wait()


async def subscriber(reading: Reading) -> None:
    """Programs that take every event, decoded, all in one process; prints "subscribed", and at the end its figures."""
    async with contextlib.AsyncExitStack() as stack:
        each = [
            await stack.enter_async_context(
                Subscriber(["binance."], reading.publish, snapshot_endpoint=reading.snapshot, books_endpoint=None)
            )
            for _ in range(reading.subscribers)
        ]
        await asyncio.gather(*(subscription.wait_subscribed(20) for subscription in each))
        sys.stdout.write("subscribed\n")
        sys.stdout.flush()
        meter = Meter(reading.events * len(each))
        lost = await asyncio.gather(*(_take_all(subscription, reading.events, meter) for subscription in each))
    meter.tell(lost_batches=sum(lost))


async def _take_all(subscription: Subscriber, events: int, meter: Meter) -> int:
    """Take so many events, of which none may be missing, come twice or out of order; how many batches were lost."""
    lost, last_ids = 0, dict[str, int]()
    async for item in subscription.batches():
        if isinstance(item, Lost):
            lost += item.count
            last_ids.pop(item.topic, None)
            continue
        taken, first_id = item.events, item.events[0].first_id
        assert first_id == last_ids.get(item.topic, first_id - 1) + 1, (item.topic, last_ids[item.topic], first_id)
        last_ids[item.topic] = first_id + len(taken) - 1
        assert taken[-1].last_id == last_ids[item.topic], item.topic
        meter.count(len(taken))
        events -= len(taken)
        if events <= 0:
            break
    return lost


async def clock(reading: Reading) -> None:
    """A program that notes how long after its venue time each event is given to it; prints the quantiles in microseconds.

    Beside them the medians of each leg: to the worker's read, from there to the publication, and from there to the program.
    """
    latencies_ns: list[int] = []
    legs_ns: list[tuple[int, int, int]] = []
    async with Subscriber(
        ["binance."], reading.publish, snapshot_endpoint=reading.snapshot, books_endpoint=None
    ) as subscription:
        await subscription.wait_subscribed(20)
        sys.stdout.write("subscribed\n")
        sys.stdout.flush()
        gc.freeze()
        async for item in subscription.batches():
            assert not isinstance(item, Lost)
            now_ns, newest = time.time_ns(), item.events[-1]
            assert isinstance(newest, Trade)
            latencies_ns += [now_ns - event.venue_time_ns for event in item.events]  # type: ignore[attr-defined]
            read_ns, published_ns = newest.received_ns, item.publish_ns
            legs_ns.append((read_ns - newest.venue_time_ns, published_ns - read_ns, now_ns - published_ns))
            if len(latencies_ns) >= reading.events:
                break
    legs = zip(("to_worker", "to_publication", "to_program"), zip(*legs_ns, strict=True), strict=True)
    medians_us = {name: statistics.median(leg) / 1_000 for name, leg in legs}
    sys.stdout.write(json.dumps({**quantiles_us(latencies_ns), **medians_us}) + "\n")


WAYS: dict[str, Callable[[Reading], Awaitable[None]]] = {
    "worker": worker,
    "worker_python": worker_python,
    "decode": decode,
    "websockets": websockets,
    "websockets_msgspec": websockets_msgspec,
    "drain": drain,
    "sink": sink,
    "aggregator": aggregator,
    "subscriber": subscriber,
    "clock": clock,
}

if __name__ == "__main__":
    uvloop.run(WAYS[sys.argv[1]](msgspec.json.decode(sys.argv[2], type=Reading)))  # type: ignore[arg-type]
