"""Owns whether a dead child is started again, and when. Pure.

OTP's rule: more than ``intensity`` deaths within ``period_ns`` mean that restarting does not help.
"""

from __future__ import annotations

from collections import deque

import msgspec

from k2workers.backoff import Backoff


class RestartPolicy(msgspec.Struct, frozen=True):
    """``intensity`` restarts within ``period_ns`` are allowed (None: any number, for ever); delays follow ``backoff``.

    A life of ``stable_ns`` shows that the last restart helped: the delays begin anew.
    """

    intensity: int | None = 10
    period_ns: int = 60_000_000_000
    backoff: Backoff = Backoff(200_000_000, 10_000_000_000)
    stable_ns: int = 5_000_000_000


class RestartTracker:
    """The deaths of one child."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self.restarts = 0
        self._deaths: deque[int] = deque()
        self._quick_deaths = 0

    def died(self, now_ns: int, lived_ns: int, jitter: float) -> int | None:
        """The delay in ns before the next start, or None: give up."""
        intensity = self.policy.intensity
        if intensity is not None:
            self._deaths.append(now_ns)
            while self._deaths[0] <= now_ns - self.policy.period_ns:
                self._deaths.popleft()
            if len(self._deaths) > intensity:
                return None
        self.restarts += 1
        if lived_ns >= self.policy.stable_ns:
            self._quick_deaths = 0
        self._quick_deaths += 1
        return self.policy.backoff.delay_ns(self._quick_deaths - 1, jitter)
