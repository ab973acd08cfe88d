"""Owns the REST replies that list what happened: the book, trades, aggregate and block trades, klines."""

from __future__ import annotations

import time
from bisect import bisect_left
from operator import itemgetter
from typing import Any

from k2workers.simulator.binance.bars import INTERVALS, Bar
from k2workers.simulator.binance.book import Level
from k2workers.simulator.binance.payloads import SCALE, decimal
from k2workers.simulator.binance.query import ApiError, Query, Source, one
from k2workers.simulator.binance.symbol_market import BookRow, SymbolMarket


def depth(source: Source, query: Query) -> Any:
    market = one(source.symbols, query)
    count = query.limit(100, 5000)
    update_id, bids, asks = book_now(source, market, count)
    return _depth_reply(update_id, bids[:count], asks[:count])


def _depth_reply(update_id: int, bids: list[Level], asks: list[Level]) -> dict[str, Any]:
    rows = [[[decimal(p), decimal(q)] for p, q in side] for side in (bids, asks)]
    return {"lastUpdateId": update_id, "bids": rows[0], "asks": rows[1]}


def whole_book(market: SymbolMarket) -> dict[str, Any]:
    """Every level, in the form of a depth reply."""
    return _depth_reply(market.update_id, market.bids.top(len(market.bids)), market.asks.top(len(market.asks)))


def book_now(source: Source, market: SymbolMarket, count: int) -> BookRow:
    """As it is, or as a fault has it."""
    if source.faults.rest and market.books:
        now_s = time.monotonic()
        if source.faults.request("snapshot_old", "depth", now_s):
            return market.books[0]
        if source.faults.request("snapshot_edge", "depth", now_s):
            return market.books[-1]
    return market.update_id, market.bids.top(count), market.asks.top(count)


def visible(source: Source, path: str, rows: list[Any], field: int) -> list[Any]:
    """The rows that the database shows already; the time is in this field, in µs."""
    if not source.faults.rest:
        return rows
    late = source.faults.request("rest_delay", path, time.monotonic())
    if late is None:
        return rows
    newest_us = time.time_ns() // 1000 - int(late.values["delay_s"] * 1e6)
    return [row for row in rows if row[field] <= newest_us]


def historical_trades(source: Source, query: Query) -> Any:
    market = one(source.symbols, query)
    rows = visible(source, "historicalTrades", market.trades, 3)
    limit, start = query.limit(500, 1000), query.integer("fromId")
    return _trade_rows(rows[-limit:] if start is None else from_id(rows, start, limit), query)


def from_id(rows: list[Any], start: int, limit: int) -> list[Any]:
    """So many rows from this id on."""
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


def block_trades(source: Source, query: Query) -> Any:
    """GET /api/v3/historicalBlockTrades."""
    market = one(source.symbols, query)
    query.required("fromId")
    rows = _trade_rows(from_id(market.blocks, query.integer("fromId") or 0, query.limit(500, 1000)), query)
    return [{key: value for key, value in row.items() if key != "isBestMatch"} for row in rows]


def latest_trades(source: Source, query: Query) -> Any:
    if query.text("fromId") is not None:
        raise ApiError(-1104, "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.")
    market = one(source.symbols, query)
    return _trade_rows(market.trades[-query.limit(500, 1000) :], query)


def agg_trades(source: Source, query: Query) -> Any:
    market = one(source.symbols, query)
    rows, limit = visible(source, "aggTrades", market.aggs, 5), query.limit(500, 1000)
    first_id = query.integer("fromId")
    start, end = query.time_us("startTime"), query.time_us("endTime")
    if first_id is not None:
        if start is not None or end is not None:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        chosen = from_id(rows, first_id, limit)
    else:
        chosen = between(rows, 5, start, end, limit)
    keys = ("a", "p", "q", "f", "l", "T", "m", "M")
    return [
        dict(zip(keys, (a, decimal(p), decimal(q), f, last, at // query.unit, m, True), strict=True))
        for a, p, q, f, last, at, m in chosen
    ]


def between(rows: list[Any], field: int, start: int | None, end: int | None, limit: int) -> list[Any]:
    """Rows within the times, chronological: oldest from ``start``, or latest up to ``end``, or the latest."""
    if start is None and end is None:
        return rows[-limit:]
    kept = [row for row in rows if (start is None or row[field] >= start) and (end is None or row[field] <= end)]
    return kept[:limit] if start is not None else kept[-limit:]


def klines(source: Source, query: Query) -> Any:
    market = one(source.symbols, query)
    interval = query.required("interval")
    if interval not in INTERVALS:
        raise ApiError(-1120, "Invalid interval.")
    bars = market.bars.rows(interval, query.zone_us())
    rows = visible(source, "klines", [(bar.open_us, bar, bar.end_us) for bar in bars], 2)
    start, end = query.time_us("startTime"), query.time_us("endTime")
    chosen = between(rows, 0, start, end, query.limit(500, 1000))
    return [_kline_row(bar, query.unit) for _, bar, _ in chosen]


def closed_bars(market: SymbolMarket, interval: str) -> list[list[Any]]:
    """The final bars, oldest first, in the form of a klines reply with times in ms."""
    return [_kline_row(bar, 1000) for bar in market.bars.rows(interval)[:-1]]


def _kline_row(bar: Bar, unit: int) -> list[Any]:
    prices = [decimal(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    taker = decimal(bar.taker_volume), decimal(bar.taker_quote)
    return [
        bar.open_us // unit, *prices, (bar.end_us - 1) // unit, decimal(bar.quote), bar.count, *taker, "0"
    ]  # fmt: skip
