"""Owns which ids of a topic were passed on or announced as missing, and so which part of an event or batch is new. Pure.

Every id through the last one was, and nothing of it is new but what fills an announced gap, or comes for ids that were told to be void,
given up or lost (``closed``). Sequencer and reassembly ask for each batch
whether all of it is new, and only if not, for each of its events. The lanes, which also hold events back, share ``chain_step``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import msgspec

from k2workers.continuity import RECORDS, Continuity, Identity, Link, Repair, numberings_ahead
from k2workers.events import (
    DATA_SCHEMAS,
    RECORD_SCHEMAS,
    SNAPSHOT_SCHEMAS,
    TABLE,
    Backfilled,
    ContinuousKline,
    Event,
    Kline,
    Part,
    covered_ids,
    without_ids_through,
)
from k2workers.sequencing.ranges import IdRanges, Range

NO_ID = -2
"""The last id of a topic of which nothing has come. Ids are never negative, and -1 is where a topic stands before its id 0."""

FINAL_NS = 2**63 - 1
"""Later than any time of the venue: where a bar stands whose final state was passed on."""

Reached = tuple[int, int]
"""The continuity number of a topic, and its last id. An id says nothing without its numbering, which the number holds."""

Holes = dict[str, tuple[int, list[Range]]]
"""By topic: the continuity number, for its numbering, and the ids that did not come."""

HIGHEST_ID = 2**63 - 1
"""No id of a venue is higher."""

NOT_KNOWN = -1
"""The continuity number of a topic of which no batch has come."""

MAX_CLOSED = 100
"""Ranges of void, given up or lost ids that are remembered of a topic, the newest; an event for an older one is taken for a copy."""


class PublishedPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a topic was published: its last venue id, and the announced gaps that nothing has filled yet."""

    last_id: int
    open: list[Range]
    continuity: int = NOT_KNOWN
    """How the topic's ids continue, as it travels in its batches."""
    whole: bool = False
    """Whether a book of the topic was ever published."""
    next_id: int = NO_ID
    """When the next bar opens, or when the last one did if its final state was not published; nothing is known of other topics."""
    closed: list[Range] = []
    """Ids that were told to be void or given up: should an event come for them, it is new."""


class ChainStep(enum.Enum):
    """How an event relates to the last one of its topic."""

    NEXT = "next"
    """It continues the topic."""
    OLD = "old"
    """Everything in it came before."""
    OVERLAPS = "overlaps"
    """It begins with ids that came before and ends with new ones."""
    AHEAD = "ahead"
    """Ids between the last one and it were not received."""


def chain_step(last_id: int | None, first_id: int, event_last_id: int) -> ChainStep:
    """For topics whose ids form an unbroken chain. ``last_id`` is the topic's, the others are the event's."""
    if last_id is None or first_id == last_id + 1:
        return ChainStep.NEXT
    if event_last_id <= last_id:
        return ChainStep.OLD
    return ChainStep.OVERLAPS if first_id <= last_id else ChainStep.AHEAD


def close_ids(closed: IdRanges, first_id: int, last_id: int) -> None:
    """Remember that it was told that no event will come for these ids."""
    closed.add(first_id, last_id)
    closed.keep_newest(MAX_CLOSED)


def is_before(one: Reached, other: Reached) -> bool:
    """Whether a topic comes by the one place before the other."""
    ahead = numberings_ahead(other[0], one[0])
    return ahead > 0 or (ahead == 0 and one[1] < other[1])


def next_id_before(schema: int, first_id: int, last_id: int) -> int:
    """The id that its topic has to come to before this batch, as far as the batch tells: a snapshot stands for all ids up to its own."""
    return last_id + 1 if schema in SNAPSHOT_SCHEMAS else first_id


_BY_EVENT = (Repair.IDS, Repair.NEWEST, Repair.TIME)
"""Topics whose gaps are filled event by event."""


Admit = Callable[..., Event | None]


def _by_type(by_part: Mapping[Part, Admit]) -> dict[type[Event], Admit]:
    return {row.type: by_part[row.part] for row in TABLE}


class Coverage:
    """The ids of one topic that were passed on or announced as missing.

    ``continuity`` is unknown until the first batch. ``chained``, ``ordered`` (ids rise: what is not above the last one is
    old) and ``bars`` (one id has many states) follow from it. ``last_time_ns`` is the venue's time of the last state of the last
    bar, or ``FINAL_NS``: then the next one opens at ``next_open_ns``. ``open`` are the ids of gaps that nothing has filled; ``closed`` those of which it was told that
    no event will come: if one comes all the same, it is new. ``filled`` counts ids (of bars, whose ids are times: bars) that late events or a book snapshot have filled.
    """

    __slots__ = (
        "bars", "chained", "closed", "continuity", "continuity_number", "filled", "last_id", "last_time_ns", "next_open_ns",
        "open", "ordered",
    )  # fmt: skip

    def __init__(self, last_id: int = NO_ID, open_gaps: Iterable[Range] = (), closed: Iterable[Range] = ()) -> None:
        self.continuity = RECORDS
        self.continuity_number = NOT_KNOWN
        self.chained = self.ordered = self.bars = False
        self.last_id = last_id
        self.last_time_ns = self.next_open_ns = NO_ID
        self.open = IdRanges(open_gaps)
        self.closed = IdRanges(closed)
        self.filled = 0

    def learn(self, number: int) -> None:
        """Learn from a batch how the topic's ids continue. Raises ValueError for a number that this version does not know."""
        continuity = self.continuity = Continuity.of(number)
        self.continuity_number = number
        self.chained = continuity.chained
        self.ordered = continuity.identity not in (Identity.NONE, Identity.TEXT)
        self.bars = continuity.link is Link.NEXT_BAR

    def begin_anew(self, number: int, first_new_id: int) -> None:
        """The ids begin anew, in the numbering of this continuity number; whatever was missing of the old ones stays missing."""
        self.learn(number)
        self.last_id, self.last_time_ns = first_new_id - 1, NO_ID
        self.open, self.closed = IdRanges(), IdRanges()

    def restart(self, number: int, last_id: int) -> None:
        """Everything after this id will come again, whatever came before."""
        if self.continuity_number == NOT_KNOWN:
            self.learn(number)
        elif numberings_ahead(number, self.continuity_number):
            self.begin_anew(number, last_id + 1)
        self.last_id = last_id
        for ids in (self.open, self.closed):
            ids.remove(last_id + 1, HIGHEST_ID)  # what was told of them will be told again

    @property
    def next_bar_ns(self) -> int:
        """When the bar opens whose final state is the next to come, as far as states of bars were looked at."""
        return max(self.next_open_ns, self.last_id) if self.last_time_ns == FINAL_NS else self.last_id

    def pass_over(self, last_id: int) -> None:
        """Everything through this id came, or was told of."""
        self.last_id, self.last_time_ns, self.next_open_ns = last_id, FINAL_NS, last_id + 1

    def close(self, first_id: int, last_id: int) -> None:
        """It was told that no event will come for these ids."""
        close_ids(self.closed, first_id, last_id)

    def all_new(self, schema: int, first_id: int) -> bool:
        """Whether every event of a batch that begins with this id is new; if not, ask ``admit`` for each of them."""
        if schema in DATA_SCHEMAS:
            return not self.ordered or (first_id > self.last_id and not self.bars)
        return schema in RECORD_SCHEMAS

    def admit(self, event: Event) -> Event | None:
        """The event, or the part of it that is new, which counts as passed on from now on; None if nothing of it is new."""
        return self.ADMIT[type(event)](self, event)

    def _admit_data(self, event: Event) -> Event | None:
        if not self.ordered:
            return self._admit_record(event)
        fresh = self._admit_by_id(event)
        return self._late(event) if fresh is None and (self.open or self.closed) else fresh

    def _late(self, event: Event) -> Event | None:
        # A life that went on from before an announced gap, or a loss, sends in its order what fills it here.
        return self._admit_late(Backfilled(event)) if self.continuity.repair in _BY_EVENT else None

    def _admit_record(self, event: Event) -> Event:
        self.last_id = max(self.last_id, event.last_id)
        return event

    def _admit_by_id(self, event: Event) -> Event | None:
        step = chain_step(self.last_id, event.first_id, event.last_id)
        if step is ChainStep.OLD:
            return None
        if step is ChainStep.OVERLAPS:
            event = without_ids_through(self.last_id, event)
        self.last_id = event.last_id
        return event

    def _admit_gap(self, gap: Event) -> Event | None:
        fresh = self._admit_announcement(gap)
        if fresh is not None:
            self.open.add(fresh.first_id, fresh.last_id)
        return fresh

    def _admit_announcement(self, event: Event) -> Event | None:
        if self.chained:
            return self._admit_by_id(event)
        # Among bars it may begin with the newest bar: that one was passed on, but perhaps not its last state.
        next_bar_ns = self.next_bar_ns
        if event.last_id <= self.last_id or event.last_id < next_bar_ns:
            return None
        self.pass_over(event.last_id)
        return event if event.first_id >= next_bar_ns else without_ids_through(next_bar_ns - 1, event)

    def _admit_closing(self, event: Event) -> Event | None:
        """A ``Void`` or ``GivenUp``: of a gap announced before, or ahead of the topic."""
        was_open = self.open.within(event.first_id, event.last_id)
        fresh = event if was_open else self._admit_announcement(event)
        if fresh is None:
            return None
        ahead = max(fresh.first_id, self.last_id + 1) if was_open else fresh.first_id
        for first_id, last_id in (*was_open, (ahead, fresh.last_id)):
            self.open.remove(first_id, last_id)
            self.close(first_id, last_id)
        self.last_id = max(self.last_id, fresh.last_id)
        return fresh

    def _admit_reset(self, reset: Event) -> None:
        """A copy: one that is the first of its numbering is known by its continuity number, and never asked about here."""

    def _admit_snapshot(self, snapshot: Event) -> Event | None:
        if snapshot.last_id < self.last_id:
            return None
        self.filled += self.open.remove(0, snapshot.last_id)
        self.closed.remove(0, snapshot.last_id)
        self.last_id = snapshot.last_id
        return snapshot

    def _admit_bar(self, bar: Kline) -> Event | None:
        # The final state follows every other, whatever its time: one that was fetched has the close time, as the last update may.
        final = bar.final
        reached = bar.open_time_ns, FINAL_NS if final else bar.venue_time_ns
        if reached <= (self.last_id, self.last_time_ns):
            return self._late(bar) if final and (self.open or self.closed) else None
        self.last_id, self.last_time_ns = reached
        if final:
            self.next_open_ns = bar.next_open_ns
        return bar

    def _admit_late(self, late: Backfilled) -> Event | None:
        # One that fills no announced gap, and corrects nothing that was told, would come out of nowhere.
        ids = covered_ids(late.event)
        filled = self.open.remove(*ids) + self.closed.remove(*ids)
        self.filled += min(1, filled) if self.bars else filled
        return late if filled else None

    ADMIT: ClassVar[dict[type[Event], Admit]] = {
        **_by_type(
            {
                Part.DATA: _admit_data,
                Part.MADE: _admit_data,
                Part.SNAPSHOT: _admit_snapshot,
                Part.GAP: _admit_gap,
                Part.VOID: _admit_closing,
                Part.GIVEN_UP: _admit_closing,
                Part.RESET: _admit_reset,
                Part.RECORD: _admit_record,
            }
        ),
        Kline: _admit_bar,
        ContinuousKline: _admit_bar,
        Backfilled: _admit_late,
    }
    """By type, because every state of a bar asks."""
