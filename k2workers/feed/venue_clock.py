"""Owns how far the venue's clock is ahead of ours, as far as events show it: a latency below zero is no speed, but a clock that is wrong. Pure."""

from __future__ import annotations

WINDOW_NS = 60_000_000_000
"""What was seen counts until the end of the window after the one in which it was seen."""


class VenueClock:
    """The venue's clock beside ours. Times are monotonic."""

    def __init__(self) -> None:
        self._most_ns = self._most_before_ns = 0
        """The most that it was ahead in this window, and in the one before."""
        self._window = 0

    def was_ahead(self, by_ns: int, now_ns: int) -> None:
        """An event came so long before the venue's clock said that it was made."""
        self._turn(now_ns)
        self._most_ns = max(self._most_ns, by_ns)

    def ahead_s(self, now_ns: int) -> float:
        """How far the clock is ahead at least; 0 if no event shows that it is."""
        self._turn(now_ns)
        return max(self._most_ns, self._most_before_ns) / 1e9

    def _turn(self, now_ns: int) -> None:
        passed = now_ns // WINDOW_NS - self._window
        if passed:
            self._most_before_ns = self._most_ns if passed == 1 else 0
            self._most_ns = 0
            self._window += passed
