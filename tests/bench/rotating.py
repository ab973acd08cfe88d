"""Owns the question whether a rotation can be seen in the latency: the same running feed with and without rotations."""

from __future__ import annotations

import time

from k2workers import Lost, Subscriber
from k2workers.events import Trade
from tests.bench.floor import quantiles_us
from tests.system.support import demo, free_port

LIFETIMES_S = {"rotating": 4.0, "quiet": 3_600.0}
"""Of a connection: with 8 shards a rotation every half second, and none."""

SETTLED_S = 5.0
"""After the start: the books have been fetched, and a feed that rotates has begun to."""


def measure(lifetime_s: float, rate: int, shards: int, seconds: float) -> dict[str, float]:
    """Microseconds from a trade's venue time to a subscriber, with the embedded exchange at this rate; and the rotations seen."""
    publish, replay = free_port(), free_port()
    arguments = ("--rotation-lifetime", f"{lifetime_s:g}", "--demo-rate", f"{rate:g}")
    with demo(*arguments, shards=shards, publish=publish, replay=replay) as feed:
        feed.wait_ready()
        time.sleep(SETTLED_S)
        before = int(feed.status()["rotations"])
        latencies_ns: list[int] = []
        with Subscriber(
            ["binance.trade."], f"tcp://127.0.0.1:{publish}", snapshot_endpoint=f"tcp://127.0.0.1:{replay}"
        ) as subscriber:
            until_s = time.monotonic() + seconds
            for item in subscriber.batches():
                assert not isinstance(item, Lost)
                now_ns = time.time_ns()
                latencies_ns += [now_ns - event.venue_time_ns for event in item.events if isinstance(event, Trade)]
                if time.monotonic() >= until_s:
                    break
        rotations = int(feed.status()["rotations"]) - before
        feed.stop()
    return {**quantiles_us(latencies_ns), "events": len(latencies_ns), "rotations": rotations}
