"""python-binance as its documentation uses it, but for the addresses: ``PORT``; writes as JSON what a user gets."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.ws.depthcache import DepthCacheManager

PORT = sys.argv[1]
SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
TRADES, BOOKS = 200, 30


async def rest(client: AsyncClient) -> dict[str, Any]:
    """Everything public that it asks of spot."""
    first = (await client.get_recent_trades(symbol=SYMBOL))[0]["id"]
    return {
        "ping": await client.ping(),
        "time": await client.get_server_time(),
        "exchange_info": await client.get_exchange_info(),
        "symbol_info": await client.get_symbol_info(SYMBOL),
        "order_book": await client.get_order_book(symbol=SYMBOL, limit=20),
        "historical_trades": await client.get_historical_trades(symbol=SYMBOL, fromId=first, limit=100),
        "aggregate_trades": await client.get_aggregate_trades(symbol=SYMBOL, limit=100),
        "klines": await client.get_klines(symbol=SYMBOL, interval=AsyncClient.KLINE_INTERVAL_1MINUTE),
        "ui_klines": await client.get_ui_klines(symbol=SYMBOL, interval=AsyncClient.KLINE_INTERVAL_1MINUTE),
        "avg_price": await client.get_avg_price(symbol=SYMBOL),
        "ticker": await client.get_ticker(symbol=SYMBOL),
        "tickers": await client.get_ticker(),
        "all_tickers": await client.get_all_tickers(),
        "symbol_ticker": await client.get_symbol_ticker(symbol=SYMBOL),
        "symbol_ticker_window": await client.get_symbol_ticker_window(symbol=SYMBOL, windowSize="1h"),
        "orderbook_ticker": await client.get_orderbook_ticker(symbol=SYMBOL),
        "orderbook_tickers": await client.get_orderbook_tickers(),
    }


async def received(socket: Any, count: int = 1) -> list[Any]:
    """So many messages of a socket."""
    async with socket as stream:
        return [await stream.recv() for _ in range(count)]


async def cached_books(client: AsyncClient) -> list[Any]:
    """So many states of a book that it keeps from a snapshot and diffs."""
    books: list[Any] = []
    depth = DepthCacheManager(
        client, SYMBOL, ws_interval=100
    )  # with a manager of its own: one holds a stream only once
    async with depth as stream:
        while len(books) < BOOKS:
            cache = await stream.recv()
            if cache is not None:
                books.append([cache.symbol, cache.get_bids()[0][0], cache.get_asks()[0][0]])
    return books


async def main() -> None:
    """Ask, then listen to all sockets at the same time."""
    AsyncClient.API_URL = f"https://127.0.0.1:{PORT}/api"
    BinanceSocketManager.STREAM_URL = f"wss://127.0.0.1:{PORT}/"
    client = await AsyncClient.create()
    try:
        result = await rest(client)
        manager = BinanceSocketManager(client, max_queue_size=100_000)
        sockets = {
            "trade_socket": received(manager.trade_socket(SYMBOL), TRADES),
            "aggtrade_socket": received(manager.aggtrade_socket(SYMBOL), TRADES),
            "depth_socket": received(manager.depth_socket(SYMBOL, interval=100), BOOKS),
            "partial_depth_socket": received(manager.depth_socket(SYMBOL, depth="10")),
            "kline_socket": received(manager.kline_socket(SYMBOL)),
            "miniticker_socket": received(manager.miniticker_socket()),
            "symbol_miniticker_socket": received(manager.symbol_miniticker_socket(SYMBOL)),
            "symbol_ticker_socket": received(manager.symbol_ticker_socket(SYMBOL)),
            "symbol_book_ticker_socket": received(manager.symbol_book_ticker_socket(SYMBOL), BOOKS),
            "multiplex_socket": received(
                manager.multiplex_socket([f"{name.lower()}@trade" for name in (SYMBOL, OTHER)]), TRADES
            ),
            "depth_cache": cached_books(client),
        }
        result |= dict(zip(sockets, await asyncio.gather(*sockets.values()), strict=True))
        json.dump(result, sys.stdout)
    finally:
        await client.close_connection()


asyncio.run(main())
