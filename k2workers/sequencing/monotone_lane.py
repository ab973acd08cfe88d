"""Owns the lane of a topic where the latest value wins. Pure."""

from __future__ import annotations

import itertools
import operator

from k2workers.events import LAST_OF, Event
from k2workers.sequencing.lane import Lane, Verdict


class MonotoneLane(Lane):
    """A topic where the latest value wins: an event passes if its id is above every id before it."""

    __slots__ = ()

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        if self.last_id is not None and event.last_id <= self.last_id:
            self.duplicates += 1
            return Verdict.DUPLICATE
        self.last_id = event.last_id
        self.ready.append(event)
        return Verdict.ACCEPTED

    def offer_run(self, events: list[Event], now_ns: int, hold_ns: int) -> bool:
        ids = list(map(LAST_OF[type(events[0])], events))
        if (self.last_id is None or ids[0] > self.last_id) and all(
            map(operator.lt, ids, itertools.islice(ids, 1, None))
        ):
            self.ready += events
            self.last_id = ids[-1]
            return False
        return super().offer_run(events, now_ns, hold_ns)
