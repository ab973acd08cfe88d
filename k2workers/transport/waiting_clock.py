"""Owns the clock by which a subscriber waits for the aggregator's answers, and how long it has waited to hear of it. Pure; monotonic seconds in, ns out."""

from __future__ import annotations

SILENT_S = 0.6
"""A little more than two heartbeats: an aggregator that was not heard for this long cannot answer."""

MAX_STEP_S = 0.2
"""A longer step means that the waiting program itself was busy, and answers may be waiting to be read."""


class WaitingClock:
    """A clock that stands still while the aggregator is silent (dead, stopped) or the waiting program does not look.

    Without it, a hole that is found just before the aggregator is stopped for some seconds would be given up although
    the answer comes as soon as it goes on.
    """

    def __init__(self, now_s: float) -> None:
        self.now_ns = 0
        self.silent_s = 0.0
        """How long nothing was heard; not counting the time in which the waiting program did not look."""
        self._heard_s = self.looked_s = now_s

    def heard(self, now_s: float) -> None:
        """The aggregator lives."""
        self._heard_s, self.silent_s = now_s, 0.0

    def look(self, now_s: float) -> int:
        """Add the time since the last look, as far as it counts. Returns the clock's time in ns."""
        step_s = min(now_s - self.looked_s, MAX_STEP_S)
        self.silent_s += step_s
        if now_s - self._heard_s < SILENT_S:
            self.now_ns += int(step_s * 1e9)
        self.looked_s = now_s
        return self.now_ns
