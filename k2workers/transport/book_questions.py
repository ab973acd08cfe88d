"""Owns what a subscriber asks of the books port, and how it reads the answers. What becomes of a book is decided in ``book_reassembly``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import structlog
import zmq

from k2workers import wire
from k2workers.transport import books_server
from k2workers.transport.book_reassembly import BookReassembly
from k2workers.transport.sockets import Socket, readable

AGAIN_NS = 2_000_000_000
"""How often a joiner asks for the books of a prefix until it has all of them; one that has none may be asked for by itself meanwhile."""

BOOKS_A_TURN = 4

_log = structlog.get_logger(__name__)


class BookQuestions:
    """Call ``ask`` steadily, and ``take`` when the socket may have something; without ``books`` nothing is asked."""

    def __init__(self, socket: Socket, books: BookReassembly | None, topics: Sequence[str]) -> None:
        self._socket = socket
        self._books = books
        # Whoever goes on from a position knows the topics; what has begun since begins with a book of its own.
        unknown = [topic for topic in topics if not books.has_joined(topic)] + books.unheard if books else []
        self._bookless = dict.fromkeys(unknown)
        """Topics and prefixes of which all books are asked for."""
        self._of_another_life = False
        """Whether a book came since the last end of an answer that is of no use, as the aggregator lives anew."""
        self._asked_ns = -AGAIN_NS

    def take(self, now_ns: int) -> bool:
        """Read whole books that have arrived, a few a call. Returns whether more may wait."""
        books = self._books
        if books is None:
            return False
        for _ in range(BOOKS_A_TURN):
            if not readable(self._socket):
                return False
            word, *rest = self._socket.recv_multipart(zmq.NOBLOCK)
            try:
                if word == books_server.BOOK:
                    self._of_another_life |= not books.book(rest[0], now_ns)
                elif word == books_server.END and self._of_another_life:
                    self._of_another_life = False
                elif word == books_server.END:
                    self._bookless.pop(rest[0].decode(), None)
            except (wire.WireError, IndexError, ValueError) as error:
                _log.error("reply_unreadable", error=str(error))
        return True

    def ask(self, now_ns: int) -> None:
        """Ask for the books that are due."""
        if self._books is None:
            return
        if self._bookless and now_ns - self._asked_ns >= AGAIN_NS:
            self._asked_ns = now_ns
            for wanted in self._bookless:
                self._say(wanted)
        for topic in self._books.book_questions(now_ns):
            self._say(topic)

    def _say(self, wanted: str) -> None:
        with contextlib.suppress(zmq.Again):  # asked again at a later tick
            self._socket.send_multipart([books_server.BOOK, wanted.encode()], zmq.NOBLOCK)
