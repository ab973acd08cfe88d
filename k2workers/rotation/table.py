"""Owns the rule of one shard's connection, as data: in which state, upon which input, what is done, and which state follows.

The rows of a state and an input are tried from the top; the first whose guards all hold is taken. An input that no row takes
changes nothing. The state that follows stands in the row, and nothing else changes it. ``printed`` makes the table of the
package's docstring; ``python -m k2workers.rotation`` prints it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from k2workers.rotation.actions import Action
from k2workers.rotation.guards import (
    expired,
    first_notice,
    of_either,
    of_primary,
    of_standby,
    primary_noticed,
    proven,
    stable,
    standby_noticed,
)
from k2workers.rotation.inputs import (
    Advanced,
    Closed,
    Failed,
    Input,
    Notice,
    Opened,
    Rotate,
    Start,
    Stop,
    Tick,
    Wanted,
)
from k2workers.rotation.memory import Memory
from k2workers.rotation.steps import (
    abandon_primary,
    abandon_standby,
    ask_as_wanted,
    ask_scheduled,
    ask_urgently,
    back_off,
    begin_overlap,
    begin_rotation,
    begin_starving,
    close_all,
    close_replaced,
    close_standby,
    end_rotation,
    forget_attempts,
    go_live,
    keep_primary,
    open_primary,
    open_standby,
    plan_next,
    promote_proven,
    promote_unproven,
    rely_on_standby,
    remember_notice,
    renew_deadline,
    tell_loss,
    withdraw,
)

Guard = Callable[[Memory, Any, int], bool]
Step = Callable[[Memory, Any, int], list[Action]]


class State(enum.Enum):
    """Where a shard's connection stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    BACKING_OFF = "backing_off"
    LIVE = "live"
    WARMING = "warming"
    OVERLAP = "overlap"
    STOPPED = "stopped"


IDLE, CONNECTING, BACKING_OFF = State.IDLE, State.CONNECTING, State.BACKING_OFF
LIVE, WARMING, OVERLAP, STOPPED = State.LIVE, State.WARMING, State.OVERLAP, State.STOPPED

CARRYING = frozenset({LIVE, WARMING, OVERLAP})
"""The states in which a primary carries the feed."""


class Row(msgspec.Struct, frozen=True):
    """In ``state``, upon an input of the type ``given``, if all ``guards`` hold: do ``steps`` in order; ``then`` follows."""

    state: State
    given: type[Input]
    guards: tuple[Guard, ...]
    then: State
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """State, input and guards: what no other row has."""
        return " ".join([self.state.value, self.given.__name__, *(guard.__name__ for guard in self.guards)])


TABLE = (
    Row(IDLE, Start, (), CONNECTING, (begin_starving, open_primary)),
    Row(IDLE, Stop, (), STOPPED, ()),
    # A line is being opened; none carries the feed.
    Row(CONNECTING, Advanced, (of_primary,), CONNECTING, (renew_deadline,)),
    Row(CONNECTING, Opened, (of_primary, primary_noticed), LIVE, (go_live, plan_next, ask_urgently)),
    Row(CONNECTING, Opened, (of_primary,), LIVE, (go_live, plan_next)),
    Row(CONNECTING, Failed, (of_primary,), BACKING_OFF, (back_off,)),
    Row(CONNECTING, Closed, (of_primary,), BACKING_OFF, (tell_loss, back_off)),
    Row(CONNECTING, Notice, (of_primary,), CONNECTING, (remember_notice,)),
    Row(CONNECTING, Tick, (expired,), BACKING_OFF, (abandon_primary, back_off)),
    Row(CONNECTING, Stop, (), STOPPED, (close_all,)),
    # Waiting for the next attempt.
    Row(BACKING_OFF, Tick, (expired,), CONNECTING, (open_primary,)),
    Row(BACKING_OFF, Stop, (), STOPPED, ()),
    # One line carries the feed.
    Row(LIVE, Tick, (expired, primary_noticed), LIVE, (ask_urgently,)),
    Row(LIVE, Tick, (expired,), LIVE, (ask_scheduled,)),
    Row(LIVE, Notice, (of_primary, first_notice), LIVE, (remember_notice, ask_urgently)),
    Row(LIVE, Wanted, (), LIVE, (ask_as_wanted,)),
    Row(LIVE, Rotate, (), WARMING, (begin_rotation, open_standby)),
    Row(
        LIVE,
        Closed,
        (of_primary, stable),
        BACKING_OFF,
        (withdraw, tell_loss, begin_starving, forget_attempts, back_off),
    ),
    Row(LIVE, Closed, (of_primary,), BACKING_OFF, (withdraw, tell_loss, begin_starving, back_off)),
    Row(LIVE, Stop, (), STOPPED, (withdraw, close_all)),
    # A standby is being opened beside it.
    Row(WARMING, Advanced, (of_standby,), WARMING, (renew_deadline,)),
    Row(WARMING, Opened, (of_standby,), OVERLAP, (begin_overlap,)),
    Row(WARMING, Failed, (of_standby,), LIVE, (keep_primary, end_rotation)),
    Row(WARMING, Closed, (of_standby,), LIVE, (tell_loss, keep_primary, end_rotation)),
    Row(WARMING, Closed, (of_primary,), CONNECTING, (tell_loss, begin_starving, rely_on_standby, end_rotation)),
    Row(WARMING, Notice, (of_either,), WARMING, (remember_notice,)),
    Row(WARMING, Tick, (expired,), LIVE, (abandon_standby, keep_primary, end_rotation)),
    Row(WARMING, Stop, (), STOPPED, (close_all, end_rotation)),
    # Both lines deliver, and the standby is watched.
    Row(
        OVERLAP,
        Tick,
        (proven, standby_noticed),
        LIVE,
        (promote_proven, close_replaced, end_rotation, plan_next, ask_urgently),
    ),
    Row(OVERLAP, Tick, (proven,), LIVE, (promote_proven, close_replaced, end_rotation, plan_next)),
    Row(OVERLAP, Tick, (expired,), LIVE, (close_standby, keep_primary, end_rotation)),
    Row(OVERLAP, Closed, (of_standby,), LIVE, (tell_loss, keep_primary, end_rotation)),
    Row(
        OVERLAP,
        Closed,
        (of_primary, standby_noticed),
        LIVE,
        (tell_loss, promote_unproven, end_rotation, plan_next, ask_urgently),
    ),
    Row(OVERLAP, Closed, (of_primary,), LIVE, (tell_loss, promote_unproven, end_rotation, plan_next)),
    Row(OVERLAP, Notice, (of_either,), OVERLAP, (remember_notice,)),
    Row(OVERLAP, Stop, (), STOPPED, (close_all, end_rotation)),
)

HEAD = ("state", "input", "if", "then", "does")


def printed(rows: Sequence[Row]) -> str:
    """The rows as a table to be read."""
    cells = [HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    cells.insert(1, tuple("=" * width for width in widths))
    cells.append(cells[1])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    guards = " and ".join(guard.__name__ for guard in row.guards)
    steps = ", ".join(step.__name__ for step in row.steps)
    return row.state.value, row.given.__name__, guards or "-", row.then.value, steps or "-"
