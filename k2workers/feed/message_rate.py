"""Owns how soon a line may send its next message: the venue ends a connection that sends too many in any second. Pure."""

from __future__ import annotations

import math


class MessageRate:
    """Ask ``wait_ns`` before every message of one line, and call ``sent`` after it (monotonic time).

    Messages are spread evenly, so any second holds at most ``per_second`` of them, and never several at once.
    """

    __slots__ = ("_apart_ns", "_free_ns")

    def __init__(self, per_second: float) -> None:
        self._apart_ns = math.ceil(1e9 / per_second)
        self._free_ns = 0

    def wait_ns(self, now_ns: int) -> int:
        """How long until the next message may be sent; 0: now."""
        return max(0, self._free_ns - now_ns)

    def sent(self, now_ns: int) -> None:
        """A message was sent."""
        self._free_ns = now_ns + self._apart_ns
