"""Owns what every ZeroMQ socket of ours shares: opening, plain errors for bad addresses, and the event loop.

Knows nothing of batches. Plain ``zmq`` sockets are driven from the event loop through their file
descriptor, because ``zmq.asyncio`` costs a future and a task switch a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket as sockets
from collections.abc import Callable, Mapping

import zmq

from k2workers.errors import ConfigError
from k2workers.files.bound_path import BoundPath, make_room
from k2workers.transport.endpoint import is_ipv6, mistake_in, path_of, split_tcp

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

KEEPALIVE_S = 5
"""A silent TCP peer is asked this often by the kernel, and given up after three times as long, also one that takes nothing of what it is sent. Not by
ZeroMQ's own heartbeats: one that is due when its peer has gone can end the whole process (``screen`` says how)."""

NOBLOCK = int(zmq.NOBLOCK)
_POLLIN = int(zmq.POLLIN)
"""Plain numbers: the arithmetic of enumerations costs more than the call it is for."""

_PLAIN_REASONS = {
    zmq.EADDRINUSE: "the address is in use by another program",
    zmq.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENODEV: "this machine has no such address, host name or network interface",
    zmq.EINVAL: "it is not an address like tcp://127.0.0.1:5555 or ipc:///run/k2/push",
}


_bound_paths: list[BoundPath] = []
"""Of all sockets of this process."""


def open_socket(
    context: Context, kind: int, *, send_high_water_mark: int = 1_000, receive_high_water_mark: int = 1_000
) -> Socket:
    """A socket with our defaults: bounded both ways, dead peers noticed, no wait when it is closed."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, send_high_water_mark)
    socket.setsockopt(zmq.RCVHWM, receive_high_water_mark)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 2)
    socket.setsockopt(zmq.TCP_MAXRT, 3 * KEEPALIVE_S * 1_000)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    return socket


def bind(socket: Socket, endpoint: str, *, setting: str) -> str:
    """Binds, and answers the actual endpoint (port 0 lets the system choose). ConfigError names ``setting``; then the socket is closed."""
    make_room(endpoint)
    try:
        _attach(socket, socket.bind, endpoint, setting)
    except BaseException:
        socket.close()
        raise
    if path_of(endpoint):
        _bound_paths.append(BoundPath(socket, endpoint))
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def restore_paths() -> None:
    """Have the sockets of this process that listen at paths found there. Call it every second or so."""
    _bound_paths[:] = [bound for bound in _bound_paths if not bound.socket.closed]
    with contextlib.ExitStack() as each:  # whichever of them fails
        for bound in _bound_paths:
            each.callback(bound.restore)


def mistakes_in(endpoints: Mapping[str, str]) -> list[str]:
    """Of endpoints by setting, what is wrong with each of those on a port that cannot be bound now; they are free again afterwards.

    A path is not tried: ZeroMQ would take it away from whoever listens there.
    """
    found = []
    for setting, endpoint in endpoints.items():
        if not endpoint.startswith("ipc:"):
            try:
                _try_port(endpoint, setting)
            except ConfigError as error:
                found.append(str(error))
    return found


def resolved(endpoint: str, *, setting: str) -> str:
    """A TCP endpoint in numbers, with a free port if any will do: ZeroMQ knows names, interfaces and ``*``. Raises ConfigError.

    Nobody listens at the port meanwhile, not even for a moment: a subscriber that waits for the feed and meets a socket of another kind does not
    try again, ever (for ZeroMQ that is an error of the protocol).
    """
    host, _, port = endpoint.rpartition(":")
    with zmq.Context() as context, context.socket(zmq.ROUTER, socket_class=zmq.Socket) as socket:
        _attach(socket, lambda _: socket.bind(f"{host}:*"), endpoint, setting)
        there = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    return there if port in {"*", "0"} else f"{there.rpartition(':')[0]}:{port}"


def _try_port(endpoint: str, setting: str) -> None:
    host, port = split_tcp(resolved(endpoint, setting=setting))
    *_, address = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)[0]
    with sockets.socket(sockets.AF_INET6 if ":" in host else sockets.AF_INET) as tried:
        tried.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            tried.bind(address)
        except OSError as error:
            raise _refused(setting, endpoint, error) from None


def connect(socket: Socket, endpoint: str, *, setting: str) -> None:
    """Starts connecting; an absent peer is no error here, a malformed address is a ConfigError."""
    _attach(socket, socket.connect, endpoint, setting)


def _attach(socket: Socket, attach: Callable[[str], object], endpoint: str, setting: str) -> None:
    # Within one context ZeroMQ knows more: names that no user gives.
    mistake = "" if endpoint.startswith("inproc://") else mistake_in(endpoint)
    if mistake:
        raise ConfigError(f"{setting} = {endpoint!r} cannot be used: {mistake}")
    # Only for an address that is one: with it ZeroMQ takes a name's IPv6 address alone, and many names have both.
    socket.setsockopt(zmq.IPV6, is_ipv6(endpoint))
    try:
        attach(endpoint)
    except (zmq.ZMQError, ValueError, TypeError) as error:
        raise _refused(setting, endpoint, error) from None


def _refused(setting: str, endpoint: str, error: Exception) -> ConfigError:
    number = error.errno if isinstance(error, zmq.ZMQError | OSError) else None
    reason = _PLAIN_REASONS.get(number, str(error)) if number is not None else str(error)
    return ConfigError(f"{setting} = {endpoint!r} cannot be used: {reason}")


def readable(socket: Socket) -> bool:
    """Whether a message waits. Costs a third of what a receive costs that finds nothing and raises."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & _POLLIN)


class Turns:
    """How many messages to receive in a turn: after a quiet moment one, which is handled at once; then all that wait, together.

    The first message is dealt with before anybody looks whether there is another; a busy socket gives many at a time.
    """

    __slots__ = ("_limit", "_quiet")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._quiet = True

    def begin(self, socket: Socket) -> int:
        """The most to take now; 0 if nothing waits."""
        if self._quiet:
            return 1
        return self._limit if readable(socket) else 0

    def end(self, taken: int) -> bool:
        """``taken`` messages were received. Returns whether there must be another turn."""
        self._quiet = not taken
        return bool(taken)


class SocketWatcher:
    """Calls ``turn`` on the event loop whenever the socket may have become readable or writable.

    ZeroMQ's descriptor is edge-triggered: it tells of a change once. So ``turn`` must go on until the
    socket says EAGAIN, or return True ("more may wait"). Then it is called again at once, which is all
    that a single message needs, and after that in the next loop iteration, which is how one busy socket
    leaves time for the others. Whoever sends or receives on the socket
    outside of ``turn`` calls ``kick()`` afterwards, since that may swallow the edge.
    """

    def __init__(self, socket: Socket, turn: Callable[[], bool]) -> None:
        self._socket = socket
        self._turn = turn
        self._fd = int(socket.getsockopt(zmq.FD))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._again: asyncio.Handle | None = None

    def start(self) -> None:
        """Begins watching on the running loop; call once, from inside it."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._fire)
        self.kick()

    def kick(self) -> None:
        """Has ``turn`` called in the next loop iteration."""
        if self._loop is not None and self._again is None:
            self._again = self._loop.call_soon(self._fire)

    def stop(self) -> None:
        """Ends watching; call before the socket is closed. Safe to call twice."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._fd)
        self._loop = None
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _fire(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        more = True  # also when ``turn`` raises: what waits behind the bad message has no edge of its own
        try:
            # A second look costs less here than with an iteration of the loop, and its look at all descriptors, in front of it.
            more = self._turn() and self._loop is not None and self._turn()
        finally:
            if more:
                self.kick()
