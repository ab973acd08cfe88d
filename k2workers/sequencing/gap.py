"""Owns how the ids of a chained topic follow each other. Pure; bars have a rule of their own in ``bars.py``."""

from __future__ import annotations

import enum


class Step(enum.Enum):
    """How an event relates to the last one of its topic."""

    NEXT = "next"
    """It continues the topic."""
    OLD = "old"
    """Everything in it was already had."""
    OVERLAPS = "overlaps"
    """It begins with ids already had and ends with new ones."""
    AHEAD = "ahead"
    """Ids between the last one and it were not received."""


def chain_step(last_id: int | None, first_id: int, event_last_id: int) -> Step:
    """For topics whose ids form an unbroken chain (trade, agg_trade, depth)."""
    if last_id is None or first_id == last_id + 1:
        return Step.NEXT
    if event_last_id <= last_id:
        return Step.OLD
    return Step.OVERLAPS if first_id <= last_id else Step.AHEAD
