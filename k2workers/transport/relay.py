"""Owns what the aggregator does with bundles between its sockets: numbered, published, remembered, and acknowledged when that is safe. Pure.

Acknowledged is what a checkpoint covers that has been written; nothing is safe by time alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from k2workers.sequencing.coverage import Holes, PublishedPosition
from k2workers.sequencing.sequencer import Sequencer
from k2workers.sequencing.tally import Tally
from k2workers.transport import bundle_protocol
from k2workers.transport.ring import ReplayRing
from k2workers.wire import Batch, WireError

KEEP_NS = 2_000_000_000
"""A checkpoint holds where the topics stood this long ago: frames on their way to subscribers die with this process, and only the
workers can send them again. They keep what the last checkpoint that was written does not cover."""

MOMENTS = 4
"""Moments that wait to become old enough for a checkpoint; if the disk is slower than that, the oldest is left out."""


class _Moment(msgspec.Struct, frozen=True, gc=False):
    """Where everything stood at one time (monotonic): what a checkpoint holds, and what it covers."""

    at_ns: int
    positions: dict[str, PublishedPosition]
    tally: Tally
    taken: dict[bytes, int]


class Links(Protocol):
    """The links to the workers (``inbox.py``)."""

    def taken(self) -> dict[bytes, int]:
        """The number of the last bundle taken of each worker."""

    def acknowledge(self, numbers: Mapping[bytes, int]) -> None:
        """Tell each worker that its bundles up to this number need not be kept."""

    def tell_holes(self, worker: bytes, holes: Holes) -> None:
        """Tell a worker which ids of its topics never came."""


class Writer(Protocol):
    """What writes checkpoints (``checkpoint_file.py``)."""

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""

    def save(
        self,
        epoch: int,
        positions: dict[str, PublishedPosition],
        tally: Tally,
        on_saved: Callable[[], None] = lambda: None,
    ) -> None:
        """Write these, and call ``on_saved`` once they are safe; only while it is not ``busy``."""


SALTS = 2**30
"""How many different salts there are: less than a second in ns."""


def begun(
    epoch: int,
    positions: Mapping[str, PublishedPosition],
    now_ns: int,
    salt: int,
    tally: Tally = Tally(),  # noqa: B008 - frozen
    made: Callable[[int], Sequencer] = Sequencer,
) -> Sequencer:
    """A new life's numbers, after the epoch, the positions and the tally of the last checkpoint (wall-clock time); ``made`` makes its sequencer.

    ``salt`` is a random number below ``SALTS``: while the clock is behind and no checkpoint can be written, each life finds the same epoch
    in the last one, and yet no two may have the same.
    """
    sequencer = made(max(now_ns, epoch + 1 + salt))
    sequencer.restore(positions)
    sequencer.count_on(tally)
    return sequencer


class Relay:
    """Give it every bundle with ``take`` (but for those that ``take_plain`` takes) and ``publish`` after those that waited; call ``checkpoint`` steadily. Answers hellos.

    ``send`` takes one frame for all subscribers.
    """

    def __init__(
        self, sequencer: Sequencer, ring: ReplayRing, links: Links, writer: Writer, send: Callable[[bytes], object]
    ) -> None:
        self.batches = 0
        self.bytes = 0
        self.unreadable = 0
        """Batches whose events could not be read."""
        self.cause = ""
        """Why the last unreadable batch could not be read; the caller that reports it clears it."""
        self._sequencer = sequencer
        self._ring = ring
        self._links = links
        self._writer = writer
        self._send = send
        self._moments: deque[_Moment] = deque(maxlen=MOMENTS)
        self.take_plain = sequencer.take_plain
        """Take a whole bundle from its frame, if it simply continues: whether it was."""
        self._told: dict[bytes, Holes] = {}
        """By worker, the holes that it was told of and that were open when we looked last."""

    def hello(self, hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
        """A worker says hello: note from which ids on it will send, and answer where every topic stands."""
        self._sequencer.rewind(hello.acknowledged, hello.dropped_after, hello.open, hello.begun)
        return bundle_protocol.Welcome(self._sequencer.epoch, self._sequencer.positions())

    def take(self, worker: bytes, batches: list[Batch], wall_ns: int) -> None:
        """Take one bundle (wall-clock time)."""
        sequencer = self._sequencer
        for batch in batches:
            try:
                sequencer.take(batch, wall_ns)
            except WireError as error:
                self.unreadable += 1
                self.cause = str(error)
        if sequencer.found_holes:
            holes, sequencer.found_holes = sequencer.found_holes, {}
            self._links.tell_holes(worker, holes)
            told = self._told.setdefault(worker, {})
            for topic, (number, ranges) in holes.items():
                earlier, known = told.get(topic, (number, []))
                told[topic] = number, [*(known if earlier == number else ()), *ranges]

    def publish(self, wall_ns: int, now_ns: int) -> None:
        """Number and publish what was taken since the last call (wall-clock and monotonic time)."""
        published = self._sequencer.publish(wall_ns)
        if not published:
            return
        self._ring.put_all(published, now_ns)
        send, size = self._send, 0
        for _, _, frame in published:
            send(frame)
            size += len(frame)
        self.bytes += size
        self.batches += len(published)

    def checkpoint(self, now_ns: int) -> None:
        """Write where every topic stood a while ago (see ``KEEP_NS``); workers need not keep what it covers once it is written.

        Workers are told again of holes that are still open: the first word may have been lost with a connection.
        """
        self._tell_again()
        self._moments.append(_Moment(now_ns, self._sequencer.positions(), self._sequencer.tally(), self._links.taken()))
        if self._writer.busy:
            return
        due: _Moment | None = None
        while self._moments and self._moments[0].at_ns <= now_ns - KEEP_NS:
            due = self._moments.popleft()
        if due is not None:
            covered = due.taken
            self._writer.save(self._sequencer.epoch, due.positions, due.tally, lambda: self._links.acknowledge(covered))

    def _tell_again(self) -> None:
        for worker, told in list(self._told.items()):
            holes: Holes = {}
            for topic, (number, ranges) in told.items():
                state = self._sequencer.topics[topic]
                still = [part for first, last in ranges for part in state.open.within(first, last)]
                if still and state.continuity_number == number:
                    holes[topic] = number, still
            if holes:
                self._told[worker] = holes
                self._links.tell_holes(worker, holes)
            else:
                del self._told[worker]
