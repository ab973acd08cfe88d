"""nautilus_trader: its WebSocketClient (Rust) and its Binance adapter's decoder, as the adapter uses them.

The way is ``message`` (the adapter's msgspec struct) or ``tick`` (its ``TradeTick``, what strategies get, without its message bus).
"""

from __future__ import annotations

import asyncio
import time

import msgspec
import uvloop
from meter import PeerMeter, asked
from nautilus_trader.adapters.binance.spot.schemas.market import BinanceSpotTradeMsg
from nautilus_trader.core.nautilus_pyo3 import WebSocketClient, WebSocketConfig
from nautilus_trader.model.identifiers import InstrumentId

ASKED = asked()
METER = PeerMeter(ASKED)
DECODE = msgspec.json.Decoder(BinanceSpotTradeMsg).decode
INSTRUMENTS = {symbol: InstrumentId.from_str(f"{symbol}.BINANCE") for symbol in ASKED.symbols}


def message(raw: bytes) -> None:
    """The user's callback."""
    decoded = DECODE(raw)
    if METER.count():
        METER.finish(decoded.data.t)


def tick(raw: bytes) -> None:
    """The same up to the object that the library's user sees."""
    decoded = DECODE(raw)
    made = decoded.data.parse_to_trade_tick(INSTRUMENTS[decoded.data.s], time.time_ns())
    if METER.count():
        METER.finish(int(made.trade_id.value))


async def main() -> None:
    """Read until the meter ends the process."""
    config = WebSocketConfig(
        url=f"{ASKED.base_url}/stream?streams={'/'.join(ASKED.streams)}",
        handler={"message": message, "tick": tick}[ASKED.way],
        headers=[],
    )
    client = await WebSocketClient.connect(config)
    while client.is_active():
        await asyncio.sleep(1)


if __name__ == "__main__":
    uvloop.run(main())
