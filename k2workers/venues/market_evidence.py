"""Owns what a look at the whole market tells: of which topics, and whether the venue has something of them that no line delivered. Knows no venue."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec


class Evidence(enum.Enum):
    """What a look at the whole market tells of a kind of topic: whether the venue has something that no line has delivered."""

    NONE = "none"
    """Nothing: for silence alone such a topic is never in question."""
    TRADES = "trades"
    """A newer trade of the symbol must have come as an event of this kind."""
    OWN_TRADES = "own trades"
    """The same, and the id of the trade is the event's."""
    TOPS = "tops"
    """A changed best price of the symbol must have come as an event of this kind."""


class SymbolSeen(msgspec.Struct, frozen=True, array_like=True):
    """What a look at the market showed of one symbol."""

    last_trade_id: int | None
    top: str | None
    """Both best prices; None if a side is empty."""
    trading: bool = True
    """One that does not trade owes no changes of its book."""


def top_of(bid: str, ask: str) -> str | None:
    """Both best prices, however many zeros the venue puts behind them; None if a side is empty."""
    prices = [price.rstrip("0").rstrip(".") if "." in price else price for price in (bid, ask)]
    return " ".join(prices) if all(price.strip("0.") for price in prices) else None


class MarketLook(Protocol):
    """The whole market at a glance, for one run."""

    def weight(self, symbols: Sequence[str]) -> int:
        """What a look at these symbols costs in the venue's allowance."""

    async def look(self, symbols: Sequence[str], now_ns: int) -> dict[str, SymbolSeen]:
        """What each of these symbols shows; one of which nothing can be told is left out. ``now_ns`` is monotonic. Raises VenueError."""
