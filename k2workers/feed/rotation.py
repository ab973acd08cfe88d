"""Owns the life of one shard's connection: connect, live, rotate make-before-break, reconnect, stop.

A pure state machine: ``handle(input, now_ns)`` changes the state and returns the actions to perform. It
holds no clock, no socket and no log. ``TRANSITIONS`` below is the whole rule: a reviewer checks a
transition by reading one row, and an input that a row does not list changes nothing.

Lines are numbered upwards as they are opened. ``primary`` is the line that carries the feed, ``standby`` the one
that warms up beside it; there are never more than these two. States have a deadline, at which the caller hands in ``Tick``; only
an attempt that waits for permission has none, because a parent that says "wait" is obeyed however long.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from k2workers.backoff import Backoff

ROTATION_CLOSE_CODE = 1000
ROTATION_CLOSE_REASON = "Periodic rotation"
SCHEDULED = "scheduled_rotation"
SERVER_SHUTDOWN = "server_shutdown"


class State(enum.Enum):
    """Where a shard's connection stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LIVE = "live"
    WARMING = "warming"
    OVERLAP = "overlap"
    BACKING_OFF = "backing_off"
    STOPPED = "stopped"


ROTATING = frozenset({State.WARMING, State.OVERLAP})
"""A rotation is under way."""


class Start(msgspec.Struct, frozen=True):
    """Begin."""


class Opened(msgspec.Struct, frozen=True):
    """The line is connected and every subscription on it is acknowledged."""

    line: int


class Advanced(msgspec.Struct, frozen=True):
    """The attempt to open the line got on: it was permitted, or the venue answered a request on it. Its time begins anew."""

    line: int


class Closed(msgspec.Struct, frozen=True):
    """The line is gone, or could not be opened, or was given up as stale. ``cause`` is a label value."""

    line: int
    cause: str


class Notice(msgspec.Struct, frozen=True):
    """The venue said on this line that it will end it soon."""

    line: int


class Rotate(msgspec.Struct, frozen=True):
    """Rotate now (the grant is here, or an operator asked)."""

    reason: str


class Proven(msgspec.Struct, frozen=True):
    """Every active stream has continued on the standby."""


class Tick(msgspec.Struct, frozen=True):
    """Time passed; act if the deadline is reached."""


class Stop(msgspec.Struct, frozen=True):
    """End for good."""


Input = Start | Advanced | Opened | Closed | Notice | Rotate | Proven | Tick | Stop


class OpenLine(msgspec.Struct, frozen=True):
    """Connect line ``line`` and subscribe everything on it; it is a standby if a primary is up.

    ``starved`` tells that no line carries the feed now, so this attempt is the more urgent one.
    """

    line: int
    starved: bool


class CloseLine(msgspec.Struct, frozen=True):
    """Close the line with this code and reason; what it still delivers before its close reply counts."""

    line: int
    code: int
    reason: str


class AbandonLine(msgspec.Struct, frozen=True):
    """Drop a line that never opened in time, or went silent: no closing handshake is worth waiting for."""

    line: int


class RequestRotation(msgspec.Struct, frozen=True):
    """Ask for permission to rotate for this reason; answer with ``Rotate`` once it is given."""

    reason: str


class Promoted(msgspec.Struct, frozen=True):
    """The standby ``line`` is the primary now; not ``complete`` if the old line ended before the proof."""

    line: int
    old_line: int
    reason: str
    complete: bool


Action = OpenLine | CloseLine | AbandonLine | RequestRotation | Promoted


class RotationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of the machine, in nanoseconds.

    ``connect_timeout_ns`` is for each step of an attempt: the handshake, and each answer to a subscription; ``overlap_limit_ns`` ends an overlap in
    which an active stream never continued on the standby; ``grant_patience_ns`` is when an unanswered request is repeated;
    ``retry_rotation_ns`` is the pause after a standby that failed; a line that lived ``stable_ns`` resets the
    backoff.
    """

    backoff: Backoff
    connect_timeout_ns: int = 20_000_000_000
    overlap_limit_ns: int = 30_000_000_000
    grant_patience_ns: int = 60_000_000_000
    retry_rotation_ns: int = 30_000_000_000
    stable_ns: int = 10_000_000_000


class RotationMachine:
    """One shard's connection as a state machine.

    ``next_due_ns(now_ns)`` is the schedule; ``jitter()`` gives a number in [0, 1) for the backoff.
    """

    def __init__(self, policy: RotationPolicy, next_due_ns: Callable[[int], int], jitter: Callable[[], float]) -> None:
        self.state = State.IDLE
        self.primary: int | None = None
        self.standby: int | None = None
        self.reason = SCHEDULED
        self.deadline_ns: int | None = None
        self.due_ns = 0
        self.attempt = 0
        self._policy = policy
        self._next_due_ns = next_due_ns
        self._jitter = jitter
        self._lines = 0
        self._live_since_ns = 0
        self._noticed: set[int] = set()

    def handle(self, given: Input, now_ns: int) -> list[Action]:
        """Take one input; return what the caller must do, in order."""
        row = self.TRANSITIONS[self.state].get(type(given))
        return row(self, given, now_ns) if row is not None else []

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self, _given: Input, now_ns: int) -> list[Action]:
        self.state = State.CONNECTING
        self.primary, self.deadline_ns = self._new_line(), None
        return [OpenLine(self.primary, starved=True)]

    def _advanced(self, given: Advanced, now_ns: int) -> list[Action]:
        # A row of states in which one line is being opened: the standby if there is one.
        if given.line == (self.primary if self.standby is None else self.standby):
            self.deadline_ns = now_ns + self._policy.connect_timeout_ns
        return []

    def _opened_primary(self, given: Opened, now_ns: int) -> list[Action]:
        if given.line != self.primary:
            return []
        self._live_since_ns = now_ns
        return self._go_live(now_ns)

    def _lost_primary(self, given: Closed, now_ns: int) -> list[Action]:
        return self._back_off(now_ns) if given.line == self.primary else []

    def _connect_timed_out(self, given: Tick, now_ns: int) -> list[Action]:
        if not self._expired(now_ns) or self.primary is None:
            return []
        abandoned = self.primary
        return [AbandonLine(abandoned), *self._back_off(now_ns)]

    def _retry(self, given: Tick, now_ns: int) -> list[Action]:
        return self._connect(given, now_ns) if self._expired(now_ns) else []

    def _due(self, _given: Tick, now_ns: int) -> list[Action]:
        if not self._expired(now_ns):
            return []
        self.deadline_ns = now_ns + self._policy.grant_patience_ns
        return [RequestRotation(SERVER_SHUTDOWN if self.primary in self._noticed else SCHEDULED)]

    def _noticed_live(self, given: Notice, now_ns: int) -> list[Action]:
        if given.line != self.primary or given.line in self._noticed:
            return []
        self._noticed.add(given.line)
        self.deadline_ns = now_ns + self._policy.grant_patience_ns
        return [RequestRotation(SERVER_SHUTDOWN)]

    def _noticed_while_two(self, given: Notice, _now_ns: int) -> list[Action]:
        # The primary is being replaced already; a notice on the standby must outlive its promotion.
        self._noticed.add(given.line)
        return []

    def _warm(self, given: Rotate, now_ns: int) -> list[Action]:
        self.state = State.WARMING
        self.reason = given.reason
        self.standby = self._new_line()
        self.deadline_ns = now_ns + self._policy.connect_timeout_ns
        return [OpenLine(self.standby, starved=False)]

    def _opened_standby(self, given: Opened, now_ns: int) -> list[Action]:
        if given.line != self.standby:
            return []
        self.state = State.OVERLAP
        self.deadline_ns = now_ns + self._policy.overlap_limit_ns
        return []

    def _lost_one_warming(self, given: Closed, now_ns: int) -> list[Action]:
        if given.line == self.standby:
            return self._keep_primary(now_ns)
        if given.line != self.primary:
            return []
        # The standby is the only hope now: it goes on as the line being connected, with its own deadline.
        self.state, self.primary, self.standby = State.CONNECTING, self.standby, None
        return []

    def _warm_timed_out(self, _given: Tick, now_ns: int) -> list[Action]:
        if not self._expired(now_ns) or self.standby is None:
            return []
        abandoned = self.standby
        return [AbandonLine(abandoned), *self._keep_primary(now_ns)]

    def _lost_one_overlapping(self, given: Closed, now_ns: int) -> list[Action]:
        if given.line == self.standby:
            return self._keep_primary(now_ns)
        if given.line != self.primary:
            return []
        return self._promote(now_ns, complete=False, close_old=False)

    def _proven(self, _given: Proven, now_ns: int) -> list[Action]:
        return self._promote(now_ns, complete=True, close_old=True)

    def _overlap_over(self, _given: Tick, now_ns: int) -> list[Action]:
        # A stream that is active on the primary and silent on the standby for this long would be lost by
        # promoting: the primary works, so it stays, and another standby is tried later.
        if not self._expired(now_ns) or self.standby is None:
            return []
        silent = self.standby
        return [CloseLine(silent, ROTATION_CLOSE_CODE, "Not proven"), *self._keep_primary(now_ns)]

    def _stop(self, _given: Stop, _now_ns: int) -> list[Action]:
        lines = [line for line in (self.standby, self.primary) if line is not None]
        self.state, self.primary, self.standby, self.deadline_ns = State.STOPPED, None, None, None
        return [CloseLine(line, ROTATION_CLOSE_CODE, "Shutting down") for line in lines]

    # ── the steps that rows share ───────────────────────────────────────────────────────────────────────

    def _new_line(self) -> int:
        self._lines += 1
        return self._lines

    def _expired(self, now_ns: int) -> bool:
        return self.deadline_ns is not None and now_ns >= self.deadline_ns

    def _go_live(self, now_ns: int) -> list[Action]:
        self.state = State.LIVE
        self.due_ns = self._next_due_ns(now_ns)
        if self.primary in self._noticed:
            self.deadline_ns = now_ns + self._policy.grant_patience_ns
            return [RequestRotation(SERVER_SHUTDOWN)]
        self.deadline_ns = self.due_ns
        return []

    def _keep_primary(self, now_ns: int) -> list[Action]:
        self.state, self.standby = State.LIVE, None
        self.due_ns = self.deadline_ns = now_ns + self._policy.retry_rotation_ns
        return []

    def _back_off(self, now_ns: int) -> list[Action]:
        if self.state is State.LIVE and now_ns - self._live_since_ns >= self._policy.stable_ns:
            self.attempt = 0
        self.state, self.primary = State.BACKING_OFF, None
        self.deadline_ns = now_ns + self._policy.backoff.delay_ns(self.attempt, self._jitter())
        self.attempt += 1
        return []

    def _promote(self, now_ns: int, *, complete: bool, close_old: bool) -> list[Action]:
        old, new = self.primary, self.standby
        assert old is not None
        assert new is not None
        self._noticed.discard(old)
        self.primary, self.standby = new, None
        self._live_since_ns = now_ns
        actions: list[Action] = [Promoted(new, old, self.reason, complete)]
        if close_old:
            actions.append(CloseLine(old, ROTATION_CLOSE_CODE, ROTATION_CLOSE_REASON))
        return actions + self._go_live(now_ns)

    TRANSITIONS: ClassVar[Mapping[State, Mapping[type[Input], Callable[..., list[Action]]]]] = {
        State.IDLE: {Start: _connect, Stop: _stop},
        State.CONNECTING: {
            Advanced: _advanced,
            Opened: _opened_primary,
            Closed: _lost_primary,
            Tick: _connect_timed_out,
            Notice: _noticed_while_two,
            Stop: _stop,
        },
        State.BACKING_OFF: {Tick: _retry, Stop: _stop},
        State.LIVE: {
            Closed: _lost_primary,
            Notice: _noticed_live,
            Rotate: _warm,
            Tick: _due,
            Stop: _stop,
        },
        State.WARMING: {
            Advanced: _advanced,
            Opened: _opened_standby,
            Closed: _lost_one_warming,
            Notice: _noticed_while_two,
            Tick: _warm_timed_out,
            Stop: _stop,
        },
        State.OVERLAP: {
            Proven: _proven,
            Closed: _lost_one_overlapping,
            Notice: _noticed_while_two,
            Tick: _overlap_over,
            Stop: _stop,
        },
        State.STOPPED: {},
    }
