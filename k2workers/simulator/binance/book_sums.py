"""Owns the sums of one book's levels, by which a million copies of it can be proven equal without comparing level by level. Pure.

A sum is that of a number for each level, made from its side, price and quantity as the venue writes them, modulo 2^64: the order in which
levels came does not matter, and a change costs no more than what has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b

from k2workers.simulator.binance.book import Side

BEST = 20
"""Levels of each side of which there is a sum besides."""

BID, ASK = "b", "a"

Texts = Callable[[int, int], tuple[str, str]]
"""(price, quantity) in units of 1e-8 → as the venue writes them."""


def number_of(side: str, price: str, quantity: str) -> int:
    """What one level adds to a sum."""
    return int.from_bytes(blake2b(f"{side}{price} {quantity}".encode(), digest_size=8).digest())


def sum_of(numbers: Iterable[int]) -> int:
    """The sum of so many levels."""
    return sum(numbers) % 2**64


class BookSums:
    """Follows both sides of a book from now on."""

    __slots__ = ("_sides", "_texts", "_total")

    def __init__(self, bids: Side, asks: Side, texts: Texts) -> None:
        self._texts = texts
        self._sides = (BID, bids), (ASK, asks)
        self._total = sum_of(number for name, side in self._sides for number in self._numbers(name, side, len(side)))
        for name, side in self._sides:
            side.watcher = self._follow(name)

    def line(self, symbol: str, update_id: int) -> str:
        """The book as it is: symbol, update id, the sums of all levels, of the best one and of the ``BEST`` best of each side, how many bids and asks there are."""
        best, bests = (
            sum_of(number for name, side in self._sides for number in self._numbers(name, side, count))
            for count in (1, BEST)
        )
        (_, bids), (_, asks) = self._sides
        return f"{symbol} {update_id} {self._total:x} {best:x} {bests:x} {len(bids)} {len(asks)}\n"

    def _numbers(self, name: str, side: Side, count: int) -> Iterable[int]:
        return (number_of(name, *self._texts(*level)) for level in side.top(count))

    def _follow(self, name: str) -> Callable[[int, int, int], None]:
        def changed(price: int, before: int, now: int) -> None:
            for quantity, sign in ((before, -1), (now, 1)):
                if quantity:
                    self._total += sign * number_of(name, *self._texts(price, quantity))
            self._total %= 2**64

        return changed
