"""Owns when a child last showed that it lives: it said something, or it used the processor. Knows no policy."""

from __future__ import annotations

import contextlib

import psutil


class Life:
    """One child's signs of life, since ``begun_ns``. Times are monotonic."""

    def __init__(self, begun_ns: int) -> None:
        self.heard_ns = begun_ns
        self.hung = False
        """It showed no sign for too long, and was killed."""
        self._cpu_s = 0.0

    def look(self, pid: int, now_ns: int) -> None:
        """Take use of the processor as a sign: for a child that is busy with its start or its end, and says nothing meanwhile."""
        with contextlib.suppress(psutil.Error):  # it has just ended
            times = psutil.Process(pid).cpu_times()
            if times.user + times.system > self._cpu_s:
                self._cpu_s, self.heard_ns = times.user + times.system, now_ns

    def excuse(self, deaf_ns: int, now_ns: int) -> None:
        """For so long we could not hear it: that counts against us, not against the child."""
        self.heard_ns = min(now_ns, self.heard_ns + deaf_ns)

    def silent_ns(self, now_ns: int) -> int:
        """How long it has shown no sign."""
        return now_ns - self.heard_ns
