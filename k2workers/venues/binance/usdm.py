"""Binance USD-M futures."""

from __future__ import annotations

import msgspec

from k2workers.venues.binance.futures import FUTURES_DIALECT, FUTURES_STREAMS, BinanceFutures
from k2workers.venues.binance.futures_written import FUTURES_TEXTS, with_market
from k2workers.venues.venue import Venue


class BinanceUsdm(BinanceFutures):
    """Fulfils ``venues.venue.Venue`` for Binance USD-M futures."""

    name = "binance_usdm"
    dialect = msgspec.structs.replace(FUTURES_DIALECT, market=name, rest_path="/fapi/v1")
    stream_dialect = msgspec.structs.replace(
        FUTURES_STREAMS, symbol_type=1, texts_of_market=with_market(FUTURES_TEXTS, 1)
    )


def venue() -> Venue:
    """What ``venues.load`` gives."""
    return BinanceUsdm()
