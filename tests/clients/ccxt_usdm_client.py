"""ccxt and ccxt pro with USD-M futures as their manuals use them, but for the addresses: ``PORT``; writes as JSON what a user gets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import ccxt.pro

PORT = sys.argv[1]
SYMBOL, OTHERS = "BTC/USDT:USDT", ["ETH/USDT:USDT", "SOL/USDT:USDT"]
TRADES, BOOKS = 200, 50


async def fetched(exchange: ccxt.pro.binanceusdm) -> dict[str, Any]:
    """Everything public that ccxt fetches from USD-M."""
    return {
        "time": await exchange.fetch_time(),
        "trades": await exchange.fetch_trades(SYMBOL, limit=TRADES),
        "order_book": await exchange.fetch_order_book(SYMBOL, limit=20),
        "ticker": await exchange.fetch_ticker(SYMBOL),
        "tickers": await exchange.fetch_tickers(),
        "bids_asks": await exchange.fetch_bids_asks(),
        "ohlcv": await exchange.fetch_ohlcv(SYMBOL, "1m"),
        "mark": await exchange.fetch_mark_price(SYMBOL),
        "funding_rate": await exchange.fetch_funding_rate(SYMBOL),
        "funding_history": await exchange.fetch_funding_rate_history(SYMBOL, limit=5),
        "open_interest": await exchange.fetch_open_interest(SYMBOL),
    }


async def watched_trades(exchange: ccxt.pro.binanceusdm) -> list[Any]:
    """So many trades of one symbol, each once."""
    trades: list[Any] = []
    while len(trades) < TRADES:
        trades += [[trade["id"], trade["symbol"]] for trade in await exchange.watch_trades(SYMBOL)]
    return trades


async def watched_books(exchange: ccxt.pro.binanceusdm) -> list[Any]:
    """So many states of a book that ccxt keeps from a snapshot and changes."""
    books = []
    for _ in range(BOOKS):
        book = await exchange.watch_order_book(SYMBOL)
        books.append([book["symbol"], book["nonce"], book["bids"][0][0], book["asks"][0][0]])
    return books


async def main() -> None:
    """Fetch, then watch all at the same time."""
    exchange = ccxt.pro.binanceusdm(
        {"cafile": os.environ["SSL_CERT_FILE"], "newUpdates": True, "options": {"fetchMarkets": {"types": ["linear"]}}}
    )
    exchange.urls["api"]["fapiPublic"] = f"https://127.0.0.1:{PORT}/fapi/v1"
    exchange.urls["api"]["ws"]["linear"] = f"wss://127.0.0.1:{PORT}/ws"
    try:
        markets = await exchange.load_markets()
        result = {"markets": markets, **await fetched(exchange)}
        watched = {
            "watch_trades": watched_trades(exchange),
            "watch_order_book": watched_books(exchange),
            "watch_ticker": exchange.watch_ticker(SYMBOL),
            "watch_tickers": exchange.watch_tickers([SYMBOL]),
            "watch_bids_asks": exchange.watch_bids_asks([SYMBOL]),
            "watch_ohlcv": exchange.watch_ohlcv(SYMBOL, "1m"),
            "watch_mark_price": exchange.watch_mark_price(SYMBOL),
            "watch_trades_for_symbols": exchange.watch_trades_for_symbols(OTHERS),
        }
        result |= dict(zip(watched, await asyncio.gather(*watched.values()), strict=True))
        json.dump(result, sys.stdout, default=str)
    finally:
        # asyncio of Python 3.11.2 fails to abort a TLS transport that is closed already (mended in 3.11.4).
        with contextlib.suppress(AttributeError):
            await exchange.close()


asyncio.run(main())
