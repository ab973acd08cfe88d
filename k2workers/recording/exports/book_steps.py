"""Owns what becomes of the rows of a topic in an export: steps, each an event with its times. Of books: whole ones, and only the changes that continue them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from k2workers.events import ROW_OF, BookChange, BookSnapshot, Event, Part
from k2workers.recording.conversion import follow
from k2workers.recording.row import Row
from k2workers.sequencing.order_book import OrderBook

DAY_NS = 86_400 * 10**9

TimedRow = tuple[int, Row]
"""A row, and when we learned of it, which never goes back within a topic."""


class Step(NamedTuple):
    """``event`` None: nothing is known of the book any longer. ``venue_ns`` is when the matching engine had it, as far as the venue tells.

    A whole book has no time of the venue: it stands where we learned of it, but never behind the change that continues it. ``followed`` says of it that the next step of
    its file is no other whole book.
    """

    at_ns: int
    venue_ns: int
    event: Event | None
    followed: bool = False


def plain_steps(rows: Iterable[TimedRow], from_ns: int) -> Iterator[Step]:
    """The events of a topic that is no book, those that came late too."""
    for at_ns, row in rows:
        event = row.event
        if at_ns >= from_ns and isinstance(event, Event) and ROW_OF[type(event)].part in (Part.DATA, Part.MADE):
            yield Step(at_ns, venue_ns(event) or at_ns, event)


def book_steps(rows: Iterable[TimedRow], from_ns: int, unused: Counter[int]) -> Iterator[Step]:
    """The steps of a topic of book changes. Each day begins with the whole book, and so does the first step at or after ``from_ns``.

    ``unused`` counts by day the changes that came while there was no whole book.
    """
    book, day, newest_ns = OrderBook(), -1, 0
    held: Step | None = None
    for at_ns, row in rows:
        begun = at_ns >= from_ns and at_ns // DAY_NS != day
        before = book.snapshot() if begun and book.whole else None
        without = isinstance(row.of, BookChange) and not book.whole
        step = _taken(book, at_ns, row)
        if at_ns < from_ns or step is None:
            unused[at_ns // DAY_NS] += without and at_ns >= from_ns
            continue
        if begun:
            day = at_ns // DAY_NS
            if before is not None and isinstance(step.event, BookChange):
                if held is not None:
                    yield held._replace(venue_ns=max(newest_ns, held.venue_ns), followed=True)
                held = Step(at_ns, at_ns, before)
        if held is not None:
            known_ns = min(held.venue_ns, step.venue_ns) if isinstance(step.event, BookChange) else held.venue_ns
            newest_ns = max(newest_ns, known_ns)
            yield held._replace(venue_ns=newest_ns, followed=isinstance(step.event, BookChange))
            held = None
        if isinstance(step.event, BookSnapshot):
            held = step
        else:
            newest_ns = max(newest_ns, step.venue_ns) or at_ns
            yield step._replace(venue_ns=newest_ns)
    if held is not None:
        yield held._replace(venue_ns=max(newest_ns, held.venue_ns), followed=True)


def venue_ns(event: Event) -> int:
    """When the matching engine had it; 0 if the venue does not say."""
    for name in ("trade_time_ns", "transaction_time_ns", "venue_time_ns"):
        time_ns: int = getattr(event, name, 0)
        if time_ns:
            return time_ns
    return 0


def _taken(book: OrderBook, at_ns: int, row: Row) -> Step | None:
    """What a row of book changes is for a reader; None if it is nothing."""
    event, was_whole, last_id = row.of, book.whole, book.last_id
    follow(book, row)
    if was_whole and not book.whole:
        return Step(at_ns, 0, None)
    if isinstance(event, BookSnapshot):
        again = was_whole and row.sequence is None  # the head of a file repeats the end of the one before
        return Step(at_ns, at_ns, event) if book.whole and not again else None
    if isinstance(event, BookChange) and book.whole and event.last_update_id > last_id:
        return Step(at_ns, venue_ns(event) or at_ns, event)
    return None
