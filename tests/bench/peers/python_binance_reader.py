"""python-binance: dicts from ``async with multiplex_socket(...)``, received one by one as its documentation shows.

As fast as it goes: orjson, which it takes when it is installed, and uvloop. Its queue holds as many messages as there are: at its
default of 100 it gives up (``BinanceWebsocketQueueOverflow``) when events come faster than it delivers them.
"""

from __future__ import annotations

import uvloop
from binance import AsyncClient, BinanceSocketManager
from meter import IDS, PeerMeter, asked

ASKED = asked()
METER = PeerMeter(ASKED)


async def main() -> None:
    """Read until the meter ends the process."""
    client = AsyncClient()  # not create(), which pings the exchange
    manager = BinanceSocketManager(client, max_queue_size=ASKED.events)
    manager.STREAM_URL = f"{ASKED.base_url}/"
    async with manager.multiplex_socket(ASKED.streams) as stream:
        while True:
            message = await stream.recv()
            if METER.count():
                METER.finish(message["data"][IDS[ASKED.kind]])


if __name__ == "__main__":
    uvloop.run(main())
