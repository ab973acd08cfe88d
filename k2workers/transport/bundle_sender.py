"""Owns a worker's socket to the aggregator: sends bundles, keeps them until they are acknowledged, within a bound, and never blocks.

A bundle is one frame; the protocol is in ``bundle_protocol.py``. Knows nothing of what is in a batch except its topic and ids. It reads these
only when it has to tell a new aggregator where it stands, or when it drops a bundle.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog
import zmq

from k2workers import wire
from k2workers.every import Every
from k2workers.sequencing.coverage import Reached
from k2workers.sequencing.ranges import Range
from k2workers.transport import bundle_protocol
from k2workers.transport.kept_bundles import BeforeKept, DroppedIds, before_kept, is_before
from k2workers.transport.sockets import Context, SocketWatcher, connect, open_socket
from k2workers.wire import SendOutcome

TICK_S = 0.25
"""How often a worker without bundles shows that it is there, so that a new aggregator notices it."""

_log = structlog.get_logger(__name__)


class SendCounters(msgspec.Struct, gc=False):
    """Totals since the sender was made: plain numbers, read when metrics are flushed.

    ``pending_bundles`` were not handed to ZeroMQ yet; ``kept_bundles`` and ``kept_bytes`` also count those that were sent
    and are not acknowledged; ``forgotten`` were sent and dropped before
    they were acknowledged.
    """

    bundles_sent: int = 0
    bytes_sent: int = 0
    back_pressured: int = 0
    bundles_refused: int = 0
    pending_bundles: int = 0
    kept_bundles: int = 0
    kept_bytes: int = 0
    forgotten: int = 0
    resent: int = 0


class _Kept(msgspec.Struct, gc=False):
    number: int
    frame: bytes


class BundleSender:
    """Sends bundles to the aggregator from one event loop.

    ``start()`` inside the loop, then ``push()``; at the end ``await drain()`` and ``close()``. All calls from the thread of
    the loop.

    At most ``keep_bytes`` are kept. Beyond that, bundles that were sent and not yet acknowledged are forgotten, the oldest
    first; if there are none, the aggregator does not read, and a *new* bundle is refused.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        *,
        high_water_mark: int = 1_000,
        keep_bytes: int = 64 * 2**20,
        linger_ms: int = 1_000,
        setting: str = "bundle_endpoint",
    ) -> None:
        self.counters = SendCounters()
        self.welcomed = False
        self._reached: Callable[[], Mapping[str, Reached]] = dict
        self._begun: Callable[[], Mapping[str, Reached]] = dict
        self._open_gaps: Callable[[], Mapping[str, Sequence[Range]]] = dict
        self._on_welcome: Callable[[bundle_protocol.Welcome], object] = lambda _: None
        self._on_holes: Callable[[bundle_protocol.Holes], object] = lambda _: None
        self._kept: deque[_Kept] = deque()
        self._unsent = 0
        """How many bundles at the end of ``_kept`` were not handed to ZeroMQ since the last welcome."""
        self._before_kept: BeforeKept | None = None
        """What our hello tells, computed once until the next welcome."""
        self._dropped = DroppedIds()
        self._number = 0
        self._keep_bytes = keep_bytes
        self._linger_ms = linger_ms
        self._drained: asyncio.Event | None = None
        self._ticking = Every(TICK_S, self._tick, "send")
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

    def start(
        self,
        *,
        reached: Callable[[], Mapping[str, Reached]] = dict,
        open_gaps: Callable[[], Mapping[str, Sequence[Range]]] = dict,
        begun: Callable[[], Mapping[str, Reached]] = dict,
        on_welcome: Callable[[bundle_protocol.Welcome], object] = lambda _: None,
        on_holes: Callable[[bundle_protocol.Holes], object] = lambda _: None,
    ) -> None:
        """Say hello and begin to watch; call once, inside the running loop.

        ``reached`` tells the numbering and last venue id pushed of each chained topic, ``open_gaps`` what was announced as missing and may
        still be pushed, ``begun`` the first ids of new numberings; ``on_welcome`` is called with every greeting of an aggregator, ``on_holes`` with ids that it found missing.
        """
        self._reached, self._open_gaps, self._begun = reached, open_gaps, begun
        self._on_welcome, self._on_holes = on_welcome, on_holes
        self._watcher.start()
        self._ticking.start()

    def push(self, batches: Sequence[wire.Batch]) -> SendOutcome:
        """Sends one bundle without blocking. See SendOutcome."""
        if self._socket.closed:
            return SendOutcome.CLOSED
        frame = bundle_protocol.numbered(bundle_protocol.BUNDLE, self._number + 1) + wire.encode_bundle(batches)
        size, counters = len(frame), self.counters
        if counters.kept_bytes + size > self._keep_bytes and not self._make_room(size):
            counters.bundles_refused += 1
            self._dropped.add(batches)
            return SendOutcome.REFUSED
        self._number += 1
        self._kept.append(_Kept(self._number, frame))
        counters.kept_bundles += 1
        counters.kept_bytes += size
        if self.welcomed and not self._unsent and self._send(frame):
            return SendOutcome.SENT
        self._unsent += 1
        counters.back_pressured += 1
        counters.pending_bundles = self._unsent
        self._watcher.kick()
        return SendOutcome.BACK_PRESSURED

    async def drain(self, timeout_s: float) -> bool:
        """Waits until every kept bundle is with ZeroMQ; False when ``timeout_s`` passed before that."""
        if not self._unsent:
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
        self._ticking.stop()
        self._watcher.stop()
        self._socket.close(linger=self._linger_ms)
        self._context.term()

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────

    def _make_room(self, size: int) -> bool:
        counters = self.counters
        while counters.kept_bytes + size > self._keep_bytes and len(self._kept) > self._unsent:
            counters.forgotten += 1
            self._dropped.add(bundle_protocol.bundle_of(self._kept[0].frame))
            self._drop_oldest()
        return counters.kept_bytes + size <= self._keep_bytes

    def _drop_oldest(self) -> None:
        oldest = self._kept.popleft()
        self.counters.kept_bundles -= 1
        self.counters.kept_bytes -= len(oldest.frame)

    def _send(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self.counters.bundles_sent += 1
        self.counters.bytes_sent += len(frame)
        return True

    def _tick(self) -> None:
        if self.welcomed:
            self._say(bundle_protocol.numbered(bundle_protocol.PING, self._number - self._unsent))
        else:
            self._say_hello()
        self._watcher.kick()

    def _say(self, *frames: bytes) -> None:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return  # the aggregator does not read; the next tick says it again

    def _say_hello(self) -> None:
        if self._before_kept is None:
            bundles = [bundle_protocol.bundle_in(bundle.frame) for bundle in self._kept]
            self._before_kept = before_kept(bundles, self._reached(), self._open_gaps())
        acknowledged, dropped_after = {}, {}
        for topic, reached in self._before_kept.reached.items():
            before_dropped = self._dropped.before(topic)
            if before_dropped is None:
                acknowledged[topic] = reached
            else:
                dropped_after[topic] = reached if is_before(reached, before_dropped) else before_dropped
        still_open = {topic: list(ranges) for topic, ranges in self._before_kept.open.items()}
        first = self._kept[0].number if self._kept else self._number + 1
        hello = bundle_protocol.WorkerHello(first, acknowledged, dropped_after, still_open, dict(self._begun()))
        self._say(bundle_protocol.HELLO, bundle_protocol.encode(hello))

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self) -> bool:
        for _ in range(64):
            try:
                letter, *rest = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._heard(letter, rest)
            if self._socket.closed:
                return False
        return self._flush()

    def _heard(self, letter: bytes, rest: list[bytes]) -> None:
        try:
            if letter[:1] == bundle_protocol.ACK:
                self._acknowledged(bundle_protocol.number_of(letter))
            elif letter == bundle_protocol.CHALLENGE:
                if self.welcomed:
                    self.welcomed = False
                    self._unsent = len(self._kept)
                    self._say_hello()
            elif letter == bundle_protocol.WELCOME and not self.welcomed:
                welcome = bundle_protocol.decode_welcome(rest[0])
                self.counters.resent += len(self._kept) - self._unsent
                self._unsent = len(self._kept)
                self.welcomed = True
                self._on_welcome(welcome)
                self._compare(welcome)
            elif letter == bundle_protocol.HOLES:
                self._on_holes(bundle_protocol.decode_holes(rest[0]))
        except (ValueError, IndexError, msgspec.MsgspecError) as error:
            _log.error("aggregator_unreadable", error=str(error))

    def _compare(self, welcome: bundle_protocol.Welcome) -> None:
        """What an aggregator lacks, although it was sent and given up since, is as lost as a hole that it found."""
        assert self._before_kept is not None
        holes = self._before_kept.unknown_to_us(welcome.positions)
        self._before_kept = None
        if holes:
            self._on_holes(holes)

    def _acknowledged(self, number: int) -> None:
        while len(self._kept) > self._unsent and self._kept[0].number <= number:
            if self._dropped:
                self._dropped.forgive(bundle_protocol.bundle_of(self._kept[0].frame))
            self._drop_oldest()

    def _flush(self) -> bool:
        # asking for the events is what lets ZeroMQ act on "the peer read" and re-arms its descriptor
        writable = int(self._socket.getsockopt(zmq.EVENTS)) & int(zmq.POLLOUT)
        counters = self.counters
        for _ in range(64):
            if not self._unsent or not self.welcomed:
                break
            if not writable or not self._send(self._kept[len(self._kept) - self._unsent].frame):
                return False
            self._unsent -= 1
            counters.pending_bundles = self._unsent
        if not self._unsent and self._drained is not None:
            self._drained.set()
        return bool(self._unsent) and self.welcomed
