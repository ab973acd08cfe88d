"""Owns one side of an order book: its levels, and those nearest to the market in their order. Pure.

All levels are in one dict; only the nearest are kept in order, once somebody asks for them: sorting a thousand levels for each best price would
cost more than all else that is done for a book.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable

from k2workers.event import Level

RANKED = 64
"""Levels that are put in order at least. When twice as many are, the farther half is left to the dict; when fewer are left than are asked for, they
are looked for anew."""

ONE_OF = 16
"""Or one of so many levels, if that is more: to look for them costs as much as there are levels, and so comes the more seldom."""

_NOTHING = -math.inf


class BookSide:
    """Bids with ``sign`` -1, asks with 1: a price times it is the *rank*, and the lowest is nearest to the market."""

    __slots__ = ("_asked", "_edge", "_order", "_sign", "levels")

    def __init__(self, sign: int, levels: Iterable[Level] = ()) -> None:
        self.levels: dict[str, str] = dict(levels)
        """Price → quantity."""
        self._sign = sign
        self._order: list[tuple[float, str]] = []
        """(rank, price) of every level whose rank is at most ``_edge``, the nearest first."""
        self._edge = _NOTHING
        self._asked = 1
        """The most that were ever asked for."""

    def take(self, changes: Iterable[Level]) -> None:
        """Apply the levels of a change. Raises ValueError, half done, for one that is no price and quantity."""
        levels, sign, edge = self.levels, self._sign, self._edge
        for price, quantity in changes:
            rank = sign * float(price)
            if float(quantity):
                if rank <= edge and price not in levels:
                    self._put(rank, price)
                levels[price] = quantity
            elif levels.pop(price, None) is not None and rank <= edge:
                self._drop(rank, price)

    def nearest(self, count: int) -> list[Level]:
        """So many levels, the nearest first; fewer if there are no more."""
        levels = self.levels
        return [(price, levels[price]) for _, price in self._ranked(count)[:count]]

    @property
    def best(self) -> float | None:
        """The rank of the nearest level; None without one."""
        order = self._ranked(1)
        return order[0][0] if order else None

    def cut(self, most: int) -> None:
        """Forget the farthest levels, down to so many."""
        self.levels = dict(self.sorted()[:most])
        self._order, self._edge = [], _NOTHING

    def sorted(self) -> list[Level]:
        """All levels, the nearest first."""
        sign = self._sign
        return sorted(self.levels.items(), key=lambda level: sign * float(level[0]))

    def _ranked(self, count: int) -> list[tuple[float, str]]:
        """The order, with so many levels if there are as many."""
        if len(self._order) < count and self._edge < math.inf:
            self._asked = max(self._asked, count)
            sign, most = self._sign, self._kept
            order = sorted((sign * float(price), price) for price in self.levels)
            self._order, self._edge = order[:most], (math.inf if len(order) <= most else order[most - 1][0])
        return self._order

    @property
    def _kept(self) -> int:
        """How many are put in order."""
        return max(RANKED, 2 * self._asked, len(self.levels) // ONE_OF)

    def _put(self, rank: float, price: str) -> None:
        order = self._order
        if rank > self._edge:  # it has come nearer since the change began
            return
        insort(order, (rank, price))
        if len(order) > 2 * RANKED and len(order) > 2 * self._kept:
            del order[self._kept :]
            self._edge = order[-1][0]

    def _drop(self, rank: float, price: str) -> None:
        order = self._order
        at = bisect_left(order, (rank, price))
        if order[at : at + 1] == [(rank, price)]:  # else the edge has come nearer since the change began
            del order[at]
