"""Owns the measurement of how soon after its start a feed has every book, against the least time that the venue's weight allows."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from tests.support.waiting import wait_for
from tests.system.support import Program, free_port

FIRST, DEEP, PER_MINUTE = 5, 50, 6_000
"""Weights of Binance spot: of a book of 100 levels, of one of 1,000, and of a minute. The stand-in counts by the same."""
SHARE = 0.8
"""Of the weight, which a feed uses by itself."""
LIMIT_S = 1_800.0


def measure(symbols: int, shards: int = 4, depth: int = 1_500) -> dict[str, Any]:
    """Seconds from the start until the first book was whole, half, nine tenths and all of them, and until all had 1,000 levels of each side.

    Books are deeper than what is asked for, so that each is asked for twice: the second time with 1,000 levels.
    """
    port = free_port()
    exchange = f"http://127.0.0.1:{port}"
    with Program(
        "simulate", "--port", str(port), "--symbols", str(symbols), "--rate", str(symbols * 10), "--book-depth", str(depth)
    ) as simulator:  # fmt: skip
        wait_for("the exchange", lambda: simulator.raw)
        places = [f"tcp://127.0.0.1:{free_port()}" for _ in range(3)]
        begun_s = time.monotonic()
        with Program(
            "--shards", str(shards), "--symbols", "*", "--streams", "depth", "--http-port", "0", "--log-format", "json",
            "--binance-rest-url", exchange, "--binance-websocket-url", exchange.replace("http", "ws"),
            "--publish-endpoint", places[0], "--snapshot-endpoint", places[1], "--books-endpoint", places[2],
        ) as feed:  # fmt: skip
            wait_for("the start", lambda: feed.logged("started"), LIMIT_S)
            reached: dict[str, float] = {}
            first_s = 0.0

            def all_whole() -> bool:
                nonlocal first_s
                whole = feed.status()["books"].get("whole", 0)
                now_s = time.monotonic()
                first_s = first_s or (now_s if whole else 0.0)
                for share in (0.5, 0.9, 1.0):
                    if whole >= share * symbols:
                        reached.setdefault(f"{share:.0%}", round(now_s - begun_s, 1))
                return bool(whole >= symbols)

            wait_for("every book", all_whole, LIMIT_S)
            wait_for("all levels of every book", lambda: _lacks_nothing(feed), LIMIT_S)
            reached["with 1,000 levels"] = round(time.monotonic() - begun_s, 1)
            asked = _asked(exchange)
        return {
            "symbols": symbols,
            "first_book_s": round(first_s - begun_s, 1),
            "whole_s": reached,
            "requests_for_books": asked,
            "least_s_that_the_weight_allows": _least_s(symbols * FIRST),
            "least_s_for_1000_levels_of_each": _least_s(symbols * (FIRST + DEEP)),
        }


def _lacks_nothing(feed: Program) -> bool:
    return not sum(worker["repairs_waiting"] for worker in feed.status()["workers"])


def _least_s(weight: int) -> float:
    """The weight of a minute may be used at its beginning."""
    return 60.0 * max(0, -(-weight // int(SHARE * PER_MINUTE)) - 1)


def _asked(exchange: str) -> int:
    with urllib.request.urlopen(f"{exchange}/_exchange/status", timeout=60) as reply:
        return int(json.load(reply)["rest"]["by_path"].get("depth", 0))
