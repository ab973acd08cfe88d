"""Owns what our REST requests cost of the venue's weight. How much there is a minute: ``limits.py``. Pure."""

from __future__ import annotations

import msgspec


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Of one market. ``statistics`` (ticker/24hr) are by how many symbols are named at most; ``book`` (depth) by how many levels of each side are
    asked for at most.
    """

    trades: int
    aggregates: int
    bars: int
    symbols: int
    """exchangeInfo."""
    best_prices: int
    """ticker/bookTicker of several symbols, or all."""
    statistics: tuple[tuple[int, int], ...]
    all_statistics: int
    """ticker/24hr of more symbols, or all."""
    book: tuple[tuple[int, int], ...]

    @property
    def cheap_levels(self) -> int:
        """So many levels of a book cost least."""
        return self.book[0][0]

    def of_statistics(self, names: int) -> int:
        """Of so many named symbols; 0 are all."""
        return next((weight for most, weight in self.statistics if 0 < names <= most), self.all_statistics)

    def of_book(self, levels: int) -> int:
        """Of a book with so many levels of each side."""
        return next((weight for most, weight in self.book if levels <= most), self.book[-1][1])


SPOT_WEIGHTS = Weights(
    trades=25,
    aggregates=4,
    bars=2,
    symbols=20,
    best_prices=4,
    statistics=((20, 2), (100, 40)),
    all_statistics=80,
    book=((100, 5), (500, 25), (1_000, 50), (5_000, 250)),
)
"""The spot REST documents, 2026."""
