"""Owns the aggregator's socket for bundles: each is received exactly once and in order, and acknowledged.

Knows nothing of what is in a bundle. The protocol is in ``bundle_protocol.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
import structlog
import zmq

from k2workers.transport import bundle_protocol
from k2workers.transport.sockets import Context, SocketWatcher, Turns, bind, open_socket
from k2workers.wire import Batch, WireError

_BUNDLES_PER_TURN = 64
_BYTES_PER_TURN = 512 * 1024
"""After this many bytes the turn ends: they are published, and the loop can serve heartbeats and the control channel."""

_CHALLENGE_EVERY_NS = 50_000_000

_log = structlog.get_logger(__name__)


class _WorkerLife:
    """One life of a worker, as the aggregator sees it."""

    __slots__ = ("challenged_ns", "expected")

    def __init__(self) -> None:
        self.expected = -1
        """The number of the next bundle; -1 before its hello."""
        self.challenged_ns = 0


class BundleReceiver:
    """Receives bundles of all workers and gives each to ``on_bundle(worker, batches)``.

    Make it, ``start`` inside the event loop, ``close()`` at the end. ``on_turn`` is called after all bundles that were waiting
    (within bounds), so that a busy receiver can deal with them together; ``on_hello`` answers a worker's greeting. Bounded by
    ``high_water_mark`` bundles a worker: beyond that the workers meet back-pressure. Raises ConfigError, naming ``setting``, when the endpoint
    cannot be bound.
    """

    def __init__(
        self, context: Context, endpoint: str, *, high_water_mark: int = 1_000, setting: str = "bundle_endpoint"
    ) -> None:
        self._socket = open_socket(context, zmq.ROUTER, receive_high_water_mark=high_water_mark)
        try:
            self.endpoint = bind(self._socket, endpoint, setting=setting)
        except BaseException:
            self._socket.close()
            raise
        self._watcher = SocketWatcher(self._socket, self._turn)
        self._turns = Turns(_BUNDLES_PER_TURN)
        self._on_bundle: Callable[[bytes, list[Batch]], None] | None = None
        self._on_turn: Callable[[], None] | None = None
        self._on_hello: Callable[[bundle_protocol.WorkerHello], bundle_protocol.Welcome] | None = None
        self._links: dict[bytes, _WorkerLife] = {}
        self.bundles = 0
        self.repeated = 0
        """Bundles that came again and were dropped."""

    def start(
        self,
        on_bundle: Callable[[bytes, list[Batch]], None],
        on_turn: Callable[[], None],
        on_hello: Callable[[bundle_protocol.WorkerHello], bundle_protocol.Welcome],
    ) -> None:
        """Begins to receive; call once, inside the running loop."""
        self._on_bundle = on_bundle
        self._on_turn = on_turn
        self._on_hello = on_hello
        self._watcher.start()

    def taken(self) -> dict[bytes, int]:
        """The number of the last bundle taken of each worker."""
        return {worker: known.expected - 1 for worker, known in self._links.items() if known.expected > 1}

    def acknowledge(self, numbers: Mapping[bytes, int]) -> None:
        """Tell each worker that its bundles up to this number need not be kept; call it steadily, for one that does not read is told again."""
        if self._socket.closed:
            return
        for worker, number in numbers.items():
            if worker in self._links:
                self._say(worker, bundle_protocol.numbered(bundle_protocol.ACK, number))
        self._watcher.kick()  # a send may swallow the sign that something has come

    def tell_holes(self, worker: bytes, holes: bundle_protocol.Holes) -> None:
        """Tell a worker which ids of its topics never came."""
        self._say(worker, bundle_protocol.HOLES, bundle_protocol.encode(holes))
        self._watcher.kick()

    def close(self) -> None:
        """Stops receiving; bundles that were not read yet stay with the workers. Safe to call twice."""
        if self._socket.closed:
            return
        self._watcher.stop()
        self._socket.close()

    def _turn(self) -> bool:
        assert self._on_turn is not None
        try:
            return self._receive()
        finally:
            self._on_turn()

    def _receive(self) -> bool:
        """Take what waits, within the bounds of a turn; whether there may be more."""
        taken = size = 0
        receive, limit = self._socket.recv, self._turns.begin(self._socket)
        while taken < limit and size < _BYTES_PER_TURN:
            try:
                worker, head = receive(zmq.NOBLOCK), receive(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            taken += 1
            first, more = head.bytes, self._rest() if head.more else []
            size += len(first)
            try:
                self._heard(worker, first, more)
            except (ValueError, IndexError, msgspec.MsgspecError, WireError) as error:
                _log.error("worker_unreadable", worker=worker.decode(errors="replace"), error=str(error))
            if self._socket.closed:
                return False
        return self._turns.end(taken)

    def _rest(self) -> list[bytes]:
        """The further frames of the message that is being received."""
        frames = []
        while self._socket.getsockopt(zmq.RCVMORE):
            frames.append(self._socket.recv(zmq.NOBLOCK))
        return frames

    def _heard(self, worker: bytes, first: bytes, more: list[bytes]) -> None:
        assert self._on_bundle is not None
        known = self._links.get(worker)
        if known is None:
            known = self._links[worker] = _WorkerLife()
        letter = first[:1]
        if letter == bundle_protocol.BUNDLE:
            number = bundle_protocol.number_of(first)
            if number == known.expected:
                known.expected += 1
                self.bundles += 1
                self._on_bundle(worker, bundle_protocol.bundle_of(first))
            elif 0 < number < known.expected:
                self.repeated += 1
            else:
                self._challenge(worker, known)
        elif letter == bundle_protocol.PING:
            if known.expected != bundle_protocol.number_of(first) + 1:
                self._challenge(worker, known)
        elif letter == bundle_protocol.HELLO:
            self._greet(worker, known, bundle_protocol.decode_hello(more[0]))

    def _greet(self, worker: bytes, known: _WorkerLife, hello: bundle_protocol.WorkerHello) -> None:
        assert self._on_turn is not None
        assert self._on_hello is not None
        self._on_turn()  # where topics stand is after all that came before
        # Bundles taken from this life before are not taken again.
        known.expected = max(known.expected, hello.first_number)
        self._say(worker, bundle_protocol.WELCOME, bundle_protocol.encode(self._on_hello(hello)))
        self._forget_others(worker)

    def _challenge(self, worker: bytes, known: _WorkerLife) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - known.challenged_ns >= _CHALLENGE_EVERY_NS:
            known.challenged_ns = now_ns
            self._say(worker, bundle_protocol.CHALLENGE)

    def _forget_others(self, worker: bytes) -> None:
        """A worker said hello: earlier lives of the same name have nothing more to say, apart from what is queued."""
        name = worker.rpartition(bundle_protocol.LIFE)[0]
        for other in [o for o in self._links if o != worker and name and o.rpartition(bundle_protocol.LIFE)[0] == name]:
            del self._links[other]

    def _say(self, worker: bytes, *frames: bytes) -> None:
        try:
            self._socket.send_multipart([worker, *frames], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # it is gone, or does not read: it will be challenged when it speaks again
