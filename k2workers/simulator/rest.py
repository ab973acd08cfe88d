"""Owns the table of REST calls below /api/v3/: their weights, and who replies. ``rest_server.py`` answers requests with them.

How sure each row is: D the venue's documents say it (rest-api.md, 2026); R users report it; S this stand-in's choice, the
documents are silent. All are GET; a list of weights goes by what is asked for. Shapes and keys of every call are D.

=========================  ==============  ======================================================================
path                       weight          remarks
=========================  ==============  ======================================================================
ping                       1 D
time                       1 D
exchangeInfo               20 D            one unknown symbol refuses all, -1121 D; the figures of filters S
executionRules             2 2 40 40 D     one symbol, each of several (40 at most), all; the figures R
depth                      5 25 50 250 D   by limit: 100, 500, 1000, 5000
trades                     25 D            memory: never late
historicalTrades           25 D            database: may be late
historicalBlockTrades      25 D            fromId is mandatory; a trade without isBestMatch
aggTrades                  4 D
klines                     2 D             time zones beyond UTC and UTC+8 reach back 8 days (S; the venue: all)
uiKlines                   2 D             the venue smooths them for display in ways it does not tell: the klines (S)
avgPrice                   2 D
referencePrice             2 D             the last price S; the venue's is a mean of 5 minutes R
referencePrice/calculation 2 D             80 buckets of 3750 ms R
ticker/24hr                2 40 80 D       up to 20 symbols, up to 100, more or all; FULL and MINI
ticker/tradingDay          4 D             each symbol, 200 at most; symbols must be named, 100 at most
ticker                     4 D             as tradingDay; windows over a day count whole hours S
ticker/price               2 4 D           one symbol, else
ticker/bookTicker          2 4 D           one symbol, else
=========================  ==============  ======================================================================

Parameters in error: see ``query.py``. Any other path: 404 with a page of the venue's proxy, not JSON (R).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from k2workers.simulator import listing, replies, tickers
from k2workers.simulator.query import Query

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange


class Endpoint(NamedTuple):
    weight: Callable[[Query], int]
    reply: Callable[[Exchange, Query], Any]


def _fixed(weight: int, reply: Callable[[Exchange, Query], Any]) -> Endpoint:
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


def _server_time(_: Exchange, query: Query) -> Any:
    return {"serverTime": time.time_ns() // 1000 // query.unit}


ENDPOINTS: dict[str, Endpoint] = {
    "ping": _fixed(1, lambda _exchange, _query: {}),
    "time": _fixed(1, _server_time),
    "exchangeInfo": _fixed(20, listing.exchange_info),
    "executionRules": Endpoint(_rules_weight, listing.execution_rules),
    "depth": Endpoint(_depth_weight, replies.depth),
    "trades": _fixed(25, replies.latest_trades),
    "historicalTrades": _fixed(25, replies.historical_trades),
    "historicalBlockTrades": _fixed(25, replies.block_trades),
    "aggTrades": _fixed(4, replies.agg_trades),
    "klines": _fixed(2, replies.klines),
    "uiKlines": _fixed(2, replies.klines),
    "avgPrice": _fixed(2, tickers.average),
    "referencePrice": _fixed(2, tickers.reference),
    "referencePrice/calculation": _fixed(2, tickers.reference_calculation),
    "ticker/24hr": Endpoint(_day_weight, tickers.day),
    "ticker/tradingDay": Endpoint(_each, tickers.trading_day),
    "ticker": Endpoint(_each, tickers.rolling),
    "ticker/price": Endpoint(_one_or_more, tickers.price),
    "ticker/bookTicker": Endpoint(_one_or_more, tickers.book),
}
"""Path below /api/v3/ → weight and reply."""
