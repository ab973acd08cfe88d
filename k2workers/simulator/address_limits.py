"""Owns the exchange's own limits per IP: REST weight and connection attempts. Pure; times are nanoseconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

NS = 1_000_000_000


Limit = TypeVar("Limit")


class PerAddress(Generic[Limit]):
    """One limit for each address; those not seen for longest are forgotten when there are more than ``most``."""

    def __init__(self, make: Callable[[], Limit], most: int = 1_000) -> None:
        self._make = make
        self._most = most
        self._limits: dict[str, Limit] = {}

    def of(self, address: str) -> Limit:
        """The limit of this address, made when it is first seen."""
        limit = self._limits.pop(address, None)
        if limit is None:
            limit = self._make()
            if len(self._limits) >= self._most:
                del self._limits[next(iter(self._limits))]
        self._limits[address] = limit
        return limit

    def __len__(self) -> int:
        return len(self._limits)


class SlidingWindow:
    """At most ``limit`` events in any window of ``window_ns``."""

    __slots__ = ("_limit", "_times", "_window_ns")

    def __init__(self, limit: int, window_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._times: deque[int] = deque()

    def allow(self, now_ns: int) -> bool:
        """Counts one event; False when it is one too many (it is then not counted)."""
        times = self._times
        while times and times[0] <= now_ns - self._window_ns:
            times.popleft()
        if len(times) >= self._limit:
            return False
        times.append(now_ns)
        return True


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
