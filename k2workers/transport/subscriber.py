"""Owns the public way to receive: typed events of chosen topics, and the truth about anything lost on the way.

    async with Subscriber(["binance.trade.BTCUSDT", "binance.book_ticker."]) as subscriber:
        async for item in subscriber:
            ...

``with`` and a plain ``for`` work the same in programs without an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec
import zmq

from k2workers import wire
from k2workers.errors import ConfigError, K2Error
from k2workers.events import Event
from k2workers.transport.replay import LAST
from k2workers.transport.sockets import Context, SocketWatcher, connect, open_socket

HEARTBEAT_TOPIC = "heartbeat"
DEFAULT_ENDPOINT = "tcp://127.0.0.1:5555"
DEFAULT_SNAPSHOT_ENDPOINT = "tcp://127.0.0.1:5556"


class Message(msgspec.Struct, frozen=True, gc=False):
    """One event of one topic. ``sequence`` is its batch's number in the topic; ``publish_ns`` wall-clock ns."""

    topic: str
    sequence: int
    publish_ns: int
    event: Event


class Lost(msgspec.Struct, frozen=True, gc=False):
    """Batches of this topic that were published and did not arrive: sequence numbers first to last, inclusive."""

    topic: str
    first_sequence: int
    last_sequence: int

    @property
    def count(self) -> int:
        """How many batches."""
        return self.last_sequence - self.first_sequence + 1


class SequenceTracker:
    """Checks that each topic's batches follow on. Pure."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}

    def check(self, header: wire.Header) -> Lost | None:
        """What is missing before this batch. A new epoch (the aggregator restarted) begins a new count."""
        epoch, sequence = self._last.get(header.topic, (header.epoch, header.sequence - 1))
        self._last[header.topic] = (header.epoch, header.sequence)
        if header.epoch == epoch and header.sequence > sequence + 1:
            return Lost(header.topic, sequence + 1, header.sequence - 1)
        return None

    def knows(self, topic: str) -> bool:
        """Whether any batch of this topic was had."""
        return topic in self._last

    def is_old(self, header: wire.Header) -> bool:
        """Whether this batch, or a later one of its topic, was had already."""
        epoch, sequence = self._last.get(header.topic, (header.epoch, -1))
        return header.epoch == epoch and header.sequence <= sequence


class Subscriber:
    """Receives topics. A topic ending in ``.`` is a prefix and takes all topics under it; others are exact.

    ``snapshot`` True first delivers the last known batch of each topic, for those who join late. ``high_water_mark``
    is how many batches may wait unread before newer ones are lost (and reported as ``Lost``). Raises ConfigError for a
    topic or endpoint that cannot be.
    """

    def __init__(
        self,
        topics: Sequence[str],
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        snapshot: bool = False,
        snapshot_endpoint: str = DEFAULT_SNAPSHOT_ENDPOINT,
        high_water_mark: int = 100_000,
    ) -> None:
        for topic in topics:
            if " " in topic or not topic:
                raise ConfigError(f"topic {topic!r}: allowed is a name without spaces, or a prefix ending in a dot")
        self.topics = tuple(topics)
        self._tracker = SequenceTracker()
        self._ready: deque[Message | Lost] = deque()
        self._context: Context = zmq.Context()
        self._socket = open_socket(self._context, zmq.SUB, receive_high_water_mark=high_water_mark)
        connect(self._socket, endpoint, setting="endpoint")
        self._snapshot_endpoint = snapshot_endpoint if snapshot else ""
        for topic in self.topics:
            self._socket.subscribe(topic if topic.endswith(".") else f"{topic} ")
        # Subscribed last: when a heartbeat comes, every subscription above has reached the publisher.
        self._socket.subscribe(f"{HEARTBEAT_TOPIC} ")
        self._heartbeats = HEARTBEAT_TOPIC in self.topics
        self._subscribed = False
        self._watcher: SocketWatcher | None = None
        self._arrived: asyncio.Event | None = None

    # ── both ways of use ────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Stop receiving. Safe to call twice."""
        if self._socket.closed:
            return
        if self._watcher is not None:
            self._watcher.stop()
        self._socket.close()
        self._context.term()

    def receive_nowait(self) -> list[tuple[wire.Header, list[Event], Lost | None]]:
        """The batches that have arrived, decoded, each with what was lost before it. At most 256 a call."""
        batches = []
        for _ in range(256):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            header = wire.read_header(frame)
            if header.topic == HEARTBEAT_TOPIC:
                self._subscribed = True
                if not self._heartbeats:
                    continue
            if self._tracker.is_old(header):
                continue
            lost = self._tracker.check(header)
            batches.append((header, wire.decode_events(frame, header), lost))
        return batches

    def _take(self) -> bool:
        taken = False
        for header, events, lost in self.receive_nowait():
            taken = True
            if lost is not None:
                self._ready.append(lost)
            self._ready.extend(Message(header.topic, header.sequence, header.publish_ns, e) for e in events)
        return taken

    def _fetch_snapshot(self, timeout_s: float) -> None:
        with self._context.socket(zmq.DEALER) as asking:
            asking.setsockopt(zmq.LINGER, 0)
            connect(asking, self._snapshot_endpoint, setting="snapshot_endpoint")
            for topic in self.topics:
                asking.send_multipart([LAST, topic.encode()])
                while True:
                    if not asking.poll(int(timeout_s * 1000)):
                        raise K2Error(f"no snapshot from {self._snapshot_endpoint} within {timeout_s:g} s")
                    frame = asking.recv()
                    if not frame:
                        break
                    self._put_snapshot(frame)

    def _put_snapshot(self, frame: bytes) -> None:
        header = wire.read_header(frame)
        # A topic that was heard live needs no last value, and must not be moved past what still waits to be read.
        if not self._tracker.knows(header.topic):
            self._tracker.check(header)
            events = wire.decode_events(frame, header)
            self._ready.extend(Message(header.topic, header.sequence, header.publish_ns, e) for e in events)

    # ── plain iteration ─────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        if self._snapshot_endpoint:
            self._await_subscribed(5.0)
            self._fetch_snapshot(5.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message | Lost:
        while not self._ready:
            if not self._take():
                self._socket.poll()
        return self._ready.popleft()

    def _await_subscribed(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not self._subscribed:
            if not self._socket.poll(100) and time.monotonic() > deadline_s:
                raise self._silent(timeout_s)
            self._take()

    # ── asynchronous iteration ──────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        self._arrived = asyncio.Event()
        self._watcher = SocketWatcher(self._socket, self._turn)
        self._watcher.start()
        if self._snapshot_endpoint:
            await self.wait_subscribed(5.0)
            await asyncio.to_thread(self._fetch_snapshot, 5.0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Lost:
        assert self._arrived is not None, "use 'async with' first"
        while not self._ready:
            self._arrived.clear()
            assert self._watcher is not None
            self._watcher.kick()
            await self._arrived.wait()
        return self._ready.popleft()

    async def wait_subscribed(self, timeout_s: float) -> None:
        """Wait until the publisher has every subscription. Raises K2Error if nothing is heard in time."""
        assert self._arrived is not None, "use 'async with' first"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._subscribed:
                    self._arrived.clear()
                    await self._arrived.wait()
        if not self._subscribed:
            raise self._silent(timeout_s)

    def _turn(self) -> bool:
        assert self._arrived is not None
        if len(self._ready) > 10_000:
            # The reader is behind: what waits stays in ZeroMQ, bounded by its high water mark. __anext__ kicks again.
            return False
        subscribed = self._subscribed
        more = self._take()
        # Only for news: waking the reader for nothing would have it ask again at once, for ever.
        if self._ready or self._subscribed is not subscribed:
            self._arrived.set()
        return more

    def _silent(self, timeout_s: float) -> K2Error:
        endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return K2Error(f"nothing heard from {endpoint} within {timeout_s:g} s; is k2workers running there?")
