"""The totals of a run."""

from __future__ import annotations

from k2workers.sequencing.tally import Tally


def test_totals_are_by_name_and_without_the_topics() -> None:
    assert Tally(events=3, gaps=1, topics={"t": (7, 3)}).totals() == {
        "events": 3, "gaps": 1, "gaps_given_up": 0, "unproven_gaps_given_up": 0, "repaired_ids": 0, "void_ids": 0, "resets": 0, "old_events": 0,
    }  # fmt: skip
