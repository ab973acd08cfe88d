"""Owns the per-IP allowance of connection attempts, and the turn of rotations. Pure.

The venue counts attempts in a window (300 in 5 minutes for Binance spot). The window is kept strictly: never more than
``limit`` grants in any window, and a minimum distance between two. Most-starved shards go first; one rotation is
under way at a time.
"""

from __future__ import annotations

from collections import deque

import msgspec

CONNECT = "connect"
ROTATE = "rotate"


class BudgetPolicy(msgspec.Struct, frozen=True):
    """``limit`` grants in any ``window_ns``, at least ``spacing_ns`` apart; a rotation's turn ends after ``rotation_limit_ns``."""

    limit: int = 270
    window_ns: int = 300_000_000_000
    spacing_ns: int = 100_000_000
    rotation_limit_ns: int = 90_000_000_000


class Ask(msgspec.Struct, frozen=True):
    """A wish that waits: ``key`` is the caller's own name for it."""

    key: tuple[str, int]
    shard: int
    purpose: str
    starved_since_ns: int
    asked_ns: int

    @property
    def urgency(self) -> tuple[int, int]:
        """Smaller goes first: starved shards by how long, then the rest by when they asked."""
        return (0, self.starved_since_ns) if self.starved_since_ns else (1, self.asked_ns)


class ConnectBudget:
    """Ask, then call ``due`` at ``next_deadline_ns`` and after every change; it returns what may go now."""

    def __init__(self, policy: BudgetPolicy) -> None:
        self.policy = policy
        self._granted_ns: deque[int] = deque()
        self._waiting: dict[tuple[str, int], Ask] = {}
        self._rotating: tuple[str, int] | None = None
        self._rotation_ends_ns = 0

    def ask(self, ask: Ask) -> None:
        """Queue a wish."""
        self._waiting[ask.key] = ask

    def release(self, key: tuple[str, int]) -> None:
        """The wish was used up, or is not wanted any longer."""
        self._waiting.pop(key, None)
        if self._rotating == key:
            self._rotating = None

    def release_child(self, name: str) -> None:
        """A child died: nothing it wanted or had counts any longer."""
        for key in [key for key in self._waiting if key[0] == name]:
            del self._waiting[key]
        if self._rotating is not None and self._rotating[0] == name:
            self._rotating = None

    def due(self, now_ns: int) -> list[Ask]:
        """The wishes granted now, most urgent first."""
        granted = []
        while (ask := self._first(now_ns)) is not None and self._allowed_ns(now_ns) <= now_ns:
            del self._waiting[ask.key]
            self._granted_ns.append(now_ns)
            if ask.purpose == ROTATE:
                self._rotating, self._rotation_ends_ns = ask.key, now_ns + self.policy.rotation_limit_ns
            granted.append(ask)
        return granted

    def next_deadline_ns(self, now_ns: int) -> int | None:
        """When ``due`` is worth calling again without anything new; None if nothing waits."""
        if not self._waiting:
            return None
        allowed_ns = self._allowed_ns(now_ns)
        return allowed_ns if self._first(now_ns) is not None else max(allowed_ns, self._rotation_ends_ns)

    @property
    def waiting(self) -> int:
        """How many wishes wait."""
        return len(self._waiting)

    def granted_in_window(self, now_ns: int) -> int:
        """How many grants the current window holds."""
        self._forget(now_ns)
        return len(self._granted_ns)

    def _first(self, now_ns: int) -> Ask | None:
        turn_taken = self._rotating is not None and now_ns < self._rotation_ends_ns
        candidates = [ask for ask in self._waiting.values() if not (turn_taken and ask.purpose == ROTATE)]
        return min(candidates, key=lambda ask: ask.urgency, default=None)

    def _allowed_ns(self, now_ns: int) -> int:
        self._forget(now_ns)
        if not self._granted_ns:
            return now_ns
        spaced_ns = self._granted_ns[-1] + self.policy.spacing_ns
        if len(self._granted_ns) < self.policy.limit:
            return spaced_ns
        return max(spaced_ns, self._granted_ns[0] + self.policy.window_ns)

    def _forget(self, now_ns: int) -> None:
        while self._granted_ns and self._granted_ns[0] <= now_ns - self.policy.window_ns:
            self._granted_ns.popleft()
