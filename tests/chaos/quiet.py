"""The quiet market: hundreds of symbols with an event each every ten minutes, and a feed that must not take that for trouble.

Ready throughout, no connection given up, and little of the venue's weight spent on asking whether there is news.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from k2workers import Subscriber, simulator, venues
from k2workers.demo.witness import Witness, compare
from k2workers.simulator import Exchange
from k2workers.simulator.binance.generated_market import EVENTS_PER_ACTION
from k2workers.simulator.simulator_settings import StandInSettings
from tests.chaos.ledger import TRADES
from tests.chaos.market import Market
from tests.support.waiting import until
from tests.system.support import Program, free_port

EVERY_S = 600.0
"""An event of each symbol so often, on average."""
LOOK_S = 1.0
START_S = 600.0
"""Within this time the feed is ready: hundreds of books are bounded by the venue's weight."""
MINUTE_S = 60.0
WEIGHT_SHARE = 0.2
"""Of the venue's weight, in any minute, for questions in a market where nothing is wrong."""


class Looks:
    """What was seen while the market was quiet."""

    def __init__(self, weight_per_minute: int) -> None:
        self.looks = 0
        self.unready: Counter[str] = Counter()
        self.peak_weight = 0
        """The most that was used in any minute."""
        self._weight_per_minute = weight_per_minute
        self._used: deque[tuple[float, int]] = deque()
        self._first: tuple[float, int] | None = None

    def look(self, now_s: float, reasons: list[str], used_weight: int) -> None:
        """One look: why the feed is not ready, and the weight used so far."""
        self.looks += 1
        self.unready.update(reasons)
        self._first = self._first or (now_s, used_weight)
        self._used.append((now_s, used_weight))
        while now_s - self._used[0][0] > MINUTE_S:
            self._used.popleft()
        self.peak_weight = max(self.peak_weight, used_weight - self._used[0][1])

    def weight(self) -> dict[str, float]:
        """The share of the venue's weight: on average, and in the worst minute."""
        assert self._first is not None, "nobody looked"
        (first_s, first), (last_s, last) = self._first, self._used[-1]
        mean = (last - first) / max(1.0, (last_s - first_s) / MINUTE_S)
        return {
            "mean_share": round(mean / self._weight_per_minute, 4),
            "peak_share": round(self.peak_weight / self._weight_per_minute, 4),
        }


async def run(minutes: float, *, symbols: int, shards: int, seed: int, venue: str = venues.DEFAULT) -> dict[str, Any]:
    """The figures of so many quiet minutes, counted from when the feed is ready."""
    # A change of the book comes as an event of its own, 100 ms later.
    rate = symbols / EVERY_S * (EVENTS_PER_ACTION + 1)
    made: Callable[..., StandInSettings] = simulator.settings_struct(venue)
    exchange = Exchange(made(port=0, symbols=symbols, rate=rate, seed=seed, even=True))
    market = Market(venue, venues.settings_struct(venue).usual_streams)
    port, _ = await exchange.start()
    publish, replay, books = (f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="k2-quiet-") as directory:
        feed = Program(
            "--shards", str(shards), "--symbols", "*", "--http-port", "0", "--log-format", "json",
            "--venue", venue, market.flag("rest_url"), f"http://127.0.0.1:{port}",
            market.flag("websocket_url"), f"ws://127.0.0.1:{port}",
            "--publish-endpoint", publish, "--snapshot-endpoint", replay, "--books-endpoint", books,
            "--checkpoint", str(Path(directory) / "checkpoint"),
        )  # fmt: skip
        try:
            with feed:
                return await _look_on(market, exchange, feed, publish, replay, minutes)
        finally:
            await exchange.stop()


async def _look_on(
    market: Market, exchange: Exchange, feed: Program, publish: str, replay: str, minutes: float
) -> dict[str, Any]:
    witness, begun_s = Witness(), time.monotonic()
    async with (
        aiohttp.ClientSession() as http,
        Subscriber([market.prefix], publish, snapshot_endpoint=replay, books_endpoint=None) as subscriber,
    ):

        async def follow() -> None:
            async for item in subscriber:
                witness.take(item)

        await until(lambda: feed.logged("started") or feed.process.poll() is not None, "the feed's start")
        assert feed.process.poll() is None, "".join(feed.raw)
        base = feed.logged("started")[0]["http"]
        following = asyncio.ensure_future(follow())
        while reasons := await unready(http, base):
            assert time.monotonic() < begun_s + START_S, f"not ready after {START_S:g} s: {reasons[:5]}"
            await asyncio.sleep(LOOK_S)
        ready_after_s = time.monotonic() - begun_s
        # Books with all levels follow the first ones when there is weight; what came before is no news of the quiet market.
        await until(lambda: lacks_nothing(http, base), "books with all levels", START_S)
        connects, start_weight = exchange.connects_total, exchange.rest_log.used_weight
        looks, until_s = Looks(market.weight_per_minute), time.monotonic() + minutes * MINUTE_S
        while time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)
            looks.look(time.monotonic(), await unready(http, base), exchange.rest_log.used_weight)
        metrics = await asyncio.to_thread(feed.metrics, "k2_binance_reconnects_total")
        await asyncio.to_thread(feed.stop)
        sent = {market.topic_of(name): count for name, count in exchange.hub.truth_report()["topics"].items()}
        verdict = compare(sent, witness.result()["topics"])
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    figures = {
        "minutes": minutes,
        "ready_after_s": round(ready_after_s, 1),
        "start_weight": start_weight,
        "looks": looks.looks,
        "unready": dict(looks.unready),
        "reconnects": int(sum(metrics.values())),
        "connects": exchange.connects_total - connects,
        "weight": looks.weight(),
        "rest": exchange.rest_log.as_data()["by_path"],
        "by_kind": verdict["by_kind"],
    }
    return {**figures, "failures": wrong(figures)}


def wrong(figures: dict[str, Any]) -> list[str]:
    """What a quiet market must not bring about, in words."""
    found = [f"not ready: {reason} ({count} looks)" for reason, count in figures["unready"].items()]
    found += [f"{figures[word]} {word}" for word in ("reconnects", "connects") if figures[word]]
    found += [f"{word} of the weight {share:.0%}" for word, share in figures["weight"].items() if share > WEIGHT_SHARE]
    return found + [
        f"{kind} lost {counts['lost']}"
        for kind, counts in figures["by_kind"].items()
        if kind in TRADES and counts["lost"]
    ]


async def unready(http: aiohttp.ClientSession, base: str) -> list[str]:
    """The reasons that the feed gives for not being ready; none if it is."""
    async with http.get(f"{base}/readyz") as reply:
        text = await reply.text()
        if reply.status == 200:
            return []
        return list(json.loads(text)["reasons"]) if "json" in reply.content_type else [text]


async def lacks_nothing(http: aiohttp.ClientSession, base: str) -> bool:
    """Whether all has been fetched that was to be."""
    async with http.get(f"{base}/status") as reply:
        if reply.status != 200:
            return False  # a parent that has much to do answers 503
        return not any(worker["repairs_waiting"] for worker in (await reply.json())["workers"])
