"""Owns which bundles the aggregator takes: each of every worker once and in order. Pure; the protocol is in ``bundle_protocol.py``.

Knows nothing of what is in a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k2workers.sequencing.coverage import Holes
from k2workers.transport import bundle_protocol
from k2workers.wire import Batch

CHALLENGE_EVERY_NS = 50_000_000
"""A worker that goes on in the wrong place is not challenged more often; what it had sent before it heard of the last one is still coming."""


class _WorkerLife:
    """One life of a worker, as the aggregator sees it."""

    __slots__ = ("challenged_ns", "expected")

    def __init__(self) -> None:
        self.expected = -1
        """The number of the next bundle; -1 before its hello."""
        self.challenged_ns = 0


class Inbox:
    """The links of all workers to this life of the aggregator.

    ``send`` takes a worker and the frames of one message to it; whether they went does not matter. Give every message to ``heard``, and
    after those that waited, if any worker is ``wrong``, call ``challenge``. Each bundle goes to ``on_bundle(worker, batches)``, but for those that ``on_frame(worker, frame)`` takes as they are;
    ``on_hello`` answers a worker's greeting.
    """

    def __init__(self, send: Callable[..., object]) -> None:
        self.on_bundle: Callable[[bytes, list[Batch]], object] = lambda _worker, _batches: None
        self.on_frame: Callable[[bytes, bytes], bool] = lambda _worker, _frame: False
        self.on_hello: Callable[[bundle_protocol.WorkerHello], bundle_protocol.Welcome] = lambda _: (
            bundle_protocol.Welcome(0, {})
        )
        self.bundles = 0
        self.repeated = 0
        """Bundles that came again and were dropped."""
        self._send = send
        self._links: dict[bytes, _WorkerLife] = {}
        self.wrong: set[bytes] = set()
        """Workers that go on in the wrong place, as a message of theirs showed; see ``challenge``."""

    def heard(self, worker: bytes, first: bytes, more: list[bytes]) -> None:
        """The frames of a message of a worker. Raises ValueError, IndexError, MsgspecError or WireError for one that cannot be read."""
        known = self._links.get(worker)
        if known is None:
            known = self._links[worker] = _WorkerLife()
        letter = first[:1]
        if letter == bundle_protocol.BUNDLE:
            number = bundle_protocol.number_of(first)
            if number == known.expected:
                known.expected += 1
                self.bundles += 1
                if not self.on_frame(worker, first):
                    self.on_bundle(worker, bundle_protocol.bundle_of(first))
            elif 0 < number < known.expected:
                self.repeated += 1
            else:
                self.wrong.add(worker)
        elif letter == bundle_protocol.PING:
            # While a worker sends again what was taken before, it is behind, and nothing is missing.
            if bundle_protocol.number_of(first) >= known.expected:
                self.wrong.add(worker)
        elif letter == bundle_protocol.HELLO:
            self._greet(worker, known, bundle_protocol.decode_hello(more[0]))

    def challenge(self, now_ns: int) -> None:
        """Ask those that go on in the wrong place where they stand (monotonic time)."""
        for worker in self.wrong:
            known = self._links.get(worker)
            if known is not None and now_ns - known.challenged_ns >= CHALLENGE_EVERY_NS:
                known.challenged_ns = now_ns
                self._send(worker, bundle_protocol.CHALLENGE)
        self.wrong.clear()

    def taken(self) -> dict[bytes, int]:
        """The number of the last bundle taken of each worker."""
        return {worker: known.expected - 1 for worker, known in self._links.items() if known.expected > 1}

    def acknowledge(self, numbers: Mapping[bytes, int]) -> None:
        """Tell each worker that its bundles up to this number need not be kept; call it steadily, for one that does not read is told again."""
        for worker, number in numbers.items():
            if worker in self._links:
                self._send(worker, bundle_protocol.numbered(bundle_protocol.ACK, number))

    def tell_holes(self, worker: bytes, holes: Holes) -> None:
        """Tell a worker which ids of its topics never came."""
        self._send(worker, bundle_protocol.HOLES, bundle_protocol.encode(holes))

    def _greet(self, worker: bytes, known: _WorkerLife, hello: bundle_protocol.WorkerHello) -> None:
        # Bundles taken from this life before are not taken again.
        known.expected = max(known.expected, hello.first_number)
        self.wrong.discard(worker)
        self._send(worker, bundle_protocol.WELCOME, bundle_protocol.encode(self.on_hello(hello)))
        self._forget_others(worker)

    def _forget_others(self, worker: bytes) -> None:
        """A worker said hello: earlier lives of the same name have nothing more to say, apart from what is queued."""
        name = worker.rpartition(bundle_protocol.LIFE)[0]
        for other in [o for o in self._links if o != worker and name and o.rpartition(bundle_protocol.LIFE)[0] == name]:
            del self._links[other]
