"""Owns what crosses between the parent and its children: typed messages, and nothing else ever."""

from __future__ import annotations

from typing import Any

import msgspec

from k2workers.answers import Answer


class ControlMessage(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower):
    """Anything that crosses between parent and child."""


class Hello(ControlMessage, frozen=True):
    """A child's first word: it exists."""

    name: str
    pid: int


class Ready(ControlMessage, frozen=True):
    """The child serves."""

    name: str


class Beat(ControlMessage, frozen=True):
    """The child's loop turns. ``counters`` only rise; ``status`` is what an operator wants to see."""

    name: str
    pid: int
    counters: dict[str, int | float]
    status: dict[str, Any]


class Record(ControlMessage, frozen=True):
    """Something that happened, for the report."""

    name: str
    kind: str
    data: dict[str, Any]


class GrantAsk(ControlMessage, frozen=True):
    """A child wants to connect (``purpose`` connect) or to rotate (rotate).

    ``starved_since_ns`` is the monotonic time since which the shard has had no data; 0 if it has.
    """

    id: int
    shard: int
    purpose: str
    starved_since_ns: int


class GrantGiven(ControlMessage, frozen=True):
    """The parent permits request ``id``, at this time (monotonic)."""

    id: int
    at_ns: int


class GrantDone(ControlMessage, frozen=True):
    """The child has finished with, or no longer wants, request ``id``."""

    id: int


class WeightAsk(ControlMessage, frozen=True):
    """A child wants to spend REST weight; a smaller ``urgency`` goes first."""

    id: int
    weight: int
    urgency: int


class WeightGiven(ControlMessage, frozen=True):
    """The parent permits request ``id``."""

    id: int


class WeightDone(ControlMessage, frozen=True):
    """The request is over or withdrawn; ``used`` is the venue's count of our weight, ``answer`` how it answered (None: it was not asked)."""

    id: int
    used: int
    answer: Answer | None


class HandshakeDone(ControlMessage, frozen=True):
    """The venue's answer to a handshake; ``permitted_ns`` is when it was permitted (monotonic)."""

    answer: Answer
    permitted_ns: int


class ConnectedAlone(ControlMessage, frozen=True):
    """A child went ahead without permission, because the parent did not answer; ``at_ns`` is when (monotonic)."""

    at_ns: int


class Waiting(ControlMessage, frozen=True):
    """The parent lives, and the child's wishes wait; nobody may connect for ``paused_s`` more seconds."""

    paused_s: float


class Drain(ControlMessage, frozen=True):
    """Finish what was received, then exit 0."""


class Stop(ControlMessage, frozen=True):
    """Exit now."""


class Serve(ControlMessage, frozen=True):
    """All that the child is to serve, in order; what it serves already goes on. Sent again until its beat counts as many."""

    symbols: tuple[str, ...]


class Command(ControlMessage, frozen=True):
    """An operator's wish, such as ``rotate``."""

    name: str
    args: dict[str, Any]


Message = (
    Hello
    | Ready
    | Beat
    | Record
    | GrantAsk
    | GrantGiven
    | GrantDone
    | WeightAsk
    | WeightGiven
    | WeightDone
    | HandshakeDone
    | ConnectedAlone
    | Waiting
    | Drain
    | Stop
    | Serve
    | Command
)
