"""cryptofeed: its objects to an async callback on channels of its Binance feed; TRADES is aggregate trades, and there are no others.

It has no raw setting; as fast as its documentation has it: uvloop, no backend, no log.
"""

from __future__ import annotations

import asyncio

import uvloop
from cryptofeed import FeedHandler
from cryptofeed.connection import AsyncConnection, RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols
from cryptofeed.types import OrderBook, Ticker, Trade
from meter import PeerMeter, asked

ASKED = asked()
METER = PeerMeter(ASKED)
NAMES = {f"{symbol.removesuffix('USDT')}-USDT": symbol for symbol in ASKED.symbols}
CHANNELS = {"agg_trade": TRADES, "book_ticker": TICKER, "depth": L2_BOOK}
CONFIG = {"uvloop": True, "log": {"disabled": True}}


BOOK = "/api/v3/depth?symbol={}&limit={}"


class Pumped(Binance):
    """The library's feed at the pump's address."""

    # It takes only wss:// addresses and checks that as it makes its connections: plain ones are made plain afterwards.
    websocket_endpoints = [WebsocketEndpoint(f"wss://127.0.0.1:{ASKED.port}")]
    rest_endpoints = [RestEndpoint(f"http://127.0.0.1:{ASKED.port}", routes=Routes("", l2book=BOOK))]

    def connect(self) -> list[tuple[AsyncConnection, ...]]:
        """As the library's."""
        made: list[tuple[AsyncConnection, ...]] = super().connect()
        for connection, *_ in made:
            connection.address = connection.address.replace(f"wss://127.0.0.1:{ASKED.port}", ASKED.base_url)
        return made


async def take(event: Trade | Ticker | OrderBook, received_s: float) -> None:
    """The user's callback."""
    if METER.count():
        METER.finish(int(event.id))


def main() -> None:
    """Read until the meter ends the process."""
    Symbols.set(Binance.id, NAMES, {})  # it would ask the exchange
    handler = FeedHandler(config=CONFIG)
    asyncio.set_event_loop(
        uvloop.new_event_loop()
    )  # it asks for the present one, which uvloop no longer makes by itself
    callbacks = {CHANNELS[kind]: take for kind in (ASKED.kind, *ASKED.others)}
    handler.add_feed(Pumped(symbols=list(NAMES), channels=list(callbacks), callbacks=callbacks, config=CONFIG))
    handler.run()


if __name__ == "__main__":
    main()
