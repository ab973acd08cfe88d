"""Owns what each of our REST requests costs of the venue's weight (official documents, 2026). How much there is a minute: ``limits.py``. Pure."""

from __future__ import annotations

TRADES = 25
AGGREGATES = 4
BARS = 2
SYMBOLS = 20
"""exchangeInfo."""
BEST_PRICES = 4
"""ticker/bookTicker of several symbols, or all."""

STATISTICS = ((20, 2), (100, 40))
ALL_STATISTICS = 80
"""ticker/24hr: by how many symbols are named at most; of more, or all."""

BOOK = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
"""depth: by how many levels of each side are asked for at most."""

CHEAP_LEVELS = BOOK[0][0]
"""So many levels of a book cost least."""


def of_statistics(names: int) -> int:
    """Of so many named symbols; 0 are all."""
    return next((weight for most, weight in STATISTICS if 0 < names <= most), ALL_STATISTICS)


def of_book(levels: int) -> int:
    """Of a book with so many levels of each side."""
    return next((weight for most, weight in BOOK if levels <= most), BOOK[-1][1])
