"""Owns the exchange's limits of one address or connection, of whatever they count. Pure; times are nanoseconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

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
