"""Owns the answers to joiners who ask for whole books. Knows no book: what it sends is made for it.

Requests (DEALER → ROUTER): ``book``, topic or prefix → one message ``book``, frame for each matching topic of which there is a whole book,
then ``end``, topic or prefix. The frame has the form of a published batch (``wire``) with one ``BookSnapshot``; its epoch and sequence say which
batches of the topic are in it: all up to that one.

``levels``, topic, number → the same three frames and the best levels of its book, so many a side: a batch with one ``BookLevels``, or an empty frame if
no book of the topic is kept. It is answered at once, and only if there is room.

One book is made at a time, between other turns of the loop: a prefix may match hundreds, of a megabyte each. A client that does not read is
waited for, and costs a list of topics and one book meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec

from k2workers.transport.peer import PeerPolicy
from k2workers.transport.replay_server import POLICY
from k2workers.transport.request_port import RequestPort, Sending
from k2workers.transport.sockets import Context

BOOK, END, LEVELS = b"book", b"end", b"levels"

MOST_LEVELS = 1_000
"""Of each side. Whoever wants more wants the whole book."""

BOOKS_WAITING = 4
"""Books that wait in ZeroMQ for one client; it takes as many itself."""

MAX_WAITING = 20_000
"""With more topics and ends that it waits for, a client's next requests are not heard until it has read some."""

AGAIN_S = 0.02
"""When no client has room for more, the next look comes after this."""


pack_count = msgspec.msgpack.Encoder().encode
decode_count = msgspec.msgpack.Decoder(Annotated[int, msgspec.Meta(ge=1, le=MOST_LEVELS)]).decode


class _Client:
    """What one client still waits for, in order: topics, and the ends of its requests."""

    __slots__ = ("ends", "made", "topics", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, bytes]] = deque()
        """(topic, empty) or (empty, what was asked for)."""
        self.topics: set[str] = set()
        self.ends: set[bytes] = set()
        self.made: bytes | None = None
        """The first topic's book, if it was made and the client had no room for it."""

    def ask(self, wanted: bytes, topics: Iterable[str]) -> None:
        if wanted in self.ends or len(self.waiting) >= MAX_WAITING:
            return
        for topic in topics:
            if topic not in self.topics:
                self.topics.add(topic)
                self.waiting.append((topic, b""))
        self.ends.add(wanted)
        self.waiting.append(("", wanted))


class BooksServer:
    """Answers joiners, from ``start`` to ``close`` (see ``RequestPort``). ``topics_under`` names the topics that match a topic or prefix, ``frame_of`` makes the frame of one, if it has a book;
    ``levels_of`` that of the best levels of a topic's book, empty if none is kept.

    Raises ConfigError, naming ``setting``, when the endpoint cannot be bound.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        topics_under: Callable[[str], list[str]],
        frame_of: Callable[[str], bytes | None],
        *,
        levels_of: Callable[[str, int], bytes] = lambda _topic, _count: b"",
        setting: str = "books_endpoint",
        policy: PeerPolicy = POLICY,
        screened_in: str = "",
    ) -> None:
        self.requests = 0
        self.given = 0
        """Books given so far."""
        self._topics_under = topics_under
        self._frame_of = frame_of
        self._levels_of = levels_of
        self._clients: dict[bytes, _Client] = {}
        """Those that wait for something."""
        self.port = RequestPort(
            context, endpoint, self._turn,
            replies_waiting=BOOKS_WAITING, setting=setting, policy=policy, screened_in=screened_in,
        )  # fmt: skip
        self.watch, self.endpoint = self.port.watch, self.port.endpoint
        self.start, self.close = self.port.start, self.port.close

    def _turn(self, frames: list[bytes]) -> bool:
        if frames:
            self._hear(frames)
        sent = any(self._answer(sender) for sender in list(self._clients))
        if self._clients and not sent:
            self.port.later(AGAIN_S)
        return sent

    def _hear(self, frames: list[bytes]) -> None:
        sender, *request = frames
        if len(request) == 3 and request[0] == LEVELS:
            self._give_levels(sender, request)
        if len(request) != 2 or request[0] != BOOK:
            return
        self.requests += 1
        client = self._clients.setdefault(sender, _Client())
        client.ask(request[1], self._topics_under(request[1].decode(errors="replace")))

    def _give_levels(self, sender: bytes, request: list[bytes]) -> None:
        self.requests += 1
        try:
            count = decode_count(request[2])
        except msgspec.MsgspecError:
            return
        self.port.send([sender, *request, self._levels_of(request[1].decode(errors="replace"), count)])

    def _answer(self, sender: bytes) -> bool:
        """Send the next thing that this client waits for. Whether it took it."""
        client = self._clients.pop(sender)
        if not client.waiting:
            return False
        topic, wanted = client.waiting[0]
        frame = client.made or (self._frame_of(topic) if topic else None)
        sent = Sending.SENT
        if frame is not None:
            sent = self.port.send([sender, BOOK, frame])
            self.given += sent is Sending.SENT
        elif not topic:
            sent = self.port.send([sender, END, wanted])
        if sent is Sending.NO_ROOM:
            client.made = frame
            self._clients[sender] = client
        if sent is not Sending.SENT:
            return False
        client.waiting.popleft()
        client.made = None
        client.topics.discard(topic)
        client.ends.discard(wanted)
        self._clients[sender] = client  # last: the others first
        return True
