"""Owns which lane a topic gets: the one that can do what its continuity asks for. Pure.

Trades and aggregates get a ``ChainLane``, depth a ``BookLane``, klines a ``BarLane``, everything else a ``MonotoneLane`` or ``TimeLane``.
"""

from __future__ import annotations

from k2workers.continuity import Continuity, Identity, Link, Repair
from k2workers.errors import StateError
from k2workers.sequencing.bar_lane import BarLane
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.chain_lane import ChainLane
from k2workers.sequencing.lane import Lane
from k2workers.sequencing.monotone_lane import MonotoneLane, TimeLane


def lane_of(topic: str, continuity: Continuity) -> Lane:
    """A new lane. Raises StateError for a continuity that no lane can serve yet: better no topic than a promise that is not kept."""
    if continuity.chained and continuity.by_id:
        return ChainLane(topic)
    if continuity.chained and continuity.repair is Repair.BOOK:
        return BookLane(topic)
    if continuity.link is Link.NEXT_BAR and continuity.repair is Repair.TIME:
        return BarLane(topic)
    if continuity.link is Link.NONE and continuity.identity is Identity.TIME:
        return TimeLane(topic)
    if continuity.link is Link.NONE and continuity.identity in (Identity.NUMBER, Identity.RANGE):
        return MonotoneLane(topic)
    raise StateError(f"topic {topic}: no lane serves {continuity}")
