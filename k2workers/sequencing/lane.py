"""Owns which copy of an event goes on when several lines, and REST, carry the same topic. Pure.

Each topic has a lane. A lane accepts the first good copy of every event, in the venue's order, and drops the rest; what
it accepts waits in ``ready`` until the caller takes it as a batch. Nothing is dropped that is not a duplicate or announced.

Here is what all lanes share; each kind has a module of its own, and ``lane_choice.py`` says which topic gets which.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable

from k2workers.errors import StateError
from k2workers.events import Backfilled, BookSnapshot, Event, Gap, Kline, Void, covered_ids, learned_ns
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.ranges import IdRanges, Range

MAX_OPEN = 1_000
"""Announced gaps that one lane still wants filled; beyond that the oldest is given up for good (it was announced)."""

NOT_RECEIVED = "not received"
"""The cause of a gap that is known from the ids alone."""

NOT_SENT = "not sent"
"""The cause of a gap whose events a worker had and could not give to the aggregator."""


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

    def resume(self, published: PublishedPosition) -> None:
        """Continue after what was published before this lane was made."""
        self.last_id = published.last_id
        self.open = IdRanges(published.open)

    def reopen(self, first_id: int, last_id: int) -> None:
        """Ids that were accepted here and lost on the way to subscribers, where the gap was announced: they are wanted again."""
        self.open.add(first_id, last_id)

    def take_back(self, events: Iterable[Event]) -> None:
        """What ``pop_ready`` gave out last could not be sent: want again what must not be missing, and announce it.

        Here nothing: the next value makes it good.
        """
        self.passed -= sum(1 for _ in events)

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

    def take_back(self, events: Iterable[Event]) -> None:
        lost, announced = IdRanges(), IdRanges()
        noticed_ns = 0
        for event in events:
            self.passed -= 1
            if isinstance(event, BookSnapshot) or (isinstance(event, Kline) and not event.final):
                continue
            first_id, last_id = covered_ids(event.event if isinstance(event, Backfilled) else event)
            lost.add(first_id, last_id)
            if isinstance(event, Gap | Backfilled | Void):
                announced.add(first_id, last_id)
            self.repaired -= isinstance(event, Backfilled)
            if isinstance(event, Void):
                self.voids -= last_id - first_id + 1
            noticed_ns = learned_ns(event.event if isinstance(event, Backfilled) else event)
        self.gaps += bool(lost) and not announced
        self.missing += lost.ids - announced.ids
        for first_id, last_id in lost:
            self.reopen(first_id, last_id)
            # Of ids that were announced before, the aggregator drops it.
            self.ready.append(Gap(first_id, last_id, NOT_SENT, noticed_ns))
            self.mixed = True

    def expire(self, now_ns: int) -> bool:
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return False
        self._announce()
        return True

    def _announce(self) -> None:
        """Publish every hole among the held events as a Gap, and the events after it."""
        raise StateError(f"{type(self).__name__} cannot announce")
