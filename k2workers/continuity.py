"""Owns how the ids of a topic continue, and what that lets anyone prove: its guarantee. Pure; knows no venue and no event type.

Continuity is a fact about a *topic*, not about a type of event: the same ``Trade`` is a chain that can be repaired on one market
and cannot be proven complete on another. A venue's table of streams states it; it travels as a number in every batch, so
that whoever holds a batch knows what its ids mean.

The number is made of bits, the lowest first: identity (3 bits), link (2), scope (1), proof (2), repair (3), resets (1). Above them
stands the topic's numbering (4 bits): how often its ids have begun anew, modulo 16. An id says nothing without its numbering.
"""

from __future__ import annotations

import enum
import functools

import msgspec

NUMBERINGS = 16
"""After so many numberings of a topic's ids the count begins again; of two, the one that is at most half of it ahead is the later."""

_NUMBERING_SHIFT = 12


class Identity(enum.IntEnum):
    """What tells one event of the topic from another."""

    NONE = 0
    """Nothing: events may repeat."""
    NUMBER = 1
    """One number."""
    RANGE = 2
    """A first and a last number: an event stands for all between them."""
    TIME = 3
    """A time: when a bar opened, or when the venue made the event."""
    TEXT = 4
    """A text that has no order."""


class Link(enum.IntEnum):
    """How an event follows the one before it."""

    NONE = 0
    """Ids rise, if they have an order; a jump says nothing."""
    PLUS_ONE = 1
    """Its first id is the last id before it plus one."""
    PREDECESSOR = 2
    """It names the last id before it; how many ids lie between two that do not fit cannot be known."""
    NEXT_BAR = 3
    """A bar opens where the one before it closed."""


class Scope(enum.IntEnum):
    """Where the link holds."""

    TOPIC = 0
    CONNECTION = 1
    """Over all topics of one connection together."""


class Proof(enum.IntEnum):
    """What shows that nothing is missing."""

    NONE = 0
    SEQUENCE = 1
    """The ids and their link."""
    CHECKSUM = 2
    """A checksum of the book after each change."""


class Repair(enum.IntEnum):
    """How missing events can be fetched again."""

    NONE = 0
    NEXT = 1
    """Not needed: each event holds the whole state."""
    IDS = 2
    """Asked for by id."""
    TIME = 3
    """Asked for by time."""
    NEWEST = 4
    """Only the newest few can be asked for."""
    BOOK = 5
    """A whole book is fetched in its place."""
    RESUBSCRIBE = 6
    """A new subscription begins with a whole book."""
    RECONNECT = 7
    """A new connection begins anew."""


class Guarantee(enum.Enum):
    """What a subscriber of the topic can rely on."""

    REPAIRABLE = "chained and repairable"
    """What is missing is known by id, asked for, and comes; or a ``Gap`` names it until then."""
    CHAINED = "chained"
    """What is missing is noticed; a ``Gap`` says so and a new whole state follows."""
    LATEST = "latest"
    """The latest value wins; it never goes back. What was missed in between does not count."""
    FINAL = "final"
    """The latest state of a bar wins, and no bar's final state is skipped."""
    UNPROVEN = "unproven"
    """What is missing cannot be noticed."""


class Continuity(msgspec.Struct, frozen=True, kw_only=True):
    """How the ids of one topic continue. ``resets``: the venue may begin anew with lower ids."""

    identity: Identity
    link: Link = Link.NONE
    scope: Scope = Scope.TOPIC
    proof: Proof = Proof.NONE
    repair: Repair = Repair.NONE
    resets: bool = False

    @property
    def chained(self) -> bool:
        """Whether an event must begin right after the last id of its topic, or else something is missing."""
        return self.link in (Link.PLUS_ONE, Link.PREDECESSOR) and self.scope is Scope.TOPIC

    @property
    def by_id(self) -> bool:
        """Whether what is missing is asked for by its ids: all of it, or as far as it is among the newest."""
        return self.repair in (Repair.IDS, Repair.NEWEST)

    @property
    def guarantee(self) -> Guarantee:
        """What follows for a subscriber."""
        if self.proof is Proof.NONE:
            return Guarantee.LATEST if self.repair is Repair.NEXT else Guarantee.UNPROVEN
        if self.link is Link.NEXT_BAR:
            return Guarantee.FINAL
        return Guarantee.REPAIRABLE if self.repair in (Repair.IDS, Repair.TIME) else Guarantee.CHAINED

    @property
    def number(self) -> int:
        """As it travels in a batch of the first numbering."""
        return self.identity | self.link << 3 | self.scope << 5 | self.proof << 6 | self.repair << 8 | self.resets << 11

    @staticmethod
    @functools.cache
    def of(number: int) -> Continuity:
        """The continuity that travels as this number, in whatever numbering. Raises ValueError for one that this version does not know."""
        found = Continuity(
            identity=Identity(number & 7),
            link=Link(number >> 3 & 3),
            scope=Scope(number >> 5 & 1),
            proof=Proof(number >> 6 & 3),
            repair=Repair(number >> 8 & 7),
            resets=bool(number >> 11 & 1),
        )
        if not 0 <= number < NUMBERINGS << _NUMBERING_SHIFT or found.number != number % (1 << _NUMBERING_SHIFT):
            raise ValueError(f"{number} is no continuity")
        return found


def renumbered(number: int, by: int = 1) -> int:
    """The same continuity, so many numberings later."""
    numbering = ((number >> _NUMBERING_SHIFT) + by) % NUMBERINGS
    return numbering << _NUMBERING_SHIFT | number % (1 << _NUMBERING_SHIFT)


def numberings_ahead(number: int, of: int) -> int:
    """How many numberings a batch with this number is ahead of one with the other; below 0 if it is behind."""
    ahead = ((number >> _NUMBERING_SHIFT) - (of >> _NUMBERING_SHIFT)) % NUMBERINGS
    return ahead if ahead <= NUMBERINGS // 2 else ahead - NUMBERINGS


RECORDS = Continuity(identity=Identity.NONE)
"""Of topics that tell of the feed itself: ``status.…`` and ``heartbeat``."""

MADE = Continuity(identity=Identity.NONE, repair=Repair.NEXT)
"""Of topics that the feed makes of others: each event holds the whole state, and may hold the one before it again."""
