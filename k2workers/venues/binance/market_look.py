"""Owns the look at the whole market: which requests show the last trade and the best prices of all symbols, and of which kinds they tell something.

Sources: "24hr ticker price change statistics" and "Symbol order book ticker" of the spot REST documents; both are served from memory.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from k2workers.errors import VenueError, VenueRefused
from k2workers.venues.binance.dialect import SPOT_DIALECT, Dialect
from k2workers.venues.binance.rest import RestClient
from k2workers.venues.binance.streams import INTERVALS
from k2workers.venues.binance.symbols import can_be_asked_alone
from k2workers.venues.market_evidence import Evidence, SymbolSeen, top_of

SILENCE_S = 8.0
"""How long the venue may be silent before the request is given up."""

UNLISTED_NS = 600_000_000_000
"""For how long a symbol that the venue did not list is not asked for by name: it would refuse all others with it."""

SPOT_EVIDENCE = {
    "trade": Evidence.OWN_TRADES,
    "agg_trade": Evidence.TRADES,
    "book_ticker": Evidence.TOPS,
    "depth": Evidence.TOPS,
    "depth_1s": Evidence.TOPS,
    **{f"kline_{interval}{zone}": Evidence.TRADES for interval in INTERVALS for zone in ("", "_utc8")},
}
"""Of the other kinds (block trades, tickers, average and reference prices, partial depth) no request tells whether something was withheld."""


class BinanceMarketLook:
    """Fulfils ``venues.venue.MarketLook`` for one of the markets."""

    def __init__(
        self, base_url: str, ssl_context: ssl.SSLContext | None = None, dialect: Dialect = SPOT_DIALECT
    ) -> None:
        self._base_url = base_url
        self._ssl = ssl_context
        self._dialect = dialect
        self._unlisted: set[str] = set()
        self._unlisted_ns = 0
        self._whole = False
        """Whether one of the names was not known: only the whole list tells which."""

    def weight(self, symbols: Sequence[str]) -> int:
        """See ``MarketLook.weight``."""
        return self._dialect.weights.best_prices + self._dialect.weights.of_statistics(len(self._names(symbols)))

    async def look(self, symbols: Sequence[str], now_ns: int) -> dict[str, SymbolSeen]:
        """See ``MarketLook.look``."""
        if now_ns - self._unlisted_ns >= UNLISTED_NS:
            self._unlisted.clear()
        names = self._names(symbols)
        async with RestClient(self._base_url, self._ssl, SILENCE_S, self._dialect) as rest:
            try:
                days, tops = await rest.days(names), await rest.tops(names)
            except VenueRefused:
                self._whole = bool(names)
                raise
        if not any(days):
            raise VenueError(f"{self._base_url} shows no symbol of the market")
        last_ids = {row.symbol: row.lastId for row in days if row is not None}
        prices = {row.symbol: top_of(row.bidPrice, row.askPrice) for row in tops if row is not None}
        if not names and None not in days:
            self._whole, self._unlisted_ns = False, now_ns
            self._unlisted = set(symbols) - last_ids.keys()
        seen = {
            symbol: SymbolSeen(last_ids[symbol], prices.get(symbol))
            for symbol in symbols
            if symbol in last_ids and symbol not in self._unlisted
        }
        return seen | {symbol: SymbolSeen(None, None, trading=False) for symbol in symbols if symbol in self._unlisted}

    def _names(self, symbols: Sequence[str]) -> list[str]:
        """What is asked for by name; nothing: all."""
        names = [symbol for symbol in symbols if symbol not in self._unlisted]
        apart = self._dialect.tickers_by_name and not self._whole and can_be_asked_alone(names)
        return names if apart else []
