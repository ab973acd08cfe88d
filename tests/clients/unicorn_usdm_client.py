"""unicorn-binance-websocket-api with USD-M futures as its documentation uses it, but for the address: ``PORT``; writes as JSON what a callback gets."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import defaultdict
from typing import Any

from unicorn_binance_websocket_api import BinanceWebSocketApiManager

PORT = sys.argv[1]
MARKETS = ["btcusdt", "ethusdt"]
CHANNELS = {
    "public": {"bookTicker": 100, "depth@100ms": 30, "depth5@500ms": 4},
    "market": {"aggTrade": 100, "markPrice@1s": 2, "kline_1m": 2},
}
"""By route: channels, and how many messages of the first market are enough. One connection is for one route only."""

LOCK = threading.Lock()
RESULT: dict[str, list[Any]] = defaultdict(list)


def take(message: str) -> None:
    """The user's callback; ends the process, which would go on for ever, when there is enough."""
    event = json.loads(message)
    if "stream" not in event:
        return
    with LOCK:
        RESULT[event["stream"]].append(event["data"])
        wanted = [item for channels in CHANNELS.values() for item in channels.items()]
        if all(len(RESULT[f"{MARKETS[0]}@{channel}"]) >= count for channel, count in wanted):
            json.dump(RESULT, sys.stdout)
            sys.stdout.flush()
            os._exit(0)


def main() -> None:
    """Read until there is enough."""
    manager = BinanceWebSocketApiManager(
        exchange="binance.com-futures",
        websocket_base_uri=f"wss://127.0.0.1:{PORT}/",
        output_default="raw_data",
        warn_on_update=False,  # it would ask GitHub
        disable_colorama=True,
    )
    for channels in CHANNELS.values():
        manager.create_stream(channels=list(channels), markets=MARKETS, process_stream_data=take)
    threading.Event().wait()


main()
