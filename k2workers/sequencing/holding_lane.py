"""Owns what all lanes share that hold events back behind a hole: for how long, and the announcement of the hole when that is over. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from k2workers.errors import StateError
from k2workers.events import (
    COUNTED_TYPES,
    Backfilled,
    BookSnapshot,
    Event,
    Gap,
    GivenUp,
    Kline,
    Reset,
    Void,
    covered_ids,
    learned_ns,
)
from k2workers.sequencing.lane import NOT_SENT, TOO_FAR, Lane
from k2workers.sequencing.ranges import IdRanges

HOLD_NS = 1_000_000_000
"""How long a hole may wait for its missing ids before it is announced: another line or a backfill may bring them meanwhile."""


class HoldingLane(Lane):
    """A lane that can hold events back behind a hole, for as long as its caller says (``HOLD_NS``, unless the setting ``hold_back_s`` says otherwise)."""

    __slots__ = ("_deadline_ns",)

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._deadline_ns: int | None = None

    @property
    def deadline_ns(self) -> int | None:
        return super().deadline_ns if self._deadline_ns is None else self._deadline_ns

    def take_back(self, events: Iterable[Event]) -> None:
        of_one_numbering: list[Event] = []
        for event in events:
            if isinstance(event, Reset):
                self._announce_lost(of_one_numbering, wanted=False)
                super().take_back((event,))
                of_one_numbering = []
            else:
                of_one_numbering.append(event)
        self._announce_lost(of_one_numbering, wanted=True)

    def _announce_lost(self, events: list[Event], *, wanted: bool) -> None:
        lost, announced = IdRanges(), IdRanges()
        noticed_ns = 0
        for event in events:
            self.passed -= type(event) in COUNTED_TYPES
            if isinstance(event, BookSnapshot) or (isinstance(event, Kline) and not event.final):
                continue
            first_id, last_id = covered_ids(event.event if isinstance(event, Backfilled) else event)
            lost.add(first_id, last_id)
            if isinstance(event, Gap | Backfilled | Void | GivenUp):
                announced.add(first_id, last_id)
            self.repaired -= isinstance(event, Backfilled)
            if isinstance(event, Void):
                self.voids -= last_id - first_id + 1
            noticed_ns = learned_ns(event.event if isinstance(event, Backfilled) else event)
        self.gaps += bool(lost) and not announced
        self.missing += self._counted(lost.ids) - self._counted(announced.ids)
        for first_id, last_id in lost:
            if wanted:
                self.want_again(first_id, last_id, noticed_ns)
            else:
                self.ready.append(Gap(first_id, last_id, NOT_SENT, noticed_ns))
                self.mixed = True

    def expire(self, now_ns: int) -> bool:
        before = len(self.ready)
        if self._deadline_ns is not None and now_ns >= self._deadline_ns:
            self._announce()
        self._dismiss_glitches()
        return len(self.ready) > before

    def _drop_glitch(self, event: Event) -> None:
        # What looked like a new life may have been late.
        last_state = not isinstance(event, Kline) or event.final
        if not (last_state and self._still_new(event) and self.fill((event,), 0)):
            super()._drop_glitch(event)

    def _announce_far(self, first_id: int, last_id: int, noticed_ns: int) -> None:
        """Announce ids of which there are too many to ask for."""
        self._announce()
        self._announce_gap(first_id, last_id, noticed_ns)
        self.give_up(first_id, last_id, TOO_FAR, noticed_ns)

    def _announce(self) -> None:
        """Publish every hole among the held events as a Gap, and the events after it."""
        raise StateError(f"{type(self).__name__} cannot announce")
