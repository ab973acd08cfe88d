"""Owns the table of REST calls below /api/v3/: their weights, and who replies. ``rest_server.py`` answers requests with them.

How sure it is: what bears no letter, parameters, weights, shapes and keys alike, the venue's documents say (rest-api.md, 2026); R
users report it; S this stand-in's choice, because the documents are silent or ask for more than it can know. All are GET.

Parameters: * is mandatory, | one or the other, symbols is ``["A","B"]``, n is limit (500, 1000 at most), type FULL or MINI, status is
symbolStatus: one symbol with another status is refused (-1220), of several such are left out. Limits above the most are clipped. Wrong
parameters: see ``query.py``. Any other path: 404 with a page of the venue's proxy, not JSON (R).

Replies: names are keys, [ ] an array, of objects unless written [[ ]]. With symbol a ticker is one object, no array. Prices and
quantities are strings of 8 decimals; times are in ms, or µs with ``X-MBX-TIME-UNIT: MICROSECOND``. Statistics are symbol, priceChange,
priceChangePercent, weightedAvgPrice (not these three in MINI), openPrice, highPrice, lowPrice, lastPrice, volume, quoteVolume,
openTime, closeTime, firstId, lastId, count.

========================== =============================== =========== ========================================================
path                       parameters                      weight      reply
========================== =============================== =========== ========================================================
ping                                                       1           {}
time                                                       1           serverTime
exchangeInfo               symbol | symbols | permissions, 20          timezone, serverTime, rateLimits, exchangeFilters,
                           status; showPermissionSets                  symbols: [row]; one unknown symbol refuses all, -1121;
                                                                       figures of filters S
executionRules             symbol | symbols | status       2 2 40 40   symbolRules: [symbol, rules: [row]]; weight of one
                                                                       symbol, of each of several, of several at most, of all;
                                                                       figures R
depth                      symbol*, limit (100, 5000 at    5 25 50 250 lastUpdateId, bids and asks: [[price, quantity]]; weight
                           most), status                               up to limit 100, 500, 1000, 5000
trades                     symbol*, n                      25          [id, price, qty, quoteQty, time, isBuyerMaker,
                                                                       isBestMatch], the newest, oldest first; memory: never
                                                                       late
historicalTrades           symbol*, n, fromId              25          as trades, from this id on; database: may be late
historicalBlockTrades      symbol*, n, fromId*             25          as historicalTrades without isBestMatch
aggTrades                  symbol*, n, fromId | startTime, 4           [a, p, q, f, l, T, m, M]: id, price, quantity, first and
                           endTime                                     last trade id, time, buyer is maker, best match
klines                     symbol*, interval*, n,          2           [[open time, open, high, low, close, volume, close time,
                           startTime, endTime, timeZone                quote volume, trades, taker volume, taker quote volume,
                                                                       "0"]]; zones beyond UTC and UTC+8 reach back 8 days (S;
                                                                       the venue: all)
uiKlines                   as klines                       2           as klines (S: the venue smooths them in ways it does not
                                                                       tell)
avgPrice                   symbol*                         2           mins, price, closeTime
referencePrice             symbol*                         2           symbol, referencePrice, timestamp; the last price (S;
                                                                       the venue's is a mean of 5 minutes, R)
referencePrice/calculation symbol*, status                 2           symbol, calculationType, bucketCount, bucketWidthMs; 80
                                                                       of 3750 ms R
ticker/24hr                symbol | symbols, type, status  2 40 80     [statistics, prevClosePrice, lastQty, bid and ask];
                                                                       weight of up to 20 symbols, up to 100, more or all
ticker/tradingDay          symbol* | symbols*, type,       4           [statistics]; weight of each symbol, 200 at most; 100
                           status, timeZone                            symbols at most
ticker                     symbol* | symbols*, type,       4           as ticker/tradingDay; windows over a day count whole
                           status, windowSize                          hours (S)
ticker/price               symbol | symbols, status        2 4         [symbol, price]; weight of one symbol, else
ticker/bookTicker          symbol | symbols, status        2 4         [symbol, bidPrice, bidQty, askPrice, askQty]; weight as
                                                                       ticker/price
========================== =============================== =========== ========================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from k2workers.simulator.binance import exchange_rules, replies, tickers
from k2workers.simulator.binance.query import Query, Source


class Endpoint(NamedTuple):
    weight: Callable[[Any], int]
    reply: Callable[[Any, Any], Any]
    """From a ``Source`` and a ``Query``, or what the market has for them."""


def fixed(weight: int, reply: Callable[[Any, Any], Any]) -> Endpoint:
    """Always the same weight."""
    return Endpoint(lambda _: weight, reply)


def _depth_weight(query: Query) -> int:
    limit = query.limit(100, 5000)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _one_or_more(query: Query) -> int:
    return 2 if query.text("symbol") is not None else 4


def _day_weight(query: Query) -> int:
    names = query.names("symbols")
    if query.text("symbol") is not None:
        return 2
    return 80 if names is None or len(names) > 100 else 2 if len(names) <= 20 else 40


def _each(query: Query) -> int:
    return min(200, 4 * len(query.names("symbols") or "1"))


def _rules_weight(query: Query) -> int:
    if query.text("symbol") is not None:
        return 2
    names = query.names("symbols")
    return 40 if names is None else min(40, 2 * len(names))


def server_time(_: Source, query: Query) -> Any:
    """The exchange's clock."""
    return {"serverTime": time.time_ns() // 1000 // query.unit}


ENDPOINTS: dict[str, Endpoint] = {
    "ping": fixed(1, lambda _source, _query: {}),
    "time": fixed(1, server_time),
    "exchangeInfo": fixed(20, exchange_rules.exchange_info),
    "executionRules": Endpoint(_rules_weight, exchange_rules.execution_rules),
    "depth": Endpoint(_depth_weight, replies.depth),
    "trades": fixed(25, replies.latest_trades),
    "historicalTrades": fixed(25, replies.historical_trades),
    "historicalBlockTrades": fixed(25, replies.block_trades),
    "aggTrades": fixed(4, replies.agg_trades),
    "klines": fixed(2, replies.klines),
    "uiKlines": fixed(2, replies.klines),
    "avgPrice": fixed(2, tickers.average),
    "referencePrice": fixed(2, tickers.reference),
    "referencePrice/calculation": fixed(2, tickers.reference_calculation),
    "ticker/24hr": Endpoint(_day_weight, tickers.day),
    "ticker/tradingDay": Endpoint(_each, tickers.trading_day),
    "ticker": Endpoint(_each, tickers.rolling),
    "ticker/price": Endpoint(_one_or_more, tickers.price),
    "ticker/bookTicker": Endpoint(_one_or_more, tickers.book),
}
"""Path below /api/v3/ → weight and reply."""
