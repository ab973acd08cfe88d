"""Owns the venue's limit of REST weight per IP. Pure; times are nanoseconds."""

from __future__ import annotations

from typing import NamedTuple

from k2workers.simulator.address_limits import NS


class WeightVerdict(NamedTuple):
    """``status`` 200, 429 or 418; weight used in this minute; seconds to wait (0 when allowed)."""

    status: int
    used: int
    retry_after_s: int


class WeightMeter:
    """REST weight of one IP per clock minute: 429 when it is used up, 418 for those who carry on regardless."""

    def __init__(self, limit: int, ban_ns: int, patience: int = 10) -> None:
        self.limit = limit
        self._ban_ns = ban_ns
        self._patience = patience
        self._minute = -1
        self._used = 0
        self._refused = 0
        self._banned_until_ns = 0

    def spend(self, weight: int, now_ns: int) -> WeightVerdict:
        """Counts one request. ``patience`` refused requests in a minute turn the refusal into a ban."""
        if now_ns < self._banned_until_ns:
            return WeightVerdict(418, self._used, max(1, (self._banned_until_ns - now_ns) // NS))
        minute = now_ns // (60 * NS)
        if minute != self._minute:
            self._minute, self._used, self._refused = minute, 0, 0
        self._used += weight
        if self._used <= self.limit:
            return WeightVerdict(200, self._used, 0)
        self._refused += 1
        if self._refused > self._patience:
            self._banned_until_ns = now_ns + self._ban_ns
            return WeightVerdict(418, self._used, max(1, self._ban_ns // NS))
        return WeightVerdict(429, self._used, max(1, ((minute + 1) * 60 * NS - now_ns) // NS))
