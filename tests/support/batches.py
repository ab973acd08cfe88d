"""Batches as a worker of Binance would make them."""

from __future__ import annotations

from collections.abc import Sequence

from k2workers import wire
from k2workers.continuity import RECORDS, Continuity
from k2workers.events import Backfilled, Event, Heartbeat, Status
from k2workers.venues.binance.streams import CHAIN, KINDS

CONTINUITY_OF: dict[type[Event], Continuity] = {
    **{kind.event_type: kind.continuity for kind in KINDS.values()},
    Status: RECORDS,
    Heartbeat: RECORDS,
}
"""How the topics of a type of events continue."""


def batch_of(topic: str, events: Sequence[Event], continuity: Continuity | None = None) -> wire.Batch:
    """A batch of these; unless it is given, the topic continues as their type does on Binance (a gap's: as trades do)."""
    if continuity is None:
        first = events[0].event if isinstance(events[0], Backfilled) else events[0]
        continuity = CONTINUITY_OF.get(type(first), CHAIN)
    return wire.batch_of(topic, events, continuity.number)
