"""Owns the signs of life of a child (it sent a beat or another message, or it used the processor), and after how long without one it is hung.

What becomes of it then is decided in ``supervisor.py``.
"""

from __future__ import annotations

import contextlib

import msgspec
import psutil

WORK_COUNTS_NS = 600_000_000_000
"""Use of the processor counts as a sign of life only this long after the last message: starting and ending take less, an endless loop more."""

STARVED_SHARE = 0.1
"""One that could run all the time and got less of the processor than this is kept from it by the host; an endless loop takes all it gets."""

KEPT_WAITING = frozenset({psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP})
"""It could go on at once, if the host gave it the processor, or what it waits for of the disk (also no signal would end it then)."""


SUSPICIOUS_S = 1.0
"""A child that serves beats twice as often; when it has said nothing for so long, what keeps it is looked at."""


class SilenceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """For how many seconds a child may show no sign of life while it starts, serves (missed beats), and drains; then it is hung.

    A start may take as long as it needs: on a busy machine that is long.
    """

    boot_limit_s: float = 20.0
    beat_limit_s: float = 10.0
    stop_limit_s: float = 3.0


class SignsOfLife:
    """One child's signs of life, since ``begun_ns``. Times are monotonic."""

    def __init__(self, begun_ns: int) -> None:
        self.begun_ns = begun_ns
        self._said_ns = begun_ns
        self._worked_ns = begun_ns
        self.hung = False
        """It showed no sign for too long, and was killed."""
        self._cpu_s = 0.0
        self._looked_ns = begun_ns

    @property
    def heard_ns(self) -> int:
        """The last sign; set it when a message of the child arrives."""
        return max(self._said_ns, self._worked_ns)

    @heard_ns.setter
    def heard_ns(self, now_ns: int) -> None:
        self._said_ns = now_ns

    def hangs(self, pid: int, now_ns: int, limit_s: float, *, busy: bool) -> bool:
        """Whether it has shown no sign for longer than ``limit_s``. ``busy``: it starts or ends."""
        if busy or self.silent_ns(now_ns) > SUSPICIOUS_S * 1e9:
            self.look(pid, now_ns, work_counts=busy)
        return self.silent_ns(now_ns) > limit_s * 1e9

    def look(self, pid: int, now_ns: int, *, work_counts: bool) -> None:
        """Look at the process: time for which the host lets it wait is not its silence.

        ``work_counts``: use of the processor is a sign, for a child that is busy starting or ending sends nothing meanwhile.
        """
        with contextlib.suppress(psutil.Error):  # it has just ended
            process = psutil.Process(pid)
            with process.oneshot():
                times, status = process.cpu_times(), process.status()
            passed_ns = now_ns - max(self._looked_ns, self._said_ns)
            used_s = times.user + times.system - self._cpu_s
            self._looked_ns, self._cpu_s = now_ns, times.user + times.system
            if work_counts and used_s > 0 and now_ns - self._said_ns <= WORK_COUNTS_NS:
                self._worked_ns = now_ns
            elif status in KEPT_WAITING and used_s < STARVED_SHARE * passed_ns / 1e9:
                self.excuse(passed_ns, now_ns)

    def excuse(self, deaf_ns: int, now_ns: int) -> None:
        """We ourselves could not listen for ``deaf_ns``: that time does not count as the child's silence."""
        self._said_ns = min(now_ns, self._said_ns + deaf_ns)
        self._worked_ns = min(now_ns, self._worked_ns + deaf_ns)

    def silent_ns(self, now_ns: int) -> int:
        """How long it has shown no sign."""
        return now_ns - self.heard_ns


class Deafness:
    """For how long we ourselves stood still and could hear nobody: call ``since`` every ``every_s``."""

    def __init__(self, every_s: float) -> None:
        self.total_ns = 0
        self._every_ns = int(every_s * 1e9)
        self._looked_ns: int | None = None

    def since(self, now_ns: int) -> int:
        """What has passed since the last look beyond its usual distance."""
        deaf_ns = max(0, now_ns - self._looked_ns - self._every_ns) if self._looked_ns is not None else 0
        self._looked_ns = now_ns
        self.total_ns += deaf_ns
        return deaf_ns
