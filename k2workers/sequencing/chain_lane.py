"""Owns the lane of a topic whose ids form an unbroken chain. Pure.

An id that the topic has reached (``coverage.chain_step``) makes an event a copy, unless the ids begin anew (``doubts``).

An event ahead of a hole is held back for a bounded time: another line or a backfill may still bring the missing ids. Then the hole is
announced as a ``Gap`` and the topic goes on; what fills the gap later comes as ``Backfilled``.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from k2workers.events import (
    FIRST_OF,
    LAST_OF,
    AggTrade,
    AnyAggregate,
    AnyTrade,
    Backfilled,
    Event,
    Void,
    learned_ns,
    without_ids_through,
)
from k2workers.sequencing.coverage import ChainStep, chain_step, close_ids
from k2workers.sequencing.doubts import made_before, made_later
from k2workers.sequencing.holding_lane import HoldingLane
from k2workers.sequencing.lane import Verdict
from k2workers.sequencing.ranges import IdRanges, Range

MAX_HELD = 10_000
"""Events one lane may hold back; beyond that the hole is announced at once (memory is bounded)."""


class BrokenLink(NamedTuple):
    """Two aggregates of which the second does not begin with the trade after the last one of the first."""

    earlier: AggTrade
    later: AggTrade

    @property
    def ids(self) -> Range:
        return self.earlier.agg_trade_id, self.later.agg_trade_id


MAX_LINKS = 10
"""Broken links that wait to be asked about; all are counted."""


class ChainLane(HoldingLane):
    """A topic whose ids form an unbroken chain. ``links_broken`` counts aggregates that do not join the one before, though no aggregate is missing;
    ``broken_links`` are those that the caller may ask the venue about; it takes them out once it knows.
    """

    __slots__ = ("_held", "broken_links", "links_broken")

    CHAINED = True

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._held: list[Event] = []
        self.links_broken = 0
        self.broken_links: list[BrokenLink] = []

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        step = chain_step(self.last_id, event.first_id, event.last_id)
        if step is ChainStep.NEXT:
            self._accept(event)
        elif step is ChainStep.OLD:
            assert self.last_id is not None
            # A slow line may still bring what was announced as missing.
            if self._still_new(event) and not made_later(event, self.newest) and self.fill((event,), now_ns):
                return Verdict.ACCEPTED
            distance = self.last_id - event.last_id
            return self._judge_behind((event,), (event.first_id, event.last_id), distance, now_ns, hold_ns)
        elif step is ChainStep.OVERLAPS:
            assert self.last_id is not None
            self._accept(without_ids_through(self.last_id, event))
        elif self._far_ahead(event):
            return self._judge_ahead(event, (event.first_id, event.last_id), now_ns, hold_ns)
        elif self._joins(event):
            self._accept_behind_void(event)
        else:
            return self._hold(event, now_ns, hold_ns)
        if self._held:
            self._release(now_ns, hold_ns)
        return Verdict.ACCEPTED

    def offer_run(self, events: list[Event], now_ns: int, hold_ns: int) -> bool:
        if self.last_id is not None and not self._held:
            # Nearly always the run simply continues the chain: comparisons in C instead of a judgement for each.
            event_type = type(events[0])
            newest = events[-1]
            first_of = FIRST_OF[event_type]
            last_of = LAST_OF[event_type]
            next_id = self.last_id + 1
            last_id = last_of(newest)
            if len(events) == 1:
                continues = first_of(newest) == next_id
            elif first_of is last_of:
                continues = list(map(first_of, events)) == list(range(next_id, next_id + len(events)))
            else:
                inner_ids = map(last_of, events[:-1])
                continues = list(map(first_of, events)) == [next_id, *[inner_id + 1 for inner_id in inner_ids]]
            if continues:
                if event_type is AggTrade:
                    self._note_links(events)
                self.newest = newest
                self._accept_run(events, last_id)
                return False
        if self._only_copies(events):
            self.duplicates += len(events)
            return False
        return super().offer_run(events, now_ns, hold_ns)

    def _only_copies(self, events: list[Event]) -> bool:
        """Whether a line's run surely brings nothing: what came before its last event is as old as that, and none fills anything."""
        newest, last_id = self.newest, self.last_id
        return (
            newest is not None
            and last_id is not None
            and max(map(LAST_OF[type(events[0])], events)) <= last_id
            and made_before(events[-1], newest)
            and not ((self.open or self.closed) and any(map(self._still_new, events)))
        )

    @property
    def only_next(self) -> bool:
        return not self._held and super().only_next

    @property
    def newest_id(self) -> int | None:
        return self._held[-1].last_id if self._held else self.last_id

    @property
    def newest_trade_id(self) -> int | None:
        newest = self._held[-1] if self._held else self.newest
        if isinstance(newest, AnyTrade):
            return newest.trade_id
        return newest.last_trade_id if isinstance(newest, AnyAggregate) else None

    def wanted(self) -> list[Range]:
        ranges = list(self.open)
        if self._held:
            assert self.last_id is not None
            reached = self.last_id
            for event in self._held:
                if event.first_id > reached + 1:
                    ranges.append((reached + 1, event.first_id - 1))
                reached = max(reached, event.last_id)
        return ranges

    def fill(self, events: Iterable[Event], now_ns: int) -> bool:
        before = len(self.ready)
        missing = IdRanges(self.wanted())
        for event in events:
            parts = missing.within(event.first_id, event.last_id)
            if isinstance(event, Void):
                for first, last in parts:
                    self._fill_one(Void(first, last, event.at_ns), now_ns)
            elif parts or self._still_new(event):
                self._fill_one(event, now_ns)
            for first, last in parts:
                missing.remove(first, last)
        return len(self.ready) > before

    def _fill_one(self, event: Event, now_ns: int) -> None:
        assert self.last_id is not None
        if event.last_id > self.last_id:
            self.offer(event, now_ns, 2**62)  # whatever hole remains keeps the deadline it has
            return
        self.mixed = True
        self.open.remove(event.first_id, event.last_id)
        if isinstance(event, Void):
            self.ready.append(event)
            self.voids += event.last_id - event.first_id + 1
            close_ids(self.closed, event.first_id, event.last_id)
        else:
            self.ready.append(Backfilled(event))
            self.repaired += 1
            self.closed.remove(event.first_id, event.last_id)

    def _far_ahead(self, event: Event) -> bool:
        return self.last_id is not None and event.first_id - self.last_id > self.REACH.ahead

    def _go_far(self, events: Sequence[Event], now_ns: int, hold_ns: int) -> None:
        assert self.last_id is not None
        self._announce_far(self.last_id + 1, events[0].first_id - 1, learned_ns(events[0]))
        for event in events:
            self.offer(event, now_ns, hold_ns)

    def believes(self, event: Event) -> bool:
        """One that was made after those that follow its ids is of a new life of them, which the lane does not know of yet."""
        behind = self.last_id is not None and event.last_id <= self.last_id
        return not made_later(event, self.newest if behind else self._held[-1] if self._held else None)

    def _accept_run(self, events: list[Event], last_id: int) -> None:
        """Accept events of the venue that continue the chain up to ``last_id``."""
        if self.ready:
            self.ready += events
        else:
            self.ready = events
        self.last_id = last_id

    def _accept(self, event: Event) -> None:
        self.ready.append(event)
        self.last_id = event.last_id
        if type(event) is Void:
            self.mixed = True
            self.voids += event.last_id - event.first_id + 1
            close_ids(self.closed, event.first_id, event.last_id)
        else:
            if type(event) is AggTrade:
                self._note_links((event,))
            self.newest = event

    def _joins(self, event: Event) -> bool:
        """Whether no trade was between the last aggregate and this one: then no aggregate was, although ids are missing."""
        before = self.newest
        return (
            isinstance(event, AggTrade)
            and isinstance(before, AggTrade)
            and before.agg_trade_id == self.last_id
            and event.first_trade_id == before.last_trade_id + 1
        )

    def _accept_behind_void(self, event: Event) -> None:
        assert self.last_id is not None
        self._accept(Void(self.last_id + 1, event.first_id - 1, learned_ns(event)))
        self._accept(event)

    def _note_links(self, events: Iterable[Event]) -> None:
        """No aggregate is lost where two that follow each other do not join, and none can be fetched: it is only noted."""
        before = self.newest
        for event in events:
            if (
                isinstance(event, AggTrade)
                and isinstance(before, AggTrade)
                and event.agg_trade_id == before.agg_trade_id + 1
                and event.first_trade_id != before.last_trade_id + 1
            ):
                self.links_broken += 1
                if len(self.broken_links) < MAX_LINKS:
                    self.broken_links.append(BrokenLink(before, event))
            before = event

    def _hold(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        place = bisect.bisect_left(self._held, (event.first_id, event.last_id), key=_id_range)
        if place < len(self._held) and _id_range(self._held[place]) == _id_range(event):
            self.duplicates += 1
            return Verdict.DUPLICATE
        self._held.insert(place, event)
        if self._deadline_ns is None:
            self._deadline_ns = now_ns + hold_ns
        if hold_ns == 0 or len(self._held) > MAX_HELD:
            self._announce()
            return Verdict.ACCEPTED
        return Verdict.HELD

    def _release(self, now_ns: int, hold_ns: int) -> None:
        """Accept what follows on now; a hole that remains gets a hold time of its own."""
        taken = 0
        for event in self._held:
            assert self.last_id is not None
            step = chain_step(self.last_id, event.first_id, event.last_id)
            joins = step is ChainStep.AHEAD and self._joins(event)
            if step is ChainStep.AHEAD and not joins:
                break
            taken += 1
            if joins:
                self._accept_behind_void(event)
            elif step is ChainStep.OLD:
                self.duplicates += 1
            else:
                self._accept(event if step is ChainStep.NEXT else without_ids_through(self.last_id, event))
        del self._held[:taken]
        if not self._held:
            self._deadline_ns = None
        elif taken and hold_ns < 2**62:
            self._deadline_ns = now_ns + hold_ns

    def _announce(self) -> None:
        while self._held:
            assert self.last_id is not None
            first = self._held[0]
            self._announce_gap(self.last_id + 1, first.first_id - 1, learned_ns(first))
            self._release(0, 2**62)
        self._deadline_ns = None


def _id_range(event: Event) -> tuple[int, int]:
    return event.first_id, event.last_id
