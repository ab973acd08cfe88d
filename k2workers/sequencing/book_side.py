"""Owns one side of an order book: its levels, and those nearest to the market in their order. Pure.

All levels are in one dict; only the nearest are kept in order, once somebody asks for them: sorting a thousand levels for each best price would
cost more than all else that is done for a book.

A side may begin with no more than the near part of a longer one: the venue gives so many levels. What lies beyond the farthest of them is told only
when it changes, so that levels are missing among those that are known there. When the market goes that way the nearest levels are fewer and fewer
(never with a hole between them), and a new beginning is needed.
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

FEW = 100
"""More levels than these are not kept in order for whoever asks for them, but sorted each time: all changes would cost more for it, for ever."""

_NOTHING = -math.inf


class BookSide:
    """Bids with ``sign`` -1, asks with 1: a price times it is the *rank*, and the lowest is nearest to the market. ``part``: there may be more levels."""

    __slots__ = ("_asked", "_began_with", "_edge", "_end", "_known", "_order", "_price_of", "_sign", "levels")

    def __init__(self, sign: int, levels: Iterable[Level] = (), *, part: bool = False) -> None:
        self.levels: dict[str, str] = dict(levels)
        """Price → quantity."""
        self._sign = sign
        self._order: list[float] = []
        """The rank of every level whose rank is at most ``_edge``, the nearest first."""
        self._price_of: dict[float, str] = {}
        """Of each of them the price."""
        self._edge = _NOTHING
        self._asked = 1
        """The most that were ever asked for."""
        self._began_with = self._known = len(self.levels)
        self._end = max(sign * float(price) for price in self.levels) if part and self.levels else math.inf
        """Up to this rank all levels are known, beyond it only what has changed."""

    def take(self, changes: Iterable[Level]) -> None:
        """Apply the levels of a change. Raises ValueError, half done, for one that is no price and quantity."""
        levels, order, price_of, edge, end = self.levels, self._order, self._price_of, self._edge, self._end
        for price, quantity in changes:
            if float(quantity):
                if price not in levels and (rank := self._sign * float(price)) <= end:
                    self._known += 1
                    if rank <= edge:
                        if rank not in price_of:
                            insort(order, rank)
                        price_of[rank] = price
                levels[price] = quantity
            elif levels.pop(price, None) is None:
                float(price)
            elif (rank := self._sign * float(price)) <= end:
                self._known -= 1
                if rank <= edge and price_of.pop(rank, None) is not None:
                    del order[bisect_left(order, rank)]
        if len(order) > 2 * RANKED and len(order) > 2 * self._kept:
            self._keep(order)

    def nearest(self, count: int) -> list[Level]:
        """So many levels, the nearest first; fewer if there are no more, or if it is not known which are the next."""
        if count > FEW:
            return self.known()[:count]
        ranks = self._ranked(count)[:count]
        levels, price_of = self.levels, self._price_of
        return [(price := price_of[rank], levels[price]) for rank in ranks]

    def runs_short(self, count: int) -> bool:
        """Whether fewer than so many are known for sure, and half of those that it began with are gone: a new beginning would tell more."""
        return self._known < count and self._known < self._began_with / 2 and self.bounded

    @property
    def ends(self) -> bool:
        """Whether none of the levels that are there is known for sure to be the next."""
        return not self._known and self.bounded

    @property
    def bounded(self) -> bool:
        """Whether there may be levels of which nothing was told."""
        return self._end < math.inf

    @property
    def best(self) -> float | None:
        """The rank of the nearest level; None without one."""
        order = self._order or self._ranked(1)
        return order[0] if order else None

    def cut(self, most: int) -> None:
        """Forget the farthest levels, down to so many."""
        kept = self.sorted()[:most]
        cut = len(self.levels) > most
        self.levels = dict(kept)
        self._order, self._price_of, self._edge = [], {}, _NOTHING
        if cut and (farthest := self._sign * float(kept[-1][0])) < self._end:
            self._began_with, self._known, self._end = most, most, farthest

    def sorted(self) -> list[Level]:
        """All levels of which anything was told, the nearest first."""
        sign = self._sign
        return sorted(self.levels.items(), key=lambda level: sign * float(level[0]))

    def known(self) -> list[Level]:
        """Those of them between which none is missing."""
        sign, end = self._sign, self._end
        return [level for level in self.sorted() if sign * float(level[0]) <= end]

    def _ranked(self, count: int) -> list[float]:
        """The order, with so many levels if there are as many."""
        if len(self._order) < count and self._edge < math.inf:
            self._asked = max(self._asked, count)
            sign = self._sign
            end = self._end
            self._price_of = {rank: price for price in self.levels if (rank := sign * float(price)) <= end}
            self._edge = math.inf
            self._keep(sorted(self._price_of))
        return self._order

    def _keep(self, order: list[float]) -> None:
        """Leave the farther ones to the dict."""
        most = self._kept
        for rank in order[most:]:
            del self._price_of[rank]
        if order[most:]:
            self._edge = order[most - 1]
        self._order = order[:most]

    @property
    def _kept(self) -> int:
        """How many are put in order."""
        return max(RANKED, 2 * self._asked, len(self.levels) // ONE_OF)
