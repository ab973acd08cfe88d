"""Owns the REST endpoints of the exchange: parameters, weights, reply shapes. ``rest_server.py`` answers requests with them."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from k2workers.simulator.bars import INTERVALS, UTC8, Bar
from k2workers.simulator.book import Level
from k2workers.simulator.payloads import SCALE, decimal
from k2workers.simulator.symbol import BookRow, SymbolMarket

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange


class ApiError(Exception):
    """A refused request: HTTP 400 with the venue's code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Query:
    """The parameters of one request, checked as they are read; ``unit`` divides µs for the reply's times."""

    def __init__(self, request: web.Request) -> None:
        self._query = request.query
        wants_micros = request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
        self.unit = 1 if wants_micros else 1000

    def text(self, name: str) -> str | None:
        return self._query.get(name)

    def required(self, name: str) -> str:
        value = self._query.get(name)
        if not value:
            raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def integer(self, name: str) -> int | None:
        value = self._query.get(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdecimal() or len(value) > 19:
            raise ApiError(
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
            )
        return int(value)

    def time_us(self, name: str) -> int | None:
        """A time given in ms or µs, as µs."""
        value = self.integer(name)
        return value if value is None or value >= 10**14 else value * 1000

    def limit(self, default: int, most: int) -> int:
        """The limit, clipped to ``most`` as the venue does."""
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)


class Endpoint(NamedTuple):
    weight: Callable[[Query], int]
    reply: Callable[[Exchange, Query], Any]


def _symbol(exchange: Exchange, name: str) -> SymbolMarket:
    market = exchange.market.symbols.get(name)
    if market is None:
        raise ApiError(-1121, "Invalid symbol.")
    return market


def _chosen(exchange: Exchange, query: Query) -> list[SymbolMarket]:
    """The symbols asked for with ``symbol`` or ``symbols``, else all."""
    one, many = query.text("symbol"), query.text("symbols")
    if one is not None:
        return [_symbol(exchange, one)]
    if many is None:
        return list(exchange.market.symbols.values())
    try:
        names = json.loads(many)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ApiError(-1100, "Illegal characters found in parameter 'symbols'.")
    if len(set(names)) < len(names):
        raise ApiError(-1151, "Symbol is present multiple times in the list.")
    return [_symbol(exchange, name) for name in names]


def _exchange_info(exchange: Exchange, query: Query) -> Any:
    settings = exchange.settings
    window_s = max(1, int(settings.connect_window_s))
    return {
        "timezone": "UTC",
        "serverTime": time.time_ns() // 1000 // query.unit,
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": settings.weight_per_minute,
            },
            {
                "rateLimitType": "CONNECTIONS",
                "interval": "SECOND",
                "intervalNum": window_s,
                "limit": settings.connects_per_window,
            },
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
        ],
        "exchangeFilters": [],
        "symbols": [_symbol_info(market) for market in _chosen(exchange, query)],
    }


def _symbol_info(market: SymbolMarket) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "status": "TRADING",
        "baseAsset": market.base,
        "baseAssetPrecision": 8,
        "quoteAsset": market.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": decimal(market.tick),
                "tickSize": decimal(market.tick),
            },
            {"filterType": "LOT_SIZE", "minQty": decimal(market.step), "stepSize": decimal(market.step)},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _depth(exchange: Exchange, query: Query) -> Any:
    market = _symbol(exchange, query.required("symbol"))
    count = query.limit(100, 5000)
    update_id, bids, asks = _book(exchange, market, count)
    return _depth_reply(update_id, bids[:count], asks[:count])


def _depth_reply(update_id: int, bids: list[Level], asks: list[Level]) -> dict[str, Any]:
    rows = [[[decimal(p), decimal(q)] for p, q in side] for side in (bids, asks)]
    return {"lastUpdateId": update_id, "bids": rows[0], "asks": rows[1]}


def whole_book(market: SymbolMarket) -> dict[str, Any]:
    """Every level, in the form of a depth reply."""
    return _depth_reply(market.update_id, market.bids.top(len(market.bids)), market.asks.top(len(market.asks)))


def _book(exchange: Exchange, market: SymbolMarket, count: int) -> BookRow:
    if exchange.faults.rest and market.books:
        now_s = time.monotonic()
        if exchange.faults.request("snapshot_old", "depth", now_s):
            return market.books[0]
        if exchange.faults.request("snapshot_edge", "depth", now_s):
            return market.books[-1]
    return market.update_id, market.bids.top(count), market.asks.top(count)


def _visible(exchange: Exchange, path: str, rows: list[Any], field: int) -> list[Any]:
    """The rows that the database shows already; the time is in this field, in µs."""
    if not exchange.faults.rest:
        return rows
    late = exchange.faults.request("rest_delay", path, time.monotonic())
    if late is None:
        return rows
    newest_us = time.time_ns() // 1000 - int(late.values["delay_s"] * 1e6)
    return [row for row in rows if row[field] <= newest_us]


def _depth_weight(query: Query) -> int:
    limit = query.limit(100, 5000)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _historical_trades(exchange: Exchange, query: Query) -> Any:
    market = _symbol(exchange, query.required("symbol"))
    rows = _visible(exchange, "historicalTrades", market.trades, 3)
    limit, start = query.limit(500, 1000), query.integer("fromId")
    return _trade_rows(rows[-limit:] if start is None else _from_id(rows, start, limit), query)


def _from_id(rows: list[Any], start: int, limit: int) -> list[Any]:
    place = bisect_left(rows, start, key=itemgetter(0))
    return rows[place : place + limit]


def _trade_rows(chosen: list[Any], query: Query) -> Any:
    return [
        {
            "id": number,
            "price": decimal(price),
            "qty": decimal(qty),
            "quoteQty": decimal(price * qty // SCALE),
            "time": at_us // query.unit,
            "isBuyerMaker": maker,
            "isBestMatch": True,
        }
        for number, price, qty, at_us, maker in chosen
    ]


def _latest_trades(exchange: Exchange, query: Query) -> Any:
    if query.text("fromId") is not None:
        raise ApiError(-1104, "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.")
    market = _symbol(exchange, query.required("symbol"))
    return _trade_rows(market.trades[-query.limit(500, 1000) :], query)


def _agg_trades(exchange: Exchange, query: Query) -> Any:
    market = _symbol(exchange, query.required("symbol"))
    rows, limit = _visible(exchange, "aggTrades", market.aggs, 5), query.limit(500, 1000)
    first_id = query.integer("fromId")
    start, end = query.time_us("startTime"), query.time_us("endTime")
    if first_id is not None:
        if start is not None or end is not None:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        chosen = _from_id(rows, first_id, limit)
    else:
        chosen = _between(rows, 5, start, end, limit)
    keys = ("a", "p", "q", "f", "l", "T", "m", "M")
    return [
        dict(zip(keys, (a, decimal(p), decimal(q), f, last, at // query.unit, m, True), strict=True))
        for a, p, q, f, last, at, m in chosen
    ]


def _between(rows: list[Any], field: int, start: int | None, end: int | None, limit: int) -> list[Any]:
    """Rows within the times, chronological: oldest from ``start``, or latest up to ``end``, or the latest."""
    if start is None and end is None:
        return rows[-limit:]
    kept = [row for row in rows if (start is None or row[field] >= start) and (end is None or row[field] <= end)]
    return kept[:limit] if start is not None else kept[-limit:]


def _klines(exchange: Exchange, query: Query) -> Any:
    market = _symbol(exchange, query.required("symbol"))
    interval = query.required("interval")
    if interval not in INTERVALS:
        raise ApiError(-1120, "Invalid interval.")
    zone = query.text("timeZone") or "0"
    if zone not in ("0", "8", "+8", "08:00", "+08:00", "8:00"):
        raise ApiError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    bars = market.bars.rows(interval, 0 if zone == "0" else UTC8)
    rows = _visible(exchange, "klines", [(bar.open_us, bar, bar.end_us) for bar in bars], 2)
    start, end = query.time_us("startTime"), query.time_us("endTime")
    chosen = _between(rows, 0, start, end, query.limit(500, 1000))
    return [_kline_row(bar, query.unit) for _, bar, _ in chosen]


def _kline_row(bar: Bar, unit: int) -> list[Any]:
    prices = [decimal(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    taker = decimal(bar.taker_volume), decimal(bar.taker_quote)
    return [
        bar.open_us // unit, *prices, (bar.end_us - 1) // unit, decimal(bar.quote), bar.count, *taker, "0"
    ]  # fmt: skip


def _book_ticker(exchange: Exchange, query: Query) -> Any:
    rows = []
    for market in _chosen(exchange, query):
        (bid, bid_qty), (ask, ask_qty) = market.bids.best(), market.asks.best()
        rows.append(
            {
                "symbol": market.symbol,
                "bidPrice": decimal(bid),
                "bidQty": decimal(bid_qty),
                "askPrice": decimal(ask),
                "askQty": decimal(ask_qty),
            }
        )
    return rows[0] if query.text("symbol") is not None else rows


def _server_time(_: Exchange, query: Query) -> Any:
    return {"serverTime": time.time_ns() // 1000 // query.unit}


ENDPOINTS: dict[str, Endpoint] = {
    "ping": Endpoint(lambda _: 1, lambda _exchange, _query: {}),
    "time": Endpoint(lambda _: 1, _server_time),
    "exchangeInfo": Endpoint(lambda _: 20, _exchange_info),
    "depth": Endpoint(_depth_weight, _depth),
    "trades": Endpoint(lambda _: 25, _latest_trades),
    "historicalTrades": Endpoint(lambda _: 25, _historical_trades),
    "aggTrades": Endpoint(lambda _: 4, _agg_trades),
    "klines": Endpoint(lambda _: 2, _klines),
    "ticker/bookTicker": Endpoint(lambda query: 2 if query.text("symbol") else 4, _book_ticker),
}
"""Path below /api/v3/ → weight and reply."""
