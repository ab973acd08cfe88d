"""Owns the control channel between the parent and its children: one ZeroMQ DEALER/ROUTER pair for the messages of ``control_messages``.

Low rate by design (a beat twice a second for each child), so it uses pyzmq's own asyncio sockets. Market data never
travels here.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import zmq
import zmq.asyncio

from k2workers.errors import StateError
from k2workers.every import MOST_IN_A_ROW, Every, end_process
from k2workers.files.bound_path import BoundPath
from k2workers.supervision.control_messages import (
    AnyControlMessage,
    ChildHello,
    GrantAsked,
    GrantDone,
    GrantGiven,
    Waiting,
    WeightAsked,
    WeightDone,
    WeightGiven,
)

_log = structlog.get_logger(__name__)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(AnyControlMessage)
TURN_S = 0.5
"""How often a child that waits for permission looks whether its parent still speaks."""

_LIFE = "#"
"""In a child's address on the channel, between its name and what is different in each of its lives."""


class ControlServer:
    """The parent's end. ``on_message(child name, message)`` runs in the loop for every message; ``give_up`` if it fails with one after another."""

    def __init__(
        self,
        endpoint: str,
        on_message: Callable[[str, AnyControlMessage], None],
        give_up: Callable[[StateError], object] = end_process,
        most_in_a_row: int = MOST_IN_A_ROW,
    ) -> None:
        self.endpoint = endpoint
        self._on_message = on_message
        self._context = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket | None = None
        self._bound: BoundPath | None = None
        self._listening = Every(0, self._hear, "control", give_up=give_up, most_in_a_row=most_in_a_row)
        # Each life of a child has an address of its own: one shared by name could still lead to the dead one.
        self._address_of: dict[str, bytes] = {}

    def start(self) -> None:
        """Bind and listen. Raises zmq.ZMQError if the endpoint cannot be bound."""
        socket = self._context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.bind(self.endpoint)
        self._socket = socket
        self._bound = BoundPath(socket, self.endpoint)
        self._listening.start()

    def restore(self) -> None:
        """Have the next child find us. Call it every second or so."""
        if self._bound is not None and not self._bound.socket.closed:
            self._bound.restore()

    async def send(self, name: str, message: AnyControlMessage) -> None:
        """Send to one child; a child that is not connected gets nothing."""
        address = self._address_of.get(name)
        if self._socket is not None and address is not None:
            with contextlib.suppress(zmq.ZMQError):
                await self._socket.send_multipart([address, _encode(message)])

    async def close(self) -> None:
        """Stop listening."""
        await self._listening.stopped()
        if self._socket is not None:
            self._socket.close(0)
        self._context.term()

    async def _hear(self) -> None:
        """Wait for the next message and act on it."""
        assert self._socket is not None
        address, *frames = await self._socket.recv_multipart()
        name = address.decode(errors="replace").rpartition(_LIFE)[0]
        try:
            message = _decoder.decode(b"".join(frames))
        except msgspec.MsgspecError as error:
            _log.error("control_message_unreadable", child=name, error=str(error))
            return
        if isinstance(message, ChildHello):
            self._address_of[name] = address
        self._on_message(name, message)


def _forget(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()  # a full queue: the parent has not read for very long


class GrantHandle:
    """A grant that was given. Call ``done`` when the connection attempt or rotation is over."""

    def __init__(self, client: ControlClient, grant_id: int, given_ns: int) -> None:
        self.given_ns = given_ns
        """When the parent gave it (monotonic)."""
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
        self._listening = Every(0, self._hear, "control")
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._heard = 0
        """Messages of the parent so far."""
        self._paused_until_ns = 0
        self._on_message: Callable[[AnyControlMessage], None] = lambda _message: None

    async def start(self, on_message: Callable[[AnyControlMessage], None]) -> None:
        """Connect and say hello."""
        self._on_message = on_message
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 500
        socket.identity = f"{self.name}{_LIFE}{secrets.token_hex(8)}".encode()
        socket.connect(self._endpoint)
        self._socket = socket
        self._listening.start()
        self.send(ChildHello(self.name, os.getpid()))

    def send(self, message: AnyControlMessage) -> None:
        """Queue a message for the parent; dropped if the parent has not read for very long."""
        if self._socket is not None:
            # Through the same asyncio socket that reads: a send on the bare socket could swallow the one sign that
            # something has come, and the child would be deaf from then on.
            asyncio.ensure_future(self._socket.send(_encode(message), zmq.DONTWAIT)).add_done_callback(_forget)

    async def ask_grant(
        self, shard: int, purpose: str, *, starved_since_ns: int, silence_s: float
    ) -> GrantHandle | None:
        """Ask and wait, for as long as the parent says; None if it said nothing for ``silence_s`` (the request is then withdrawn).

        A pause of the venue that the parent reported before it fell silent is waited for too.
        """
        grant_id = next(self._ids)
        asked = GrantAsked(grant_id, shard, purpose, starved_since_ns)
        given_ns = await self._ask(
            grant_id, asked, GrantDone(grant_id), lambda given: self._while_heard(given, silence_s)
        )
        return GrantHandle(self, grant_id, given_ns) if given_ns is not None else None

    async def ask_weight(self, weight: int, urgency: int, *, timeout_s: float) -> int | None:
        """Ask to spend REST weight and wait; the permission's id for ``weight_done``, or None if it did not come in time."""
        grant_id = next(self._ids)
        asked = WeightAsked(grant_id, weight, urgency)
        given_ns = await self._ask(
            grant_id, asked, WeightDone(grant_id, 0, None), lambda given: asyncio.wait_for(given, timeout_s)
        )
        return grant_id if given_ns is not None else None

    async def _ask(
        self,
        grant_id: int,
        asked: AnyControlMessage,
        withdrawal: AnyControlMessage,
        wait: Callable[[asyncio.Future[int]], Awaitable[int]],
    ) -> int | None:
        given: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[grant_id] = given
        self.send(asked)
        try:
            return await wait(given)
        except TimeoutError:
            self.send(withdrawal)
            return None
        except asyncio.CancelledError:
            self.send(withdrawal)
            raise
        finally:
            self._waiting.pop(grant_id, None)

    async def _while_heard(self, given: asyncio.Future[int], silence_s: float) -> int:
        """Wait for the grant. Raises TimeoutError when nothing was heard of the parent for ``silence_s``.

        Counted in turns of ours, not by the clock: a process that stood still itself has not given the parent the time to answer.
        """
        silent_s, heard = 0.0, self._heard
        while not given.done():
            await asyncio.wait({given}, timeout=TURN_S)
            silent_s, heard = silent_s + TURN_S if heard == self._heard else 0.0, self._heard
            if silent_s >= silence_s and time.monotonic_ns() >= self._paused_until_ns and not given.done():
                raise TimeoutError
        return given.result()

    async def close(self) -> None:
        """Flush what was sent and disconnect."""
        await self._listening.stopped()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._context.term()

    async def _hear(self) -> None:
        """Wait for the next message and act on it."""
        assert self._socket is not None
        message = _decoder.decode(await self._socket.recv())
        self._heard += 1
        if isinstance(message, Waiting):
            self._paused_until_ns = time.monotonic_ns() + int(message.paused_s * 1e9)
        elif isinstance(message, GrantGiven | WeightGiven):
            waiter = self._waiting.get(message.id)
            if waiter is not None and not waiter.done():
                waiter.set_result(message.at_ns if isinstance(message, GrantGiven) else time.monotonic_ns())
            elif waiter is None:  # came too late; nobody uses it
                late = isinstance(message, GrantGiven)
                self.send(GrantDone(message.id) if late else WeightDone(message.id, 0, None))
        else:
            self._on_message(message)
