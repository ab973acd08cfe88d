"""Owns a worker's way to the aggregator: bundles out, bounded, never blocking.

A bundle is one multipart message, one frame a batch. Knows nothing of what is in a batch except its
topic and count, which it reads only when it has to refuse one.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Sequence

import msgspec
import zmq

from k2workers.transport.sockets import Context, SocketWatcher, connect, open_socket
from k2workers.wire import WireError, read_header


class PushOutcome(enum.Enum):
    """What became of a bundle, and so what the caller does next."""

    SENT = enum.auto()
    """Handed to ZeroMQ. Nothing to do."""
    BACK_PRESSURED = enum.auto()
    """Kept, and sent in order as soon as the aggregator reads. The caller may carry on; it may also slow down."""
    REFUSED = enum.auto()
    """Dropped and counted: the bound on kept bytes is reached. The caller owes its topics a Gap."""
    CLOSED = enum.auto()
    """The pusher is closed; the bundle is dropped. The caller stops."""


class PushCounters(msgspec.Struct, gc=False):
    """What a pusher did since it was made; plain numbers, read by whoever flushes metrics."""

    bundles_sent: int = 0
    batches_sent: int = 0
    bytes_sent: int = 0
    back_pressured: int = 0
    bundles_refused: int = 0
    pending_bundles: int = 0
    pending_bytes: int = 0


class BatchPusher:
    """Sends bundles to the aggregator from one event loop.

    ``start()`` inside the loop, then ``push()``; at the end ``await drain()`` and ``close()``. All calls
    from the thread of the loop. Two bounds hold: ``high_water_mark`` bundles inside ZeroMQ, then
    ``pending_limit_bytes`` here; beyond these a *new* bundle is refused, so that what was accepted
    always arrives in order and a refusal is one hole at the end, which the worker announces.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        high_water_mark: int = 1_000,
        pending_limit_bytes: int = 64 * 2**20,
        linger_ms: int = 1_000,
        setting: str = "push_endpoint",
    ) -> None:
        self.counters = PushCounters()
        self.refused_events: dict[str, int] = {}
        """Events in refused bundles, by topic: what the worker owes a Gap for. The worker may clear it."""
        self._pending: deque[tuple[Sequence[bytes], int]] = deque()
        self._pending_limit_bytes = pending_limit_bytes
        self._linger_ms = linger_ms
        self._drained: asyncio.Event | None = None
        # a context of its own, so that close() can wait for ZeroMQ to hand the last bundles over
        self._context: Context = zmq.Context()
        self._socket = open_socket(self._context, zmq.PUSH, send_high_water_mark=high_water_mark)
        try:
            connect(self._socket, endpoint, setting=setting)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._watcher = SocketWatcher(self._socket, self._flush)

    def start(self) -> None:
        """Begins to watch for the aggregator reading again; call once, inside the running loop."""
        self._watcher.start()

    def push(self, frames: Sequence[bytes]) -> PushOutcome:
        """Sends one bundle without blocking; ``frames`` must not be changed afterwards. See PushOutcome."""
        if self._socket.closed:
            return PushOutcome.CLOSED
        size = sum(map(len, frames))
        if not self._pending and self._send(frames, size):
            return PushOutcome.SENT
        counters = self.counters
        if counters.pending_bytes + size > self._pending_limit_bytes:
            counters.bundles_refused += 1
            self._count_refused(frames)
            return PushOutcome.REFUSED
        counters.back_pressured += 1
        self._pending.append((frames, size))
        counters.pending_bundles += 1
        counters.pending_bytes += size
        self._watcher.kick()
        return PushOutcome.BACK_PRESSURED

    async def drain(self, timeout_s: float) -> bool:
        """Waits until every kept bundle is with ZeroMQ; False when ``timeout_s`` passed before that."""
        if not self._pending:
            return True
        self._drained = asyncio.Event()
        try:
            await asyncio.wait_for(self._drained.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Closes, blocking at most ``linger_ms`` for what ZeroMQ still holds. What is pending here is lost."""
        if self._socket.closed:
            return
        self._watcher.stop()
        self._socket.close(linger=self._linger_ms)
        self._context.term()

    def _send(self, frames: Sequence[bytes], size: int) -> bool:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        counters = self.counters
        counters.bundles_sent += 1
        counters.batches_sent += len(frames)
        counters.bytes_sent += size
        return True

    def _flush(self) -> bool:
        # asking for the events is what lets ZeroMQ act on "the peer read" and re-arms its descriptor
        writable = int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLOUT
        pending, counters = self._pending, self.counters
        for _ in range(64):
            if not pending:
                break
            frames, size = pending[0]
            if not writable or not self._send(frames, size):
                return False
            pending.popleft()
            counters.pending_bundles -= 1
            counters.pending_bytes -= size
        if not pending and self._drained is not None:
            self._drained.set()
        return bool(pending)

    def _count_refused(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            try:
                header = read_header(frame)
            except WireError:
                continue  # not a batch: bundles_refused has counted it, and it has no topic to owe anything
            self.refused_events[header.topic] = self.refused_events.get(header.topic, 0) + header.count
