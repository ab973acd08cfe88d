"""Owns which copy of an event goes on when several lines, and REST, carry the same topic. Pure.

Each topic has a lane. A lane accepts the first good copy of every event, in the venue's order, and drops the rest; what
it accepts waits in ``ready`` until the caller takes it as a batch. A chained lane that is offered an event ahead of a
hole holds it back for a bounded time: another line or a backfill may still bring the missing ids. Then it announces
the hole as a ``Gap`` and goes on; what fills the gap later comes as ``Backfilled``. Nothing is dropped without being a
duplicate or announced.

Books and bars have lanes of their own: ``book_lane.py`` and ``bar_lane.py``.
"""

from __future__ import annotations

import bisect
import enum
import itertools
import operator
from collections.abc import Iterable

from k2workers.errors import StateError
from k2workers.events import FIRST_OF, LAST_OF, Backfilled, Event, Gap, Void, learned_ns, without_ids_through
from k2workers.sequencing.coverage import ChainStep, chain_step
from k2workers.sequencing.ranges import IdRanges, Range

MAX_HELD = 10_000
"""Events one lane may hold back; beyond that the hole is announced at once (memory is bounded)."""

MAX_OPEN = 1_000
"""Announced gaps that one lane still wants filled; beyond that the oldest is given up for good (it was announced)."""

NOT_RECEIVED = "not received"
"""The cause of a gap that is known from the ids alone."""


class Verdict(enum.Enum):
    """What became of an offered event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    HELD = "held"


class Lane:
    """One topic in the arbiter. ``last_id`` is the venue id of the newest accepted event or gap.

    ``open`` are announced ids that may still be filled. Counters are totals: ``passed`` events given out, ``duplicates``
    copies dropped, ``gaps`` and ``missing`` (ids) announced, ``repaired`` ids filled late, ``voids`` ids confirmed never to
    have existed.
    """

    __slots__ = (
        "duplicates", "gaps", "last_id", "missing", "mixed", "open", "passed", "ready", "repaired", "topic", "voids",
    )  # fmt: skip

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.ready: list[Event] = []
        self.mixed = False
        self.last_id: int | None = None
        self.open = IdRanges()
        self.passed = 0
        self.duplicates = 0
        self.gaps = 0
        self.missing = 0
        self.repaired = 0
        self.voids = 0

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        """Take one copy of an event from a line. ``hold_ns`` is how long a hole may wait for its missing ids."""
        raise StateError(f"{type(self).__name__} does not judge events")

    def offer_run(self, events: list[Event], now_ns: int, hold_ns: int) -> bool:
        """Take consecutive copies from one line, as ``offer`` does with one. Returns whether any of them is held back."""
        held = [event for event in events if self.offer(event, now_ns, hold_ns) is Verdict.HELD]
        return bool(held)

    def expire(self, now_ns: int) -> bool:
        """Announce the hole whose time is up; tells whether anything became ready."""
        return False

    @property
    def deadline_ns(self) -> int | None:
        """When ``expire`` must be called; None while nothing is held."""
        return None

    def resume(self, last_id: int, open_gaps: Iterable[Range]) -> None:
        """Continue after ``last_id``, which was published before this lane was made; these gaps are still open."""
        self.last_id = last_id
        self.open = IdRanges(open_gaps)

    def reopen(self, first_id: int, last_id: int) -> None:
        """Ids that were accepted here and lost on the way to subscribers, where the gap was announced: they are wanted again."""
        self.open.add(first_id, last_id)

    def wanted(self) -> list[Range]:
        """Id ranges that a backfill should bring, the oldest first."""
        return []

    def fill(self, events: Iterable[Event], now_ns: int) -> bool:
        """Take the events that a backfill fetched, in rising id order; ids that are not wanted are ignored.

        Tells whether anything became ready.
        """
        return False

    def pop_ready(self) -> list[list[Event]]:
        """The accepted events since the last call, in order, as runs of one type each."""
        events, self.ready = self.ready, []
        self.passed += len(events)
        if not self.mixed:
            return [events]
        self.mixed = False
        return [list(run) for _, run in itertools.groupby(events, key=type)]

    def _announce_gap(self, first_id: int, last_id: int, noticed_ns: int, cause: str = NOT_RECEIVED) -> None:
        self.ready.append(Gap(first_id, last_id, cause, noticed_ns))
        self.mixed = True
        self.gaps += 1
        self.missing += last_id - first_id + 1
        self.last_id = last_id
        self.open.add(first_id, last_id)
        while len(self.open) > MAX_OPEN:
            self.open.remove(*next(iter(self.open)))


class HoldingLane(Lane):
    """A lane that can hold events back behind a hole."""

    __slots__ = ("_deadline_ns",)

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._deadline_ns: int | None = None

    @property
    def deadline_ns(self) -> int | None:
        return self._deadline_ns

    def expire(self, now_ns: int) -> bool:
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return False
        self._announce()
        return True

    def _announce(self) -> None:
        """Publish every hole among the held events as a Gap, and the events after it."""
        raise StateError(f"{type(self).__name__} cannot announce")


class ChainLane(HoldingLane):
    """A topic whose ids form an unbroken chain."""

    __slots__ = ("_held",)

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._held: list[Event] = []

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        step = chain_step(self.last_id, event.first_id, event.last_id)
        if step is ChainStep.NEXT:
            self._accept(event)
        elif step is ChainStep.OLD:
            # A slow line may still bring what was announced as missing.
            if self.open and self.fill((event,), now_ns):
                return Verdict.ACCEPTED
            self.duplicates += 1
            return Verdict.DUPLICATE
        elif step is ChainStep.OVERLAPS:
            assert self.last_id is not None
            self._accept(without_ids_through(self.last_id, event))
        else:
            return self._hold(event, now_ns, hold_ns)
        if self._held:
            self._release(now_ns, hold_ns)
        return Verdict.ACCEPTED

    def offer_run(self, events: list[Event], now_ns: int, hold_ns: int) -> bool:
        if self.last_id is not None and not self._held:
            # Nearly always the run simply continues the chain: comparisons in C instead of a judgement for each.
            first_of, last_of = FIRST_OF[type(events[0])], LAST_OF[type(events[0])]
            next_id, last_id = self.last_id + 1, last_of(events[-1])
            if len(events) == 1:
                continues = first_of(events[0]) == next_id
            elif first_of is last_of:
                continues = list(map(first_of, events)) == list(range(next_id, next_id + len(events)))
            else:
                inner_ids = map(last_of, events[:-1])
                continues = list(map(first_of, events)) == [next_id, *[inner_id + 1 for inner_id in inner_ids]]
            if continues:
                self._accept_run(events, last_id)
                return False
        return super().offer_run(events, now_ns, hold_ns)

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
            for first, last in missing.within(event.first_id, event.last_id):
                part = Void(first, last, event.at_ns) if isinstance(event, Void) else event
                self._fill_one(part, now_ns)
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
        else:
            self.ready.append(Backfilled(event))
            self.repaired += 1

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
            if step is ChainStep.AHEAD:
                break
            taken += 1
            if step is ChainStep.OLD:
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


def _id_range(event: Event) -> tuple[int, int]:
    return event.first_id, event.last_id
