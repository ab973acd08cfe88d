"""ccxt and ccxt pro as their manuals use them, but for the addresses: ``PORT``; writes as JSON what a user gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import ccxt.pro

PORT = sys.argv[1]
SYMBOL, OTHERS = "BTC/USDT", ["ETH/USDT", "SOL/USDT"]
TRADES, BOOKS = 200, 50


async def fetched(exchange: ccxt.pro.binance) -> dict[str, Any]:
    """Everything public that ccxt fetches from spot."""
    return {
        "time": await exchange.fetch_time(),
        "trades": await exchange.fetch_trades(SYMBOL, limit=TRADES),
        "order_book": await exchange.fetch_order_book(SYMBOL, limit=20),
        "ticker": await exchange.fetch_ticker(SYMBOL),
        "tickers": await exchange.fetch_tickers(),
        "bids_asks": await exchange.fetch_bids_asks(),
        "last_prices": await exchange.fetch_last_prices([SYMBOL]),
        "window": await exchange.public_get_ticker({"symbol": "BTCUSDT", "windowSize": "1h"}),
        "trading_day": await exchange.public_get_ticker_tradingday({"symbol": "BTCUSDT"}),
        "average": await exchange.public_get_avgprice({"symbol": "BTCUSDT"}),
        "ohlcv": await exchange.fetch_ohlcv(SYMBOL, "1m"),
    }


async def watched_trades(exchange: ccxt.pro.binance) -> list[Any]:
    """So many trades of one symbol, each once."""
    trades: list[Any] = []
    while len(trades) < TRADES:
        trades += [[trade["id"], trade["symbol"]] for trade in await exchange.watch_trades(SYMBOL)]
    return trades


async def watched_books(exchange: ccxt.pro.binance) -> list[Any]:
    """So many states of a book that ccxt keeps from a snapshot and diffs."""
    books = []
    for _ in range(BOOKS):
        book = await exchange.watch_order_book(SYMBOL)
        books.append([book["symbol"], book["nonce"], book["bids"][0][0], book["asks"][0][0]])
    return books


async def main() -> None:
    """Fetch, then watch all at the same time."""
    exchange = ccxt.pro.binance(
        {"cafile": os.environ["SSL_CERT_FILE"], "newUpdates": True, "options": {"fetchMarkets": {"types": ["spot"]}}}
    )
    exchange.urls["api"]["public"] = f"https://127.0.0.1:{PORT}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"wss://127.0.0.1:{PORT}/ws"
    try:
        markets = await exchange.load_markets()
        result = {"markets": markets, **await fetched(exchange)}
        names = (
            "watch_trades",
            "watch_order_book",
            "watch_ticker",
            "watch_tickers",
            "watch_bids_asks",
            "watch_ohlcv",
            "watch_trades_for_symbols",
        )
        watched = await asyncio.gather(
            watched_trades(exchange),
            watched_books(exchange),
            exchange.watch_ticker(SYMBOL),
            exchange.watch_tickers([SYMBOL]),
            exchange.watch_bids_asks([SYMBOL]),
            exchange.watch_ohlcv(SYMBOL, "1m"),
            exchange.watch_trades_for_symbols(OTHERS),
        )
        json.dump(result | dict(zip(names, watched, strict=True)), sys.stdout, default=str)
    finally:
        # asyncio of Python 3.11.2 fails to abort a TLS transport that is closed already (mended in 3.11.4).
        with contextlib.suppress(AttributeError):
            await exchange.close()


asyncio.run(main())
