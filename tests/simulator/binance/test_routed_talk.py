"""The routes of futures streams over real sockets: what is on another route is acknowledged and stays silent."""

from __future__ import annotations

import pytest

from tests.simulator.support import ask, collect, inject, running

PUBLIC, MARKET = "btcusdt@bookTicker", "btcusdt@aggTrade"


@pytest.mark.parametrize(
    ("path", "brought"),
    [
        ("/public/ws", "bookTicker"), ("/public/stream", "bookTicker"), ("/market/ws", "aggTrade"), ("/market/stream", "aggTrade"),
        ("/ws", "bookTicker"), ("/stream", "bookTicker"), ("/ws/0", "bookTicker"), ("/market/ws/0", "aggTrade"), ("/elsewhere", "bookTicker"),
    ],
)  # fmt: skip
async def test_only_streams_of_the_route_come(path: str, brought: str) -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect(path)
        request = {"method": "SUBSCRIBE", "params": [PUBLIC, MARKET], "id": 7}
        assert await ask(socket, request) == {"result": None, "id": 7}
        events = await collect(socket, lambda events: len(events) > 100)
        assert {event.get("data", event)["e"] for event in events} == {brought}
        assert ("stream" in events[0]) == ("stream" in path)
        listed = (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 8}))["result"]
        assert set(listed) >= {PUBLIC, MARKET}
        await ask(socket, {"method": "UNSUBSCRIBE", "params": [PUBLIC, MARKET], "id": 9})
        assert not {PUBLIC, MARKET} & set((await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 10}))["result"])


async def test_the_private_route_brings_no_market_data() -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect(f"/private/ws/{PUBLIC}")
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": [MARKET], "id": 1}))["result"] is None
        other = await client.connect(f"/public/ws/{PUBLIC}")
        await collect(other, lambda events: len(events) > 20)
        assert client.exchange.hub.truth.keys() == {PUBLIC}


async def test_names_in_an_address_are_routed_too() -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect(f"/market/stream?streams={MARKET}/{PUBLIC}/btcusdt@trade")
        events = await collect(socket, lambda events: len(events) > 50)
        assert {event["stream"] for event in events} == {MARKET}
        raw = await client.connect(f"/public/ws/{MARKET}/btcusdt@trade")
        assert {event["e"] for event in await collect(raw, lambda events: len(events) > 50)} == {"trade"}


async def test_a_stream_is_refused_as_by_spot() -> None:
    async with running("binance_usdm", faults=("refuse_stream:stream=@trade",)) as client:
        socket = await client.connect("/public/ws")
        for name in ("btcusdt@kline_1s", "btcusdt@trade"):
            reply = await ask(socket, {"method": "SUBSCRIBE", "params": [name], "id": 1})
            assert reply["error"]["code"] == 2


async def test_no_unit_of_time_can_be_asked_for() -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect(f"/public/ws/{PUBLIC}?timeUnit=MICROSECOND")
        (event, *_) = await collect(socket, bool)
        assert event["E"] < 10**14


async def test_a_class_of_streams_falls_silent_while_the_others_go_on() -> None:
    async with running("binance_usdm") as client:
        socket = await client.connect("/market/stream")
        names = [MARKET, "btcusdt@markPrice@1s"]
        await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1})
        await collect(socket, lambda events: {event["stream"] for event in events} == set(names))
        assert (await inject(client, kind="stall", stream="@aggTrade"))[0] == 200
        await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2})
        events = await collect(socket, lambda events: len(events) == 2)
        assert {event["stream"] for event in events} == {names[1]}
