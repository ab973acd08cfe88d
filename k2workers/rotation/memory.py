"""Owns what the machine remembers beside its state, and all that is known of the one rotation under way. Holds no rule."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from k2workers.rotation.inputs import Grant
from k2workers.rotation.policy import RotationPolicy
from k2workers.rotation.proof import OverlapProof


class Rotation(msgspec.Struct, kw_only=True):
    """One rotation, from its permission until it is over. Times are the machine's (monotonic)."""

    reason: str
    grant: Grant | None
    """The permission, until it is given back or handed on to the line being closed."""
    replaced: int
    """The line that is to be replaced."""
    begun_ns: int
    opened_ns: int = 0
    """When every subscription of the standby was acknowledged."""
    proof: OverlapProof
    duplicates_before: int
    missing_before: int


class Memory(msgspec.Struct, kw_only=True):
    """What the rows read and write. Only ``table.TABLE`` says which row may do so in which state."""

    policy: RotationPolicy
    next_due_ns: Callable[[int], int]
    """The schedule."""
    jitter: Callable[[], float]
    """A number in [0, 1) for the backoff."""
    primary: int | None = None
    """The line that carries the feed, or is to carry it."""
    standby: int | None = None
    """The line that warms up beside it."""
    lines: int = 0
    """How many lines were opened so far; the newest has this number."""
    deadline_ns: int | None = None
    """When the state has lasted too long, or its time has come."""
    due_ns: int = 0
    """When the next rotation is planned."""
    attempt: int = 0
    """Attempts in a row that led to no lasting line."""
    hurried: int = 0
    """Standbys in a row that failed while the venue's end of the primary was announced."""
    carried_since_ns: int = 0
    """Since when the primary carries the feed."""
    starved_since_ns: int | None = None
    """Since when no line carries the feed; None while one does."""
    noticed: set[int] = msgspec.field(default_factory=set)
    """Lines of ours whose end the venue has announced."""
    rotation: Rotation | None = None
    """The rotation under way."""
