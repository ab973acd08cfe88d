"""Binance COIN-M futures: only what differs from USD-M.

Quantities are contracts of 10 or 100 dollars; symbols are named BTCUSD_PERP or BTCUSD_261225. Not sure: its connections. The documents call USD-M
the only market with classes, yet a project got its data back only on ``/market/ws`` (2026-05). So the address of each class is tried first, and where that
is refused the one without a class. If a class is wrong here, its streams are acknowledged and stay silent; the feed is not ready and names them, but for
kinds of which no look at the market tells (``FUTURES_EVIDENCE``): mark prices, tickers, liquidations.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from k2workers.venues.binance import streams
from k2workers.venues.binance.futures import FUTURES_DIALECT, FUTURES_STREAMS, BinanceFutures
from k2workers.venues.binance.futures_written import FUTURES_TEXTS, with_market, with_pair
from k2workers.venues.venue import Route, StreamSpec, Venue

LACKING = ("composite_index", "asset_index", "asset_index_all", "rpi_depth", "trade")
"""Of ``rpi_depth`` that is likely: the documents of USD-M alone have it."""
LACKING_PREFIX = "continuous_kline_"
"""Its streams are of pairs, several of whose contracts are symbols here."""


class BinanceCoinm(BinanceFutures):
    """Fulfils ``venues.venue.Venue`` for Binance COIN-M futures."""

    name = "binance_coinm"
    dialect = msgspec.structs.replace(FUTURES_DIALECT, market=name, rest_path="/dapi/v1")
    stream_dialect = msgspec.structs.replace(
        FUTURES_STREAMS, symbol_type=2, texts=with_pair(FUTURES_TEXTS), texts_of_market=with_market(FUTURES_TEXTS, 2)
    )

    def lacks(self, kind: str) -> bool:
        """See ``BinanceSpot.lacks``."""
        return kind in LACKING or kind.startswith(LACKING_PREFIX)

    def routes(self, specs: Sequence[StreamSpec]) -> list[Route]:
        """See ``BinanceFutures.routes``; perhaps there are no classes."""
        without = streams.path(self.dialect)
        return [msgspec.structs.replace(route, other_path=without) for route in super().routes(specs)]


def venue() -> Venue:
    """What ``venues.load`` gives."""
    return BinanceCoinm()
