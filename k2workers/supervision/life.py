"""Owns when a child last showed that it lives: it said something, or it used the processor. What follows from silence is not its matter."""

from __future__ import annotations

import contextlib

import psutil

WORK_COUNTS_NS = 600_000_000_000
"""For so long after its last word a child's use of the processor is a sign: no start and no end is longer, but a loop without end is."""


class Life:
    """One child's signs of life, since ``begun_ns``. Times are monotonic."""

    def __init__(self, begun_ns: int) -> None:
        self._said_ns = begun_ns
        self._worked_ns = begun_ns
        self.hung = False
        """It showed no sign for too long, and was killed."""
        self._cpu_s = 0.0

    @property
    def heard_ns(self) -> int:
        """The last sign; set it when the child says something."""
        return max(self._said_ns, self._worked_ns)

    @heard_ns.setter
    def heard_ns(self, now_ns: int) -> None:
        self._said_ns = now_ns

    def look(self, pid: int, now_ns: int) -> None:
        """Take use of the processor as a sign: for a child that is busy with its start or its end, and says nothing meanwhile."""
        with contextlib.suppress(psutil.Error):  # it has just ended
            times = psutil.Process(pid).cpu_times()
            if times.user + times.system > self._cpu_s and now_ns - self._said_ns <= WORK_COUNTS_NS:
                self._cpu_s, self._worked_ns = times.user + times.system, now_ns

    def excuse(self, deaf_ns: int, now_ns: int) -> None:
        """For so long we could not hear it: that counts against us, not against the child."""
        self._said_ns = min(now_ns, self._said_ns + deaf_ns)
        self._worked_ns = min(now_ns, self._worked_ns + deaf_ns)

    def silent_ns(self, now_ns: int) -> int:
        """How long it has shown no sign."""
        return now_ns - self.heard_ns
