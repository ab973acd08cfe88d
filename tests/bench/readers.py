"""Owns the measured processes: each reads all frames of a pump its own way and prints the CPU time it took, as JSON.

``python -m tests.bench.readers WAY '<Reading as JSON>'``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

import msgspec
import uvloop
import zmq
from websockets.asyncio.client import connect

from k2workers import Lost, Subscriber
from k2workers.aggregator import CHECKPOINT_EVERY, HEARTBEAT_S, Aggregator, AggregatorSettings
from k2workers.feed.intake import Intake
from k2workers.feed.line import Line
from k2workers.feed.messages import Messages
from k2workers.feed.pace import Pace
from k2workers.supervision.child import settle_memory
from k2workers.tls import client_context
from k2workers.transport import link
from k2workers.transport.pull import BatchPuller
from k2workers.transport.push import BatchPusher
from k2workers.venues.binance import BinanceSpot
from k2workers.wire import Batch
from tests.bench.frames import symbols


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

    @property
    def url(self) -> str:
        """The pump's address."""
        return f"{'wss' if self.ca_bundle else 'ws'}://127.0.0.1:{self.port}/stream"

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What a TLS connection is checked with."""
        return client_context(self.ca_bundle) if self.ca_bundle else None


class Meter:
    """CPU time of this process from the first event to the last."""

    def __init__(self, events: int) -> None:
        self.done = asyncio.Event()
        self._left = events
        self._events = events
        self._reads = 0
        self._begun_cpu_s = self._begun_s = 0.0

    def count(self, events: int) -> None:
        """So many more were dealt with."""
        if not self._reads:
            self._begun_cpu_s, self._begun_s = time.process_time(), time.perf_counter()
            self._events -= events  # what it cost to get the first ones is not known
        self._reads += 1
        self._left -= events
        if self._left <= 0:
            self.cpu_s, self.took_s = time.process_time() - self._begun_cpu_s, time.perf_counter() - self._begun_s
            self.done.set()

    def tell(self, **more: int) -> None:
        """Print the figures."""
        figures = {
            "us": 1e6 * self.cpu_s / self._events,
            "events_a_read": self._events / max(1, self._reads - 1),
            "events_per_s": self._events / self.took_s,
            **more,
        }
        sys.stdout.write(json.dumps(figures) + "\n")


async def worker(reading: Reading) -> None:
    """The worker's whole path: socket, frames, events, arbitration, batches, push."""
    pusher = BatchPusher(reading.push, f"bench{link.LIFE.decode()}1")
    welcomed = asyncio.Event()
    pusher.start(on_welcome=lambda _: welcomed.set())
    await welcomed.wait()
    await _intake(reading, pusher.push)
    await pusher.drain(10)
    pusher.close()


async def decode(reading: Reading) -> None:
    """The same without pushing: what the venue's side costs."""
    await _intake(reading, lambda _: None)


async def _intake(reading: Reading, push: Callable[[list[Batch]], object]) -> None:
    venue, meter = BinanceSpot(), Meter(reading.events)
    intake = Intake(
        venue.codec(venue.stream_specs([reading.kind], symbols(reading.symbols))), hold_ns=10**9, push=push,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip

    def take(line: int, messages: Messages, received_ns: int) -> None:
        intake.on_messages(line, messages, received_ns)
        meter.count(len(messages))

    line = Line(1, reading.url, take, lambda *_: None, Pace(reading.gather_us * 1_000))
    settle_memory()
    await line.open(ssl_context=reading.ssl_context, timeout_s=10, close_timeout_s=1)
    await meter.done.wait()
    assert intake.counters.events.total() == reading.events, (intake.counters, intake.gaps)
    meter.tell()
    line.abort()


async def websockets(reading: Reading) -> None:
    """The ``websockets`` library's own loop and json, nothing else: what most programs do."""
    meter = Meter(reading.events)
    async with connect(reading.url, compression=None, ping_interval=None, ssl=reading.ssl_context) as connection:
        async for message in connection:
            json.loads(message)
            meter.count(1)
            if meter.done.is_set():
                meter.tell()
                break


async def sink(_: Reading) -> None:
    """The other end of a push: takes and acknowledges; prints where it listens."""
    puller = BatchPuller(zmq.Context.instance(), "tcp://127.0.0.1:0")
    puller.start(lambda _worker, _batches: None, lambda: None, lambda _hello: link.Welcome(1, {}))
    sys.stdout.write(puller.endpoint + "\n")
    sys.stdout.flush()
    while True:
        await asyncio.sleep(0.1)
        now_ns = time.monotonic_ns()
        puller.acknowledge(now_ns, now_ns)


async def aggregator(reading: Reading) -> None:
    """The real aggregator; prints its three endpoints."""
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        running = Aggregator(
            AggregatorSettings(
                pull_endpoint="tcp://127.0.0.1:0", publish_endpoint="tcp://127.0.0.1:0", snapshot_endpoint="tcp://127.0.0.1:0",
                checkpoint=f"{directory}/checkpoint", source="bench",
            )
        )  # fmt: skip
        running.start()
        sys.stdout.write(f"{running.puller.endpoint} {running.publisher.endpoint} {running.snapshots.endpoint}\n")
        sys.stdout.flush()
        settle_memory()
        turn = 0
        while True:
            running.heartbeat()
            running.acknowledge()
            if turn % CHECKPOINT_EVERY == 0:
                running.checkpoint()
            turn += 1
            await asyncio.sleep(HEARTBEAT_S)


async def subscriber(reading: Reading) -> None:
    """A program that takes every event, decoded; prints "subscribed", and at the end its figures."""
    meter, lost = Meter(reading.events), 0
    async with Subscriber(["binance."], reading.publish, snapshot_endpoint=reading.snapshot) as subscription:
        await subscription.wait_subscribed(10)
        sys.stdout.write("subscribed\n")
        sys.stdout.flush()
        gc.freeze()
        async for item in subscription.batches():
            if isinstance(item, Lost):
                lost += item.count
            else:
                meter.count(len(item.events))
                if meter.done.is_set():
                    break
    meter.tell(lost_batches=lost)


WAYS: dict[str, Callable[[Reading], Awaitable[None]]] = {
    "worker": worker,
    "decode": decode,
    "websockets": websockets,
    "sink": sink,
    "aggregator": aggregator,
    "subscriber": subscriber,
}

if __name__ == "__main__":
    uvloop.run(WAYS[sys.argv[1]](msgspec.json.decode(sys.argv[2], type=Reading)))  # type: ignore[arg-type]
