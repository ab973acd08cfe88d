"""Owns the answers to joiners who ask for whole books. Knows no book: what it sends is made for it.

Requests (DEALER → ROUTER): ``book``, topic or prefix → one message ``book``, frame for each matching topic of which there is a whole book,
then ``end``, topic or prefix. The frame has the form of a published batch (``wire``) with one ``BookSnapshot``; its epoch and sequence say which
batches of the topic are in it: all up to that one.

One book is made at a time, between other turns of the loop: a prefix may match hundreds, of a megabyte each. A client that does not read is
waited for, and costs a list of topics and one book meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import zmq

from k2workers.transport.peer import PeerPolicy
from k2workers.transport.public_port import PublicPort
from k2workers.transport.replay_server import POLICY
from k2workers.transport.request_reader import RequestReader
from k2workers.transport.sockets import Context, SocketWatcher, open_socket, readable

BOOK, END = b"book", b"end"

BOOKS_WAITING = 4
"""Books that wait in ZeroMQ for one client; it takes as many itself."""

MAX_WAITING = 20_000
"""With more topics and ends that it waits for, a client's next requests are not heard until it has read some."""

AGAIN_S = 0.02
"""When no client has room for more, the next look comes after this."""


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
    """Answers joiners. ``topics_under`` names the topics that match a topic or prefix, ``frame_of`` makes the frame of one, if it has a book.

    Raises ConfigError, naming ``setting``, when the endpoint cannot be bound.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        topics_under: Callable[[str], list[str]],
        frame_of: Callable[[str], bytes | None],
        *,
        setting: str = "books_endpoint",
        policy: PeerPolicy = POLICY,
        screened_in: str = "",
    ) -> None:
        self.requests = 0
        self.given = 0
        """Books given so far."""
        self._topics_under = topics_under
        self._frame_of = frame_of
        self._clients: dict[bytes, _Client] = {}
        """Those that wait for something."""
        self._timer: asyncio.TimerHandle | None = None
        self._socket = open_socket(context, zmq.ROUTER, send_high_water_mark=BOOKS_WAITING)
        # Otherwise what a client has no room for would be dropped unseen.
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.port = PublicPort(context, self._socket, endpoint, setting=setting, policy=policy, screened_in=screened_in)
        self.watch, self.endpoint = self.port.watch, self.port.endpoint
        self._reader = RequestReader(self._socket, self.watch.heard)
        self._watcher = SocketWatcher(self._socket, self._turn)

    def start(self) -> None:
        """Begin to answer; call once, inside the running loop."""
        self._watcher.start()
        self.port.start()

    def close(self) -> None:
        """Stop answering."""
        if self._timer is not None:
            self._timer.cancel()
        self._watcher.stop()
        self.port.close()

    def _turn(self) -> bool:
        self.watch.meet()  # who is not known has gone
        frames = self._reader.next()
        if frames:
            self._hear(frames)
        sent = any(self._answer(sender) for sender in list(self._clients))
        if self._clients and not sent and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._again)
        return sent or self._reader.more or readable(self._socket)

    def _again(self) -> None:
        self._timer = None
        self._watcher.kick()

    def _hear(self, frames: list[bytes]) -> None:
        sender, *request = frames
        if len(request) != 2 or request[0] != BOOK:
            return
        self.requests += 1
        client = self._clients.setdefault(sender, _Client())
        client.ask(request[1], self._topics_under(request[1].decode(errors="replace")))

    def _answer(self, sender: bytes) -> bool:
        """Send the next thing that this client waits for. Whether it took it."""
        client = self._clients.pop(sender)
        if not client.waiting:
            return False
        topic, wanted = client.waiting[0]
        frame = client.made or (self._frame_of(topic) if topic else None)
        try:
            if frame is not None:
                self._socket.send_multipart([sender, BOOK, frame], zmq.NOBLOCK)
                self.given += 1
            elif not topic:
                self._socket.send_multipart([sender, END, wanted], zmq.NOBLOCK)
        except zmq.Again:
            client.made = frame
            self._clients[sender] = client
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False  # it has gone
        client.waiting.popleft()
        client.made = None
        client.topics.discard(topic)
        client.ends.discard(wanted)
        self._clients[sender] = client  # last: the others first
        return True
