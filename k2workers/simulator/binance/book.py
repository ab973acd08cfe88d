"""Owns one symbol's order book as price levels. Pure; prices and quantities in units of 1e-8."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

Level = tuple[int, int]


class Side:
    """Levels of one side, the best one last in ``keys``. A bid's key is its price, an ask's its negated price."""

    __slots__ = ("keys", "quantity", "sign", "watcher")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.quantity: dict[int, int] = {}
        self.watcher: Callable[[int, int, int], None] | None = None
        """Told of each change: the price, the quantity before and now."""

    def best(self) -> Level:
        """(price, quantity) of the best level; (0, 0) when the side is empty."""
        if not self.keys:
            return 0, 0
        price = self.keys[-1] * self.sign
        return price, self.quantity[price]

    def set(self, price: int, quantity: int) -> None:
        """Sets a level's absolute quantity; zero deletes it."""
        known = price in self.quantity
        if self.watcher is not None:
            self.watcher(price, self.quantity.get(price, 0), quantity)
        if quantity:
            self.quantity[price] = quantity
            if not known:
                key = price * self.sign
                self.keys.insert(bisect_left(self.keys, key), key)
        elif known:
            del self.quantity[price]
            del self.keys[bisect_left(self.keys, price * self.sign)]

    def top(self, count: int) -> list[Level]:
        """The best ``count`` levels, best first."""
        quantity, sign = self.quantity, self.sign
        return [(key * sign, quantity[key * sign]) for key in self.keys[: -count - 1 : -1]]

    def __len__(self) -> int:
        return len(self.keys)


class Changes:
    """The update ids and levels changed since the last diff-depth event of one speed."""

    __slots__ = ("asks", "bids", "first_id")

    def __init__(self, first_id: int) -> None:
        self.first_id = first_id
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def sorted_levels(self) -> tuple[list[Level], list[Level]]:
        """(bids descending, asks ascending), as the venue sends them."""
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
