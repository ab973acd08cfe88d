"""A peer of a ZeroMQ socket that keeps to the protocol (ZMTP 3.0) and to nothing else: a bare connection, nothing of ZeroMQ's own bounds."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Self
from urllib.parse import SplitResult, urlsplit

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def frame(body: bytes, flags: int = 0) -> bytes:
    """One frame; ``flags`` 1: more follow, 4: a command."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def subscription(topic: bytes) -> bytes:
    return frame(b"\x01" + topic)


def unsubscription(topic: bytes) -> bytes:
    return frame(b"\x00" + topic)


def message(*frames: bytes) -> bytes:
    return b"".join(frame(body, int(body is not frames[-1])) for body in frames)


PONG = frame(b"\x04PONG", 4)
"""What ZeroMQ wants to hear of a peer from time to time."""


PING = frame(b"\x04PING\0\0", 4)
"""It has to be answered."""


class Hostile:
    """One connection as a socket of this kind (``SUB``, ``DEALER``)."""

    def __init__(self, endpoint: str, kind: bytes = b"SUB", receive_buffer: int = 0) -> None:
        address = urlsplit(endpoint)
        self.socket = socket.socket(socket.AF_UNIX if address.scheme == "ipc" else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self._greet(address, kind)
        except BaseException:
            self.socket.close()
            raise

    def _greet(self, address: SplitResult, kind: bytes) -> None:
        self.socket.settimeout(60)
        self.socket.connect(address.path if address.scheme == "ipc" else (address.hostname, address.port))
        self.socket.sendall(GREETING)
        self._read(64)
        ready = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
        self.socket.sendall(frame(ready, 4))
        assert self._read(2)[0] == 4
        self.port = self.socket.getsockname()[1] if address.scheme != "ipc" else 0

    def _read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            part = self.socket.recv(size - len(got))
            assert part, "the other side has closed"
            got += part
        return got

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def abort(self) -> None:
        """End the connection as a crash of the whole machine would: the other side is told so at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def flood(self, content: bytes, seconds: float) -> bool:
        """Send it again and again for so long. Whether the connection outlived it."""
        end_s = time.monotonic() + seconds
        try:
            while time.monotonic() < end_s:
                self.socket.sendall(content)
        except OSError:
            return False
        return True

    def is_cut(self) -> bool:
        """Whether the other side has ended it; reads what has come."""
        self.socket.settimeout(0.01)
        try:
            while self.socket.recv(1 << 20):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def end(self) -> None:
        """Let whoever sends or reads here come to an end."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
