"""Owns where one topic of a subscriber stands: its ids, its batches, and so which ids are missing before what comes next. Pure."""

from __future__ import annotations

from typing import ClassVar

from k2workers import wire
from k2workers.continuity import Repair, numberings_ahead
from k2workers.events import (
    ANNOUNCEMENT_SCHEMAS,
    DATA_SCHEMAS,
    RESET_SCHEMA,
    SNAPSHOT_SCHEMAS,
    Backfilled,
    BookSnapshot,
    Event,
    Gap,
    GivenUp,
    Kline,
    Reset,
    Void,
    covered_ids,
)
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN, Admit, Coverage
from k2workers.sequencing.ranges import Range
from k2workers.transport.book_wait import BookWait
from k2workers.transport.position import TopicPosition

_AHEAD = DATA_SCHEMAS | ANNOUNCEMENT_SCHEMAS
"""Batches before whose first id nothing will come any more."""

PositionFields = tuple[int, int, int, int, int, list[Range], bool, list[Range], int, bool]
"""Where a topic stands, in the field order of ``TopicPosition``; a tuple, because one is made for each batch."""


class Standing(Coverage):
    """Where one topic stands: which of its ids were delivered, and which of its batches.

    ``sequence`` is that of the last batch in ``epoch``. A topic that was never heard counts from there on.
    """

    __slots__ = (
        "_closed_list", "_open_list", "asked_ns", "by_book", "deadline_ns", "doubted", "doubted_until_ns", "epoch", "former", "held",
        "renewed", "sequence", "wait", "whole",
    )  # fmt: skip

    def __init__(
        self,
        epoch: int,
        sequence: int,
        last_id: int = NO_ID,
        open_gaps: list[Range] | None = None,
        closed: list[Range] | None = None,
    ) -> None:
        super().__init__(last_id, open_gaps or (), closed or ())
        self.epoch = epoch
        self.sequence = sequence
        self.renewed = False
        """A new epoch began and has not reached what was delivered, or bars were lost before anything followed: only ids can show whether something is lost, and what."""
        self._open_list: list[Range] = open_gaps or []
        self._closed_list: list[Range] = closed or []
        """``open`` and ``closed`` as they were after the last batch: lists of their own for each change, so that places can share them."""
        self.held: dict[int, bytes] = {}
        self.former: list[bytes] = []
        """What was held when an earlier life ended, by ids: of use only if the new life does not bring it again."""
        self.doubted: list[bytes] = []
        """What a new life brought of an earlier numbering: it repeats, or it remembers nothing and counts anew."""
        self.doubted_until_ns = NO_ID
        self.deadline_ns = 0
        self.asked_ns = 0
        self.by_book = False
        """Whether the events are changes of a book, of use only to those who have a whole one."""
        self.whole = False
        """Whether the program has a whole book, which the next event continues."""
        self.wait: BookWait | None = None
        """Set while it has none and somebody can be asked for one."""

    @classmethod
    def at(cls, position: TopicPosition) -> Standing:
        """A topic that stands there."""
        state = cls(position.epoch, position.sequence, position.last_id, position.open, position.closed)
        state.last_time_ns, state.renewed, state.whole = position.last_time_ns, position.renewed, position.whole
        state.next_open_ns = position.next_open_ns
        if position.continuity != NOT_KNOWN:
            state.learn(position.continuity)
        return state

    def learn(self, number: int) -> None:
        super().learn(number)
        self.by_book = self.chained and self.continuity.repair is Repair.BOOK

    def begin_anew(self, number: int, first_new_id: int) -> None:
        super().begin_anew(number, first_new_id)
        self.whole = False

    @property
    def holding(self) -> bool:
        """Whether what comes is held until there is a whole book."""
        return self.wait is not None and self.wait.holding

    @property
    def heard(self) -> bool:
        """Whether any batch has arrived."""
        return self.continuity_number != NOT_KNOWN or bool(self.held)

    def position_fields(self) -> PositionFields:
        """Where it stands."""
        return (
            self.epoch, self.sequence, self.last_id, self.last_time_ns, self.continuity_number, self._open_list,
            self.renewed, self._closed_list, self.next_open_ns, self.whole,
        )  # fmt: skip

    def note_ranges(self) -> None:
        """``open`` or ``closed`` may have changed: places that are made from now on tell of it."""
        # Without a call, and nearly always without a new list: each batch of a topic of bars asks.
        if self.open or self._open_list:
            self._open_list = list(self.open)
        if self.closed or self._closed_list:
            self._closed_list = list(self.closed)

    def same_numbering(self, header: wire.Header) -> bool:
        """Whether the ids of this batch can be compared with those before it."""
        return self.continuity_number == NOT_KNOWN or not numberings_ahead(header.continuity, self.continuity_number)

    def place_of(self, frame: bytes) -> tuple[int, bool, int]:
        """By what batches come into the order of their ids, whatever numberings they are of: each begins with its ``Reset``."""
        header = wire.read_header(frame)
        ahead = numberings_ahead(header.continuity, self.continuity_number)
        return ahead, header.schema != RESET_SCHEMA, header.first_id

    def missing_before(self, header: wire.Header) -> Range | None:
        """The ids that nothing has told of if this batch comes next; None if there are none, or if ids cannot show it."""
        if not self.same_numbering(header):
            return None
        if header.schema in _AHEAD:
            return self._missing_through(header.first_id - 1)
        return self._missing_through(header.last_id) if header.schema in SNAPSHOT_SCHEMAS else None

    def missing_bars(self, header: wire.Header, events: list[Event]) -> Range | None:
        """The times of the bars whose final state nothing has told of if this batch comes next.

        None if it begins with a bar that came before: from there on its life has told of each.
        """
        expected_ns = self.next_bar_ns
        if not self.bars or header.schema not in _AHEAD or expected_ns == NO_ID:
            return None
        reached = next((event.first_id for event in events if event.last_id >= self.last_id), NO_ID)
        return (expected_ns, reached - 1) if reached > expected_ns else None

    def missing_before_event(self, event: Event) -> Range | None:
        """The same for one event. A book stands for every change of it that did not come."""
        if isinstance(event, BookSnapshot):
            return self._missing_through(event.last_id)
        if isinstance(event, Reset) or (isinstance(event, Backfilled) and not self.renewed):
            return None
        return self._missing_through(event.first_id - 1)

    def _missing_through(self, last_id: int) -> Range | None:
        if not self.chained or last_id <= self.last_id or self.last_id == NO_ID:
            return None
        return self.last_id + 1, last_id

    def _admit_closing(self, event: Event) -> Event | None:
        # Before the topic's start: it may be far below what comes next, and of a gap that was announced to others.
        return None if self.last_id == NO_ID and self.chained else super()._admit_closing(event)

    def _admit_gap(self, gap: Event) -> Event | None:
        fresh = super()._admit_gap(gap)
        self.whole = self.whole and fresh is None
        return fresh

    def _admit_snapshot(self, snapshot: Event) -> Event | None:
        fresh = super()._admit_snapshot(snapshot)
        self.whole = self.whole or fresh is not None
        return fresh

    def _admit_late(self, late: Backfilled) -> Event | None:
        # Its gap may have been announced in a life that ended before we heard of it.
        if self.renewed and self.chained and NO_ID != self.last_id < late.first_id:
            self.last_id = late.last_id
            return late
        bar = late.event
        if self.renewed and isinstance(bar, Kline) and bar.first_id == self.next_bar_ns:
            self._admit_bar(bar)
            self.open.remove(*covered_ids(bar))
            return late
        return super()._admit_late(late)

    ADMIT: ClassVar[dict[type[Event], Admit]] = {
        **Coverage.ADMIT,
        Void: _admit_closing,
        GivenUp: _admit_closing,
        Backfilled: _admit_late,
        Gap: _admit_gap,
        BookSnapshot: _admit_snapshot,
    }


def after(before: TopicPosition, given: list[Event]) -> TopicPosition:
    """Where a topic stands after these events, if the rest of their batch is not given."""
    state = Standing.at(before)
    for event in given:
        state.admit(event)
    state.note_ranges()
    return TopicPosition(*state.position_fields())
