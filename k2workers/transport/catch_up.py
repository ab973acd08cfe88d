"""Owns how a subscriber reads from the disk ring what was published while it was away: the questions, their answers in order, and when that is over.

It reads on as fast as its program takes what comes, and is over when it has come to the end of the ring; what was published since then the memory ring has.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import structlog
import zmq

from k2workers import wire
from k2workers.transport import disk_ring_server
from k2workers.transport.past_reassembly import PastReassembly
from k2workers.transport.ring_block import BlockDamaged, frames_of
from k2workers.transport.sockets import Socket, readable
from k2workers.wanted import wants

AGAIN_S = 0.5
"""Without an answer it asks again: a question on a new connection may be passed over, and one that is being answered counts once."""

GIVE_UP_S = 20.0
"""Without an answer for so long it goes on without the ring, whose process may be gone: one that is restarted is back sooner."""

RECENT_S = 600.0
"""What was published since then the memory ring may have, if the disk ring lacks it: as a rule it holds 300 s at most (``replay_ring_s``)."""

MOST_WANTED = 200
"""Names in a question; of more, only their kinds are asked for, and what is not wanted is dropped here."""

_log = structlog.get_logger(__name__)


class CatchUp:
    """Call ``begin``, then ``tick`` steadily and ``take`` when the socket may have something, until ``over``.

    With ``since_ns`` the program joins at that time; without it, it goes on from where the topics of the ``reassembly`` stand.
    """

    def __init__(
        self, socket: Socket, reassembly: PastReassembly, topics: Sequence[str], since_ns: int | None = None
    ) -> None:
        self.over = False
        self.failed = ""
        """Why it is over before the end."""
        self._socket = socket
        self._reassembly = reassembly
        self._topics = tuple(topics)
        self._since_ns = since_ns
        self._wanted = self._topics if since_ns is not None else _going_on(topics, reassembly)
        self._matches = wants(self._wanted)
        self._question: tuple[bytes, bytes, bytes] | None = None
        """That was asked, and not answered yet."""
        self._cursor = b""
        """From where to read on, when the program has taken some."""
        self._asked_s = self._answered_s = 0.0

    def begin(self, now_s: float) -> None:
        """Ask where to begin (monotonic time)."""
        self._answered_s = now_s
        if self._since_ns is not None:
            self._ask(disk_ring_server.AT, disk_ring_server.pack(self._since_ns), now_s)
            return
        has = {
            epoch: found
            for epoch, own in self._reassembly.sequences().items()
            if (found := {topic: sequence for topic, sequence in own.items() if self._matches(topic)})
        }
        question = disk_ring_server.pack(has)
        if len(question) > disk_ring_server.MOST_BYTES:  # then from where their lives begin: what it has is dropped
            question = disk_ring_server.pack({epoch: {} for epoch in has})
        self._ask(disk_ring_server.FIND, question, now_s)

    def tick(self, now_s: float) -> None:
        """Ask again, or give it up."""
        if self.over or self._question is None:
            self._answered_s = now_s
        elif now_s - self._answered_s >= GIVE_UP_S:
            self._end(f"the disk ring has not answered for {GIVE_UP_S:g} s")
        elif now_s - self._asked_s >= AGAIN_S:
            self._ask(self._question[0], self._question[2], now_s)

    def take(self, now_ns: int, *, room: bool) -> bool:
        """Read an answer, if one has come, and read on if there is ``room`` for more. Returns whether more may wait."""
        if self.over or not room:
            return False
        if self._question is None:
            self._read_on()
        if not readable(self._socket):
            return False
        word, *rest = self._socket.recv_multipart(zmq.NOBLOCK)
        try:
            self._hear(word, rest, now_ns)
        except (msgspec.MsgspecError, BlockDamaged, IndexError, ValueError) as error:
            self._end(f"an answer of the disk ring cannot be read: {error}")
        return True

    def _hear(self, word: bytes, rest: list[bytes], now_ns: int) -> None:
        question = self._question
        if not word:
            self._end("the disk ring does not understand the question")
            return
        if question is None or word != question[0]:
            return  # it came twice
        if word == disk_ring_server.FIND:
            start = disk_ring_server.unpack_start(rest[0])
            self._reassembly.begin_past(start.epochs, now_ns, _recent_ns())
            self._answered(disk_ring_server.pack(start.cursor))
        elif word == disk_ring_server.AT:
            moment = disk_ring_server.unpack_moment(rest[0])
            self._reassembly.begin_past(moment.epochs, now_ns, _recent_ns())
            if moment.epoch:
                self._reassembly.join_at(self._topics, moment.epoch, moment.sequences)
            self._answered(disk_ring_server.pack(moment.cursor))
        elif rest[0] == question[2]:
            cursor, at_end = disk_ring_server.unpack_next(rest[1])
            self._give(rest[2], now_ns)
            self._answered(disk_ring_server.pack(cursor))
            if at_end:
                self._end()

    def _give(self, frames: bytes, now_ns: int) -> None:
        take, matches, since_ns = self._reassembly.take_past, self._matches, self._since_ns
        all_match = self._asks_exactly
        for frame in frames_of(frames):
            try:
                if not all_match and not matches(frame[: frame.find(b" ")].decode()):
                    continue
                if since_ns is not None and wire.read_place(frame)[3] < since_ns:
                    self._reassembly.pass_by(frame)
                else:
                    take(frame, now_ns)
            except (wire.WireError, UnicodeDecodeError) as error:
                _log.error("batch_unreadable", error=str(error))

    @property
    def _asks_exactly(self) -> bool:
        return len(self._wanted) <= MOST_WANTED

    def _answered(self, cursor: bytes) -> None:
        self._question, self._cursor, self._answered_s = None, cursor, time.monotonic()

    def _read_on(self) -> None:
        self._ask(disk_ring_server.READ, self._cursor, time.monotonic())

    def _ask(self, word: bytes, what: bytes, now_s: float) -> None:
        wanted = self._wanted if self._asks_exactly else _kinds(self._wanted)
        self._question, self._asked_s = (word, disk_ring_server.pack(wanted), what), now_s
        try:
            self._socket.send_multipart(self._question, zmq.NOBLOCK)
        except zmq.Again:
            return  # asked again

    def _end(self, why: str = "") -> None:
        self.over, self.failed = True, why
        if why:
            _log.error("disk_ring_left", error=why, note="what the memory ring does not have either is lost")


def _recent_ns() -> int:
    return time.time_ns() - int(RECENT_S * 1e9)


def _going_on(topics: Sequence[str], reassembly: PastReassembly) -> tuple[str, ...]:
    """What to ask for: names of which it is known from where they count, and of the others the topics that are known."""
    joined = [name for name in topics if reassembly.has_joined(name)]
    covered, subscribed = wants(joined), wants(topics)
    known = [topic for own in reassembly.sequences().values() for topic in own]
    return (*joined, *(topic for topic in known if subscribed(topic) and not covered(topic)))


def _kinds(wanted: Sequence[str]) -> tuple[str, ...]:
    """Prefixes above these."""
    found = dict.fromkeys(name if name.endswith(".") else f"{name.rpartition('.')[0]}." for name in wanted)
    return tuple(found) if len(found) <= MOST_WANTED else tuple({f"{name.partition('.')[0]}.": None for name in found})
