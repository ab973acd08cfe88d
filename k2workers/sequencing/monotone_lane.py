"""Owns the lane of a topic where the latest value wins. Pure."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence

from k2workers.events import LAST_OF, BestPrices, Event, learned_ns
from k2workers.sequencing.doubts import TIMES, passed_ns
from k2workers.sequencing.lane import Lane, Verdict
from k2workers.sequencing.shared_ids import reach_ahead


class MonotoneLane(Lane):
    """A topic where the latest value wins: an event passes if its id is above every id before it."""

    __slots__ = ()

    @property
    def newest_top(self) -> tuple[str, str] | None:
        newest = self.newest
        return (newest.bid_price, newest.ask_price) if isinstance(newest, BestPrices) else None

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        last_id = event.last_id
        if self.last_id is not None and last_id <= self.last_id:
            return self._judge_behind((event,), (event.first_id, last_id), self.last_id - last_id, now_ns, hold_ns)
        if self._far_ahead(event):
            return self._judge_ahead(event, (event.first_id, last_id), now_ns, hold_ns)
        self._accept(event)
        return Verdict.ACCEPTED

    def offer_run(self, events: list[Event], now_ns: int, hold_ns: int) -> bool:
        ids = list(map(LAST_OF[type(events[0])], events))
        last_id = self.last_id
        if (
            last_id is not None
            and last_id < ids[0]
            and ids[-1] - last_id <= self.REACH.ahead
            and all(map(operator.lt, ids, itertools.islice(ids, 1, None)))
        ):
            self.ready += events
            self.last_id = ids[-1]
            self.newest = events[-1]
            return False
        if last_id is not None and ids[-1] <= last_id and all(map(operator.lt, ids, itertools.islice(ids, 1, None))):
            distance = last_id - ids[-1]
            return self._judge_behind(events, (ids[0], ids[-1]), distance, now_ns, hold_ns) is Verdict.HELD
        return super().offer_run(events, now_ns, hold_ns)

    def _accept(self, event: Event) -> None:
        self.ready.append(event)
        self.last_id = event.last_id
        self.newest = event

    def _go_far(self, events: Sequence[Event], now_ns: int, hold_ns: int) -> None:
        for event in events:
            self._accept(event)

    def _far_ahead(self, event: Event) -> bool:
        return self.last_id is not None and event.last_id - self.last_id > reach_ahead(event, self.newest)


class TimeLane(MonotoneLane):
    """The same where ids are times: our clock, too, tells which of them are far ahead."""

    __slots__ = ()

    REACH = TIMES

    def _far_ahead(self, event: Event) -> bool:
        expected_ns = self.last_id or 0
        if self.newest is not None:
            expected_ns += passed_ns(event, self.newest)
        return event.last_id - max(expected_ns, learned_ns(event)) > self.REACH.ahead
