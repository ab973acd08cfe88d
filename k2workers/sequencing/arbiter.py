"""Owns which copy of an event goes on when several lines carry the same streams. Pure.

Each topic has a lane. A lane accepts the first good copy of every event, in the venue's order, and drops the rest; what
it accepts waits in ``ready`` until the caller takes it as a batch. A chained lane that is offered an event
ahead of a hole holds it back for a bounded time (another line may still deliver the missing ids), then
announces the hole as a ``Gap`` and goes on. Nothing is dropped without being a duplicate or announced.
"""

from __future__ import annotations

import bisect
import enum
import itertools
from collections.abc import Callable

from k2workers.errors import StateError
from k2workers.events import AggTrade, DepthUpdate, Event, Gap, Kline, Trade
from k2workers.sequencing.gap import Step, bar_passes, chain_step

MAX_HELD = 10_000
"""Events one lane may hold back; past it the hole is announced at once (bounded memory beats patience)."""


class Verdict(enum.Enum):
    """What became of an offered event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    HELD = "held"


class Lane:
    """One topic's place in the arbiter. ``last_id`` is the venue id of the newest accepted event."""

    __slots__ = ("duplicates", "gaps", "last_id", "missing", "mixed", "ready", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.ready: list[Event] = []
        self.mixed = False
        self.last_id: int | None = None
        self.duplicates = 0
        self.gaps = 0
        self.missing = 0

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        """Take one copy of an event. ``hold_ns`` is how long a hole may wait for its missing ids; 0: not at all."""
        raise StateError(f"{type(self).__name__} does not judge events")

    def expire(self, now_ns: int) -> bool:
        """Announce the hole whose time is up; tells whether anything became ready."""
        return False

    @property
    def deadline_ns(self) -> int | None:
        """When ``expire`` must be called; None while nothing is held."""
        return None

    def take(self) -> list[list[Event]]:
        """The accepted events since the last call, in order, as runs of one type each."""
        events, self.ready = self.ready, []
        if not self.mixed:
            return [events]
        self.mixed = False
        return [list(run) for _, run in itertools.groupby(events, key=type)]


class ChainLane(Lane):
    """A topic whose ids form an unbroken chain."""

    __slots__ = ("_deadline_ns", "_held")

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._held: list[Event] = []
        self._deadline_ns: int | None = None

    @property
    def deadline_ns(self) -> int | None:
        return self._deadline_ns

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        step = chain_step(self.last_id, event.first_id, event.last_id)
        if step is Step.NEXT:
            self._accept(event)
        elif step is Step.OLD:
            self.duplicates += 1
            return Verdict.DUPLICATE
        elif step is Step.OVERLAPS:
            assert self.last_id is not None
            self._accept(without_ids_through(self.last_id, event))
        else:
            return self._hold(event, now_ns, hold_ns)
        if self._held:
            self._release(now_ns, hold_ns)
        return Verdict.ACCEPTED

    def expire(self, now_ns: int) -> bool:
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return False
        self._announce(now_ns, "not received")
        return True

    def _accept(self, event: Event) -> None:
        self.ready.append(event)
        self.last_id = event.last_id

    def _hold(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        place = bisect.bisect_left(self._held, (event.first_id, event.last_id), key=_id_range)
        if place < len(self._held) and _id_range(self._held[place]) == _id_range(event):
            self.duplicates += 1
            return Verdict.DUPLICATE
        self._held.insert(place, event)
        if self._deadline_ns is None:
            self._deadline_ns = now_ns + hold_ns
        if hold_ns == 0 or len(self._held) > MAX_HELD:
            self._announce(now_ns, "not received")
            return Verdict.ACCEPTED
        return Verdict.HELD

    def _release(self, now_ns: int, hold_ns: int) -> None:
        """Accept what follows on now; a hole that remains gets a hold time of its own."""
        taken = 0
        for event in self._held:
            assert self.last_id is not None
            step = chain_step(self.last_id, event.first_id, event.last_id)
            if step is Step.AHEAD:
                break
            taken += 1
            if step is Step.OLD:
                self.duplicates += 1
            else:
                self._accept(event if step is Step.NEXT else without_ids_through(self.last_id, event))
        del self._held[:taken]
        if not self._held:
            self._deadline_ns = None
        elif taken:
            self._deadline_ns = now_ns + hold_ns

    def _announce(self, now_ns: int, cause: str) -> None:
        """Publish every hole among the held events as a Gap, and the events after it."""
        while self._held:
            assert self.last_id is not None
            first_missing, last_missing = self.last_id + 1, self._held[0].first_id - 1
            self.ready.append(Gap(first_missing, last_missing, cause, _received_ns(self._held[0])))
            self.mixed = True
            self.gaps += 1
            self.missing += last_missing - first_missing + 1
            self.last_id = last_missing
            self._release(now_ns, 0)
        self._deadline_ns = None


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


class BarLane(Lane):
    """Klines of one interval: the latest state wins, and no final state is skipped."""

    __slots__ = ("_awaiting_final_ns", "_newest")

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._newest: Kline | None = None
        self._awaiting_final_ns: int | None = None

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        if not bar_passes(self._newest, self._awaiting_final_ns, event):
            self.duplicates += 1
            return Verdict.DUPLICATE
        assert isinstance(event, Kline)
        newest = self._newest
        if newest is None or event.open_time_ns >= newest.open_time_ns:
            if newest is not None and event.open_time_ns > newest.open_time_ns:
                self._awaiting_final_ns = None if newest.final else newest.open_time_ns
            self._newest = event
            self.last_id = event.last_id
        else:
            self._awaiting_final_ns = None
        self.ready.append(event)
        return Verdict.ACCEPTED


def _received_ns(event: Event) -> int:
    assert isinstance(event, Trade | AggTrade | DepthUpdate)
    return event.received_ns


def _id_range(event: Event) -> tuple[int, int]:
    return event.first_id, event.last_id


def _trim_depth(event: Event, last_id: int) -> Event:
    # Levels are absolute quantities as of the event's last id, so applying all of them after last_id is right.
    assert isinstance(event, DepthUpdate)
    return DepthUpdate(
        last_id + 1, event.last_update_id, event.bids, event.asks, event.venue_time_ns, event.received_ns
    )


_TRIM: dict[type[Event], Callable[[Event, int], Event]] = {DepthUpdate: _trim_depth}


def without_ids_through(last_id: int, event: Event) -> Event:
    """The event as it continues ``last_id``. Only events that cover several ids can overlap.

    Two connections may cut the same depth ids into different windows; a trade never overlaps another.
    """
    trim = _TRIM.get(type(event))
    if trim is None:
        single = (Trade, AggTrade)
        raise StateError(f"{type(event).__name__} overlaps id {last_id}; {single} have one id each")
    return trim(event, last_id)
