"""Owns which bundles a worker keeps until they are acknowledged, within a bound, and what it says to the aggregator. Pure.

The protocol is in ``bundle_protocol.py``. Knows nothing of what is in a batch except its topic and ids. It reads these only when it has to
tell a new aggregator where it stands, or when it drops a bundle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from k2workers import wire
from k2workers.sequencing.coverage import Holes, Reached, is_before
from k2workers.transport import bundle_protocol
from k2workers.transport.kept_bundles import BeforeKept, DroppedIds, before_kept
from k2workers.wire import SendOutcome

SENT_AT_ONCE = 64
"""Bundles that one ``flush`` sends, so that others have their turn."""


class SendCounters(msgspec.Struct, gc=False):
    """Totals since the outbox was made: plain numbers, read when metrics are flushed.

    ``pending_bundles`` were not handed to ZeroMQ yet; ``kept_bundles`` and ``kept_bytes`` also count those that were sent
    and are not acknowledged; ``forgotten`` were sent and dropped before
    they were acknowledged.
    """

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


class Outbox:
    """The bundles of one life of a worker, numbered from 1.

    ``send`` takes the frames of one message and answers whether they went; if not, the aggregator does not read. ``later`` is called when
    a bundle could not go at once: call ``flush`` when ``send`` may succeed again. Call ``greet`` steadily, and ``heard`` with each
    message of the aggregator.

    At most ``keep_bytes`` are kept. Beyond that, bundles that were sent and not yet acknowledged are forgotten, the oldest
    first; if there are none, the aggregator does not read, and a *new* bundle is refused.
    """

    def __init__(self, send: Callable[..., bool], later: Callable[[], object], keep_bytes: int) -> None:
        self.counters = SendCounters()
        self.welcomed = False
        self.closed = False
        """Whether nothing is taken any longer."""
        self.reached: Callable[[], Mapping[str, Reached]] = dict
        """Tells the numbering and last venue id pushed of each chained topic."""
        self.open_gaps: Callable[[], Holes] = dict
        """Tells what was announced as missing and may still be pushed."""
        self.begun: Callable[[], Mapping[str, Reached]] = dict
        """Tells the first ids of numberings that have begun."""
        self.on_welcome: Callable[[bundle_protocol.Welcome], object] = lambda _: None
        """Called with every greeting of an aggregator."""
        self.on_holes: Callable[[Holes], object] = lambda _: None
        """Called with ids that an aggregator found missing."""
        self.on_forgotten: Callable[[Holes], object] = lambda _: None
        """Called with ids that were published and that a new aggregator has not announced: its checkpoint is older than they are."""
        self._send = send
        self._later = later
        self._keep_bytes = keep_bytes
        self._kept: deque[_Kept] = deque()
        self._unsent = 0
        """How many bundles at the end of ``_kept`` were not sent since the last welcome."""
        self._before_kept: BeforeKept | None = None
        """What our hello tells, computed once until the next welcome."""
        self._dropped = DroppedIds()
        self._durable = False
        """Whether anything was acknowledged. Before that, where the topics stood when this life began may be known to nobody else: the
        aggregator that told it may have died before a checkpoint covered it."""
        self._number = 0

    def push(self, batches: Sequence[wire.Batch]) -> SendOutcome:
        """Take one bundle. See SendOutcome."""
        return self.push_frame(self.next_head() + wire.encode_bundle(batches))

    def next_head(self) -> bytes:
        """What the next bundle's frame begins with."""
        return bundle_protocol.numbered(bundle_protocol.BUNDLE, self._number + 1)

    def push_frame(self, frame: bytes) -> SendOutcome:
        """Take one bundle that is encoded already, behind ``next_head``. See SendOutcome."""
        if self.closed:
            return SendOutcome.CLOSED
        size, counters = len(frame), self.counters
        if counters.kept_bytes + size > self._keep_bytes and not self._make_room(size):
            counters.bundles_refused += 1
            self._dropped.add(bundle_protocol.bundle_of(frame))
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
        self._later()
        return SendOutcome.BACK_PRESSURED

    @property
    def pending(self) -> bool:
        """Whether any bundle was not sent yet."""
        return self._unsent > 0

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────

    def greet(self) -> None:
        """Show that we are there; a new aggregator notices it."""
        if self.welcomed:
            self._send(bundle_protocol.numbered(bundle_protocol.PING, self._number - self._unsent))
        else:
            self._say_hello()

    def flush(self) -> bool:
        """Send what could not go yet. Returns whether more may go at once."""
        counters = self.counters
        for _ in range(SENT_AT_ONCE):
            if not self._unsent or not self.welcomed:
                return False
            frame = self._kept[len(self._kept) - self._unsent].frame
            if not self._send(frame):
                return False
            self._unsent -= 1
            counters.pending_bundles = self._unsent
        return self._unsent > 0

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

    def _say_hello(self) -> None:
        if self._before_kept is None:
            bundles = [bundle_protocol.bundle_in(bundle.frame) for bundle in self._kept]
            self._before_kept = before_kept(bundles, self.reached(), self.open_gaps())
        acknowledged, dropped_after = {}, {}
        for topic, reached in self._before_kept.reached.items():
            before_dropped = self._dropped.before(topic)
            if before_dropped is None and self._durable:
                acknowledged[topic] = reached
            else:
                dropped_after[topic] = (
                    reached if before_dropped is None or is_before(reached, before_dropped) else before_dropped
                )
        still_open = {topic: (number, list(ranges)) for topic, (number, ranges) in self._before_kept.open.items()}
        first = self._kept[0].number if self._kept else self._number + 1
        hello = bundle_protocol.WorkerHello(first, acknowledged, dropped_after, still_open, dict(self.begun()))
        self._send(bundle_protocol.HELLO, bundle_protocol.encode(hello))

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, first: bytes, *more: bytes) -> None:
        """The frames of a message of the aggregator. Raises ValueError, IndexError or MsgspecError for one that cannot be read."""
        if first[:1] == bundle_protocol.ACK:
            self._acknowledged(bundle_protocol.number_of(first))
        elif first == bundle_protocol.CHALLENGE:
            if self.welcomed:
                self.welcomed = False
                self.counters.resent += len(self._kept) - self._unsent
                self._unsent = self.counters.pending_bundles = len(self._kept)
                self._say_hello()
        elif first == bundle_protocol.WELCOME and not self.welcomed:
            welcome = bundle_protocol.decode_welcome(more[0])
            self.welcomed = True
            self.on_welcome(welcome)
            self._compare(welcome)
        elif first == bundle_protocol.HOLES:
            self.on_holes(bundle_protocol.decode_holes(more[0]))

    def _compare(self, welcome: bundle_protocol.Welcome) -> None:
        """What an aggregator lacks, although it was sent and given up since, is as lost as a hole that it found."""
        assert self._before_kept is not None
        before, self._before_kept = self._before_kept, None
        holes = before.unknown_to_us(welcome.positions)
        if holes:
            self.on_holes(holes)
        if forgotten := before.forgotten(welcome.positions, self.begun()):
            self.on_forgotten(forgotten)

    def _acknowledged(self, number: int) -> None:
        self._durable = True
        while len(self._kept) > self._unsent and self._kept[0].number <= number:
            if self._dropped:
                self._dropped.forgive(bundle_protocol.bundle_of(self._kept[0].frame))
            self._drop_oldest()
