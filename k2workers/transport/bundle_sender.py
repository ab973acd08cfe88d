"""Owns a worker's socket to the aggregator, and never blocks. What is kept and what is said is decided in ``outbox.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import structlog
import zmq

from k2workers.every import Every
from k2workers.sequencing.coverage import Holes, Reached
from k2workers.transport import bundle_protocol
from k2workers.transport.outbox import Outbox
from k2workers.transport.sockets import Context, SocketWatcher, connect, open_socket

TICK_S = 0.25
"""How often a worker without bundles shows that it is there, so that a new aggregator notices it."""

_log = structlog.get_logger(__name__)


class BundleSender:
    """Sends bundles to the aggregator from one event loop.

    ``start()`` inside the loop, then ``push()``; at the end ``await drain()`` and ``close()``. All calls from the thread of
    the loop. ``outbox`` is what decides, ``keep_bytes``: see ``Outbox``.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        *,
        high_water_mark: int = 1_000,
        keep_bytes: int = 64 * 2**20,
        outbox: type[Outbox] = Outbox,
        linger_ms: int = 1_000,
        setting: str = "bundle_endpoint",
    ) -> None:
        self._linger_ms = linger_ms
        self._drained: asyncio.Event | None = None
        # a context of its own, so that close() can wait for ZeroMQ to hand the last bundles over
        self._context: Context = zmq.Context()
        self._socket = open_socket(self._context, zmq.DEALER, send_high_water_mark=high_water_mark)
        self._socket.setsockopt(
            zmq.RECONNECT_IVL_MAX, 100
        )  # the aggregator is on this machine: reconnecting often costs nothing
        self._socket.setsockopt_string(zmq.IDENTITY, name)
        try:
            connect(self._socket, endpoint, setting=setting)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._watcher = SocketWatcher(self._socket, self._turn)
        self._outbox = outbox(self._send, self._watcher.kick, keep_bytes)
        self._ticking = Every(TICK_S, self._tick, "send")
        self.counters = self._outbox.counters
        self.push = self._outbox.push
        """Sends one bundle without blocking. See SendOutcome."""
        self.next_head, self.push_frame = self._outbox.next_head, self._outbox.push_frame
        """The same for one that is encoded already."""

    @property
    def welcomed(self) -> bool:
        """Whether an aggregator has told where the topics stand, so that bundles flow."""
        return self._outbox.welcomed

    def start(
        self,
        *,
        reached: Callable[[], Mapping[str, Reached]] = dict,
        open_gaps: Callable[[], Holes] = dict,
        begun: Callable[[], Mapping[str, Reached]] = dict,
        on_welcome: Callable[[bundle_protocol.Welcome], object] = lambda _: None,
        on_holes: Callable[[Holes], object] = lambda _: None,
        on_forgotten: Callable[[Holes], object] = lambda _: None,
    ) -> None:
        """Say hello and begin to watch; call once, inside the running loop. The arguments are those of ``Outbox``."""
        outbox = self._outbox
        outbox.reached, outbox.open_gaps, outbox.begun = reached, open_gaps, begun
        outbox.on_welcome, outbox.on_holes, outbox.on_forgotten = on_welcome, on_holes, on_forgotten
        self._watcher.start()
        self._ticking.start()

    async def drain(self, timeout_s: float) -> bool:
        """Waits until every kept bundle is with ZeroMQ; False when ``timeout_s`` passed before that."""
        if not self._outbox.pending:
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
        self._outbox.closed = True
        self._ticking.stop()
        self._watcher.stop()
        self._socket.close(linger=self._linger_ms)
        self._context.term()

    def _send(self, frame: bytes, *more: bytes) -> bool:
        try:
            if more:
                self._socket.send_multipart([frame, *more], zmq.NOBLOCK)
            else:
                self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _tick(self) -> None:
        self._outbox.greet()
        self._watcher.kick()

    def _turn(self) -> bool:
        for _ in range(64):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                self._outbox.heard(*frames)
            except (ValueError, IndexError, msgspec.MsgspecError) as error:
                _log.error("aggregator_unreadable", error=str(error))
            if self._socket.closed:
                return False
        # asking for the events is what lets ZeroMQ act on "the peer read" and re-arms its descriptor
        writable = bool(int(self._socket.getsockopt(zmq.EVENTS)) & int(zmq.POLLOUT))
        more = writable and self._outbox.flush()
        if not self._outbox.pending and self._drained is not None:
            self._drained.set()
        return more
