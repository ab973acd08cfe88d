"""Owns who is connected to a bound socket, and the end of a connection that does harm. What does harm is decided in ``peer.py``.

ZeroMQ counts messages and can neither name nor disconnect one peer of many. The kernel can: its monitor tells each connection's
descriptor, which has a name, counts bytes both ways, and can be shut down. ZeroMQ then sees that the peer has gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import socket as sockets
import struct
import termios
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

import structlog
import zmq

from k2workers.transport.peer import CONNECTIONS, FLOOD, SLOW, Peer, PeerPolicy
from k2workers.transport.screen import Screen, name_behind
from k2workers.transport.sockets import Context, Socket, readable

LOOK_S = 0.05
"""How often to look. What floods a socket of ours can do so for as long."""

RECEIVE_BUFFER_BYTES = 32 * 1024
"""In the kernel, for what a peer sends: requests and subscriptions are small, and a flood is to wait outside."""

CHECK_NS = 10**9
"""How often to look whether descriptors are still whose they were."""

PENALTY_NS = 60 * 10**9
"""For how long the other connections of a host that was cut loose may send less."""

TELL_NS = 10 * 10**9
"""How often it is logged that peers were cut loose, at most."""

MAX_HOSTS = 50
"""Of so many hosts cuts are counted by name, of the others together."""

OTHERS = "others"

LOCAL = "local"
"""The host of a peer that came by a path."""

_info = struct.Struct("=24xI92xQQ8xI")
"""Of the kernel's ``struct tcp_info``: packets on their way, bytes that have reached the peer, bytes that came of it, bytes that wait to be sent."""

_number = struct.Struct("i")
_NUMBER = bytes(_number.size)
_INFO_BYTES = _info.size

_TIOCOUTQ, _FIONREAD, _IPPROTO_TCP = int(termios.TIOCOUTQ), int(termios.FIONREAD), int(sockets.IPPROTO_TCP)

_TCP_INFO: int = getattr(sockets, "TCP_INFO", 0)
"""Not every system has it (0); then who floods is bounded by what ZeroMQ takes at a time."""

_ids = itertools.count()
_log = structlog.get_logger(__name__)


def limit_peers(socket: Socket, message_bytes: int) -> None:
    """Bound what ZeroMQ takes from one peer at a time; call it before the socket is bound."""
    socket.setsockopt(zmq.MAXMSGSIZE, message_bytes)
    socket.setsockopt(zmq.RCVBUF, RECEIVE_BUFFER_BYTES)


class _Accepted(NamedTuple):
    """One of ZeroMQ's. It stays its own: ``socket`` is let go of as it is, never closed. (Made anew for each look, it costs three calls of the kernel.)"""

    descriptor: int
    inode: int
    """Another connection may have the same descriptor later."""
    socket: sockets.socket
    counts: bool
    """Whether the kernel counts what comes and goes."""

    def is_there(self) -> bool:
        """Whether the descriptor is still this connection's."""
        try:
            return os.fstat(self.descriptor).st_ino == self.inode
        except OSError:
            return False


class PeerWatch:
    """The peers of one socket. Make it before the socket is bound; ``look`` steadily, and ``close`` it with the socket.

    ``screen`` gives what stands between them and the socket, if anything does.
    """

    def __init__(
        self,
        context: Context,
        socket: Socket,
        port: str,
        policy: PeerPolicy,
        screen: Callable[[], Screen | None] = lambda: None,
    ) -> None:
        self.peers: dict[int, Peer] = {}
        """By descriptor."""
        self.behind: list[Peer] = []
        """Those that do not take what they are owed as fast as it comes."""
        self.cuts: Counter[str] = Counter()
        """How many connections were ended, by host."""
        self.newest_cuts: deque[dict[str, object]] = deque(maxlen=5)
        self._port = port
        self._policy = policy
        self._screen = screen
        self._connections: dict[int, _Accepted] = {}
        self._cut_ns: dict[str, int] = {}
        self._told_ns = -TELL_NS
        self._untold = 0
        self._checked_ns = 0
        self._socket = socket
        address = f"inproc://peers-{next(_ids)}"
        socket.monitor(address, zmq.EVENT_ACCEPTED)
        self._news = context.socket(zmq.PAIR)
        # ZeroMQ's own thread would wait for room, and everybody with it.
        self._news.setsockopt(zmq.RCVHWM, 0)
        self._news.connect(address)

    def close(self) -> None:
        """Look no longer."""
        for descriptor in list(self.peers):
            self._forget(descriptor)
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._news.close(0)

    def meet(self) -> None:
        """Learn who has come."""
        while readable(self._news):
            with contextlib.suppress(OSError):  # it has left already
                self._meet(struct.unpack("=Hi", self._news.recv_multipart()[0])[1])

    def _meet(self, descriptor: int) -> None:
        inode, now_ns = os.fstat(descriptor).st_ino, time.monotonic_ns()
        if descriptor in self.peers:
            self._forget(descriptor)  # also for the newest to be the last
        connection = sockets.socket(fileno=descriptor)
        try:
            host, name = _name_of(connection)
        except OSError:
            connection.detach()
            raise
        again = now_ns - self._cut_ns.get(host, -PENALTY_NS) < PENALTY_NS
        counts = bool(_TCP_INFO) and connection.family != sockets.AF_UNIX
        self.peers[descriptor] = Peer(name, host, self._policy, now_ns, again=again)
        self._connections[descriptor] = _Accepted(descriptor, inode, connection, counts)

    def look(self) -> None:
        """See who has left, sends too much, or does not read."""
        self.meet()
        now_ns, screen = time.monotonic_ns(), self._screen()
        if now_ns - self._checked_ns >= CHECK_NS:
            self._checked_ns = now_ns
            self._forget_strangers()
        for descriptor, peer in list(self.peers.items()):
            if screen is not None and not screen.has(peer.name):
                self._forget(descriptor)
                continue
            try:
                cause = _harm(self._connections[descriptor], peer, now_ns)
            except OSError:
                self._forget(descriptor)
                continue
            if cause:
                self.cut(descriptor, cause)
        while len(self.peers) > self._policy.connections:
            hosts = Counter(peer.host for peer in self.peers.values())
            most = max(hosts, key=hosts.__getitem__)
            self.cut(next(one for one in reversed(self.peers) if self.peers[one].host == most), CONNECTIONS)
        self.behind = [peer for peer in self.peers.values() if peer.behind]

    def heard(self, frame: zmq.Frame) -> int | None:
        """The descriptor of the peer whose message ends with this frame; None if it has gone, or was cut loose."""
        try:
            descriptor = int(frame.get("__fd"))
        except zmq.ZMQError:
            return None
        peer = self.peers.get(descriptor)
        if peer is None:
            return None
        peer.told()
        return descriptor

    def _forget_strangers(self) -> None:
        """Forget whose descriptor is another's by now. (Of most who have left, the kernel says so when asked for their counts.)"""
        for descriptor, connection in list(self._connections.items()):
            if not connection.is_there():
                self._forget(descriptor)

    def cut(self, descriptor: int, cause: str) -> None:
        """End this connection."""
        peer, now_ns = self.peers[descriptor], time.monotonic_ns()
        connection = self._connections[descriptor]
        if not connection.is_there():
            self._forget(descriptor)
            return
        if (screen := self._screen()) is not None:
            screen.end(peer.name)
        else:
            with contextlib.suppress(OSError):  # it has just left
                connection.socket.shutdown(sockets.SHUT_RDWR)
        self._forget(descriptor)
        self.cuts[peer.host if peer.host in self.cuts or len(self.cuts) < MAX_HOSTS else OTHERS] += 1
        self.newest_cuts.append({"peer": peer.name, "port": self._port, "cause": cause})
        if cause not in {SLOW, CONNECTIONS}:
            self._punish(peer.host, now_ns)
        self._untold += 1
        if now_ns - self._told_ns >= TELL_NS:
            _log.warning("peer_cut", peer=peer.name, port=self._port, cause=cause, cut=self._untold)
            self._told_ns, self._untold = now_ns, 0

    def _punish(self, host: str, now_ns: int) -> None:
        self._cut_ns[host] = now_ns
        if len(self._cut_ns) > MAX_HOSTS:
            del self._cut_ns[min(self._cut_ns, key=self._cut_ns.__getitem__)]

    def _forget(self, descriptor: int) -> None:
        del self.peers[descriptor]
        self._connections.pop(descriptor).socket.detach()


def _harm(connection: _Accepted, peer: Peer, now_ns: int) -> str:
    """Why its peer is to be cut loose, if it is. Raises OSError if it has left."""
    queued, acked, received = 1, 0, 0
    if connection.counts:
        unacked, acked, received, unsent = _info.unpack(
            connection.socket.getsockopt(_IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
        )
        queued = unacked + unsent
    elif not peer.waits(*_number.unpack(fcntl.ioctl(connection.descriptor, _FIONREAD, _NUMBER))):
        return FLOOD
    if queued:
        (queued,) = _number.unpack(fcntl.ioctl(connection.descriptor, _TIOCOUTQ, _NUMBER))
    if not peer.sent(received, now_ns):
        return FLOOD
    return "" if peer.look(queued, acked) else SLOW


def _name_of(connection: sockets.socket) -> tuple[str, str]:
    """Its host, and its whole address; of a local one its process, unless that only hands on what another sends."""
    if connection.family == sockets.AF_UNIX:
        behind = name_behind(connection.getpeername())
        if behind:
            return behind.rpartition(":")[0].strip("[]"), behind
        pid = struct.unpack("3i", connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12))[0]
        return LOCAL, f"process {pid}"
    host, port, *_ = connection.getpeername()
    return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
