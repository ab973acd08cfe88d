"""Owns the answers to subscribers: the last value of each topic, and the batches that they missed (ZeroMQ's Clone pattern).

Requests (DEALER → ROUTER), one reply each but for ``last``; numbers are MessagePack:

* ``last``, topic or prefix → one message for each matching topic, holding the frame as it was published, then an
  empty one;
* ``since``, topic, sequence → ``since``, topic, [epoch, first sequence held, newest sequence], then frames from that
  sequence on, at most ``REPLY_BYTES``: the subscriber asks again for more, so a slow one costs nothing;
* ``newest``, topic or prefix → ``newest``, topic or prefix, [epoch, {topic: newest sequence}];
* ``disk`` → ``disk``, whether there is a disk ring (``disk_ring_server``);
* ``reader``, name, [batches waiting, batches lost] → nothing: a subscriber tells of itself.

A reply is made when there is room for it, between other turns of the loop. Who does not read is waited for, and costs its requests and
``REPLIES_WAITING`` replies meanwhile.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from itertools import islice

import msgspec

from k2workers.transport.peer import PeerPolicy
from k2workers.transport.readers import Readers
from k2workers.transport.request_port import RequestPort, Sending
from k2workers.transport.ring import ReplayRing
from k2workers.transport.sockets import Context

REPLIES_WAITING = 32
"""In ZeroMQ for one subscriber."""

REPLY_BYTES = 256 * 1024
REPLY_FRAMES = 1_000

MAX_REQUESTS = 20_000
"""That wait for one subscriber to read; it asks again for what was not heard."""

REQUESTERS_A_TURN = 8

AGAIN_S = 0.005
"""When nobody has room for more, the next look comes after this."""

POLICY = PeerPolicy(bytes_per_s=200_000)

LAST, SINCE, NEWEST, READER, DISK = b"last", b"since", b"newest", b"reader", b"disk"

Reply = list[bytes]

pack = msgspec.msgpack.Encoder().encode
unpack_since = msgspec.msgpack.Decoder(tuple[int, int, int]).decode
unpack_disk = msgspec.msgpack.Decoder(bool).decode
unpack_newest = msgspec.msgpack.Decoder(tuple[int, dict[str, int]]).decode
_unpack_number = msgspec.msgpack.Decoder(int).decode


class _Requester:
    """What one subscriber waits for: its requests in order, each once, and the rest of the answer to the first."""

    __slots__ = ("answer", "reply", "requests")

    def __init__(self) -> None:
        self.requests: dict[tuple[bytes, ...], None] = {}
        self.answer: Iterator[Reply] | None = None
        self.reply: Reply | None = None
        """It was made, and there was no room for it."""


class ReplayServer:
    """Answers subscribers, from ``start`` to ``close`` (see ``RequestPort``). Raises ConfigError, naming ``setting``, when the endpoint cannot be bound."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        ring: ReplayRing,
        epoch: int,
        *,
        setting: str = "snapshot_endpoint",
        policy: PeerPolicy = POLICY,
        screened_in: str = "",
        disk_ring: bool = False,
    ) -> None:
        self.replayed = 0
        """Frames given again so far."""
        self.readers = Readers()
        self._ring = ring
        self._epoch = epoch
        self._disk_ring = disk_ring
        self._requesters: dict[bytes, _Requester] = {}
        """Those that wait for something, the next first."""
        self._full: dict[bytes, _Requester] = {}
        """Those that have no room for the next reply."""
        self.port = RequestPort(
            context, endpoint, self._turn,
            replies_waiting=REPLIES_WAITING, setting=setting, policy=policy, screened_in=screened_in,
        )  # fmt: skip
        self.watch, self.endpoint = self.port.watch, self.port.endpoint
        self.start, self.close = self.port.start, self.port.close

    def _turn(self, frames: list[bytes]) -> bool:
        sender, *request = frames or [b""]
        if sender and len(request) == 3 and request[0] == READER:
            with contextlib.suppress(msgspec.MsgspecError):
                self.readers.tell(sender, request[1], request[2], time.monotonic_ns())
        elif sender:
            self._hear(sender, tuple(request))
        for waiting in list(islice(self._requesters, REQUESTERS_A_TURN)):
            self._answer(waiting)
        if self._full:
            self.port.later(AGAIN_S, self._try_again)
        return bool(self._requesters)

    def _try_again(self) -> None:
        self._requesters.update(self._full)
        self._full.clear()

    def _hear(self, sender: bytes, request: tuple[bytes, ...]) -> None:
        requester = self._full.get(sender) or self._requesters.setdefault(sender, _Requester())
        if len(requester.requests) < MAX_REQUESTS:
            requester.requests[request] = None

    def _answer(self, sender: bytes) -> None:
        """Send the next reply that this subscriber waits for."""
        requester = self._requesters.pop(sender)
        reply = requester.reply or self._next_reply(requester)
        if reply is None:
            return
        sent = self.port.send([sender, *reply])
        if sent is Sending.NO_ROOM:
            requester.reply = reply
            self._full[sender] = requester
        elif sent is Sending.SENT:
            requester.reply = None
            self._requesters[sender] = requester  # last: the others first

    def _next_reply(self, requester: _Requester) -> Reply | None:
        while requester.requests:
            request = next(iter(requester.requests))
            requester.answer = requester.answer or self._replies(list(request))
            reply = next(requester.answer, None)
            if reply is not None:
                return reply
            requester.answer = None
            del requester.requests[request]
        return None

    def _replies(self, request: list[bytes]) -> Iterator[Reply]:
        word, *rest = request or [b""]
        topic = rest[0].decode(errors="replace") if rest else ""
        if word == LAST and len(rest) == 1:
            for name in self._ring.newest(topic):
                yield self._ring.last(name)
            yield [b""]
        elif word == NEWEST and len(rest) == 1:
            yield [NEWEST, rest[0], pack((self._epoch, self._ring.newest(topic)))]
        elif word == SINCE and len(rest) == 2:
            yield self._since(rest[0], topic, rest[1])
        elif word == DISK and not rest:
            yield [DISK, pack(self._disk_ring)]
        else:
            yield [b""]

    def _since(self, wanted: bytes, topic: str, number: bytes) -> Reply:
        try:
            sequence = _unpack_number(number)
        except msgspec.MsgspecError:
            return [b""]
        first, newest, frames = self._ring.since(topic, sequence, limit_bytes=REPLY_BYTES, limit_frames=REPLY_FRAMES)
        self.replayed += len(frames)
        return [SINCE, wanted, pack((self._epoch, first, newest)), *frames]
