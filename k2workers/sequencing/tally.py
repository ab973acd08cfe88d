"""Owns what was counted of a run's publications, over all lives of its aggregator. Pure.

It is part of the checkpoint, and of the same moment as its positions: a new life counts on from there, and what was published after that
moment comes again and is counted again, so that each event counts once.
"""

from __future__ import annotations

import msgspec


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Totals. ``topics`` holds of each topic the first id of its present numbering, and how many events of it there were."""

    events: int = 0
    gaps: int = 0
    gaps_given_up: int = 0
    unproven_gaps_given_up: int = 0
    """Those of them whose ids may never have existed: their topic's guarantee is only that what is missing is noticed."""
    repaired_ids: int = 0
    void_ids: int = 0
    resets: int = 0
    old_events: int = 0
    topics: dict[str, tuple[int | None, int]] = {}

    def totals(self) -> dict[str, int]:
        """The totals by name."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "topics"}
