"""Owns the control channel between the parent and its children: typed messages over one ZeroMQ DEALER/ROUTER pair.

Low rate by design (a beat twice a second for each child), so it uses pyzmq's own asyncio sockets. Market data never
travels here.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import zmq
import zmq.asyncio

from k2workers.errors import VenueError

_log = structlog.get_logger(__name__)


class ControlMessage(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower):
    """Anything that crosses between parent and child."""


class Hello(ControlMessage, frozen=True):
    """A child's first word: it exists."""

    name: str
    pid: int


class Ready(ControlMessage, frozen=True):
    """The child serves."""

    name: str


class Beat(ControlMessage, frozen=True):
    """The child's loop turns. ``counters`` only rise; ``status`` is what an operator wants to see."""

    name: str
    pid: int
    counters: dict[str, int | float]
    status: dict[str, Any]


class Record(ControlMessage, frozen=True):
    """Something that happened, for the report."""

    name: str
    kind: str
    data: dict[str, Any]


class GrantAsk(ControlMessage, frozen=True):
    """A child wants to connect (``purpose`` connect) or to rotate (rotate).

    ``starved_since_ns`` is the monotonic time since which the shard has had no data; 0 if it has.
    """

    id: int
    shard: int
    purpose: str
    starved_since_ns: int


class GrantGiven(ControlMessage, frozen=True):
    """The parent permits request ``id``."""

    id: int


class GrantDone(ControlMessage, frozen=True):
    """The child has finished with, or no longer wants, request ``id``."""

    id: int


class Outcome(msgspec.Struct, frozen=True):
    """How the venue answered: HTTP status (0: not at all), how long it told us to wait (0: it did not say), the weight limit it named (0: none)."""

    status: int = 0
    retry_after_s: float = 0.0
    weight_limit: int = 0

    @classmethod
    def of(cls, error: VenueError) -> Outcome:
        """What an error tells."""
        return cls(error.status, error.retry_after_s, error.weight_limit)


class WeightAsk(ControlMessage, frozen=True):
    """A child wants to spend REST weight; a smaller ``urgency`` goes first."""

    id: int
    weight: int
    urgency: int


class WeightGiven(ControlMessage, frozen=True):
    """The parent permits request ``id``."""

    id: int


class WeightDone(ControlMessage, frozen=True):
    """The request is over or withdrawn; ``used`` is the venue's count of our weight, ``outcome`` how it answered (None: it was not asked)."""

    id: int
    used: int
    outcome: Outcome | None


class HandshakeDone(ControlMessage, frozen=True):
    """The venue's answer to a handshake; ``permitted_ns`` is when it was permitted (monotonic)."""

    outcome: Outcome
    permitted_ns: int


class ConnectedAlone(ControlMessage, frozen=True):
    """A child went ahead without permission, because the parent did not answer; ``at_ns`` is when (monotonic)."""

    at_ns: int


class Waiting(ControlMessage, frozen=True):
    """The parent lives, and the child's wishes wait; the venue refuses handshakes for ``paused_s`` more seconds."""

    paused_s: float


class Drain(ControlMessage, frozen=True):
    """Finish what was received, then exit 0."""


class Stop(ControlMessage, frozen=True):
    """Exit now."""


class Serve(ControlMessage, frozen=True):
    """All that the child is to serve, in order; what it serves already goes on. Sent again until its beat counts as many."""

    symbols: tuple[str, ...]


class Command(ControlMessage, frozen=True):
    """An operator's wish, such as ``rotate``."""

    name: str
    args: dict[str, Any]


Message = (
    Hello
    | Ready
    | Beat
    | Record
    | GrantAsk
    | GrantGiven
    | GrantDone
    | WeightAsk
    | WeightGiven
    | WeightDone
    | HandshakeDone
    | ConnectedAlone
    | Waiting
    | Drain
    | Stop
    | Serve
    | Command
)

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Message)
TURN_S = 0.5
"""How often a child that waits for permission looks whether its parent still speaks."""

_LIFE = "#"
"""Between a child's name and its pid in its address on the channel."""


class ControlServer:
    """The parent's end. ``on_message(child name, message)`` runs in the loop for every message."""

    def __init__(self, endpoint: str, on_message: Callable[[str, Message], None]) -> None:
        self.endpoint = endpoint
        self._on_message = on_message
        self._context = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket | None = None
        self._task: asyncio.Task[None] | None = None
        # Each life of a child has an address of its own: one shared by name could still lead to the dead one.
        self._address_of: dict[str, bytes] = {}

    def start(self) -> None:
        """Bind and listen. Raises zmq.ZMQError if the endpoint cannot be bound."""
        socket = self._context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.bind(self.endpoint)
        self._socket = socket
        self._task = asyncio.get_running_loop().create_task(self._listen(socket))

    async def send(self, name: str, message: Message) -> None:
        """Send to one child; a child that is not connected gets nothing."""
        address = self._address_of.get(name)
        if self._socket is not None and address is not None:
            with contextlib.suppress(zmq.ZMQError):
                await self._socket.send_multipart([address, _encode(message)])

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._socket is not None:
            self._socket.close(0)
        self._context.term()

    async def _listen(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            address, *frames = await socket.recv_multipart()
            name = address.decode(errors="replace").rpartition(_LIFE)[0]
            try:
                message = _decoder.decode(b"".join(frames))
            except msgspec.MsgspecError as error:
                _log.error("control_message_unreadable", child=name, error=str(error))
                continue
            if isinstance(message, Hello):
                self._address_of[name] = address
            self._on_message(name, message)


def _forget(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()  # a full queue: the parent has not read for very long


class GrantHandle:
    """A permission that was given. Call ``done`` when the connection attempt or rotation is over."""

    def __init__(self, client: ControlClient, grant_id: int) -> None:
        self._client = client
        self._grant_id = grant_id

    def done(self) -> None:
        """Give it back; harmless if repeated."""
        self._client.send(GrantDone(self._grant_id))


class ControlClient:
    """A child's end. ``start`` it in the child's loop; ``send`` never blocks."""

    _ids = itertools.count(1)

    def __init__(self, name: str, endpoint: str) -> None:
        self.name = name
        self._endpoint = endpoint
        self._context = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._heard = 0
        """Messages of the parent so far."""
        self._paused_until_ns = 0
        self._on_message: Callable[[Message], None] = lambda _message: None

    async def start(self, on_message: Callable[[Message], None]) -> None:
        """Connect and say hello."""
        self._on_message = on_message
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 500
        socket.identity = f"{self.name}{_LIFE}{os.getpid()}".encode()
        socket.connect(self._endpoint)
        self._socket = socket
        self._task = asyncio.get_running_loop().create_task(self._listen(socket))
        self.send(Hello(self.name, os.getpid()))

    def send(self, message: Message) -> None:
        """Queue a message for the parent; dropped if the parent has not read for very long."""
        if self._socket is not None:
            # Through the same asyncio socket that reads: a send on the bare socket could swallow the one sign that
            # something has come, and the child would be deaf from then on.
            asyncio.ensure_future(self._socket.send(_encode(message), zmq.DONTWAIT)).add_done_callback(_forget)

    async def ask_grant(
        self, shard: int, purpose: str, *, starved_since_ns: int, silence_s: float
    ) -> GrantHandle | None:
        """Ask and wait, for as long as the parent says; None if it said nothing for ``silence_s`` (the request is then withdrawn).

        A pause of the venue that the parent told of before it fell silent is waited for too.
        """
        grant_id = next(self._ids)
        ask = GrantAsk(grant_id, shard, purpose, starved_since_ns)
        given = await self._ask(grant_id, ask, GrantDone(grant_id), lambda given: self._while_heard(given, silence_s))
        return GrantHandle(self, grant_id) if given else None

    async def ask_weight(self, weight: int, urgency: int, *, timeout_s: float) -> int | None:
        """Ask to spend REST weight and wait; the permission's id for ``weight_done``, or None if it did not come in time."""
        ask_id = next(self._ids)
        ask = WeightAsk(ask_id, weight, urgency)
        given = await self._ask(
            ask_id, ask, WeightDone(ask_id, 0, None), lambda given: asyncio.wait_for(given, timeout_s)
        )
        return ask_id if given else None

    async def _ask(
        self,
        ask_id: int,
        ask: Message,
        withdrawal: Message,
        wait: Callable[[asyncio.Future[None]], Awaitable[None]],
    ) -> bool:
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[ask_id] = given
        self.send(ask)
        try:
            await wait(given)
        except TimeoutError:
            self.send(withdrawal)
            return False
        except asyncio.CancelledError:
            self.send(withdrawal)
            raise
        finally:
            self._waiting.pop(ask_id, None)
        return True

    async def _while_heard(self, given: asyncio.Future[None], silence_s: float) -> None:
        """Wait for it. Raises TimeoutError when nothing was heard of the parent for so long.

        Counted in turns of ours, not by the clock: a process that stood still itself has not given the parent the time to answer.
        """
        silent_s, heard = 0.0, self._heard
        while not given.done():
            await asyncio.wait({given}, timeout=TURN_S)
            silent_s, heard = silent_s + TURN_S if heard == self._heard else 0.0, self._heard
            if silent_s >= silence_s and time.monotonic_ns() >= self._paused_until_ns and not given.done():
                raise TimeoutError

    async def close(self) -> None:
        """Flush what was sent and disconnect."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._context.term()

    async def _listen(self, reader: zmq.asyncio.Socket) -> None:
        while True:
            message = _decoder.decode(await reader.recv())
            self._heard += 1
            if isinstance(message, Waiting):
                self._paused_until_ns = time.monotonic_ns() + int(message.paused_s * 1e9)
            elif isinstance(message, GrantGiven | WeightGiven):
                waiter = self._waiting.get(message.id)
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
                elif waiter is None:  # came too late; nobody uses it
                    late = isinstance(message, GrantGiven)
                    self.send(GrantDone(message.id) if late else WeightDone(message.id, 0, None))
            else:
                self._on_message(message)
