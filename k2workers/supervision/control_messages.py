"""Owns what crosses between the parent and its children: typed messages, and nothing else ever."""

from __future__ import annotations

from typing import Any

import msgspec

from k2workers.network.venue_answers import Answer


class ControlMessage(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower):
    """Anything that crosses between parent and child."""


class ChildHello(ControlMessage, frozen=True):
    """A child's first message: it exists."""

    name: str
    pid: int


class Ready(ControlMessage, frozen=True):
    """The child serves."""

    name: str


BEAT_FRESH_S = 3.0
"""A process whose last word is older counts as down, also if it could not be heard meanwhile: what it said then is no word of now."""


class Beat(ControlMessage, frozen=True):
    """The child's loop turned at this time (monotonic). ``counters`` only rise; ``status`` is a Struct of the child's kind, plain data on this channel."""

    name: str
    pid: int
    counters: dict[str, int]
    status: Any
    at_ns: int


class Record(ControlMessage, frozen=True):
    """Something that happened, for the report."""

    name: str
    kind: str
    data: dict[str, Any]


class GrantAsked(ControlMessage, frozen=True):
    """A child asks for a grant to connect (``purpose`` connect) or to rotate (rotate).

    ``starved_since_ns`` is the monotonic time since which the shard has had no data; 0 if it has.
    """

    id: int
    shard: int
    purpose: str
    starved_since_ns: int


class GrantGiven(ControlMessage, frozen=True):
    """The parent grants request ``id``, at this time (monotonic)."""

    id: int
    at_ns: int


class GrantDone(ControlMessage, frozen=True):
    """Request ``id`` is finished or withdrawn."""

    id: int


class WeightAsked(ControlMessage, frozen=True):
    """A child asks for a grant to spend REST weight; a smaller ``urgency`` goes first."""

    id: int
    weight: int
    urgency: int


class WeightGiven(ControlMessage, frozen=True):
    """The parent grants request ``id``."""

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
    """A child connected without a grant, because the parent did not answer; ``at_ns`` is when (monotonic)."""

    at_ns: int


class Waiting(ControlMessage, frozen=True):
    """The parent lives, and the child's requests wait; nobody may connect for ``paused_s`` more seconds."""

    paused_s: float


class Drain(ControlMessage, frozen=True):
    """Finish what was received, then exit 0."""


class Serve(ControlMessage, frozen=True):
    """All symbols that the child is to serve, in order; those it serves already go on. Sent again until its beat reports as many."""

    symbols: tuple[str, ...]


class MarketSeen(ControlMessage, frozen=True):
    """A look at the whole market, asked for at this time (monotonic): what it showed of each symbol of the child.

    That is: the id of the last trade, both best prices, and whether the symbol trades (None: nothing). ``next_ns`` is when the next one may go.
    """

    asked_ns: int
    symbols: dict[str, tuple[int | None, str | None, bool]]
    next_ns: int = 0


class BooksKept(ControlMessage, frozen=True):
    """A child keeps whole books of these topics, and none of the others under these prefixes: those are to be published anew.

    The parent passes it on to all other children.
    """

    under: tuple[str, ...]
    topics: tuple[str, ...]


AnyControlMessage = (
    ChildHello
    | Ready
    | Beat
    | Record
    | GrantAsked
    | GrantGiven
    | GrantDone
    | WeightAsked
    | WeightGiven
    | WeightDone
    | HandshakeDone
    | ConnectedAlone
    | Waiting
    | Drain
    | Serve
    | MarketSeen
    | BooksKept
)
