"""Owns when what was recorded at a time is due in a replay: at its own pace, a faster one, or at once. Pure: the caller says what time it is."""

from __future__ import annotations

EVER_NS = 2**63
"""After every time that can be in a recording."""


class PlaybackPace:
    """``speed`` is how many times faster it is than it was recorded, None at once. It begins with the first time that is asked for; 0 is none, and due at once."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._began: tuple[float, int] | None = None

    def wait_s(self, at_ns: int, now_s: float) -> float:
        """How long it is until what was recorded then is due; not above 0 if it is."""
        if self._speed is None or not at_ns:
            return 0.0
        if self._began is None:
            self._began = now_s, at_ns
        began_s, began_ns = self._began
        return began_s + (at_ns - began_ns) / 1e9 / self._speed - now_s

    def due_ns(self, now_s: float) -> int:
        """Up to when it was recorded what is due now; before a time was asked for, what has none."""
        if self._speed is None:
            return EVER_NS
        if self._began is None:
            return 0
        began_s, began_ns = self._began
        return began_ns + int((now_s - began_s) * 1e9 * self._speed)
