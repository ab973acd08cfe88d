"""Owns reading a venue's reply that refuses the handshake. Pure.

The library wants such a reply to be complete and faultless before it says anything. What refuses us may be a firewall, an old proxy, or
a page without end: its status line and headers are enough to know what to do, and the body only adds words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import websockets

from k2workers.errors import VenueError

END_OF_HEAD = b"\r\n\r\n"
MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024
"""More of a body is not waited for."""

SWITCHING_PROTOCOLS = 101

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r\n)")


class HandshakeRefused(VenueError, websockets.InvalidHandshake):
    """The venue answered with a status other than 101; ``headers`` are in lower case, ``body`` is what has arrived of it so far.

    It is read here before anybody knows what the venue means by it, and goes through the library, which must know it.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}", status=status)
        self.headers = headers
        self.body = body

    @property
    def complete(self) -> bool:
        """Whether the body is complete, or long enough not to wait for more."""
        length = self.headers.get("content-length", "")
        expected = int(length) if length.isascii() and length.isdecimal() and len(length) < 10 else MAX_BODY_BYTES
        return len(self.body) >= min(expected, MAX_BODY_BYTES)


def read(head: bytes, body: bytes) -> HandshakeRefused | None:
    """The refusal that begins with this head, or None if it is none. Lines that are no header are left out."""
    found = _STATUS_LINE.match(head + END_OF_HEAD)
    if found is None or int(found[1]) == SWITCHING_PROTOCOLS:
        return None
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    headers = {name.decode("latin-1").lower(): value.strip().decode("latin-1") for name, colon, value in lines if colon}
    return HandshakeRefused(int(found[1]), headers, body)
