"""Owns what ``k2workers book`` shows: a ladder that changes in its place on a terminal, elsewhere a line for each change of the best prices."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from decimal import Decimal

from k2workers.book_events import WHOLE
from k2workers.event import Level
from k2workers.processes.line_output import LineOutput, hint, printing, tell, words_of_feed
from k2workers.transport.kept_books import Book
from k2workers.transport.subscriber import Subscriber

DRAW_S = 0.25
KIND = "depth"
"""Of the changes that a book is made of, unless a whole topic is named."""

AROUND = 4
"""Rows of a terminal that are not for levels."""


def topic_of_book(name: str) -> str:
    """The topic of changes of a symbol (``VENUE.SYMBOL``), or the one that is named itself."""
    venue, _, symbol = name.partition(".")
    return name if "." in symbol else f"{venue}.{KIND}.{symbol}"


def show(name: str, endpoint: str, snapshot_endpoint: str, books_endpoint: str, levels: int, count: int | None) -> int:
    """Show it until ``count`` pictures or lines, or as any command that prints (``line_output``); the exit code."""

    async def work() -> None:
        shown = BookShown(name, levels, endpoint)
        async with Subscriber(
            [topic_of_book(name)],
            endpoint,
            snapshot_endpoint=snapshot_endpoint,
            books_endpoint=books_endpoint,
            keep_books=True,
            on_feed=shown.hear_feed,
            name=f"book {os.getpid()}",
        ) as subscriber:
            await shown.follow(subscriber, count)

    return printing("book", work)


class BookShown:
    """What is shown of one book. Make it in the task that prints."""

    def __init__(self, name: str, levels: int, endpoint: str) -> None:
        self._name = name
        self._topic = topic_of_book(name)
        self._levels = levels
        self._endpoint = endpoint
        self._output = LineOutput()
        self._on_terminal = sys.stdout.isatty()
        self._speaks = True
        self._drawn = 0
        """Lines of the picture that is there."""

    def hear_feed(self, speaks: bool) -> None:
        """Whether a feed is heard."""
        self._speaks = speaks
        if not self._on_terminal:
            tell(words_of_feed(speaks=speaks, endpoint=self._endpoint))

    async def follow(self, subscriber: Subscriber, count: int | None) -> None:
        """Show what becomes of the book, so many times or for ever."""
        await (self._draw(subscriber, count) if self._on_terminal else self._print(subscriber, count))

    async def _print(self, subscriber: Subscriber, count: int | None) -> None:
        waiting = {self._topic}
        hinting = asyncio.ensure_future(hint(subscriber, waiting, self._endpoint))
        before, left = None, count
        async for _ in subscriber.batches():
            waiting.clear()
            now = subscriber.book(self._topic, 1)
            if (now.state, now.bids, now.asks) == before:
                continue
            before = now.state, now.bids, now.asks
            self._output.write(line(self._name, now))
            left = None if left is None else left - 1
            if left == 0:
                break
        hinting.cancel()

    async def _draw(self, subscriber: Subscriber, count: int | None) -> None:
        taking, left = asyncio.ensure_future(_take(subscriber)), count
        try:
            while not taking.done() and left != 0:
                columns, rows = os.get_terminal_size(sys.stdout.fileno())
                levels = max(1, min(self._levels, (rows - AROUND) // 2))
                book = subscriber.book(self._topic, levels)
                self._put(ladder(self._name, book, levels, self._state(book, subscriber)), columns)
                left = None if left is None else left - 1
                await asyncio.wait({taking}, timeout=DRAW_S)
            if taking.done():
                await taking
        finally:
            taking.cancel()

    def _state(self, book: Book, subscriber: Subscriber) -> str:
        if not self._speaks:
            return f"no feed at {self._endpoint}"
        absent = book.state != WHOLE and self._topic in subscriber.absent
        return "nothing published" if absent else book.state

    def _put(self, lines: list[str], columns: int) -> None:
        """Draw over what was drawn before."""
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._drawn = len(lines)
        self._output.write(up + "\n".join(f"\r\x1b[2K{text[: columns - 1]}" for text in lines))


async def _take(subscriber: Subscriber) -> None:
    async for _ in subscriber.batches():
        pass


def line(name: str, book: Book) -> str:
    """The best prices in one line."""
    at = datetime.fromtimestamp(book.received_ns / 1e9, UTC).strftime("%H:%M:%S.%f")
    if book.state != WHOLE:
        return f"{at} {name} {book.state}"
    (bid, bid_quantity), (ask, ask_quantity) = (side[0] if side else ("-", "-") for side in (book.bids, book.asks))
    return f"{at} {name} {bid_quantity} {bid} | {ask} {ask_quantity}  {spread(book)}  id {book.update_id}"


def ladder(name: str, book: Book, levels: int, state: str) -> list[str]:
    """The best levels, asks above bids, always as many lines."""
    age = f"age {book.age_s:.1f} s" if book.received_ns else ""
    asks, bids = book.asks[:levels], book.bids[:levels]
    width = max((len(text) for level in (*asks, *bids) for text in level), default=1)

    def row(word: str, level: Level) -> str:
        return f"{word:>4} {level[0]:>{width}}  {level[1]:>{width}}"

    return [
        "  ".join([name, state, *([age] if age else []), *([f"id {book.update_id}"] if book.state == WHOLE else [])]),
        *[""] * (levels - len(asks)),
        *(row("ask", level) for level in reversed(asks)),
        f"     {spread(book)}",
        *(row("bid", level) for level in bids),
        *[""] * (levels - len(bids)),
    ]


def spread(book: Book) -> str:
    """How far the best prices are from each other, in the venue's unit and in hundredths of a percent."""
    if not book.bids or not book.asks:
        return "spread -"
    bid, ask = Decimal(book.bids[0][0]), Decimal(book.asks[0][0])
    middle = (bid + ask) / 2
    return f"spread {ask - bid:f}" + (f" ({(ask - bid) / middle * 10_000:.2f} bp)" if middle else "")
