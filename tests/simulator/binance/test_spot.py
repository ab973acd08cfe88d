"""The stand-in as a whole: what faults act on by themselves, and the variant that its other market is."""

from __future__ import annotations

from typing import Any

import pytest

from k2workers.events import AggTrade, Trade
from k2workers.simulator import faults
from k2workers.simulator.binance.rest_endpoints import ENDPOINTS
from k2workers.simulator.binance.spot import SpotStandIn
from k2workers.venues.binance.us import BinanceUs
from tests.simulator.support import collect, running

US = BinanceUs()


def test_what_a_fault_acts_on_by_itself_is_the_venues_name_and_can_be_said_otherwise() -> None:
    own = SpotStandIn.fault_defaults
    assert {kind: set(keys) - set(faults.KINDS[kind].keys) for kind, keys in own.items()} == {
        kind: set() for kind in own
    }
    assert {keys["path"] for keys in own.values() if "path" in keys} <= set(ENDPOINTS)
    assert faults.parse("rest_lacks", own).values["path"] == "historicalTrades"
    assert faults.parse("rest_lacks:path=aggTrades", own).values["path"] == "aggTrades"
    assert faults.parse("status", own).values["status"] == "BREAK"


@pytest.mark.parametrize("kind", ["trade", "agg_trade"])
async def test_the_other_market_is_read_from_the_stand_in_with_its_weight_and_without_units_of_time(kind: str) -> None:
    codec = US.codec(specs := US.stream_specs([kind], ["BTCUSDT"]))
    variant: dict[str, Any] = {
        "weight_per_minute": US.limits.rest_weight_per_minute, "ping_interval_s": 180.0, "faults": ("ignore_unit",),
    }  # fmt: skip
    async with running(**variant) as client:
        assert (await client.get("/api/v3/exchangeInfo"))["rateLimits"][0]["limit"] == 1_200
        socket = await client.connect(f"/stream?streams={specs[0].name}&timeUnit=MICROSECOND")
        events = [event["data"] for event in await collect(socket, lambda events: len(events) > 20)]
        first, last = (event["t" if kind == "trade" else "a"] for event in (events[3], events[9]))
        async with US.history(f"http://127.0.0.1:{client.port}", None, 1_000) as rest:
            reply = await rest.fetch(codec.topics[0], first, last, 0)
    assert [event.first_id for event in reply.events] == list(range(first, last + 1))
    trades = [event for event in reply.events if isinstance(event, Trade | AggTrade)]
    assert [event.venue_time_ns for event in trades] == [event["T"] * 10**6 for event in events[3:10]]
