"""Owns how far ahead of its topic an event may be that is in no doubt, where many symbols share their ids. Pure.

There a quiet symbol goes on as far ahead as all of them have come meanwhile: USD-M futures made 80,000 update ids a second in 2024, and so
``FAR_IDS`` in twenty minutes.
"""

from __future__ import annotations

from k2workers.events import Event
from k2workers.sequencing.doubts import FAR_IDS, passed_ns

NS_OF_AN_ID = 1_000
"""No market makes an id in less time than this."""


def reach_ahead(event: Event, newest: Event | None) -> int:
    """How far the event may be ahead of a topic whose newest event this is."""
    return FAR_IDS if newest is None else FAR_IDS + passed_ns(event, newest) // NS_OF_AN_ID
