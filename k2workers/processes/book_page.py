"""Owns what ``/book/VENUE/SYMBOL`` answers: the best levels of a book that is kept, as the books process has them at that moment."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from k2workers.book_events import BookLevels
from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion, in_json, number_in, tagged, words
from k2workers.processes.asked_process import AskedProcess
from k2workers.transport.books_server import MOST_LEVELS
from k2workers.transport.levels_client import LevelsClient

LEVELS = 20
"""Of each side, unless the query says otherwise."""


class BookPage:
    """``prefixes`` are, by venue, those of the topics that its books are kept of; ``symbols`` tells which a venue has.

    Call ``answer`` from any thread; ``listening`` when the books process has told where.
    """

    def __init__(self, prefixes: Mapping[str, str], symbols: Callable[[str], Sequence[str]]) -> None:
        self._prefixes = prefixes
        self._symbols = symbols
        self._process = AskedProcess(LevelsClient)
        self.listening, self.close = self._process.listening, self._process.close

    def answer(self, asked: HttpQuestion) -> HttpAnswer:
        """What is asked for below ``/book/``. Raises TimeoutError if the books process does not answer."""
        levels = number_in(asked.query, "levels", LEVELS, MOST_LEVELS)
        if isinstance(levels, HttpAnswer):
            return levels
        venue, _, symbol = asked.name.partition("/")
        began_s = time.thread_time()
        topic = f"{self._prefixes[venue]}{symbol}" if venue in self._prefixes else ""
        found = self._process.client.ask(topic, levels) if topic else None
        with self._process.making(time.thread_time() - began_s):
            return self._of(found, venue, symbol, asked.known)

    def _of(self, found: BookLevels | None, venue: str, symbol: str, known: str) -> HttpAnswer:
        if found is None:
            name = f"{venue}/{symbol}" if symbol else venue
            return words(HTTPStatus.NOT_FOUND, f"no book of {name!r} is kept{self._hint(venue, symbol)}")
        tag = f'"{found.update_id}-{found.state}"'
        return tagged(in_json({"venue": venue, "symbol": symbol, **_fields(found)}), tag, known)

    def _hint(self, venue: str, symbol: str) -> str:
        """The nearest name, in words."""
        if not self._prefixes:
            return "; books are kept of streams such as depth"
        if venue in self._prefixes:
            nearest = difflib.get_close_matches(symbol[:50].upper(), self._symbols(venue), n=1)
            near = [f"{venue}/{each}" for each in nearest]
        else:
            near = [f"{each}/SYMBOL" for each in difflib.get_close_matches(venue[:50], self._prefixes, n=1)]
        return f"; did you mean /book/{near[0]}?" if near else f"; books are kept of {', '.join(self._prefixes)}"


def _fields(found: BookLevels) -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__struct_fields__}
