"""Owns the budget of REST weight per IP, shared by all workers. Pure.

The venue counts the weight of requests in a window (6000 in a minute for Binance spot) over everything that this IP asks,
answers 429 beyond it and bans with 418 who goes on. So every request asks here first: never more than our share in any
window, what other programs on this IP use counted in from the venue's own header, the urgent first, for whom the patient always leave room. While the venue refuses
requests (``gate``) nobody goes. A limit that the venue names itself, and that is lower than the documented one, takes its place.
"""

from __future__ import annotations

from collections import deque

import msgspec

from k2workers.network.venue_answers import Service
from k2workers.supervision.gate import Gate, Key

REMEMBER_NS = 3_600_000_000_000
"""How long a limit counts after the venue last named it: a 429 may name a lower one than exchangeInfo does."""


class WeightPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """``share`` of the venue's ``limit`` in any ``window_ns``; ``in_flight`` requests at once, of which one place is only for the most urgent.

    A request of urgency ``patient_from`` leaves an eighth of our share, and a third of the places, to the urgent ones; a more patient one half
    and two thirds.
    """

    limit: int = 6_000
    share: float = 1.0
    window_ns: int = 60_000_000_000
    in_flight: int = 6
    patient_from: int = 3
    lease_ns: int = 30_000_000_000
    """A request that is not reported as done within this time counts as done."""


class WeightRequest(msgspec.Struct, frozen=True):
    """A request that waits: ``key`` is the caller's own name for it; a smaller ``urgency`` goes first."""

    key: Key
    weight: int
    urgency: int
    asked_ns: int


class WeightBudget:
    """Ask, then call ``due`` steadily and after every change; report each granted request with ``done``.

    Of venues that count together each may have a ``gate`` of its own: it is said with each request, else the budget's holds.
    """

    def __init__(self, policy: WeightPolicy, gate: Gate) -> None:
        self.policy = policy
        self.limit = int(policy.limit * policy.share)
        """What we may use in a window."""
        self._gate = gate
        self._named: list[tuple[int, int]] = []
        """Limits that the venue named: (when, the limit), rising."""
        self._waiting: dict[Key, WeightRequest] = {}
        self._gates: dict[Key, Gate] = {}
        """Of those that wait."""
        self._in_flight: dict[Key, int] = {}
        self._spent: deque[tuple[int, int]] = deque()
        self._spent_total = 0
        self._foreign = 0
        self._foreign_until_ns = 0

    def ask(self, request: WeightRequest, gate: Gate | None = None) -> None:
        """Queue a request."""
        self._waiting[request.key] = request
        self._gates[request.key] = gate or self._gate

    def release_child(self, name: str) -> None:
        """A child died: its requests end; what it spent still counts."""
        for keys in (self._waiting, self._gates, self._in_flight):
            for key in [key for key in keys if key[0] == name]:
                del keys[key]

    def done(self, key: Key, now_ns: int, *, used: int = 0) -> int | None:
        """A granted request is over, or one that waits is withdrawn. Returns when it was granted, or None if it was not.

        ``used`` is the venue's own count, if it reported one.
        """
        self._waiting.pop(key, None)
        self._gates.pop(key, None)
        granted_ns = self._in_flight.pop(key, None)
        self._forget(now_ns)
        if used:
            self._foreign = max(0, used - self._spent_total)
            self._foreign_until_ns = now_ns + self.policy.window_ns
        return granted_ns

    def learn_limit(self, limit: int, now_ns: int) -> None:
        """The venue has named its limit. The lowest that it named in the last hour counts, if it is lower than the documented one."""
        self._named = [(at_ns, named) for at_ns, named in self._named if now_ns - at_ns < REMEMBER_NS and named < limit]
        self._named.append((now_ns, limit))
        self.limit = max(1, int(min(self.policy.limit, self._named[0][1]) * self.policy.share))

    def due(self, now_ns: int) -> list[WeightRequest]:
        """The requests granted now, most urgent first."""
        self._forget(now_ns)
        granted = []
        while (request := self._first(now_ns)) is not None:
            limit, in_flight = self._room(request.urgency)
            if len(self._in_flight) >= in_flight:
                break
            # A request that is above the limit by itself is granted when nothing else was spent: better late than never.
            if self.used(now_ns) and self.used(now_ns) + request.weight > limit:
                break
            del self._waiting[request.key]
            self._in_flight[request.key] = now_ns
            self._gates.pop(request.key).permitted(Service.REST, request.key, now_ns)
            self._spent.append((now_ns, request.weight))
            self._spent_total += request.weight
            granted.append(request)
        return granted

    def _first(self, now_ns: int) -> WeightRequest | None:
        """The most urgent request that its gate lets through."""
        let_through = [request for key, request in self._waiting.items() if self._gates[key].open(Service.REST, now_ns)]
        return min(let_through, key=lambda request: (request.urgency, request.asked_ns), default=None)

    def _room(self, urgency: int) -> tuple[int, int]:
        """The weight that may be used, and the requests that may be under way, with one of this urgency."""
        limit, in_flight, patient_from = self.limit, self.policy.in_flight, self.policy.patient_from
        if urgency == 0:
            return limit, in_flight
        if urgency < patient_from:
            return limit, max(1, in_flight - 1)
        if urgency == patient_from:
            return limit - limit // 8, max(1, in_flight * 2 // 3)
        return limit // 2, max(1, in_flight // 3)

    def wait_s(self, weight: int, now_ns: int, gate: Gate | None = None) -> float:
        """How long until so much more weight can have been granted, as far as it depends on the allowance and the venue's refusals."""
        if weight <= 0:
            return 0.0
        window_ns = self.policy.window_ns
        at_ns = now_ns + (gate or self._gate).paused_ns(Service.REST, now_ns)
        spent = [(spent_ns + window_ns, weight) for spent_ns, weight in self._spent]
        free_again = sorted((free_ns, freed) for free_ns, freed in (*spent, (self._foreign_until_ns, self._foreign)) if free_ns > at_ns)  # fmt: skip
        # What is granted is free again a window later: the same amounts come back at the same distances.
        whole_windows, rest = divmod(weight - 1, self.limit)
        lacking = rest + 1 - (self.limit - sum(freed for _, freed in free_again))
        for free_ns, freed in free_again:
            if lacking > 0:
                at_ns, lacking = free_ns, lacking - freed
        return (at_ns - now_ns + whole_windows * window_ns) / 1e9

    def waiting_weight(self, name: str) -> int:
        """The weight of what this child has asked for and not been granted."""
        return sum(request.weight for key, request in self._waiting.items() if key[0] == name)

    def used(self, now_ns: int) -> int:
        """Weight used in the window, ours and as far as known that of others on this IP."""
        self._forget(now_ns)
        return self._spent_total + (self._foreign if now_ns < self._foreign_until_ns else 0)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def _forget(self, now_ns: int) -> None:
        while self._spent and self._spent[0][0] <= now_ns - self.policy.window_ns:
            self._spent_total -= self._spent.popleft()[1]
        for key in [k for k, since_ns in self._in_flight.items() if since_ns <= now_ns - self.policy.lease_ns]:
            del self._in_flight[key]
