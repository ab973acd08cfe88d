"""Owns the rule of one route's connection, as data: in which state, upon which input, what is done, and which state follows.

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
    for_silence,
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
    hurry,
    keep_primary,
    open_primary,
    open_standby,
    plan_next,
    promote_proven,
    promote_unproven,
    rely_on_standby,
    remember_notice,
    renew_deadline,
    shorten_overlap,
    tell_loss,
    withdraw,
)

Guard = Callable[[Memory, Any, int], bool]
Step = Callable[[Memory, Any, int], list[Action]]


class State(enum.Enum):
    """Where a route's connection stands."""

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


class TransitionRow(msgspec.Struct, frozen=True):
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
    TransitionRow(IDLE, Start, (), CONNECTING, (begin_starving, open_primary)),
    TransitionRow(IDLE, Stop, (), STOPPED, ()),
    # A line is being opened; none carries the feed.
    TransitionRow(CONNECTING, Advanced, (of_primary,), CONNECTING, (renew_deadline,)),
    TransitionRow(CONNECTING, Opened, (of_primary, primary_noticed), LIVE, (go_live, plan_next, ask_urgently)),
    TransitionRow(CONNECTING, Opened, (of_primary,), LIVE, (go_live, plan_next)),
    TransitionRow(CONNECTING, Failed, (of_primary,), BACKING_OFF, (back_off,)),
    TransitionRow(CONNECTING, Closed, (of_primary,), BACKING_OFF, (tell_loss, back_off)),
    TransitionRow(CONNECTING, Notice, (of_primary,), CONNECTING, (remember_notice,)),
    TransitionRow(CONNECTING, Tick, (expired,), BACKING_OFF, (abandon_primary, back_off)),
    TransitionRow(CONNECTING, Stop, (), STOPPED, (close_all,)),
    # Waiting for the next attempt.
    TransitionRow(BACKING_OFF, Tick, (expired,), CONNECTING, (open_primary,)),
    TransitionRow(BACKING_OFF, Stop, (), STOPPED, ()),
    # One line carries the feed.
    TransitionRow(LIVE, Tick, (expired, primary_noticed), LIVE, (ask_urgently,)),
    TransitionRow(LIVE, Tick, (expired,), LIVE, (ask_scheduled,)),
    TransitionRow(LIVE, Notice, (of_primary, first_notice), LIVE, (remember_notice, ask_urgently)),
    TransitionRow(LIVE, Wanted, (), LIVE, (ask_as_wanted,)),
    TransitionRow(LIVE, Rotate, (), WARMING, (begin_rotation, open_standby)),
    TransitionRow(
        LIVE,
        Closed,
        (of_primary, stable),
        BACKING_OFF,
        (withdraw, tell_loss, begin_starving, forget_attempts, back_off),
    ),
    TransitionRow(
        LIVE,
        Closed,
        (of_primary, for_silence),
        BACKING_OFF,
        (withdraw, tell_loss, begin_starving, forget_attempts, back_off),
    ),
    TransitionRow(LIVE, Closed, (of_primary,), BACKING_OFF, (withdraw, tell_loss, begin_starving, back_off)),
    TransitionRow(LIVE, Stop, (), STOPPED, (withdraw, close_all)),
    # A standby is being opened beside it.
    TransitionRow(WARMING, Advanced, (of_standby,), WARMING, (renew_deadline,)),
    TransitionRow(WARMING, Opened, (of_standby, standby_noticed), OVERLAP, (begin_overlap, shorten_overlap)),
    TransitionRow(WARMING, Opened, (of_standby,), OVERLAP, (begin_overlap,)),
    TransitionRow(WARMING, Failed, (of_standby, primary_noticed), LIVE, (keep_primary, end_rotation, hurry)),
    TransitionRow(WARMING, Failed, (of_standby,), LIVE, (keep_primary, end_rotation)),
    TransitionRow(WARMING, Closed, (of_standby, primary_noticed), LIVE, (tell_loss, keep_primary, end_rotation, hurry)),
    TransitionRow(WARMING, Closed, (of_standby,), LIVE, (tell_loss, keep_primary, end_rotation)),
    TransitionRow(
        WARMING, Closed, (of_primary,), CONNECTING, (tell_loss, begin_starving, rely_on_standby, end_rotation)
    ),
    TransitionRow(WARMING, Notice, (of_either,), WARMING, (remember_notice,)),
    TransitionRow(
        WARMING, Tick, (expired, primary_noticed), LIVE, (abandon_standby, keep_primary, end_rotation, hurry)
    ),
    TransitionRow(WARMING, Tick, (expired,), LIVE, (abandon_standby, keep_primary, end_rotation)),
    TransitionRow(WARMING, Stop, (), STOPPED, (close_all, end_rotation)),
    # Both lines deliver, and the standby is watched.
    TransitionRow(
        OVERLAP,
        Tick,
        (proven, standby_noticed),
        LIVE,
        (promote_proven, close_replaced, end_rotation, plan_next, ask_urgently),
    ),
    TransitionRow(OVERLAP, Tick, (proven,), LIVE, (promote_proven, close_replaced, end_rotation, plan_next)),
    TransitionRow(OVERLAP, Tick, (expired, primary_noticed), LIVE, (close_standby, keep_primary, end_rotation, hurry)),
    TransitionRow(OVERLAP, Tick, (expired,), LIVE, (close_standby, keep_primary, end_rotation)),
    TransitionRow(OVERLAP, Closed, (of_standby, primary_noticed), LIVE, (tell_loss, keep_primary, end_rotation, hurry)),
    TransitionRow(OVERLAP, Closed, (of_standby,), LIVE, (tell_loss, keep_primary, end_rotation)),
    TransitionRow(
        OVERLAP,
        Closed,
        (of_primary, standby_noticed),
        LIVE,
        (tell_loss, promote_unproven, end_rotation, plan_next, ask_urgently),
    ),
    TransitionRow(OVERLAP, Closed, (of_primary,), LIVE, (tell_loss, promote_unproven, end_rotation, plan_next)),
    TransitionRow(OVERLAP, Notice, (of_standby,), OVERLAP, (remember_notice, shorten_overlap)),
    TransitionRow(OVERLAP, Notice, (of_primary,), OVERLAP, (remember_notice,)),
    TransitionRow(OVERLAP, Stop, (), STOPPED, (close_all, end_rotation)),
)

HEAD = ("state", "input", "if", "then", "does")


def printed(rows: Sequence[TransitionRow]) -> str:
    """The rows as a table to be read."""
    cells = [HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    cells.insert(1, tuple("=" * width for width in widths))
    cells.append(cells[1])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cells(row: TransitionRow) -> tuple[str, ...]:
    guards = " and ".join(guard.__name__ for guard in row.guards)
    steps = ", ".join(step.__name__ for step in row.steps)
    return row.state.value, row.given.__name__, guards or "-", row.then.value, steps or "-"
