"""The whole program on another venue than the default one: what users see says which, and the names that they know stay."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from k2workers import Message, Subscriber
from k2workers.events import Trade
from tests.support.venue import Venue
from tests.support.waiting import WAIT_S
from tests.system.support import demo, feed, free_port, wait_for
from tests.venues.binance.test_us import as_documented


def test_the_second_spot_market_is_served_under_its_own_name() -> None:
    publish, replay = free_port(), free_port()

    async def some_trades() -> list[Trade]:
        endpoints = [f"tcp://127.0.0.1:{port}" for port in (publish, replay)]
        found = []
        async with Subscriber(["binance_us.trade.AAAUSDT"], endpoints[0], snapshot_endpoint=endpoints[1]) as subscriber:
            async with asyncio.timeout(WAIT_S):
                async for item in subscriber:
                    if isinstance(item, Message) and isinstance(item.event, Trade):
                        found.append(item.event)
                    if len(found) == 5:
                        break
        return found

    with Venue(["AAAUSDT"]) as venue:
        venue.units, venue.on_rest = False, as_documented
        venue.rate_limits[0]["limit"] = 1_200
        flags = ("--streams", "trade,depth", "--symbols", "AAAUSDT")
        with feed(
            venue, *flags, shards=1, publish=publish, replay=replay, market="binance_us",
            K2_BINANCE_US_CONNECTION_MAX_LIFETIME_HOURS="2",
        ) as program:  # fmt: skip
            program.wait_ready()
            trades = asyncio.run(some_trades())
            status = program.status()
            (up,) = wait_for("the worker's metrics", lambda: program.metrics("k2_binance_connection_up"))
            (limit,) = program.metrics("k2_rest_weight_limit").values()
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)
        assert all(not asked.query for asked in venue.handshakes)
        assert {asked.status for asked in venue.requests} == {200}
    numbers = [trade.first_id for trade in trades]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert all(abs(trade.trade_time_ns - time.time_ns()) < 3_600 * 10**9 for trade in trades)
    assert status["venue"] == "binance_us"
    assert 'exchange="binance_us"' in up
    assert limit == 1_200 * 0.8


def test_a_demonstration_of_it_rotates_under_the_names_that_users_grep_for(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    flags = ("--venue", "binance_us", "--rotation-lifetime", "3", "--report", str(report))
    with demo(*flags, shards=1) as program:
        program.wait_ready()
        (line, *_) = wait_for("a rotation", lambda: program.logged("binance_connection_rotation_triggered"))
        wait_for("its end", lambda: program.status()["rotations"])
        counted = wait_for("its count", lambda: program.metrics("k2_binance_connection_rotations_total"))
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    assert line["exchange"] == "binance_us"
    assert all('exchange="binance_us"' in name for name in counted)
    found = json.loads(report.read_text(encoding="utf-8"))
    truth = found["truth"]
    assert truth["received"] == truth["emitted"] > 0
    assert (truth["lost"], truth["duplicated"], truth["reordered"]) == (0, 0, 0)
    assert {topic["topic"].partition(".")[0] for topic in found["continuity"]} == {"binance_us"}
