"""Owns the answers to readers of the disk ring.

Requests (DEALER → ROUTER), one reply each; all but the words are MessagePack, and ``wanted`` is an array of topics and prefixes:

* ``find``, wanted, {epoch: {topic: sequence}} → ``find``, [cursor, epochs]: where a reader begins that has these;
* ``at``, wanted, publish time in ns → ``at``, [cursor, epochs, epoch, {topic: sequence}]: where that time begins, and what was before it;
* ``read``, wanted, cursor → ``read``, cursor, [next cursor, whether that is the end for now], frames: what follows there.

The disk is read on threads, for one request of each reader at a time, and ``READERS`` at once; a newer request takes the place of one that waits. A reply
that its reader has no room for is dropped: it asks again. So a slow reader costs nothing but its own connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import msgspec

from k2workers.transport.disk_ring import DiskRing
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.request_port import RequestPort
from k2workers.transport.ring_places import Positions, RingCursor, RingMoment, RingStart
from k2workers.transport.sockets import Context

FIND, AT, READ = b"find", b"at", b"read"

READERS = 2
"""Threads."""

REPLIES_WAITING = 2
"""In ZeroMQ for one reader."""

MOST_BYTES = 500_000
"""Of one frame of a question: the positions of some ten thousand topics."""

POLICY = PeerPolicy(message_bytes=MOST_BYTES, bytes_per_s=200_000, burst_bytes=4 * MOST_BYTES)

pack = msgspec.msgpack.Encoder().encode
unpack_start = msgspec.msgpack.Decoder(RingStart).decode
unpack_moment = msgspec.msgpack.Decoder(RingMoment).decode
unpack_next = msgspec.msgpack.Decoder(tuple[RingCursor, bool]).decode
_unpack_wanted = msgspec.msgpack.Decoder(list[str]).decode
_unpack_positions = msgspec.msgpack.Decoder(dict[int, dict[str, int]]).decode
_unpack_time = msgspec.msgpack.Decoder(int).decode
_unpack_cursor = msgspec.msgpack.Decoder(RingCursor).decode

Request = tuple[bytes, ...]


class DiskRingServer:
    """Answers readers, from ``start`` to ``close`` (see ``RequestPort``). Raises ConfigError, naming ``setting``, when the endpoint cannot be bound."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        ring: DiskRing,
        *,
        setting: str = "disk_ring_endpoint",
        policy: PeerPolicy = POLICY,
        screened_in: str = "",
    ) -> None:
        self.requests = 0
        self.given_bytes = 0
        """Of frames, so far."""
        self._ring = ring
        self._waiting: dict[bytes, Request] = {}
        """By reader, the next first."""
        self._reading: dict[bytes, Request] = {}
        self._replies: deque[list[bytes]] = deque()
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="disk-ring-reader")
        self.port = RequestPort(
            context, endpoint, self._turn,
            replies_waiting=REPLIES_WAITING, setting=setting, policy=policy, screened_in=screened_in,
        )  # fmt: skip
        self.watch, self.endpoint = self.port.watch, self.port.endpoint
        self.start = self.port.start

    def close(self) -> None:
        """Stop answering, and close the socket."""
        self._threads.shutdown(cancel_futures=True)
        self.port.close()

    def _turn(self, frames: list[bytes]) -> bool:
        if len(frames) == 4:
            self._hear(frames[0], tuple(frames[1:]))
        elif frames:
            self._replies.append([frames[0], b""])
        while self._replies:
            self.port.send(self._replies.popleft())
        for sender in [one for one in self._waiting if one not in self._reading][: READERS - len(self._reading)]:
            request = self._reading[sender] = self._waiting.pop(sender)
            reading = self._threads.submit(self._answer, request)
            reading.add_done_callback(_in(asyncio.get_running_loop(), partial(self._answered, sender)))
        return False

    def _hear(self, sender: bytes, request: Request) -> None:
        if self._reading.get(sender) != request:  # else it was asked again
            self.requests += 1
            self._waiting[sender] = request

    def _answered(self, sender: bytes, done: Future[list[bytes]]) -> None:
        del self._reading[sender]
        if done.cancelled():
            return
        reply = done.result()
        self.given_bytes += len(reply[3]) if len(reply) > 3 else 0
        self._replies.append([sender, *reply])
        self.port.later(0)

    def _answer(self, request: Request) -> list[bytes]:
        """On a thread of its own."""
        word, wanted, what = request
        try:
            topics = _unpack_wanted(wanted)
            if word == FIND:
                positions: Positions = _unpack_positions(what)
                return [FIND, pack(self._ring.find(topics, positions))]
            if word == AT:
                return [AT, pack(self._ring.at(topics, _unpack_time(what)))]
            if word == READ:
                piece = self._ring.read(topics, _unpack_cursor(what))
                return [READ, what, pack((piece.cursor, piece.at_end)), piece.frames]
        except (msgspec.MsgspecError, ValueError):
            pass
        return [b""]


def _in(
    loop: asyncio.AbstractEventLoop, done: Callable[[Future[list[bytes]]], None]
) -> Callable[[Future[list[bytes]]], None]:
    """The same, called in this loop, if it still runs."""

    def called(future: Future[list[bytes]]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(done, future)

    return called
