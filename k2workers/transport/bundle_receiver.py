"""Owns the aggregator's socket for bundles: how many are received before others have their turn. What is taken is decided in ``inbox.py``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
import structlog
import zmq

from k2workers.sequencing.coverage import Holes
from k2workers.transport import bundle_protocol
from k2workers.transport.inbox import Inbox
from k2workers.transport.sockets import Context, SocketWatcher, Turns, bind, open_socket
from k2workers.wire import Batch, WireError

_BUNDLES_PER_TURN = 64
_BYTES_PER_TURN = 512 * 1024
"""After this many bytes the turn ends: they are published, and the loop can serve heartbeats and the control channel."""

_log = structlog.get_logger(__name__)


class BundleReceiver:
    """Receives bundles of all workers and gives each to ``on_bundle(worker, batches)``.

    Make it, ``start`` inside the event loop, ``close()`` at the end. ``on_turn`` is called after all bundles that were waiting
    (within bounds), so that a busy receiver can deal with them together; ``on_hello`` answers a worker's greeting; what ``on_frame`` takes, the frame of a bundle, is not decoded. Bounded by
    ``high_water_mark`` bundles a worker: beyond that the workers meet back-pressure. Raises ConfigError, naming ``setting``, when the endpoint
    cannot be bound.
    """

    def __init__(
        self, context: Context, endpoint: str, *, high_water_mark: int = 1_000, setting: str = "bundle_endpoint"
    ) -> None:
        self._socket = open_socket(context, zmq.ROUTER, receive_high_water_mark=high_water_mark)
        self.endpoint = bind(self._socket, endpoint, setting=setting)
        self._watcher = SocketWatcher(self._socket, self._turn)
        self._turns = Turns(_BUNDLES_PER_TURN)
        self._inbox = Inbox(self._say)
        self._heard = self._inbox.heard
        self._on_turn: Callable[[], None] = lambda: None
        self.taken = self._inbox.taken
        """The number of the last bundle taken of each worker."""

    @property
    def bundles(self) -> int:
        """Bundles taken so far."""
        return self._inbox.bundles

    @property
    def repeated(self) -> int:
        """Bundles that came again and were dropped."""
        return self._inbox.repeated

    def start(
        self,
        on_bundle: Callable[[bytes, list[Batch]], None],
        on_turn: Callable[[], None],
        on_hello: Callable[[bundle_protocol.WorkerHello], bundle_protocol.Welcome],
        on_frame: Callable[[bytes, bytes], bool] = lambda _worker, _frame: False,
    ) -> None:
        """Begins to receive; call once, inside the running loop."""

        def greet(hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
            on_turn()  # where topics stand is after all that came before
            return on_hello(hello)

        self._inbox.on_frame, self._inbox.on_bundle = on_frame, on_bundle
        self._inbox.on_hello, self._on_turn = greet, on_turn
        self._watcher.start()

    def acknowledge(self, numbers: Mapping[bytes, int]) -> None:
        """See ``Inbox.acknowledge``."""
        if self._socket.closed:
            return
        self._inbox.acknowledge(numbers)
        self._watcher.kick()  # a send may swallow the sign that something has come

    def tell_holes(self, worker: bytes, holes: Holes) -> None:
        """See ``Inbox.tell_holes``."""
        _log.warning("holes_found", worker=worker.decode(errors="replace"), holes=holes)
        self._inbox.tell_holes(worker, holes)
        self._watcher.kick()

    def close(self) -> None:
        """Stops receiving; bundles that were not read yet stay with the workers. Safe to call twice."""
        if self._socket.closed:
            return
        self._watcher.stop()
        self._socket.close()

    def _turn(self) -> bool:
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
        if self._inbox.wrong:
            self._inbox.challenge(time.monotonic_ns())
        return self._turns.end(taken)

    def _rest(self) -> list[bytes]:
        """The further frames of the message that is being received."""
        frames = []
        while self._socket.getsockopt(zmq.RCVMORE):
            frames.append(self._socket.recv(zmq.NOBLOCK))
        return frames

    def _say(self, worker: bytes, *frames: bytes) -> None:
        try:
            self._socket.send_multipart([worker, *frames], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # it is gone, or does not read: it will be challenged when it speaks again
