"""python-binance with futures as its documentation uses it, but for the addresses: ``PORT``; writes as JSON what a user gets."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.ws.depthcache import FuturesDepthCacheManager

PORT = sys.argv[1]
SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
TRADES, BOOKS = 200, 30


async def rest(client: AsyncClient) -> dict[str, Any]:
    """Everything public that it asks of USD-M."""
    (newest,) = await client.futures_aggregate_trades(symbol=SYMBOL, limit=1)
    return {
        "ping": await client.futures_ping(),
        "time": await client.futures_time(),
        "exchange_info": await client.futures_exchange_info(),
        "order_book": await client.futures_order_book(symbol=SYMBOL, limit=20),
        "recent_trades": await client.futures_recent_trades(symbol=SYMBOL),
        "historical_trades": await client.futures_historical_trades(symbol=SYMBOL, limit=100),
        "aggregate_trades": await client.futures_aggregate_trades(symbol=SYMBOL, fromId=newest["a"] - 99, limit=100),
        "klines": await client.futures_klines(symbol=SYMBOL, interval=AsyncClient.KLINE_INTERVAL_1MINUTE),
        "mark_price": await client.futures_mark_price(symbol=SYMBOL),
        "mark_prices": await client.futures_mark_price(),
        "funding_rate": await client.futures_funding_rate(symbol=SYMBOL),
        "ticker": await client.futures_ticker(symbol=SYMBOL),
        "tickers": await client.futures_ticker(),
        "orderbook_ticker": await client.futures_orderbook_ticker(symbol=SYMBOL),
        "orderbook_tickers": await client.futures_orderbook_ticker(),
        "open_interest": await client.futures_open_interest(symbol=SYMBOL),
    }


async def received(socket: Any, count: int = 1) -> list[Any]:
    """So many messages of a socket."""
    async with socket as stream:
        return [await stream.recv() for _ in range(count)]


async def cached_books(client: AsyncClient) -> list[Any]:
    """So many states of a book that it keeps from a snapshot and changes."""
    books: list[Any] = []
    async with FuturesDepthCacheManager(client, SYMBOL) as stream:
        while len(books) < BOOKS:
            cache = await stream.recv()
            if cache is not None:
                books.append([cache.symbol, cache.get_bids()[0][0], cache.get_asks()[0][0]])
    return books


async def main() -> None:
    """Ask, then listen to all sockets at the same time."""
    AsyncClient.API_URL = f"https://127.0.0.1:{PORT}/api"
    AsyncClient.FUTURES_URL = f"https://127.0.0.1:{PORT}/fapi"
    BinanceSocketManager.FSTREAM_URL = f"wss://127.0.0.1:{PORT}/"
    client = AsyncClient(api_key="any", api_secret="any")
    try:
        result = await rest(client)
        manager = BinanceSocketManager(client, max_queue_size=100_000)
        both = [f"{name.lower()}@bookTicker" for name in (SYMBOL, OTHER)]
        sockets = {
            "aggtrade_socket": received(manager.aggtrade_futures_socket(SYMBOL), TRADES),
            "depth_socket": received(manager.futures_depth_socket(SYMBOL), BOOKS),
            "kline_socket": received(manager.kline_futures_socket(SYMBOL)),
            "mark_price_socket": received(manager.symbol_mark_price_socket(SYMBOL)),
            "all_mark_price_socket": received(manager.all_mark_price_socket()),
            "ticker_socket": received(manager.symbol_ticker_futures_socket(SYMBOL), BOOKS),
            "day_ticker_socket": received(manager.individual_symbol_ticker_futures_socket(SYMBOL)),
            "all_ticker_socket": received(manager.futures_ticker_socket()),
            "multiplex_socket": received(manager.futures_multiplex_socket(both, category="public"), TRADES),
            "depth_cache": cached_books(client),
        }
        result |= dict(zip(sockets, await asyncio.gather(*sockets.values()), strict=True))
        json.dump(result, sys.stdout)
    finally:
        await client.close_connection()


asyncio.run(main())
