"""Owns what ``/book/VENUE/SYMBOL`` answers: the best levels of a book that is kept, as the books process has them at that moment."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs

from k2workers.book_events import BookLevels
from k2workers.metrics.http_answers import HttpAnswer, HttpQuestion, in_json, tagged, words
from k2workers.transport.books_server import MOST_LEVELS
from k2workers.transport.levels_client import LevelsClient

LEVELS = 20
"""Of each side, unless the query says otherwise."""

REST = 3
"""After an answer was made none is for so many times as long as that took: however many ask, or ask for what is not there, it costs a quarter of one core."""


class BookPage:
    """``prefixes`` are, by venue, those of the topics that its books are kept of; ``symbols`` tells which a venue has.

    Call ``answer`` from any thread; ``listening`` when the books process has told where.
    """

    def __init__(self, prefixes: Mapping[str, str], symbols: Callable[[str], Sequence[str]]) -> None:
        self._prefixes = prefixes
        self._symbols = symbols
        self._client: LevelsClient | None = None
        self._making = threading.Lock()
        self._rested_s = 0.0
        """When the next answer may be made."""

    def listening(self, endpoint: str) -> None:
        """The books process listens here."""
        before = self._client
        if before is not None and before.endpoint == endpoint:
            return
        self._client = LevelsClient(endpoint)
        if before is not None:
            # A thread that asks there is waited for, and nobody else waits for that.
            threading.Thread(target=before.close, name="books", daemon=True).start()

    def answer(self, asked: HttpQuestion) -> HttpAnswer:
        """What is asked for below ``/book/``. Raises TimeoutError if the books process does not answer."""
        levels = parse_qs(asked.query, keep_blank_values=True).get("levels", [str(LEVELS)])[-1]
        if not (levels.isascii() and levels.isdecimal() and len(levels) < 6 and 1 <= int(levels) <= MOST_LEVELS):
            return words(HTTPStatus.BAD_REQUEST, f"levels = {levels!r}; allowed: 1 to {MOST_LEVELS}")
        venue, _, symbol = asked.name.partition("/")
        worked_s = time.thread_time()
        topic = f"{self._prefixes[venue]}{symbol}" if venue in self._prefixes else ""
        found = self._ask(topic, int(levels)) if topic else None
        with self._making:
            time.sleep(max(0.0, self._rested_s - time.monotonic()))
            try:
                return self._of(found, venue, symbol, asked.known)
            finally:
                self._rested_s = time.monotonic() + REST * (time.thread_time() - worked_s)

    def _of(self, found: BookLevels | None, venue: str, symbol: str, known: str) -> HttpAnswer:
        if found is None:
            name = f"{venue}/{symbol}" if symbol else venue
            return words(HTTPStatus.NOT_FOUND, f"no book of {name!r} is kept{self._hint(venue, symbol)}")
        tag = f'"{found.update_id}-{found.state}"'
        return tagged(in_json({"venue": venue, "symbol": symbol, **_fields(found)}), tag, known)

    def close(self) -> None:
        """Ask nobody any longer."""
        if self._client is not None:
            self._client.close()

    def _ask(self, topic: str, count: int) -> BookLevels | None:
        client = self._client
        if client is None:
            raise TimeoutError
        return client.ask(topic, count)

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
