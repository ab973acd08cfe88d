"""Owns the proof of one topic of book changes: its book replayed, and which of its files begin without one. Pure.

The book at the head of a file is compared with the one that the file before it ended with. A change that does not continue a whole book is broken, unless a gap, a loss or a reset said so.
"""

from __future__ import annotations

import msgspec

from k2workers.events import BookChange, BookSnapshot, Event, Gap, Reset
from k2workers.recording.row import Loss, Row
from k2workers.sequencing.order_book import OrderBook


class BookFigures(msgspec.Struct):
    """``changes`` were applied to whole books, ``without`` came while there was none and rows say why, ``broken`` without a reason."""

    books: int = 0
    changes: int = 0
    without: int = 0
    broken: int = 0
    differing: int = 0
    """Books at the head of a file that are not what the file before it ended with."""
    files_without: int = 0
    """Files whose first change has no whole book before it."""


class BookAudit:
    """``begin_file``, then ``take`` its rows; and so for all files of the topic in their order."""

    def __init__(self) -> None:
        self.figures = BookFigures()
        self._book = OrderBook()
        self._told = True
        """Whether rows say why there is no whole book."""
        self._head = True
        """Whether no change or book of the file has come yet."""

    def begin_file(self) -> None:
        """The next rows are those of another file."""
        self._head = True

    def take(self, row: Row) -> None:
        """The next row."""
        event, figures = row.of, self.figures
        if isinstance(event, Loss):
            self._book.lose()
            self._told = True
        elif isinstance(event, BookSnapshot):
            figures.books += 1
            if row.sequence is None and self._book.whole and self._book.snapshot() != event:
                figures.differing += 1
            self._book.take(event)
            self._head = False
        elif isinstance(event, BookChange):
            figures.files_without += self._head
            self._head = False
            self._apply(event)
        elif isinstance(event, Event):
            self._book.take(event)
            self._told = self._told or isinstance(event, Gap | Reset)

    def _apply(self, change: BookChange) -> None:
        figures, was_whole = self.figures, self._book.whole
        self._book.take(change)
        if self._book.whole:
            figures.changes += 1
            self._told = False
        elif was_whole or not self._told:
            figures.broken += 1
            self._told = True  # once: what follows has the same reason
        else:
            figures.without += 1
