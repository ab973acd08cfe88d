"""Owns the proof of one topic: which of its ids its rows hold, which they name as missing, and which nobody told of. Pure.

Of a chain every id counts: from the first one on each is here, or named (by a gap, a loss, or as void), or a whole book stands for it. Of bars the same is true of times, and what is counted are final
bars. Of other topics nobody can say what is missing; their ids never go back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec

from k2workers.book_events import WHOLE, BookLevels, BookTop
from k2workers.continuity import Continuity, Link
from k2workers.events import BookSnapshot, Event, Gap, GivenUp, Kline, Reset, Status, Void, covered_ids
from k2workers.recording.row import Kept, Loss, Restart, Row
from k2workers.sequencing.coverage import NO_ID
from k2workers.sequencing.ranges import IdRanges


class DayFigures(msgspec.Struct):
    """What the rows of a day tell. Of a chain, or of bars: ``expected`` is the sum of the next five, and all count ids, or bars."""

    rows: int = 0
    expected: int = 0
    present: int = 0
    void: int = 0
    """They never existed."""
    replaced: int = 0
    """A whole book stands for them."""
    named: int = 0
    """They are missing, and a gap or a loss says so."""
    missing: int = 0
    """They are missing, and nothing says so."""
    twice: int = 0
    """They are here once more than once, or went back."""
    late: int = 0
    """Rows that fill gaps."""
    gaps: int = 0
    losses: int = 0
    restarts: int = 0
    resets: int = 0


class _Day:
    """What may still change of a day: ids that are named, those of which nobody told, and those that are void."""

    def __init__(self) -> None:
        self.figures = DayFigures()
        self.absent = IdRanges()
        self.missing = IdRanges()
        self.void = IdRanges()

    def take_out(self, first_id: int, last_id: int) -> int:
        """These ids are neither missing nor void; how many of them were."""
        return sum(ids.remove(first_id, last_id) for ids in (self.absent, self.missing, self.void))


class IdAudit:
    """``take`` the rows of one topic in their order, with their day; then ``days``."""

    def __init__(self, continuity: Continuity | None) -> None:
        self.continuity = continuity
        self._days: dict[str, _Day] = {}
        self._last_id = NO_ID
        self._last: Event | None = None
        self._unit = 1
        """How many ids one of what is counted has: of bars, how long one is."""

    def days(self) -> Iterator[tuple[str, DayFigures]]:
        """Each day with its figures."""
        for day, state in self._days.items():
            figures = self._settled(state)
            expected = figures.present + figures.void + figures.replaced + figures.named + figures.missing
            yield day, msgspec.structs.replace(figures, expected=expected)

    def lacking(self) -> Iterator[tuple[str, IdRanges]]:
        """The ids of each day that are not here and may exist, as far as the last numbering of the topic goes."""
        for day, state in self._days.items():
            yield day, IdRanges([*state.absent, *state.missing])

    def _settled(self, state: _Day) -> DayFigures:
        """The figures with what may still change of them."""
        figures = state.figures
        return msgspec.structs.replace(
            figures,
            named=figures.named + self._count(state.absent.ids),
            missing=figures.missing + self._count(state.missing.ids),
            void=figures.void + self._count(state.void.ids),
        )

    def take(self, row: Row, day: str) -> None:
        """The next row."""
        state = self._days.get(day)
        if state is None:
            state = self._days[day] = _Day()
        state.figures.rows += 1
        state.figures.late += row.late
        mark = self._MARKS.get(type(row.event))
        if mark is not None:
            mark(self, state, row.event)
        elif isinstance(row.event, Event) and not isinstance(row.event, Status):
            self._event(state, row, row.event)

    def _event(self, state: _Day, row: Row, event: Event) -> None:
        if self.continuity is None:
            return
        if self.continuity.link is Link.NEXT_BAR:
            self._bar(state, event, late=row.late)
        elif not self.continuity.chained:
            self._latest(state, event)
        elif isinstance(event, BookSnapshot):
            if row.sequence is not None:
                self._replace(state, event.last_id)
        elif row.late:
            self._fill(state, event.first_id, event.last_id)
        else:
            self._chain(state, event.first_id, event.last_id)

    # ── what is said of ids ─────────────────────────────────────────────────────────────────────────────

    def _restart(self, state: _Day, _restart: Restart) -> None:
        state.figures.restarts += 1

    def _loss(self, state: _Day, loss: Loss) -> None:
        state.figures.losses += 1
        if loss.first_id is not None and loss.last_id is not None:
            self._name(state, loss.first_id, loss.last_id)

    def _gap(self, state: _Day, gap: Gap) -> None:
        state.figures.gaps += 1
        self._name(state, gap.first_id, gap.last_id)

    def _given_up(self, state: _Day, given_up: GivenUp) -> None:
        self._name(state, given_up.first_id, given_up.last_id)

    def _reset(self, state: _Day, reset: Reset) -> None:
        state.figures.resets += 1
        for day in self._days.values():
            day.figures = self._settled(day)
            day.absent, day.missing, day.void = IdRanges(), IdRanges(), IdRanges()
        self._last_id, self._last = reset.first_new_id - 1, None

    # ── chains ──────────────────────────────────────────────────────────────────────────────────────────

    def _chain(self, state: _Day, first_id: int, last_id: int) -> None:
        figures = state.figures
        self._reach(state, first_id)
        old = max(0, min(last_id, self._last_id) - first_id + 1)
        figures.twice += old
        figures.present += last_id - first_id + 1 - old
        self._last_id = max(self._last_id, last_id)

    def _reach(self, state: _Day, first_id: int) -> None:
        """What lies between the last id and this one, nobody told of."""
        if self._last_id == NO_ID:
            self._last_id = first_id - 1
        elif first_id > self._last_id + 1:
            state.missing.add(self._last_id + 1, first_id - 1)
            self._last_id = first_id - 1

    def _name(self, state: _Day, first_id: int, last_id: int) -> None:
        if self._is_counted and last_id > self._last_id:
            self._reach(state, first_id)
            state.absent.add(self._last_id + 1, last_id)
            self._last_id = last_id

    def _void(self, state: _Day, void: Void) -> None:
        if not self._is_counted:
            return
        for day in self._days.values():
            for lacking in (day.absent, day.missing):
                for first_id, last_id in lacking.within(void.first_id, void.last_id):
                    lacking.remove(first_id, last_id)
                    day.void.add(first_id, last_id)
        if void.last_id > self._last_id:
            self._reach(state, void.first_id)
            state.void.add(self._last_id + 1, void.last_id)
            self._last_id = void.last_id

    def _fill(self, state: _Day, first_id: int, last_id: int) -> None:
        count, filled = last_id - first_id + 1, 0
        for day in reversed(self._days.values()):
            here = day.take_out(first_id, last_id)
            day.figures.present += here
            filled += here
            if filled == count:
                return  # of the newest day, nearly always
        if first_id > self._last_id != NO_ID:
            self._chain(state, first_id, last_id)  # its gap was announced in a life that the recorder did not hear
        else:
            state.figures.twice += count - filled

    def _replace(self, state: _Day, last_id: int) -> None:
        for day in self._days.values():
            day.figures.replaced += day.absent.remove(0, last_id)
        if self._last_id != NO_ID and last_id > self._last_id:
            state.figures.replaced += last_id - self._last_id
        self._last_id = max(self._last_id, last_id)

    # ── bars ────────────────────────────────────────────────────────────────────────────────────────────

    def _bar(self, state: _Day, bar: Event, *, late: bool) -> None:
        if not isinstance(bar, Kline):
            return
        first_ns, last_ns = covered_ids(bar)
        self._unit = last_ns - first_ns + 1
        if not bar.final:
            if self._last_id == NO_ID:
                self._last_id = first_ns - 1
            state.figures.twice += not late and last_ns <= self._last_id
            return
        if late:
            for day in self._days.values():
                if day.take_out(first_ns, last_ns):
                    day.figures.present += 1
                    return
            state.figures.twice += 1
        elif last_ns <= self._last_id:
            state.figures.twice += 1
        else:
            self._reach(state, first_ns)
            state.figures.present += 1
            self._last_id = last_ns

    # ── all others ──────────────────────────────────────────────────────────────────────────────────────

    def _latest(self, state: _Day, event: Event) -> None:
        state.figures.present += 1
        if isinstance(event, BookTop | BookLevels) and event.state != WHOLE:
            return  # nothing is known of the book: a feed that was killed says so of one of its checkpoint, which is older
        state.figures.twice += event.last_id < self._last_id or event == self._last
        self._last_id, self._last = max(self._last_id, event.last_id), event

    @property
    def _is_counted(self) -> bool:
        return self.continuity is not None and (self.continuity.chained or self.continuity.link is Link.NEXT_BAR)

    def _count(self, ids: int) -> int:
        return ids if self._unit == 1 or not ids else max(1, round(ids / self._unit))

    _MARKS: ClassVar[dict[type[Kept], Callable[[IdAudit, _Day, Any], None]]] = {
        Restart: _restart,
        Loss: _loss,
        Gap: _gap,
        GivenUp: _given_up,
        Void: _void,
        Reset: _reset,
    }
    """What is done with a row that is no event of the venue."""
