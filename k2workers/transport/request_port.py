"""Owns how a socket is served that anybody may ask: requests in, one a turn, and replies as far as there is room for them. Knows no request."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence

import zmq

from k2workers.transport.peer import PeerPolicy
from k2workers.transport.public_port import PublicPort
from k2workers.transport.request_reader import RequestReader
from k2workers.transport.sockets import Context, SocketWatcher, open_socket, readable


class Sending(enum.Enum):
    """What became of a reply."""

    SENT = enum.auto()
    NO_ROOM = enum.auto()
    """Its peer does not read: to be sent again ``later``."""
    GONE = enum.auto()
    """Its peer is no longer there."""


class RequestPort(PublicPort):
    """``turn`` is called with the next request, its sender first, or with nothing if none waits; it answers whether it has more to do at once.

    ``replies_waiting`` is how many replies ZeroMQ takes for one peer. For all else: see ``PublicPort``.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        turn: Callable[[list[bytes]], bool],
        *,
        replies_waiting: int,
        setting: str,
        policy: PeerPolicy,
        screened_in: str = "",
    ) -> None:
        socket = open_socket(context, zmq.ROUTER, send_high_water_mark=replies_waiting)
        # Otherwise what a peer has no room for would be dropped unseen.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        super().__init__(context, socket, endpoint, setting=setting, policy=policy, screened_in=screened_in)
        self._serve = turn
        self._reader = RequestReader(socket, self.watch.heard)
        self._watcher = SocketWatcher(socket, self._turn)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to answer; call once, inside the running loop."""
        self._watcher.start()
        super().start()

    def close(self, linger_ms: int = 0) -> None:
        """Stop answering, and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._watcher.stop()
        super().close(linger_ms)

    def send(self, reply: Sequence[bytes]) -> Sending:
        """Send a reply, its peer first, without blocking. Only within a turn: elsewhere it would swallow the sign that something has come."""
        try:
            self._socket.send_multipart(reply, zmq.NOBLOCK)
        except zmq.Again:
            return Sending.NO_ROOM
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return Sending.GONE
        return Sending.SENT

    def later(self, wait_s: float, before: Callable[[], object] = lambda: None) -> None:
        """Call ``before`` after so long, and have a turn, although nothing comes. While one is put off already this does nothing."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._again, before)

    def _again(self, before: Callable[[], object]) -> None:
        self._timer = None
        before()
        self._watcher.kick()

    def _turn(self) -> bool:
        self.watch.meet()  # who is not known has gone
        more = self._serve(self._reader.next())
        return more or self._reader.more or readable(self._socket)
