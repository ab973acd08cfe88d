"""Owns what a subscriber is given, a batch or a loss at a time, and the counts of it. Pure."""

from __future__ import annotations

import msgspec

from k2workers.continuity import Continuity
from k2workers.events import Event
from k2workers.transport.standing import PositionFields


class Lost(msgspec.Struct, frozen=True, gc=False):
    """Batches of this topic that were published and can no longer be fetched: sequences first to last, inclusive.

    They are no longer in the ring, or of a schema that this version does not know.

    ``first_id`` to ``last_id`` are the venue ids that will not come because of it, where they follow from the neighbours. (Should
    one come all the same, it comes as ``Backfilled``.) Events of
    an announced gap that may have been among them are not: that gap stays open. A hole that is known by ids only (between two
    lives of the aggregator) has the sequences 0 to -1; if the ids began anew in it, its ids are not known either.
    """

    topic: str
    first_sequence: int
    last_sequence: int
    first_id: int | None = None
    last_id: int | None = None

    @property
    def count(self) -> int:
        """How many batches; 0 if only ids are known."""
        return self.last_sequence - self.first_sequence + 1


class MessageBatch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive events of one topic, as they were published. ``publish_ns`` wall-clock ns."""

    topic: str
    sequence: int
    publish_ns: int
    events: list[Event]
    continuity: Continuity
    """How the ids of the topic continue, and so what its guarantee is."""


Delivery = tuple[MessageBatch | Lost, PositionFields]
"""Something to give to the program, and where its topic stood before it."""


class ReassemblyCounters(msgspec.Struct, gc=False):
    """Totals since the subscriber was made."""

    batches: int = 0
    events: int = 0
    lost_batches: int = 0
    repaired_batches: int = 0
    duplicates_dropped: int = 0
    refused_batches: int = 0
    """Of an epoch that was left: two publishers speak at once. Not delivered."""
    books: int = 0
    """Whole books that were asked for and given."""
