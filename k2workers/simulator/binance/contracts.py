"""Owns what tells the two futures markets apart, and what the name of a contract says. Pure.

Names, units and sizes of COIN-M contracts are from the venue's documents of 2020 to 2026 and not from recordings: a contract is 100 dollars
of BTC, 10 of any other coin.
"""

from __future__ import annotations

from typing import NamedTuple

PERPETUAL, QUARTER = "PERPETUAL", "CURRENT_QUARTER"
FAR_US = 4_133_404_800_000_000
"""When a perpetual contract is delivered, as the venue writes it: in the year 2100."""


class Contracts(NamedTuple):
    """One futures market."""

    symbol_type: int
    """What ``st`` says of it."""
    quote: str
    symbol_tail: str
    """Of a perpetual contract's name, behind its asset."""
    inverse: bool
    """Whether quantities are contracts, worth dollars in coin."""

    def symbol(self, asset: str) -> str:
        return asset + self.symbol_tail

    def margin(self, asset: str) -> str:
        """What is paid in."""
        return asset if self.inverse else self.quote

    def size(self, asset: str) -> int:
        """Dollars of a contract; 0 where quantities are coins."""
        return 0 if not self.inverse else 100 if asset == "BTC" else 10


USDM = Contracts(1, "USDT", "USDT", inverse=False)
COINM = Contracts(2, "USD", "USD_PERP", inverse=True)


def pair_of(symbol: str) -> str:
    """``BTCUSD_PERP`` and ``BTCUSD_261225`` are contracts of ``BTCUSD``; without a delivery in its name a contract is its pair's only one."""
    return symbol.partition("_")[0]


def type_of(symbol: str) -> str:
    """Of the contract."""
    return QUARTER if symbol.partition("_")[2].isdecimal() else PERPETUAL


def asset_of(symbol: str) -> str:
    """As far as a name tells."""
    pair = pair_of(symbol)
    for quote in ("USDT", "USDC", "BUSD", "USD"):
        if pair.endswith(quote) and len(pair) > len(quote):
            return pair.removesuffix(quote)
    return pair


def contracts_of(symbol: str) -> Contracts:
    """Whose contract it is."""
    return COINM if pair_of(symbol).endswith("USD") else USDM
