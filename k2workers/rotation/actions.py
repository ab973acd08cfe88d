"""Owns the actions that the rotation machine returns. The driver performs each in the order given, and decides nothing."""

from __future__ import annotations

import msgspec

from k2workers.rotation.inputs import Grant
from k2workers.rotation.memory import Rotation
from k2workers.rotation.proof import OverlapProof


class OpenLine(msgspec.Struct, frozen=True):
    """Connect line ``line`` and subscribe everything on it. ``attempt`` counts the attempts in a row before this one.

    ``starved_since_ns`` tells since when no line carries the feed: ask for permission first. None: this is a standby,
    for which permission was given.
    """

    line: int
    attempt: int
    starved_since_ns: int | None


class CloseLine(msgspec.Struct, frozen=True):
    """Close the line with this code and reason; what it still delivers before its close reply counts.

    ``grant`` is given back once it is closed.
    """

    line: int
    code: int
    reason: str
    grant: Grant | None = None


class AbandonLine(msgspec.Struct, frozen=True):
    """Drop a line that never opened in time: no closing handshake is worth waiting for."""

    line: int


class RequestRotation(msgspec.Struct, frozen=True):
    """Ask the parent for permission to rotate for this reason; answer with ``Rotate`` once it is given."""

    reason: str


class WithdrawRequest(msgspec.Struct, frozen=True):
    """Withdraw the request: the line that was to be replaced no longer carries the feed."""


class NowLive(msgspec.Struct, frozen=True):
    """The line carries the feed, after there was none: what happened meanwhile is unknown."""

    line: int


class LineLost(msgspec.Struct, frozen=True):
    """A line of ours ended by itself. ``primary``: whether it was the one to carry the feed."""

    line: int
    cause: str
    primary: bool


class RotationBegun(msgspec.Struct, frozen=True):
    """A rotation begins: show ``proof`` what both lines deliver until it is over."""

    line: int
    reason: str
    lifetime_ns: int
    proof: OverlapProof


class Promoted(msgspec.Struct, frozen=True):
    """The standby ``line`` carries the feed now, after ``lifetime_ns`` of the old line.

    Not ``complete`` if the old line ended before every active stream had continued on the new one.
    """

    line: int
    complete: bool
    lifetime_ns: int
    rotation: Rotation


class RotationGivenUp(msgspec.Struct, frozen=True):
    """The rotation failed, and line ``kept`` goes on."""

    reason: str
    kept: int


class RotationOver(msgspec.Struct, frozen=True):
    """The rotation is over, however it ended: give its permission back unless the line being closed has it."""

    grant: Grant | None


Action = (
    OpenLine
    | CloseLine
    | AbandonLine
    | RequestRotation
    | WithdrawRequest
    | NowLive
    | LineLost
    | RotationBegun
    | Promoted
    | RotationGivenUp
    | RotationOver
)
