"""Owns how time passes for somebody who waits for the aggregator's answer. Pure; times are monotonic seconds in, ns out."""

from __future__ import annotations

SILENT_S = 0.6
"""Two heartbeats and a little: an aggregator that was not heard for so long cannot be expected to answer."""

MAX_STEP_S = 0.2
"""A longer step means that the waiting program itself was elsewhere, and answers may wait to be read."""


class Patience:
    """A clock that stands still while the aggregator is silent (dead, stopped) or the waiting program does not look.

    Without it, a hole that is found just before the aggregator is stopped for some seconds would be given up although
    the answer comes as soon as it goes on.
    """

    def __init__(self, now_s: float) -> None:
        self.now_ns = 0
        self._heard_s = self.looked_s = now_s

    def heard(self, now_s: float) -> None:
        """The aggregator lives."""
        self._heard_s = now_s

    def look(self, now_s: float) -> int:
        """Let the time since the last look pass, as far as it counts; the clock's time in ns."""
        if now_s - self._heard_s < SILENT_S:
            self.now_ns += int(min(now_s - self.looked_s, MAX_STEP_S) * 1e9)
        self.looked_s = now_s
        return self.now_ns
