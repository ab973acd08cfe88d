"""Owns how many log lines about one thing there may be: the count of it is told beside each. Pure."""

from __future__ import annotations


class LogLimit:
    """At most ``most`` lines in each ``every_ns``, of one thing."""

    __slots__ = ("_begin_ns", "_every_ns", "_lines", "_most")

    def __init__(self, most: int, every_ns: int) -> None:
        self._most = most
        self._every_ns = every_ns
        self._begin_ns: int | None = None
        self._lines = 0

    def allows(self, now_ns: int) -> bool:
        """Whether a line may be written now; it is counted as written (monotonic time)."""
        if self._begin_ns is None or now_ns - self._begin_ns >= self._every_ns:
            self._begin_ns, self._lines = now_ns, 0
        self._lines += 1
        return self._lines <= self._most
