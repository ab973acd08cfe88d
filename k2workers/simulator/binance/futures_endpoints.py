"""Owns the table of futures REST calls, below /fapi/v1/ (USD-M) and /dapi/v1/ (COIN-M): their weights, and who replies.

How sure it is: what bears no letter the venue's documents say (2024 to 2026); R users report it; S this stand-in's choice, because the
documents are silent or ask for more than it can know; U a guess, for COIN-M also the weights, taken from USD-M. All are GET.

Parameters: * is mandatory, n is limit. A limit that is too large is refused (-1130, U). exchangeInfo takes none; neither ``symbols``, nor
``timeUnit``. Wrong parameters: see ``query.py`` and ``futures_query.py``. Any other path: 404 with a page of the venue's proxy (R of spot).
What a trade of the insurance fund or of a forced closing took as its id is in no reply.

Replies: as in ``rest_endpoints.py``, but prices and quantities have the contract's decimals, and times are in ms. COIN-M gives a list of tickers
also for one symbol, with ``pair``, and ``symbol`` and ``pair`` in depth (U).

================= ============================== ========== ============================================================
path              parameters                     weight     reply
================= ============================== ========== ============================================================
ping                                             1          {}
time                                             1          serverTime
exchangeInfo                                     1          timezone, serverTime, futuresType, rateLimits, exchangeFilters,
                                                            assets, symbols: [symbol, pair, contractType, deliveryDate,
                                                            onboardDate, status (COIN-M: contractStatus), …]; figures of
                                                            filters S
depth             symbol*, limit of 5, 10, 20,   2 5 10 20  lastUpdateId, E, T, bids and asks: [[price, quantity]]; weight
                  50, 100, 500, 1000 (500)                  up to limit 50, 100, 500, 1000; another limit -4021 U
rpiDepth          symbol*, limit of 1000         20         as depth, of the same book (S)
trades            symbol*, n (500, 1000)         5          [id, price, qty, quoteQty, time, isBuyerMaker, isRPITrade]
historicalTrades  symbol*, n (100, 500), fromId  20         as trades; without a key in X-MBX-APIKEY 401, -2014 (R of spot);
                                                            any key will do S; as far back as is remembered S
aggTrades         symbol*, n (500, 1000),        20         [a, p, q, nq, f, l, T, m]; fromId with a time -1128 U; more than
                  fromId | startTime, endTime               an hour between the times -1127; the venue: 24 hours back, and
                                                            what comes for an older fromId is U: here the oldest rows
klines            symbol*, interval*, n (500,    1 2 5 10   as spot's; weight up to n 99, 499, 1000, 1500; no 1s
                  1500), startTime, endTime
continuousKlines  pair*, contractType*, the rest 1 2 5 10   as klines
                  as klines
ticker/24hr       symbol                         1 40       [symbol, priceChange, priceChangePercent, weightedAvgPrice,
                                                            lastPrice, lastQty, openPrice, highPrice, lowPrice, volume,
                                                            quoteVolume, openTime, closeTime, firstId, lastId, count]
ticker/price      symbol                         1 2        [symbol, price, time]
ticker/bookTicker symbol                         2 5        [symbol, bidPrice, bidQty, askPrice, askQty, time]
premiumIndex      symbol                         1 10       [symbol, markPrice, indexPrice, estimatedSettlePrice,
                                                            lastFundingRate, interestRate, nextFundingTime, time]
fundingRate       symbol, startTime, endTime,    0          [symbol, fundingTime, fundingRate, markPrice]; the venue: 500 in
                  n (100, 1000)                             5 minutes together with fundingInfo; here without a limit S
fundingInfo                                      0          [symbol, adjustedFundingRateCap, adjustedFundingRateFloor,
                                                            fundingIntervalHours, disclaimer]; the venue: of those alone
                                                            that were adjusted; here all S
openInterest      symbol*                        1          symbol, openInterest, time
constituents      symbol*                        2          symbol, time, constituents: [exchange, symbol, price, weight]; one S
================= ============================== ========== ============================================================
"""

from __future__ import annotations

from collections.abc import Callable

from k2workers.simulator.binance import futures_replies, futures_rules
from k2workers.simulator.binance.futures_query import FuturesQuery
from k2workers.simulator.binance.rest_endpoints import Endpoint, fixed, server_time


def _depth_weight(query: FuturesQuery) -> int:
    count = query.levels()
    return 2 if count <= 50 else 5 if count <= 100 else 10 if count <= 500 else 20


def _bars_weight(query: FuturesQuery) -> int:
    count = query.limit(500, 1500)
    return 1 if count < 100 else 2 if count < 500 else 5 if count <= 1000 else 10


def _one_or_all(one: int, everything: int) -> Callable[[FuturesQuery], int]:
    return lambda query: one if query.text("symbol") is not None else everything


ENDPOINTS: dict[str, Endpoint] = {
    "ping": fixed(1, lambda _source, _query: {}),
    "time": fixed(1, server_time),
    "exchangeInfo": fixed(1, futures_rules.exchange_info),
    "depth": Endpoint(_depth_weight, futures_replies.depth),
    "rpiDepth": fixed(20, futures_replies.rpi_depth),
    "trades": fixed(5, futures_replies.latest_trades),
    "historicalTrades": fixed(20, futures_replies.historical_trades),
    "aggTrades": fixed(20, futures_replies.agg_trades),
    "klines": Endpoint(_bars_weight, futures_replies.klines),
    "continuousKlines": Endpoint(_bars_weight, futures_replies.continuous_klines),
    "ticker/24hr": Endpoint(_one_or_all(1, 40), futures_replies.day),
    "ticker/price": Endpoint(_one_or_all(1, 2), futures_replies.price),
    "ticker/bookTicker": Endpoint(_one_or_all(2, 5), futures_replies.best),
    "premiumIndex": Endpoint(_one_or_all(1, 10), futures_replies.premium_index),
    "fundingRate": fixed(0, futures_replies.funding_rate),
    "fundingInfo": fixed(0, futures_replies.funding_info),
    "openInterest": fixed(1, futures_replies.open_interest),
    "constituents": fixed(2, futures_replies.constituents),
}
"""Path below the market's own → weight and reply."""
