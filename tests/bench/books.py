"""Owns the measurement of what the books process does with one change of a book: keep the book, and tell best prices and levels of it.

Books of 1,000 levels a side, changes of 36 levels near the market, which walks. All in one process, interleaved, in CPU time; the sockets are not in it.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from k2workers import wire
from k2workers.events import BookSnapshot, DepthUpdate
from k2workers.sequencing.book_topics import BookTopics
from k2workers.sequencing.order_book import OrderBook

LEVELS, CHANGED = 1_000, 18
"""Of each side: levels of a book, and of a change."""
KINDS = ("book_top", "book_20")
PACE_NS = 250_000_000
WINDOW_NS = 100_000_000
"""From one change of a book to the next."""
TOPIC = "binance.depth."

Rows = list[list[Any]]
"""Of each book what it begins with, and its changes."""


def market(seed: int) -> Iterator[BookSnapshot | DepthUpdate]:
    """A book, and changes of it without end: quantities, levels that come and go, and a middle that walks."""
    rng, middle, number = random.Random(seed), 6_000_000, 1
    sides = [{middle + way * step: 1 for step in range(1, LEVELS + 1)} for way in (-1, 1)]

    def text(levels: list[tuple[int, int]]) -> list[tuple[str, str]]:
        return [(f"{price / 100:.8f}", f"{quantity / 1000:.8f}") for price, quantity in levels]

    bids, asks = (text(list(side.items())) for side in sides)
    yield BookSnapshot(number, bids, asks, 0)
    while True:
        walked = middle + rng.choice((-2, -1, 0, 0, 1, 2))
        changes: list[list[tuple[int, int]]] = []
        for side, way in zip(sides, (-1, 1), strict=True):
            crossed = [
                price
                for price in range(min(middle, walked), max(middle, walked) + 1)
                if price in side and (price - walked) * way <= 0
            ]
            near = {walked + way * min(int(rng.expovariate(0.05)) + 1, LEVELS) for _ in range(CHANGED - len(crossed))}
            changed = {price: rng.randrange(1, 90_000) if rng.random() < 0.8 else 0 for price in near} | dict.fromkeys(
                crossed, 0
            )
            side.update(changed)
            for price in [price for price, quantity in changed.items() if not quantity]:
                del side[price]
            changes.append(sorted(changed.items()))
        middle, number = walked, number + 1
        bids, asks = map(text, changes)
        yield DepthUpdate(number, number, bids, asks, number, number)


def measure(updates: int, books: int, rounds: int) -> dict[str, Any]:
    """CPU µs an update of each way: the median of so many rounds, interleaved."""
    rows = [list(itertools.islice(market(seed), updates // books + 1)) for seed in range(books)]
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            found[name].append(way(rows) * 1e6)
    changes = [change for row in rows for change in row[1:]]
    return {
        "updates": len(changes),
        "levels_a_change": round(statistics.mean(len(change.bids) + len(change.asks) for change in changes), 1),
        **{f"{name}_us": round(statistics.median(each), 2) for name, each in found.items()},
    }


def _decode(rows: Rows) -> float:
    """From the frame that a subscriber gets to an event, with nothing done with it."""
    return _run(rows, keep=False)


def _keep(rows: Rows) -> float:
    """The books as well, each with a look at its best prices."""
    return _run(rows)


def _tell(rows: Rows) -> float:
    """And what is told of them, as the bytes that go to the aggregator."""
    return _run(rows, BookTopics(KINDS, [TOPIC], PACE_NS))


def _run(rows: Rows, topics: BookTopics | None = None, *, keep: bool = True) -> float:
    frames = [[_frame(event) for event in row] for row in rows]
    books = [OrderBook() for _ in rows]
    for book, row in zip(books, rows, strict=True):
        book.take(row[0])
    apart_ns, told = WINDOW_NS // len(rows), 0
    begun_s = time.process_time()
    for number in range(1, len(rows[0])):
        for place, (book, row) in enumerate(zip(books, frames, strict=True)):
            (event,) = wire.decode_events(row[number], wire.read_header(row[number]))
            if keep:
                book.take(event)
                assert not book.crossed
            if topics is not None:
                topics.changed(f"{TOPIC}{place}", book)
                told += len(topics.news(number * WINDOW_NS + place * apart_ns, 1))
    took_s = time.process_time() - begun_s
    assert topics is None or told
    return took_s / (len(rows) * (len(rows[0]) - 1))


def _frame(event: BookSnapshot | DepthUpdate) -> bytes:
    return wire.publication(wire.batch_of(TOPIC, [event], 0), epoch=1, sequence=1, publish_ns=1)


WAYS: dict[str, Callable[[Rows], float]] = {"decode": _decode, "and_keep": _keep, "and_tell": _tell}
