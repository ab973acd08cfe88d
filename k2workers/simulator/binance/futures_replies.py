"""Owns what futures REST replies: the book, trades, bars, prices, funding. Their keys are the documents'; figures of funding and interest are made up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from k2workers.simulator.binance.bars import DAY, MINUTE, Bar
from k2workers.simulator.binance.contracts import pair_of, type_of
from k2workers.simulator.binance.futures_names import INTERVALS
from k2workers.simulator.binance.futures_query import FuturesQuery
from k2workers.simulator.binance.futures_symbol import FUNDING_US, FuturesSymbol
from k2workers.simulator.binance.payloads import SCALE, decimal
from k2workers.simulator.binance.query import ApiError, chosen, one
from k2workers.simulator.binance.replies import between, book_now, from_id, visible
from k2workers.simulator.binance.symbol_market import BookRow, TradeRow
from k2workers.simulator.fault_set import FaultSet


class FuturesSource(Protocol):
    """What replies are made from."""

    faults: FaultSet

    @property
    def symbols(self) -> Mapping[str, FuturesSymbol]: ...

    def weight_limit(self) -> int: ...


def _now_us() -> int:
    return time.time_ns() // 1000


def depth(source: FuturesSource, query: FuturesQuery) -> Any:
    market, count = one(source.symbols, query), query.levels()
    return _depth_reply(market, book_now(source, market, count), count, _now_us() // query.unit)


def rpi_depth(source: FuturesSource, query: FuturesQuery) -> Any:
    market = one(source.symbols, query)
    return _depth_reply(market, book_now(source, market, 1_000), 1_000, _now_us() // query.unit)


def _depth_reply(market: FuturesSymbol, book: BookRow, count: int, now: int) -> dict[str, Any]:
    update_id, bids, asks = book
    texts = market.texts
    rows = [[[texts.price(p), texts.quantity(q)] for p, q in side[:count]] for side in (bids, asks)]
    named = {"symbol": market.symbol, "pair": market.pair} if market.contracts.inverse else {}
    return {"lastUpdateId": update_id, **named, "E": now, "T": now, "bids": rows[0], "asks": rows[1]}


def whole_book(market: FuturesSymbol) -> dict[str, Any]:
    """Every level, in the form of a depth reply."""
    count = max(len(market.bids), len(market.asks))
    return _depth_reply(
        market, (market.update_id, market.bids.top(count), market.asks.top(count)), count, _now_us() // 1000
    )


def latest_trades(source: FuturesSource, query: FuturesQuery) -> Any:
    market = one(source.symbols, query)
    return _trade_rows(market, market.trades[-query.limit(500, 1000) :], query)


def historical_trades(source: FuturesSource, query: FuturesQuery) -> Any:
    query.key()
    market = one(source.symbols, query)
    rows = visible(source, "historicalTrades", market.trades, 3)
    limit, start = query.limit(100, 500), query.integer("fromId")
    return _trade_rows(market, rows[-limit:] if start is None else from_id(rows, start, limit), query)


def _trade_rows(market: FuturesSymbol, rows: list[TradeRow], query: FuturesQuery) -> Any:
    texts, worth = market.texts, "baseQty" if market.contracts.inverse else "quoteQty"
    return [
        {
            "id": number,
            "price": texts.price(price),
            "qty": texts.quantity(qty),
            worth: texts.value(market.value(price, qty)),
            "time": at_us // query.unit,
            "isBuyerMaker": maker,
            "isRPITrade": False,
        }
        for number, price, qty, at_us, maker in rows
    ]


def agg_trades(source: FuturesSource, query: FuturesQuery) -> Any:
    market = one(source.symbols, query)
    rows, limit = visible(source, "aggTrades", market.aggs, 5), query.limit(500, 1000)
    first_id, (start, end) = query.integer("fromId"), query.times()
    if first_id is not None and (start is not None or end is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    found = from_id(rows, first_id, limit) if first_id is not None else between(rows, 5, start, end, limit)
    texts = market.texts
    return [
        {
            "a": number,
            "p": texts.price(price),
            "q": texts.quantity(qty),
            "nq": texts.quantity(qty),
            "f": first,
            "l": last,
            "T": at_us // query.unit,
            "m": maker,
        }
        for number, price, qty, first, last, at_us, maker in found
    ]


def klines(source: FuturesSource, query: FuturesQuery) -> Any:
    return _bars(source, one(source.symbols, query), query)


def continuous_klines(source: FuturesSource, query: FuturesQuery) -> Any:
    pair, kind = query.required("pair"), query.required("contractType")
    for market in source.symbols.values():
        if market.listed and (pair_of(market.symbol), type_of(market.symbol)) == (pair, kind):
            return _bars(source, market, query)
    raise ApiError(-1121, "Invalid symbol.")


def _bars(source: FuturesSource, market: FuturesSymbol, query: FuturesQuery) -> Any:
    interval = query.required("interval")
    if interval not in INTERVALS:
        raise ApiError(-1120, "Invalid interval.")
    rows = visible(source, "klines", [(bar.open_us, bar, bar.end_us) for bar in market.bars.rows(interval)], 2)
    found = between(rows, 0, query.time_us("startTime"), query.time_us("endTime"), query.limit(500, 1500))
    return [_bar_row(market, bar) for _, bar, _ in found]


def closed_bars(market: FuturesSymbol, interval: str) -> list[list[Any]]:
    """The final bars, oldest first, in the form of a klines reply."""
    return [_bar_row(market, bar) for bar in market.bars.rows(interval)[:-1]]


def _bar_row(market: FuturesSymbol, bar: Bar) -> list[Any]:
    texts = market.texts
    prices = [texts.price(value) for value in (bar.open, bar.high, bar.low, bar.close)]
    traded = [texts.quantity(bar.volume), (bar.end_us - 1) // 1000, texts.value(bar.quote), bar.count]
    return [bar.open_us // 1000, *prices, *traded, texts.quantity(bar.taker_volume), texts.value(bar.taker_quote), "0"]


def _listed(query: FuturesQuery, rows: list[tuple[FuturesSymbol, dict[str, Any]]], key: str = "pair") -> Any:
    """USD-M gives the one symbol that was asked for without a list; COIN-M names the pair and always gives a list."""
    found = []
    for market, row in rows:
        pair = {key: market.pair} if market.contracts.inverse else {}
        found.append({"symbol": market.symbol, **pair, **row})
    alone = query.text("symbol") is not None and not any(market.contracts.inverse for market, _ in rows)
    return found[0] if alone else found


def day(source: FuturesSource, query: FuturesQuery) -> Any:
    now_us, rows = _now_us(), []
    for market in chosen(source.symbols, query):
        bar, texts = market.day(), market.texts
        change, percent, average = texts.price_change(bar)
        prices = ("openPrice", "highPrice", "lowPrice"), (bar.open, bar.high, bar.low)
        row = {
            "priceChange": change,
            "priceChangePercent": percent,
            "weightedAvgPrice": average,
            "lastPrice": texts.price(bar.close),
            "lastQty": texts.quantity(market.last_qty),
            **{key: texts.price(price) for key, price in zip(*prices, strict=True)},
            "volume": texts.quantity(bar.volume),
            "baseVolume" if market.contracts.inverse else "quoteVolume": texts.value(bar.quote),
            "openTime": (now_us - DAY) // MINUTE * MINUTE // 1000,
            "closeTime": now_us // 1000,
            "firstId": bar.first_id,
            "lastId": bar.last_id,
            "count": bar.count,
        }
        rows.append((market, row))
    return _listed(query, rows)


def price(source: FuturesSource, query: FuturesQuery) -> Any:
    now = _now_us() // 1000
    rows = [(m, {"price": m.texts.price(m.last_price), "time": now}) for m in chosen(source.symbols, query)]
    return _listed(query, rows, "ps")


def best(source: FuturesSource, query: FuturesQuery) -> Any:
    now, rows = _now_us() // 1000, []
    for market in chosen(source.symbols, query):
        texts = market.texts
        row: dict[str, Any] = {}
        for side, name in ((market.bids, "bid"), (market.asks, "ask")):
            at, qty = side.best()
            row |= {f"{name}Price": texts.price(at), f"{name}Qty": texts.quantity(qty)}
        rows.append((market, {**row, "time": now}))
    return _listed(query, rows)


def premium_index(source: FuturesSource, query: FuturesQuery) -> Any:
    now_us, rows = _now_us(), []
    for market in chosen(source.symbols, query):
        mark = market.mark(now_us)
        row = {
            "markPrice": decimal(mark.price),
            "indexPrice": decimal(mark.underlying),
            "estimatedSettlePrice": decimal(mark.settle),
            "lastFundingRate": decimal(mark.rate),
            "interestRate": decimal(SCALE // 10_000),
            "nextFundingTime": mark.next_us // 1000,
            "time": now_us // 1000,
        }
        rows.append((market, row))
    return _listed(query, rows)


def funding_rate(source: FuturesSource, query: FuturesQuery) -> Any:
    """The rates of the last times, oldest first; for all symbols, of the last time alone."""
    now_us = _now_us()
    start, end = query.time_us("startTime"), query.time_us("endTime")
    limit = query.limit(100, 1000)
    times = [now_us // FUNDING_US * FUNDING_US - back * FUNDING_US for back in reversed(range(limit))]
    times = [at for at in times if (start is None or at >= start) and (end is None or at <= end)]
    markets = chosen(source.symbols, query)
    found = [(market, at) for at in (times if query.text("symbol") else times[-1:]) for market in markets]
    return [
        {
            "symbol": market.symbol,
            "fundingTime": at // 1000,
            "fundingRate": decimal(market.mark(at).rate),
            "markPrice": decimal(market.mark(at).price),
        }
        for market, at in found[:limit]
    ]


def funding_info(source: FuturesSource, _: FuturesQuery) -> Any:
    return [
        {
            "symbol": market.symbol,
            "adjustedFundingRateCap": decimal(2 * SCALE // 100),
            "adjustedFundingRateFloor": decimal(-2 * SCALE // 100),
            "fundingIntervalHours": 8,
            "disclaimer": False,
        }
        for market in source.symbols.values()
        if market.listed
    ]


def constituents(source: FuturesSource, query: FuturesQuery) -> Any:
    """One exchange alone makes every index."""
    market = one(source.symbols, query)
    row = {
        "exchange": "binance",
        "symbol": market.base + "USDT",
        "price": decimal(market.last_price),
        "weight": decimal(SCALE),
    }
    return {"symbol": market.symbol, "time": _now_us() // 1000, "constituents": [row]}


def open_interest(source: FuturesSource, query: FuturesQuery) -> Any:
    """As much as was traded in a day."""
    market = one(source.symbols, query)
    named = {"pair": market.pair, "contractType": type_of(market.symbol)} if market.contracts.inverse else {}
    return {
        "symbol": market.symbol,
        **named,
        "openInterest": market.texts.quantity(market.day().volume),
        "time": _now_us() // 1000,
    }
