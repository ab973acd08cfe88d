"""Owns what the table's rows do: each step changes the memory, never the state, and returns the actions that follow from it."""

from __future__ import annotations

from typing import TypeVar

from k2workers.rotation.actions import (
    AbandonLine,
    Action,
    CloseLine,
    LineLost,
    NowLive,
    OpenLine,
    Promoted,
    RequestRotation,
    RotationBegun,
    RotationGivenUp,
    RotationOver,
    WithdrawRequest,
)
from k2workers.rotation.closing import CLOSE_CODE, NOT_PROVEN, REPLACED, STOPPING
from k2workers.rotation.inputs import Closed, Notice, Rotate, Wanted
from k2workers.rotation.memory import Memory, Rotation
from k2workers.rotation.policy import SCHEDULED, SERVER_SHUTDOWN
from k2workers.rotation.proof import OverlapProof

Actions = list[Action]
Known = TypeVar("Known")

# ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────


def open_primary(memory: Memory, given: object, now_ns: int) -> Actions:
    """Open a line that is to carry the feed. It has no deadline while it waits for permission."""
    memory.lines += 1
    memory.primary, memory.deadline_ns = memory.lines, None
    return [OpenLine(memory.primary, memory.attempt, memory.starved_since_ns)]


def open_standby(memory: Memory, given: object, now_ns: int) -> Actions:
    """Open a line beside the primary."""
    memory.lines += 1
    memory.standby = memory.lines
    memory.deadline_ns = now_ns + memory.policy.connect_timeout_ns
    return [OpenLine(memory.standby, memory.attempt, None)]


def renew_deadline(memory: Memory, given: object, now_ns: int) -> Actions:
    """Give the next step of the attempt its whole time."""
    memory.deadline_ns = now_ns + memory.policy.connect_timeout_ns
    return []


def abandon_primary(memory: Memory, given: object, now_ns: int) -> Actions:
    """Drop the primary."""
    return [AbandonLine(_some(memory.primary))]


def abandon_standby(memory: Memory, given: object, now_ns: int) -> Actions:
    """Drop the standby."""
    return [AbandonLine(_some(memory.standby))]


def close_standby(memory: Memory, given: object, now_ns: int) -> Actions:
    """Close a standby on which an active stream did not continue: to promote it would lose that stream."""
    return [CloseLine(_some(memory.standby), CLOSE_CODE, NOT_PROVEN)]


def close_replaced(memory: Memory, given: object, now_ns: int) -> Actions:
    """Close the line that was replaced; the rotation's permission is given back when that is done."""
    rotation = _some(memory.rotation)
    grant, rotation.grant = rotation.grant, None
    return [CloseLine(rotation.replaced, CLOSE_CODE, REPLACED, grant)]


def close_all(memory: Memory, given: object, now_ns: int) -> Actions:
    """Close every line."""
    lines = [line for line in (memory.standby, memory.primary) if line is not None]
    memory.primary = memory.standby = memory.deadline_ns = None
    return [CloseLine(line, CLOSE_CODE, STOPPING) for line in lines]


# ── carrying the feed ───────────────────────────────────────────────────────────────────────────────────────


def begin_starving(memory: Memory, given: object, now_ns: int) -> Actions:
    """From now on no line carries the feed."""
    memory.starved_since_ns = now_ns
    return []


def go_live(memory: Memory, given: object, now_ns: int) -> Actions:
    """The primary carries the feed, after there was none."""
    memory.carried_since_ns, memory.starved_since_ns = now_ns, None
    return [NowLive(_some(memory.primary))]


def tell_loss(memory: Memory, given: Closed, now_ns: int) -> Actions:
    """Report which line ended, and why."""
    return [LineLost(given.line, given.cause, given.line == memory.primary)]


def forget_attempts(memory: Memory, given: object, now_ns: int) -> Actions:
    """The next attempt is the first in a row."""
    memory.attempt = 0
    return []


def back_off(memory: Memory, given: object, now_ns: int) -> Actions:
    """Be without a line until the next attempt."""
    memory.noticed.discard(_some(memory.primary))
    memory.primary = None
    memory.deadline_ns = now_ns + memory.policy.backoff.delay_ns(memory.attempt, memory.jitter())
    memory.attempt += 1
    return []


# ── asking for a rotation ───────────────────────────────────────────────────────────────────────────────────


def plan_next(memory: Memory, given: object, now_ns: int) -> Actions:
    """The next rotation is due as the schedule says."""
    memory.hurried = 0
    memory.due_ns = memory.deadline_ns = memory.next_due_ns(now_ns)
    return []


def ask_scheduled(memory: Memory, given: object, now_ns: int) -> Actions:
    """Ask for the rotation that is due; ask again if nobody answers."""
    memory.deadline_ns = now_ns + memory.policy.grant_patience_ns
    return [RequestRotation(SCHEDULED)]


def ask_urgently(memory: Memory, given: object, now_ns: int) -> Actions:
    """Ask for a rotation because the venue will end the primary; ask again if nobody answers."""
    memory.deadline_ns = now_ns + memory.policy.grant_patience_ns
    return [RequestRotation(SERVER_SHUTDOWN)]


def ask_as_wanted(memory: Memory, given: Wanted, now_ns: int) -> Actions:
    """Ask for a rotation for the reason that was given."""
    return [RequestRotation(given.reason)]


def remember_notice(memory: Memory, given: Notice, now_ns: int) -> Actions:
    """Keep the notice: the line is being replaced, or not open yet, and the notice holds beyond that."""
    memory.noticed.add(given.line)
    return []


def withdraw(memory: Memory, given: object, now_ns: int) -> Actions:
    """Withdraw the request."""
    return [WithdrawRequest()]


# ── one rotation ────────────────────────────────────────────────────────────────────────────────────────────


def begin_rotation(memory: Memory, given: Rotate, now_ns: int) -> Actions:
    """Keep all that is known of the rotation in one place."""
    rotation = memory.rotation = Rotation(
        reason=given.reason,
        grant=given.grant,
        replaced=_some(memory.primary),
        begun_ns=now_ns,
        proof=OverlapProof(memory.policy.min_overlap_ns),
        duplicates_before=given.duplicates,
        missing_before=given.missing,
    )
    return [RotationBegun(rotation.replaced, given.reason, now_ns - memory.carried_since_ns, rotation.proof)]


def shorten_overlap(memory: Memory, given: object, now_ns: int) -> Actions:
    """The venue will end the standby: it proves itself soon, or another one is better."""
    memory.deadline_ns = min(_some(memory.deadline_ns), now_ns + memory.policy.doomed_overlap_ns)
    return []


def begin_overlap(memory: Memory, given: object, now_ns: int) -> Actions:
    """The standby has its subscriptions: from now on streams must continue on it."""
    rotation = _some(memory.rotation)
    rotation.opened_ns = now_ns
    rotation.proof.acknowledged(now_ns)
    memory.deadline_ns = now_ns + memory.policy.overlap_limit_ns
    return []


def promote_proven(memory: Memory, given: object, now_ns: int) -> Actions:
    """The standby carries the feed, and nothing is lost by it."""
    return _promote(memory, now_ns, complete=True)


def promote_unproven(memory: Memory, given: object, now_ns: int) -> Actions:
    """The standby carries the feed, because the old line is gone."""
    return _promote(memory, now_ns, complete=False)


def rely_on_standby(memory: Memory, given: object, now_ns: int) -> Actions:
    """The standby is the only hope now: it goes on as the line being connected, with its own deadline."""
    _drop_notice_and_succeed(memory)
    return []


def keep_primary(memory: Memory, given: object, now_ns: int) -> Actions:
    """The rotation failed and the primary works, so it stays; another standby is tried later."""
    memory.noticed.discard(_some(memory.standby))
    memory.standby = None
    memory.due_ns = memory.deadline_ns = now_ns + memory.policy.retry_rotation_ns
    return [RotationGivenUp(_some(memory.rotation).reason, _some(memory.primary))]


def hurry(memory: Memory, given: object, now_ns: int) -> Actions:
    """The venue will end the primary, so another standby is tried at once, and then after a pause that grows."""
    pause_ns = memory.policy.backoff.delay_ns(memory.hurried, memory.jitter())
    memory.due_ns = memory.deadline_ns = now_ns + pause_ns
    memory.hurried += 1
    return []


def end_rotation(memory: Memory, given: object, now_ns: int) -> Actions:
    """The rotation is over."""
    rotation, memory.rotation = _some(memory.rotation), None
    return [RotationOver(rotation.grant)]


# ── what several steps share ────────────────────────────────────────────────────────────────────────────────


def _promote(memory: Memory, now_ns: int, *, complete: bool) -> Actions:
    lifetime_ns, memory.carried_since_ns = now_ns - memory.carried_since_ns, now_ns
    _drop_notice_and_succeed(memory)
    return [Promoted(_some(memory.primary), complete, lifetime_ns, _some(memory.rotation))]


def _drop_notice_and_succeed(memory: Memory) -> None:
    memory.noticed.discard(_some(memory.primary))
    memory.primary, memory.standby = memory.standby, None


def _some(known: Known | None) -> Known:
    assert known is not None, "the state says that there is one"
    return known
