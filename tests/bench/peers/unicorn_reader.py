"""unicorn-binance-websocket-api: raw strings to a callback, over the transport that the way names (``picows``, ``websockets``).

As fast as its documentation has it: ``output_default="raw_data"`` and a synchronous ``process_stream_data`` callback, compiled
wheels; its benchmark of the two transports is set up like this.
"""

from __future__ import annotations

import threading

from meter import PeerMeter, asked
from unicorn_binance_websocket_api import BinanceWebSocketApiManager

ASKED = asked()
METER = PeerMeter(ASKED)


def take(message: str) -> None:
    """The user's callback."""
    if METER.count():
        METER.finish(ASKED.id_in(message))


def main() -> None:
    """Read until the meter ends the process."""
    manager = BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=f"{ASKED.base_url}/",
        websocket_library=ASKED.way,
        output_default="raw_data",
        warn_on_update=False,  # it would ask GitHub
        disable_colorama=True,
    )
    manager.create_stream(
        channels=ASKED.channels, markets=[symbol.lower() for symbol in ASKED.symbols], process_stream_data=take
    )
    threading.Event().wait()


if __name__ == "__main__":
    main()
