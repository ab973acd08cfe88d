"""Owns the state of one route's connection: connect, live, rotate make-before-break, reconnect, stop.

A pure state machine: ``handle(input, now_ns)`` takes the row of the table that fits, and returns the actions to perform. It
holds no rule, no clock, no socket and no log.

Lines are numbered upwards as they are opened. ``primary`` is the line that carries the feed, ``standby`` the one
that warms up beside it; there are never more than these two. States have a deadline, at which the caller hands in ``Tick``; only
an attempt that waits for permission has none, because a parent that says "wait" is obeyed however long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k2workers.rotation.actions import Action
from k2workers.rotation.inputs import Input
from k2workers.rotation.memory import Memory
from k2workers.rotation.policy import RotationPolicy
from k2workers.rotation.table import CARRYING, TABLE, State, TransitionRow


class RotationMachine:
    """One route's connection as a state machine.

    ``next_due_ns(now_ns)`` is the schedule; ``jitter()`` gives a number in [0, 1) for the backoff.
    """

    def __init__(
        self,
        policy: RotationPolicy,
        next_due_ns: Callable[[int], int],
        jitter: Callable[[], float],
        table: Sequence[TransitionRow] = TABLE,
    ) -> None:
        self.state = State.IDLE
        self.memory = Memory(policy=policy, next_due_ns=next_due_ns, jitter=jitter)
        self._rows: dict[tuple[State, type[Input]], list[TransitionRow]] = {}
        for row in table:
            self._rows.setdefault((row.state, row.given), []).append(row)

    def handle(self, given: Input, now_ns: int) -> list[Action]:
        """Take one input; return what the caller must do, in order."""
        for row in self._rows.get((self.state, type(given)), ()):
            if all(guard(self.memory, given, now_ns) for guard in row.guards):
                wanted = [action for step in row.steps for action in step(self.memory, given, now_ns)]
                self.state = row.then
                return wanted
        return []

    @property
    def primary(self) -> int | None:
        """The line that carries the feed, or is to carry it."""
        return self.memory.primary

    @property
    def standby(self) -> int | None:
        """The line that warms up beside it."""
        return self.memory.standby

    @property
    def carries_feed(self) -> bool:
        """Whether a primary carries the feed."""
        return self.state in CARRYING

    @property
    def carrier(self) -> int | None:
        """The line that carries the feed, if one does."""
        return self.memory.primary if self.carries_feed else None

    def lifetime_ns(self, now_ns: int) -> int:
        """How long the primary has carried the feed; 0 while there is none."""
        return now_ns - self.memory.carried_since_ns if self.carries_feed else 0

    def next_rotation_ns(self, now_ns: int) -> int:
        """Time to the next planned rotation; 0 when it is due or there is no primary."""
        return max(0, self.memory.due_ns - now_ns) if self.carries_feed else 0
