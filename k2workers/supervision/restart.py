"""Owns whether a dead child is started again, and when. Pure.

OTP's rule: more than ``intensity`` deaths within ``period_ns`` mean that restarting does not help. So do lives that all ended before the child
served: each may take so long that they are few within the period.
"""

from __future__ import annotations

from collections import deque

import msgspec

from k2workers.backoff import RESTART, Backoff


class RestartPolicy(msgspec.Struct, frozen=True):
    """``intensity`` restarts within ``period_ns`` are allowed (None: any number, for ever); delays follow ``backoff``.

    After ``most_unready`` lives in a row that never came to serve, and a period at least since the first of them began, it is not restarted
    either. A life of ``stable_ns`` shows that the last restart helped: the delays begin anew.
    """

    intensity: int | None = 10
    most_unready: int = 5
    period_ns: int = 60_000_000_000
    backoff: Backoff = RESTART
    stable_ns: int = 5_000_000_000


class RestartTracker:
    """The deaths of one child."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self.restarts = 0
        self._deaths: deque[int] = deque()
        self._quick_deaths = 0
        self._unready = 0
        """Lives in a row that never came to serve; the first of them began at ``_unready_since_ns``."""
        self._unready_since_ns = 0
        self.why = ""
        """Why it was given up."""

    def died(self, now_ns: int, lived_ns: int, jitter: float, *, served: bool = True) -> int | None:
        """The delay in ns before the next start, or None: give up."""
        intensity, period_ns = self.policy.intensity, self.policy.period_ns
        if not self._unready:
            self._unready_since_ns = now_ns - lived_ns
        self._unready = 0 if served else self._unready + 1
        if intensity is not None:
            self._deaths.append(now_ns)
            while self._deaths[0] <= now_ns - period_ns:
                self._deaths.popleft()
            if len(self._deaths) > intensity:
                self.why = f"died more than {intensity} times within {period_ns / 1e9:.0f} s"
                return None
            since_ns = now_ns - self._unready_since_ns
            if self._unready >= self.policy.most_unready and since_ns >= period_ns:
                self.why = (
                    f"was started {self._unready} times in a row and never came to serve, in {since_ns / 1e9:.0f} s"
                )
                return None
        self.restarts += 1
        if lived_ns >= self.policy.stable_ns:
            self._quick_deaths = 0
        self._quick_deaths += 1
        return self.policy.backoff.delay_ns(self._quick_deaths - 1, jitter)
