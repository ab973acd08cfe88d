"""The worker process's own part, between a real parent's channel, a real aggregator's socket and a market."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import zmq

from k2workers.child_settings import WorkerSettings
from k2workers.feed.feed_settings import FeedSettings
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.supervision.connect_budget import BudgetPolicy
from k2workers.supervision.control_channel import ControlServer
from k2workers.supervision.control_messages import AnyControlMessage, Beat, Serve, StopNow
from k2workers.supervision.permissions import Permissions
from k2workers.supervision.weight_budget import WeightPolicy
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_receiver import BundleReceiver
from k2workers.wire import Batch
from k2workers.worker import Worker
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S, until

NAME = "worker-0"
PUBLISHED = PublishedPosition(900, [])
"""Where each topic stands; the venue's first trade has a higher number."""


class Around:
    """What is around a worker: a parent that permits, an aggregator that welcomes. ``serve`` is said before the welcome."""

    def __init__(self, folder: Path, serve: Serve) -> None:
        self.control, self.push = f"ipc://{folder}/control", f"ipc://{folder}/push"
        self.worker: Worker | None = None
        self.batches: list[Batch] = []
        self.beats: list[Beat] = []
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = ControlServer(self.control, self._take)
        self._permissions = Permissions({}, BudgetPolicy(), WeightPolicy(), self.send)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._bundle_receiver = BundleReceiver(self._context, self.push)

    def start(self) -> None:
        self._server.start()
        self._bundle_receiver.start(lambda _, batches: self.batches.extend(batches), lambda: None, self._on_hello)

    def send(self, name: str, message: AnyControlMessage) -> None:
        task = asyncio.get_running_loop().create_task(self._server.send(name, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self._bundle_receiver.close()
        self._context.destroy(linger=0)
        await self._server.close()

    def _take(self, name: str, message: AnyControlMessage) -> None:
        self._permissions.take(name, message, time.monotonic_ns())
        if isinstance(message, Beat):
            self.beats.append(message)

    def _on_hello(self, _hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
        assert self.worker is not None
        self.worker._on_message(self._serve)  # as it may come: the worker waits for the welcome
        return bundle_protocol.Welcome(7, {f"binance.trade.{symbol}": PUBLISHED for symbol in self._serve.symbols})


async def test_symbols_added_before_the_welcome_do_not_make_a_worker_forget_what_was_published(tmp_path: Path) -> None:
    serve = Serve(("AAAUSDT", "BBBUSDT"))
    around = Around(tmp_path, serve)
    with Venue(serve.symbols, every_s=0.01) as venue:
        feed = FeedSettings(
            shard=0,
            shards=1,
            url=venue.ws_url,
            lifetime_ns=10**15,
            origin_ns=time.monotonic_ns(),
            hold_ns=0,
            overlap_limit_ns=10**12,
            min_overlap_ns=0,
        )
        settings = WorkerSettings(
            feed=feed, symbols=serve.symbols[:1], kinds=("trade",), bundle_endpoint=around.push, rest_url=venue.rest_url
        )
        worker = around.worker = Worker(NAME, around.control, settings)
        around.start()
        running = asyncio.ensure_future(worker.run())
        await until(lambda: around.beats)
        around.send(NAME, serve)  # as the parent does until the beat counts all
        await until(lambda: around.beats[-1].status["streams_seen"] == 2)
        await until(
            lambda: {batch.topic for batch in around.batches} >= {"binance.trade.AAAUSDT", "binance.trade.BBBUSDT"}
        )
        firsts = {batch.topic: batch.first_id for batch in reversed(around.batches)}
        around.send(NAME, StopNow())
        async with asyncio.timeout(WAIT_S):
            await running
        await around.close()
    assert firsts["binance.trade.AAAUSDT"] == firsts["binance.trade.BBBUSDT"] == PUBLISHED.last_id + 1
