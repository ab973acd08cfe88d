"""Owns how ids of one topic follow each other, for each kind of continuity. Knows nothing of lines or I/O."""

from __future__ import annotations

import enum

from k2workers.events import Event, Kline


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


def bar_passes(newest: Kline | None, awaiting_final_ns: int | None, bar: Event) -> bool:
    """For klines: newer state passes; the final state of the bar before passes even if it comes late.

    ``awaiting_final_ns`` is the open time of a bar left behind before its final state was seen.
    """
    assert isinstance(bar, Kline)
    if newest is None:
        return True
    if bar.open_time_ns == newest.open_time_ns:
        return not newest.final and (bar.final or bar.venue_time_ns > newest.venue_time_ns)
    if bar.open_time_ns > newest.open_time_ns:
        return True
    return bar.final and bar.open_time_ns == awaiting_final_ns
