"""Owns the per-IP allowance of REST weight, shared by all workers. Pure.

The venue counts the weight of requests in a window (6000 in a minute for Binance spot) over everything that this IP asks,
answers 429 beyond it and bans with 418 who goes on. So every request asks here first: never more than our share in any
window, what other programs on this IP use counted in from the venue's own header, the urgent first, and after a
429 or 418 nobody at all until the time that the venue named has passed.
"""

from __future__ import annotations

from collections import deque

import msgspec

Key = tuple[str, int]


class WeightPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """``limit`` weight in any ``window_ns``; ``in_flight`` requests at once.

    A request of urgency ``patient_from`` or above leaves half of the limit to the urgent ones.
    """

    limit: int = 4_800
    window_ns: int = 60_000_000_000
    in_flight: int = 4
    patient_from: int = 3
    lease_ns: int = 30_000_000_000
    """A request that nobody reported back after this long is taken as over."""


class WeightWish(msgspec.Struct, frozen=True):
    """A request that waits: ``key`` is the caller's own name for it; a smaller ``urgency`` goes first."""

    key: Key
    weight: int
    urgency: int
    asked_ns: int


class WeightBudget:
    """Ask, call ``due`` steadily and after every change, report each granted request with ``done``."""

    def __init__(self, policy: WeightPolicy) -> None:
        self.policy = policy
        self.refusals = 0
        """How often the venue said 429 or 418."""
        self._waiting: dict[Key, WeightWish] = {}
        self._in_flight: dict[Key, int] = {}
        self._spent: deque[tuple[int, int]] = deque()
        self._spent_total = 0
        self._foreign = 0
        self._foreign_until_ns = 0
        self._blocked_until_ns = 0
        self._cautious = False

    def ask(self, wish: WeightWish) -> None:
        """Queue a wish."""
        self._waiting[wish.key] = wish

    def release_child(self, name: str) -> None:
        """A child died: nothing it wanted counts any longer; what it spent does."""
        for keys in (self._waiting, self._in_flight):
            for key in [key for key in keys if key[0] == name]:
                del keys[key]

    def done(self, key: Key, now_ns: int, *, used: int = 0, retry_after_ns: int = 0) -> None:
        """A granted request is over, or a wish is withdrawn.

        ``used`` is the venue's own count if it told one; ``retry_after_ns`` above 0 is a refusal with 429 or 418.
        """
        self._waiting.pop(key, None)
        self._in_flight.pop(key, None)
        self._forget(now_ns)
        if used:
            self._foreign = max(0, used - self._spent_total)
            self._foreign_until_ns = now_ns + self.policy.window_ns
        if retry_after_ns > 0:
            self.refusals += 1
            self._blocked_until_ns = max(self._blocked_until_ns, now_ns + retry_after_ns)
            self._cautious = True
        elif used:
            self._cautious = False

    def due(self, now_ns: int) -> list[WeightWish]:
        """The wishes granted now, most urgent first."""
        self._forget(now_ns)
        granted = []
        most = 1 if self._cautious else self.policy.in_flight
        while self._waiting and len(self._in_flight) < most and now_ns >= self._blocked_until_ns:
            wish = min(self._waiting.values(), key=lambda wish: (wish.urgency, wish.asked_ns))
            limit = self.policy.limit // 2 if wish.urgency >= self.policy.patient_from else self.policy.limit
            # A wish that alone is above the limit goes when nothing else was spent: better late than never.
            if self.used(now_ns) and self.used(now_ns) + wish.weight > limit:
                break
            del self._waiting[wish.key]
            self._in_flight[wish.key] = now_ns
            self._spent.append((now_ns, wish.weight))
            self._spent_total += wish.weight
            granted.append(wish)
        return granted

    def used(self, now_ns: int) -> int:
        """Weight used in the window, ours and as far as known that of others on this IP."""
        self._forget(now_ns)
        return self._spent_total + (self._foreign if now_ns < self._foreign_until_ns else 0)

    def blocked_ns(self, now_ns: int) -> int:
        """How long the venue still refuses; 0 if it does not."""
        return max(0, self._blocked_until_ns - now_ns)

    @property
    def waiting(self) -> int:
        """How many wishes wait."""
        return len(self._waiting)

    def _forget(self, now_ns: int) -> None:
        while self._spent and self._spent[0][0] <= now_ns - self.policy.window_ns:
            self._spent_total -= self._spent.popleft()[1]
        for key in [k for k, since_ns in self._in_flight.items() if since_ns <= now_ns - self.policy.lease_ns]:
            del self._in_flight[key]
