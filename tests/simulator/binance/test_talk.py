"""What the address of a stream connection asks for, over real sockets, and in which form messages come."""

from __future__ import annotations

import json

import pytest
import websockets

from tests.simulator.support import ask, collect, running

NAME = "btcusdt@trade"


async def test_raw_paths_carry_bare_payloads_and_take_percent_encoded_names() -> None:
    async with running(symbols=8) as client:
        socket = await client.connect("/ws/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@trade/btcusdt@trade")
        events = await collect(socket, lambda events: {e["s"] for e in events} >= {"币安人生USDT", "BTCUSDT"})
        assert all(event["e"] == "trade" and event["E"] < 10**14 for event in events)


@pytest.mark.parametrize("plus", ["+", "%2B"])
async def test_a_plus_sign_in_an_address_is_part_of_the_name(plus: str) -> None:
    async with running() as client:
        url = f"ws://127.0.0.1:{client.port}/stream?streams=btcusdt@kline_1s@{plus}08:00"
        async with websockets.connect(url) as socket:
            assert json.loads(await socket.recv())["stream"] == "btcusdt@kline_1s@+08:00"


async def test_the_websockets_library_is_served_as_well() -> None:
    async with running() as client:
        url = f"ws://127.0.0.1:{client.port}/stream?timeUnit=MICROSECOND"
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": [NAME], "id": "a-1"}))
            assert json.loads(await socket.recv()) == {"result": None, "id": "a-1"}
            event = json.loads(await socket.recv())
            assert event["stream"] == NAME and event["data"]["E"] > 10**14


async def test_a_request_that_is_too_long_gets_no_answer() -> None:
    async with running() as client:
        socket = await client.connect()
        names = [f"coin{n}usdt@aggTrade" for n in range(250)]
        await socket.send_str(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}))
        assert await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}) == {"result": [], "id": 2}


@pytest.mark.parametrize(
    "path", ["/ws/0", "/ws/no such stream", "/ws/@@@", "/stream?streams=0", "/market/ws/btcusdt@trade", "/elsewhere"]
)
async def test_an_address_may_name_anything_and_brings_nothing(path: str) -> None:
    async with running() as client:
        socket = await client.connect(path)
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}))["result"] is None
        events = await collect(socket, lambda events: len(events) > 20)
        assert {event.get("data", event)["e"] for event in events} == {"aggTrade"}


async def test_all_market_streams_deliver_under_every_name_that_clients_send() -> None:
    names = [f"!{kind}@arr{speed}" for kind in ("miniTicker", "ticker_1h") for speed in ("", "@1000ms", "@3000ms")]
    async with running() as client:
        raw = await client.connect(f"/ws/{names[1]}")
        socket = await client.connect()
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}))["result"] is None
        await collect(socket, lambda events: {event["stream"] for event in events} == set(names))
        (rows,) = await collect(raw, bool)
        assert rows[0]["e"] == "24hrMiniTicker"


@pytest.mark.parametrize(
    ("path", "words"),
    [("/ws?timeUnit=HOUR", "Invalid timeUnit"), ("/stream?streams=a/b/c/d", "Too many subscriptions")],
)
async def test_an_address_that_asks_for_too_much_is_refused(path: str, words: str) -> None:
    async with running(streams_per_connection=3) as client:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        async with client.session.get(f"http://127.0.0.1:{client.port}{path}", headers=headers) as reply:
            assert reply.status == 400 and words in await reply.text()
