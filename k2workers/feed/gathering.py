"""Owns when a busy worker waits a moment before the next read, so that the kernel gathers more bytes for it. Pure.

A wake-up and a read cost as much as dozens of events. When single events come every few microseconds, reading each at once
is the most expensive way; a short rest makes one read of many, and one bundle, and one batch a topic. A quiet feed is read at once.
"""

from __future__ import annotations

PROFILES_NS = {"fast": 0, "balanced": 500_000, "cheap": 10_000_000}
"""Named windows: nothing waits; what is hardly seen beside the network; what spares most of the wake-ups at a thousand events a second."""

WORTH_IT = 4
"""Rest only if, at the rate of the last two reads, this many messages would arrive meanwhile."""

FULL_READ_BYTES = 64 * 1024
"""A read of this many bytes means that the worker is behind, and must not rest."""


class Gathering:
    """``rest_ns`` after every read of one line. ``window_ns`` is the longest rest, and so the longest that an event waits for it.

    Each line has its own: during an overlap every event comes twice, the second time at once after the first.
    """

    __slots__ = ("_elapsed_ns", "_messages", "_read_ns", "_window_ns")

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._read_ns = 0
        self._elapsed_ns = 0
        self._messages = 0

    def rest_ns(self, read_ns: int, messages: int, size: int) -> int:
        """How long to rest after a read at ``read_ns`` (monotonic) that brought so many messages and bytes."""
        elapsed_ns, self._read_ns = read_ns - self._read_ns, read_ns
        # Two reads, because in a quiet feed two events by chance come close together.
        busy = (self._messages + messages) * self._window_ns >= WORTH_IT * (self._elapsed_ns + elapsed_ns)
        self._elapsed_ns, self._messages = elapsed_ns, messages
        return self._window_ns if busy and size < FULL_READ_BYTES else 0
