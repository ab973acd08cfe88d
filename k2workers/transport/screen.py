"""Owns what stands before a socket of ZeroMQ once a peer has ended its process: connections pass through here, and none breaks off inside.

libzmq 4.3.5 ends its process (``Assertion failed: !_io_error``) when a connection breaks off whose messages wait for room, if a ``PING`` waits among
them. Here each connection is taken, its bytes are handed on to the socket, which listens at a path, and the end of a peer becomes an orderly end
behind its last byte. That costs a hop, some 0.1 ms: so nobody stands here before it has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket as sockets
import sys
from collections.abc import Callable

import structlog

from k2workers.errors import ConfigError, StateError
from k2workers.every import beside, end_process
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.sockets import KEEPALIVE_S

CHUNK_BYTES = 64 * 1024

BYTES_PER_S = 200_000
"""For ever, of one peer: ten thousand exact topics after a reconnect, a third of a megabyte, take two seconds."""

CONNECTIONS_WAITING = 128

OPEN_AT_MOST = 2
"""So many times the connections that a port may have may be open, those counted of which only the end is not read inside."""

_PREFIX = b"\0k2workers screen "
"""Of the address in the system's own name space from which a connection is handed on: it tells who is behind it."""

_ids = itertools.count()
_log = structlog.get_logger(__name__)


def name_behind(address: object) -> str:
    """Who is behind a connection that came from this address of a local socket; empty if it did not come through a screen."""
    return address.rpartition(b" ")[2].decode() if isinstance(address, bytes) and address.startswith(_PREFIX) else ""


AVAILABLE = hasattr(sockets, "TCP_USER_TIMEOUT") and sys.platform == "linux"
"""Whether this system has all that it takes."""


class _Peer:
    """One connection from outside, and what hands on what it sends."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.inwards: asyncio.Task[None] | None = None


class Screen:
    """Takes connections at ``host`` and ``port`` for the socket that listens at ``path``. Of each it hands on as much at once as ``policy`` lets come from
    a host of which a peer was cut loose, and ``BYTES_PER_S``; what comes faster waits. Raises ConfigError, naming ``setting``, if the address cannot be bound.
    """

    def __init__(self, host: str, port: int, path: str, *, setting: str, policy: PeerPolicy) -> None:
        self._path = path
        self._policy = policy
        self._peers: dict[str, _Peer] = {}
        """By name."""
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None
        try:
            self._listening = _listen(host, port)
        except OSError as error:
            raise ConfigError(
                f"{setting} = {f'tcp://{host}:{port}'!r} cannot be used: {error.strerror or error}"
            ) from None

    def start(self) -> None:
        """Begin to take connections; call once, inside the running loop."""
        self._starting = beside(self._serve(), "screen", lambda: end_process(StateError("nobody is let in")))

    async def close(self, wait_s: float) -> None:
        """Take no more connections; those that are there may end by themselves for so long."""
        if self._starting is not None:
            await self._starting
        if self._server is not None:
            self._server.close()
        self._listening.close()
        if self._passing:
            await asyncio.wait(self._passing, timeout=wait_s)
        for task in self._passing:
            task.cancel()

    def has(self, name: str) -> bool:
        """Whether this peer is there; what it has sent may outlive it inside."""
        return name in self._peers

    def end(self, name: str) -> None:
        """End the connection of this peer, if it is there; what it has sent and was not handed on yet is dropped."""
        peer = self._peers.get(name)
        if peer is not None:
            peer.writer.transport.abort()
            if peer.inwards is not None:
                peer.inwards.cancel()

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._begin, sock=self._listening, limit=CHUNK_BYTES)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = _name_of(writer)
        # A peer may be back from the same port while what it sent before is still being read inside.
        if name in self._peers or len(self._passing) >= OPEN_AT_MOST * self._policy.connections:
            writer.transport.abort()
            return
        peer = self._peers[name] = _Peer(writer)
        task = beside(self._pass(reader, peer, name), "screen", writer.transport.abort)
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, peer: _Peer, name: str) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_unix_connection(
                sock=await self._connect(name), limit=CHUNK_BYTES
            )
            peer.inwards = asyncio.create_task(self._hand_in(reader, inner_writer, name, peer))
            try:
                await _hand_on(inner_reader, peer.writer, lambda _: 0.0)
                self._forget(name, peer)
                peer.writer.close()  # what it was sent reaches it
                # ZeroMQ reads what is left of it, and ends the connection itself.
                while await inner_reader.read(CHUNK_BYTES):
                    pass
            finally:
                peer.inwards.cancel()
                inner_writer.close()
        except OSError as error:
            _log.debug("screened_peer_lost", peer=name, error=str(error))
        finally:
            self._forget(name, peer)
            peer.writer.close()

    def _forget(self, name: str, peer: _Peer) -> None:
        if self._peers.get(name) is peer:
            del self._peers[name]

    async def _connect(self, name: str) -> sockets.socket:
        inner = sockets.socket(sockets.AF_UNIX)
        try:
            inner.setblocking(False)
            inner.bind(_PREFIX + f"{os.getpid()} {next(_ids)} {name}".encode())
            await asyncio.get_running_loop().sock_connect(inner, self._path)
        except BaseException:
            inner.close()
            raise
        return inner

    async def _hand_in(
        self, reader: asyncio.StreamReader, inner_writer: asyncio.StreamWriter, name: str, peer: _Peer
    ) -> None:
        loop, burst_bytes, level, looked_s = asyncio.get_running_loop(), self._policy.again_bytes, 0.0, 0.0

        def owes_s(count: int) -> float:
            nonlocal level, looked_s
            now_s = loop.time()
            level = max(0.0, level - (now_s - looked_s) * BYTES_PER_S) + count
            looked_s = now_s
            return max(0.0, (level - burst_bytes) / BYTES_PER_S)

        try:
            await _hand_on(reader, inner_writer, owes_s)
        finally:
            self._forget(name, peer)
            with contextlib.suppress(OSError):
                inner_writer.write_eof()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, owes_s: Callable[[int], float]) -> None:
    """Until one side has ended. ``owes_s`` says how long to wait after so many bytes."""
    with contextlib.suppress(OSError):
        while (data := await reader.read(CHUNK_BYTES)) and not writer.transport.is_closing():
            writer.write(data)
            await writer.drain()
            if (wait_s := owes_s(len(data))) > 0:
                await asyncio.sleep(wait_s)


def _listen(host: str, port: int) -> sockets.socket:
    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    *_, address = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)[0]  # with the zone of a link's address
    listening = sockets.create_server(address, family=family, backlog=CONNECTIONS_WAITING, dualstack_ipv6=host == "::")
    # Those that it takes have them too.
    for option, number in (
        (sockets.TCP_KEEPIDLE, KEEPALIVE_S),
        (sockets.TCP_KEEPINTVL, KEEPALIVE_S),
        (sockets.TCP_KEEPCNT, 2),
        (sockets.TCP_USER_TIMEOUT, 3 * KEEPALIVE_S * 1_000),
        (sockets.TCP_NODELAY, 1),
    ):
        listening.setsockopt(sockets.IPPROTO_TCP, option, number)
    listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    listening.setblocking(False)
    return listening


def _name_of(writer: asyncio.StreamWriter) -> str:
    host, port, *_ = writer.get_extra_info("peername") or ("unknown", next(_ids))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
