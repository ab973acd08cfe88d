"""Owns the budget of connection attempts per IP, and whose turn it is to rotate. Pure.

The venue counts attempts in a window (300 in 5 minutes for Binance spot). The window is kept strictly: never more than
``limit`` grants in any window, and a minimum distance between two. Most-starved shards go first; one rotation is
under way at a time, of all venues of the run. While the venue refuses handshakes (``gate``) nobody goes.
"""

from __future__ import annotations

from collections import deque

import msgspec

from k2workers.network.venue_answers import Service
from k2workers.supervision.gate import Gate, Key

CONNECT = "connect"
ROTATE = "rotate"


class BudgetPolicy(msgspec.Struct, frozen=True):
    """``limit`` grants in any ``window_ns``, at least ``spacing_ns`` apart; a rotation's turn ends after ``rotation_limit_ns``."""

    limit: int = 270
    window_ns: int = 300_000_000_000
    spacing_ns: int = 100_000_000
    rotation_limit_ns: int = 90_000_000_000

    def share_ns(self, slots: int) -> int:
        """How far apart each of so many slots may connect by itself, so that all of them together keep the window."""
        return -(-self.window_ns * slots // self.limit)


class ConnectRequest(msgspec.Struct, frozen=True):
    """A request that waits for its grant: ``key`` is the caller's own name for it."""

    key: Key
    shard: int
    purpose: str
    starved_since_ns: int
    asked_ns: int

    @property
    def urgency(self) -> tuple[int, int]:
        """Smaller goes first: starved shards by how long, then the rest by when they asked."""
        return (0, self.starved_since_ns) if self.starved_since_ns else (1, self.asked_ns)


class RotationTurn:
    """Who rotates now, of all whose ``budgets`` share it: whatever their venue, their processes share one machine and one aggregator."""

    def __init__(self) -> None:
        self.budgets: list[ConnectBudget] = []
        self._key: Key | None = None
        self._ends_ns = 0

    def open_to(self, budget: ConnectBudget, now_ns: int) -> bool:
        """Whether one of this budget may have it: nobody has, and nobody who could go now has waited longer."""
        if self._key is not None and now_ns < self._ends_ns:
            return False
        waits = [since_ns for each in self.budgets if (since_ns := each.rotation_asked_ns(now_ns)) is not None]
        return bool(waits) and budget.rotation_asked_ns(now_ns) == min(waits)

    def take(self, key: Key, ends_ns: int) -> None:
        """This request has it, until then at most."""
        self._key, self._ends_ns = key, ends_ns

    def give_back(self, key: Key) -> None:
        """This request is over."""
        if self._key == key:
            self._key = None

    def release_child(self, name: str) -> None:
        """The child of this name is gone."""
        if self._key is not None and self._key[0] == name:
            self._key = None


class ConnectBudget:
    """Ask, then call ``due`` steadily and after every change; it returns the requests that are granted now."""

    def __init__(self, policy: BudgetPolicy, gate: Gate, turn: RotationTurn | None = None) -> None:
        self.policy = policy
        self.alone = 0
        """Attempts that workers made without asking, because the parent did not answer."""
        self._gate = gate
        self._granted_ns: deque[int] = deque()
        self._waiting: dict[Key, ConnectRequest] = {}
        self._turn = turn or RotationTurn()
        self._turn.budgets.append(self)

    def ask(self, request: ConnectRequest) -> None:
        """Queue a request."""
        self._waiting[request.key] = request

    def release(self, key: Key) -> None:
        """The grant was used up, or the request is withdrawn."""
        self._waiting.pop(key, None)
        self._gate.unused(Service.CONNECT, key)
        self._turn.give_back(key)

    def release_child(self, name: str) -> None:
        """A child died: its requests and its grants end."""
        for key in [key for key in self._waiting if key[0] == name]:
            del self._waiting[key]
        self._turn.release_child(name)

    def due(self, now_ns: int) -> list[ConnectRequest]:
        """The requests granted now, most urgent first."""
        granted = []
        while (request := self._first(now_ns)) is not None and self._allowed(now_ns):
            del self._waiting[request.key]
            self._granted_ns.append(now_ns)
            self._gate.permitted(Service.CONNECT, request.key, now_ns)
            if request.purpose == ROTATE:
                self._turn.take(request.key, now_ns + self.policy.rotation_limit_ns)
            granted.append(request)
        return granted

    def went_alone(self, at_ns: int) -> None:
        """Count an attempt that was made without asking."""
        self.alone += 1
        self._granted_ns = deque(sorted([*self._granted_ns, at_ns]))

    def full_ns(self, now_ns: int) -> int:
        """How long nobody may connect because the window is full; 0 if it is not."""
        self._forget(now_ns)
        full = len(self._granted_ns) >= self.policy.limit
        return self._granted_ns[0] + self.policy.window_ns - now_ns if full else 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def rotation_asked_ns(self, now_ns: int) -> int | None:
        """Since when the longest waiting of the rotations waits; None if none does, or none may connect now."""
        asked_ns = [request.asked_ns for request in self._waiting.values() if request.purpose == ROTATE]
        return min(asked_ns) if asked_ns and self._allowed(now_ns) else None

    def waiting_children(self) -> set[str]:
        """The children whose requests wait."""
        return {name for name, _ in self._waiting}

    def granted_in_window(self, now_ns: int) -> int:
        """How many grants the current window holds."""
        self._forget(now_ns)
        return len(self._granted_ns)

    def _first(self, now_ns: int) -> ConnectRequest | None:
        may_rotate = self._turn.open_to(self, now_ns)
        candidates = [request for request in self._waiting.values() if may_rotate or request.purpose != ROTATE]
        return min(candidates, key=lambda request: request.urgency, default=None)

    def _allowed(self, now_ns: int) -> bool:
        self._forget(now_ns)
        if not self._gate.open(Service.CONNECT, now_ns) or len(self._granted_ns) >= self.policy.limit:
            return False
        return not self._granted_ns or now_ns >= self._granted_ns[-1] + self.policy.spacing_ns

    def _forget(self, now_ns: int) -> None:
        while self._granted_ns and self._granted_ns[0] <= now_ns - self.policy.window_ns:
            self._granted_ns.popleft()
