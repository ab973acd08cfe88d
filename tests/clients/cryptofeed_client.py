"""cryptofeed as its examples use it, but for the addresses: ``PORT``; writes as JSON what a user's callbacks get."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from typing import Any

from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, WebsocketEndpoint
from cryptofeed.defines import CANDLES, L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance

PORT = sys.argv[1]
SYMBOLS = ["BTC-USDT", "ETH-USDT"]
WANTED = {TRADES: 100, L2_BOOK: 50, TICKER: 100, CANDLES: 1}
"""Events of the first symbol."""


class Local(Binance):
    """The library's feed at another address."""

    websocket_endpoints = [WebsocketEndpoint(f"wss://127.0.0.1:{PORT}")]
    rest_endpoints = [RestEndpoint(f"https://127.0.0.1:{PORT}", routes=Binance.rest_endpoints[0].routes)]


RESULT: dict[str, list[Any]] = defaultdict(list)


def take(channel: str, symbol: str, *values: Any) -> None:
    """Keep one event; end the process, which would go on for ever, when there are enough."""
    RESULT[channel].append([symbol, *values])
    counts = {name: sum(event[0] == SYMBOLS[0] for event in RESULT[name]) for name in WANTED}
    if all(counts[name] >= wanted for name, wanted in WANTED.items()):
        json.dump(RESULT, sys.stdout)
        sys.stdout.flush()
        os._exit(0)


async def trade(event: Any, _received_s: float) -> None:
    """The user's callback."""
    take(TRADES, event.symbol, event.id, str(event.price), str(event.amount), event.side)


async def book(event: Any, _received_s: float) -> None:
    """The user's callback, given the whole book that the library keeps."""
    bid, ask = event.book.bids.index(0)[0], event.book.asks.index(0)[0]
    take(L2_BOOK, event.symbol, event.sequence_number, str(bid), str(ask))


async def ticker(event: Any, _received_s: float) -> None:
    """The user's callback."""
    take(TICKER, event.symbol, str(event.bid), str(event.ask))


async def candle(event: Any, _received_s: float) -> None:
    """The user's callback."""
    take(CANDLES, event.symbol, event.start, event.stop, event.interval, str(event.high), str(event.low))


def main() -> None:
    """Read until there is enough."""
    handler = FeedHandler(config={"uvloop": False, "log": {"filename": os.devnull, "level": "ERROR"}})
    callbacks = {TRADES: trade, L2_BOOK: book, TICKER: ticker, CANDLES: candle}
    # Candles that are not closed too: a closed one comes each minute.
    handler.add_feed(Local(symbols=SYMBOLS, channels=list(callbacks), callbacks=callbacks, candle_closed_only=False))
    handler.run()


main()
