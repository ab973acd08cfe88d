"""Owns which copy of an event goes on when several lines, and REST, carry the same topic. Pure.

Each topic has a lane. A lane accepts the first good copy of every event, in the venue's order, and drops the rest; what
it accepts waits in ``ready`` until the caller takes it as a batch. Nothing is dropped that is not a duplicate or announced.

Here is what all lanes share; each kind has a module of its own, and ``lane_choice.py`` says which topic gets which.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Sequence
from typing import ClassVar

from k2workers.errors import StateError
from k2workers.events import COUNTED_TYPES, Event, Gap, GivenUp, Reset, learned_ns
from k2workers.sequencing.coverage import NO_ID, PublishedPosition, close_ids
from k2workers.sequencing.doubts import IDS, Behind, Doubts, Judgement, Reach
from k2workers.sequencing.ranges import IdRanges, Range

MAX_OPEN = 1_000
"""Announced gaps that one lane still wants filled; beyond that the oldest is given up."""

TOO_MANY = "too many gaps"
"""The cause of giving up a gap beyond ``MAX_OPEN``."""

NOT_RECEIVED = "not received"
"""The cause of a gap that is known from the ids alone."""

TOO_FAR = "too many ids to ask for"
"""The cause of giving up what lies before ids that were far ahead, and that others have agreed with."""

NOT_SENT = "not sent"
"""The cause of a gap whose events a worker had and could not give to the aggregator."""


class Verdict(enum.Enum):
    """What became of an offered event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    HELD = "held"


class Lane:
    """One topic in the arbiter. ``last_id`` is the venue id of the newest accepted event or gap.

    ``open`` are announced ids that may still be filled, ``closed`` those that were told to be void or given up: an event for
    them is still new, but nobody asks for it. Counters are totals: ``passed`` events of the venue given out, ``duplicates``
    copies dropped, ``gaps`` and ``missing`` (ids) announced, ``repaired`` ids filled late, ``voids`` ids confirmed never to
    have existed, ``outliers`` events dropped because the topic went on elsewhere; ``outlier`` is the last of them, until the caller clears it.
    """

    __slots__ = (
        "_doubts", "_floor", "_next_floor", "closed", "duplicates", "gaps", "last_id", "missing", "mixed", "newest", "open", "outlier", "outliers",
        "passed", "ready", "repaired", "topic", "voids",
    )  # fmt: skip

    REACH: ClassVar[Reach] = IDS
    CHAINED: ClassVar[bool] = False

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.newest: Event | None = None
        """The newest event of the venue that was accepted, in this life and numbering."""
        self._doubts: Doubts | None = None
        """Only of a topic that has had an event that did not fit."""
        self._floor: int | None = None
        self._next_floor: int | None = None
        self.ready: list[Event] = []
        self.mixed = False
        self.last_id: int | None = None
        self.open = IdRanges()
        self.closed = IdRanges()
        self.passed = 0
        self.duplicates = 0
        self.gaps = 0
        self.missing = 0
        self.repaired = 0
        self.voids = 0
        self.outliers = 0
        self.outlier: Event | None = None

    def offer(self, event: Event, now_ns: int, hold_ns: int) -> Verdict:
        """Take one copy of an event from a line. ``hold_ns`` is how long a hole may wait for its missing ids."""
        raise StateError(f"{type(self).__name__} does not judge events")

    def offer_run(self, events: list[Event], now_ns: int, hold_ns: int) -> bool:
        """Take consecutive copies from one line, as ``offer`` does with one. Returns whether any of them is held back."""
        return bool([event for event in events if self.offer(event, now_ns, hold_ns) is Verdict.HELD])

    def expire(self, now_ns: int) -> bool:
        """Announce the hole whose time is up, and drop what proved to be a glitch; tells whether anything became ready."""
        before = len(self.ready)
        self._dismiss_glitches()
        return len(self.ready) > before

    @property
    def deadline_ns(self) -> int | None:
        """When ``expire`` must be called; None while nothing is held."""
        return 0 if self._doubts is not None and self._doubts.pending else None

    @property
    def newest_id(self) -> int | None:
        """The newest id that came on a line or from REST, also if it is held back."""
        return self.last_id

    @property
    def newest_trade_id(self) -> int | None:
        """The id of the newest trade that the topic's events tell of, also if they are held back; None if they tell of none, or none has come."""
        return None

    @property
    def newest_top(self) -> tuple[str, str] | None:
        """The best bid and ask that the topic told last; None if it tells of none, or none has come."""
        return None

    @property
    def only_next(self) -> bool:
        """Whether its next event needs no judgement but that its ids continue the topic: nothing waits here."""
        return self.last_id is not None and not self.ready

    @property
    def doubting(self) -> bool:
        """Whether events behind the topic may be of ids that begin anew: then copies tell something too."""
        return self._doubts is not None and self._doubts.has_run(self.newest)

    def went_on(self, last_id: int, newest: Event, passed: int) -> None:
        """So many events that continued the topic were accepted and passed on elsewhere, the newest of them last (``only_next`` was true)."""
        self.last_id, self.newest = last_id, newest
        self.passed += passed

    def resume(self, published: PublishedPosition) -> None:
        """Continue after what was published before this lane was made."""
        # Of a topic whose worker died before it sent what it had announced, only the gaps are known.
        self.last_id = None if published.last_id == NO_ID else published.last_id
        self.open = IdRanges(published.open)
        self.closed = IdRanges(published.closed)

    def begin_anew(self, first_new_id: int, at_ns: int) -> None:
        """The venue's ids begin anew with this one. What was held back goes on; of the old ids nothing is wanted any longer.

        Nothing is said of a topic of which nothing came yet. ``at_ns`` is wall-clock time, as in all that follow here.
        """
        self.expire(2**63 - 1)
        if self.last_id is not None:
            last_old_id = self.last_id
            if self.ready and isinstance(self.ready[-1], Reset):
                last_old_id = self.ready.pop().first_id
            self.ready.append(Reset(last_old_id, first_new_id, at_ns))
            self.mixed = True
        self.last_id = first_new_id - 1
        self.newest = self._floor = self._next_floor = None
        self.open, self.closed = IdRanges(), IdRanges()

    def reopen(self, first_id: int, last_id: int, at_ns: int) -> None:
        """Ids that were accepted here and lost on the way to subscribers, where the gap was announced: they are wanted again."""
        self.open.add(first_id, last_id)
        self._bound_open(at_ns)

    def give_up(self, first_id: int, last_id: int, cause: str, at_ns: int) -> None:
        """Those of these ids that were announced as missing are not wanted any longer."""
        for first, last in self.open.within(first_id, last_id):
            self.open.remove(first, last)
            close_ids(self.closed, first, last)
            self.ready.append(GivenUp(first, last, cause, at_ns))
            self.mixed = True

    def want_again(self, first_id: int, last_id: int, at_ns: int) -> None:
        """Ids that were accepted here and lost on the way to subscribers, where nobody has announced them: announce them, and want them again."""
        # Of ids that were announced before, the aggregator drops it.
        self.ready.append(Gap(first_id, last_id, NOT_SENT, at_ns))
        self.mixed = True
        self.closed.remove(first_id, last_id)
        self.reopen(first_id, last_id, at_ns)

    def take_back(self, events: Iterable[Event]) -> None:
        """What ``pop_ready`` gave out last could not be sent: want again what must not be missing, and announce it.

        Here nothing but a ``Reset``: the next value makes the rest good.
        """
        for event in events:
            self.passed -= type(event) in COUNTED_TYPES
            if isinstance(event, Reset):
                self.ready.append(event)
                self.mixed = True

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
        if not self.mixed:
            self.passed += len(events)
            return [events]
        self.mixed = False
        self.passed += sum(type(event) in COUNTED_TYPES for event in events)
        return [list(run) for _, run in itertools.groupby(events, key=type)]

    def pass_lag(self) -> None:
        """Call it every ``LAG_NS``: what was accepted before the last call but one is nothing that a lagging line may still bring."""
        self._floor, self._next_floor = self._next_floor, self.last_id

    def expect_anew(self) -> None:
        """Another topic's ids have begun anew, and those of this one are likely to."""
        self._doubting().expect(self.newest)

    def _doubting(self) -> Doubts:
        if self._doubts is None:
            self._doubts = Doubts(self.REACH, chained=self.CHAINED)
        return self._doubts

    def _judge_behind(self, events: Sequence[Event], ids: Range, distance: int, now_ns: int, hold_ns: int) -> Verdict:
        """Events (see ``Doubts.behind``) of which the last is ``distance`` behind the topic, and that fill nothing."""
        doubts = self._doubting()
        judgement = doubts.behind(events, ids, Behind(distance, self._floor), self.newest, now_ns)
        if judgement is Judgement.COPY or judgement is Judgement.UNSURE:
            self.duplicates += len(events)
            return Verdict.DUPLICATE if judgement is Judgement.COPY else Verdict.HELD
        if judgement is Judgement.DOUBTED:
            return Verdict.HELD
        self._go_on_with(*doubts.pop_run(), now_ns, hold_ns)
        return Verdict.ACCEPTED

    @property
    def doubted(self) -> Event | None:
        """An event that is behind the topic and may be one of new ids: ``confirm`` with what the venue has."""
        return None if self._doubts is None else self._doubts.doubted(self.newest)

    def confirm(self, events: Iterable[Event], newest_id: int | None, now_ns: int, hold_ns: int) -> bool:
        """The venue has these events, and none above ``newest_id`` (None: not known). Whether the ids have begun anew."""
        lower = newest_id is not None and self.last_id is not None and newest_id < self.last_id
        if self._doubts is None or not self._doubts.confirmed(events, self.newest, lower=lower):
            return False
        self._go_on_with(*self._doubts.pop_run(), now_ns, hold_ns)
        return True

    def believes(self, event: Event) -> bool:
        """Whether an event that was fetched is not older than what the lines brought of the same."""
        return True

    def _go_on_with(self, first_id: int, run: Sequence[Event], now_ns: int, hold_ns: int) -> None:
        """The ids have begun anew with this run."""
        self.begin_anew(first_id, learned_ns(run[-1]))
        for event in run:
            self.offer(event, now_ns, hold_ns)

    def _judge_ahead(self, event: Event, ids: Range, now_ns: int, hold_ns: int) -> Verdict:
        """An event far ahead of the topic."""
        doubts = self._doubting()
        agreed = doubts.ahead(event, ids, self.newest)
        self._dismiss_glitches()
        if not agreed:
            return Verdict.HELD
        self._go_far(agreed, now_ns, hold_ns)
        return Verdict.ACCEPTED

    def _go_far(self, events: Sequence[Event], now_ns: int, hold_ns: int) -> None:
        """These events, which agree, are the topic's next ones, however far ahead."""
        raise StateError(f"{type(self).__name__} does not judge events")

    def _dismiss_glitches(self) -> None:
        if self._doubts is not None:
            for event in self._doubts.dismissed(self.newest):
                self._drop_glitch(event)

    def _drop_glitch(self, event: Event) -> None:
        self.outliers += 1
        self.outlier = event

    def _announce_gap(self, first_id: int, last_id: int, noticed_ns: int, cause: str = NOT_RECEIVED) -> None:
        self.ready.append(Gap(first_id, last_id, cause, noticed_ns))
        self.mixed = True
        self.gaps += 1
        self.missing += self._counted(last_id - first_id + 1)
        self.last_id = last_id
        self.open.add(first_id, last_id)
        self._bound_open(noticed_ns)

    def _counted(self, ids: int) -> int:
        """How many so many ids count, for figures."""
        return ids

    def _bound_open(self, at_ns: int) -> None:
        while len(self.open) > MAX_OPEN:
            self.give_up(*next(iter(self.open)), TOO_MANY, at_ns)

    def _still_new(self, event: Event) -> bool:
        """Whether an event behind the topic's last one brings ids of which no event has come."""
        return any(ids.within(event.first_id, event.last_id) for ids in (self.open, self.closed) if ids)
