"""Owns the REST replies that sum up a symbol: the price statistics of a window, last, best, average and reference price."""

from __future__ import annotations

import re
import time
from typing import Any

from k2workers.simulator.binance.bars import DAY, Bar
from k2workers.simulator.binance.payloads import decimal, price_change
from k2workers.simulator.binance.query import Query, Source, chosen, invalid, one
from k2workers.simulator.binance.symbol_market import SymbolMarket

MOST_SYMBOLS = 100
_MINUTES = {"m": 1, "h": 60, "d": 1440}
_WINDOW = re.compile(r"([1-9]|[1-5]\d)m|([1-9]|1\d|2[0-3])h|[1-7]d")


def _listed(query: Query, rows: list[Any]) -> Any:
    """``symbol`` gets its row alone; all else gets an array."""
    return rows[0] if query.text("symbol") is not None else rows


def _statistics(market: SymbolMarket, bar: Bar, open_us: int, close_us: int, query: Query) -> dict[str, Any]:
    """One row in the venue's order of keys; a MINI one leaves out the change."""
    row: dict[str, Any] = {"symbol": market.symbol}
    if not query.mini():
        change, percent, average = price_change(bar)
        row |= {"priceChange": change, "priceChangePercent": percent, "weightedAvgPrice": average}
    prices = zip(
        ("openPrice", "highPrice", "lowPrice", "lastPrice"), (bar.open, bar.high, bar.low, bar.close), strict=True
    )
    return row | {
        **{key: decimal(price) for key, price in prices},
        "volume": decimal(bar.volume),
        "quoteVolume": decimal(bar.quote),
        "openTime": open_us // query.unit,
        "closeTime": close_us // query.unit,
        "firstId": bar.first_id,
        "lastId": bar.last_id,
        "count": bar.count,
    }


_FULL_DAY = (
    "symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty", "bidPrice",
    "bidQty", "askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime",
    "firstId", "lastId", "count",
)  # fmt: skip


def day(source: Source, query: Query) -> Any:
    """GET /api/v3/ticker/24hr."""
    now_us = time.time_ns() // 1000
    rows = []
    for market in chosen(source.symbols, query):
        bar = market.bars.window(1440)
        row = _statistics(market, bar, now_us - DAY, now_us, query)
        if not query.mini():
            best = _best(market)
            row |= best | {"prevClosePrice": decimal(bar.open), "lastQty": decimal(market.last_qty)}
            row = {key: row[key] for key in _FULL_DAY}
        rows.append(row)
    return _listed(query, rows)


def rolling(source: Source, query: Query) -> Any:
    """GET /api/v3/ticker. Beyond one day the figures are those of whole hours; the times are as documented."""
    size = query.text("windowSize") or "1d"
    if not _WINDOW.fullmatch(size):
        raise invalid("windowSize")
    minutes = int(size[:-1]) * _MINUTES[size[-1]]
    now_us = time.time_ns() // 1000
    rows = []
    for market in chosen(source.symbols, query, most=MOST_SYMBOLS):
        bar = market.bars.window(minutes)
        rows.append(_statistics(market, bar, bar.open_us, now_us, query))
    return _listed(query, rows)


def trading_day(source: Source, query: Query) -> Any:
    """GET /api/v3/ticker/tradingDay."""
    zone_us = query.zone_us()
    rows = []
    for market in chosen(source.symbols, query, most=MOST_SYMBOLS):
        bar = market.bars.rows("1d", zone_us)[-1]
        rows.append(_statistics(market, bar, bar.open_us, bar.end_us - 1, query))
    return _listed(query, rows)


def price(source: Source, query: Query) -> Any:
    """GET /api/v3/ticker/price."""
    markets = chosen(source.symbols, query)
    return _listed(query, [{"symbol": market.symbol, "price": decimal(market.last_price)} for market in markets])


def _best(market: SymbolMarket) -> dict[str, str]:
    (bid, bid_qty), (ask, ask_qty) = market.bids.best(), market.asks.best()
    keys = ("bidPrice", "bidQty", "askPrice", "askQty")
    return dict(zip(keys, map(decimal, (bid, bid_qty, ask, ask_qty)), strict=True))


def book(source: Source, query: Query) -> Any:
    """GET /api/v3/ticker/bookTicker."""
    return _listed(query, [{"symbol": m.symbol, **_best(m)} for m in chosen(source.symbols, query)])


def average(source: Source, query: Query) -> Any:
    """GET /api/v3/avgPrice."""
    market = one(source.symbols, query)
    return {"mins": 5, "price": decimal(market.average()), "closeTime": market.last_trade_us // query.unit}


def reference(source: Source, query: Query) -> Any:
    """GET /api/v3/referencePrice: the last price, as the stream of this name sends."""
    market = one(source.symbols, query)
    now_us = time.time_ns() // 1000
    return {"symbol": market.symbol, "referencePrice": decimal(market.last_price), "timestamp": now_us // query.unit}


def reference_calculation(source: Source, query: Query) -> Any:
    """GET /api/v3/referencePrice/calculation."""
    market = one(source.symbols, query)
    return {
        "symbol": market.symbol,
        "calculationType": "ARITHMETIC_MEAN",
        "bucketCount": 80,
        "bucketWidthMs": 3750,
    }
