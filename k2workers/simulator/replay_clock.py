"""Owns how far a recording has come: recorded time passes ``speed`` times as fast as ours, from the first subscription on. Pure."""

from __future__ import annotations

NS = 1_000_000_000


class ReplayClock:
    """Recorded time, in ns; ``begins_ns`` is that of the first line. ``speed`` 0 is without pauses.

    Set ``running`` to False and no time passes.
    """

    def __init__(self, speed: float, settle_s: float, begins_ns: int) -> None:
        self.running = True
        self.unpaced = speed <= 0
        self._speed = speed
        self._settle_ns = int(settle_s * NS)
        self._subscribed_ns: int | None = None
        self._last_ns: int | None = None
        self._position_ns = begins_ns

    def subscribed(self, now_ns: int) -> None:
        """A client subscribed; time begins to pass a moment after the first one, so that it misses nothing."""
        if self._subscribed_ns is None:
            self._subscribed_ns = now_ns

    def advance(self, now_ns: int) -> bool:
        """Lets time pass; False if it stands still, and nothing is due."""
        if self._subscribed_ns is None or now_ns < self._subscribed_ns + self._settle_ns:
            return False
        elapsed_ns = 0 if self._last_ns is None else now_ns - self._last_ns
        self._last_ns = now_ns
        if self.running:
            self._position_ns += int(elapsed_ns * self._speed)
        return self.running

    def due(self, stamp_ns: int) -> bool:
        """Whether time has come so far as a line that was recorded then."""
        return self.unpaced or stamp_ns <= self._position_ns
