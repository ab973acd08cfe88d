"""Stream connections over real sockets: what is served, what is refused, and how connections end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
import websockets

from tests.simulator.support import ask, collect, end_of, running
from tests.support.waiting import WAIT_S, until

NAMES = ["btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@depth@100ms"]


def ids(events: list[Any], stream: str, key: str) -> list[int]:
    return [event["data"][key] for event in events if event.get("stream") == stream]


async def test_two_connections_see_the_same_ids() -> None:
    async with running() as client:
        address = "/stream?streams=" + "/".join(NAMES)
        first, second = await client.connect(address), await client.connect(address)
        seen = [await collect(socket, lambda events: len(ids(events, NAMES[3], "u")) > 4) for socket in (first, second)]
        for name, key in zip(NAMES, ("t", "a", "u", "u"), strict=True):
            one, two = (ids(events, name, key) for events in seen)
            low, high = max(one[0], two[0]), min(one[-1], two[-1])
            assert [n for n in one if low <= n <= high] == [n for n in two if low <= n <= high] != []


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
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": NAMES[:1], "id": "a-1"}))
            assert json.loads(await socket.recv()) == {"result": None, "id": "a-1"}
            event = json.loads(await socket.recv())
            assert event["stream"] == NAMES[0] and event["data"]["E"] > 10**14


async def test_subscriptions_are_listed_and_ended() -> None:
    async with running(messages_per_second=100) as client:
        socket = await client.connect("/ws")
        subscribe = {"method": "SUBSCRIBE", "params": NAMES, "id": 1}
        assert await ask(socket, subscribe) == {"result": None, "id": 1}
        assert await ask(socket, subscribe | {"id": None}) == {"result": None, "id": None}
        assert (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}))["result"] == NAMES
        assert await ask(socket, {"method": "UNSUBSCRIBE", "params": NAMES[1:], "id": 3})
        assert (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 4}))["result"] == NAMES[:1]
        events = await collect(socket, lambda events: len(events) > 50)
        numbers = [event["t"] for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_the_combined_property_switches_the_wrapper() -> None:
    async with running(messages_per_second=100) as client:
        socket = await client.connect("/ws/btcusdt@trade")
        assert (await ask(socket, {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}))["result"] is False
        await ask(socket, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
        assert (await collect(socket, bool))[0]["stream"] == "btcusdt@trade"
        assert (await ask(socket, {"method": "GET_PROPERTY", "params": ["combined"], "id": 3}))["result"] is True


ERRORS: list[tuple[Any, int, str]] = [
    ("{nonsense", 3, "Invalid JSON: expected value at line 1 column 2"),
    ("[]", 2, "Invalid request"),
    ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"]}, 2, "request ID must be an unsigned integer"),
    ({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1.5}, 2, "request ID"),
    ({"method": "SUBSCRIBE", "params": ["btcusdt@tr ade"], "id": 1}, 2, "invalid stream"),
    ({"method": "BUY", "id": 1}, 2, "unknown variant BUY, expected one of `SUBSCRIBE`"),
    ({"id": 1}, 2, "missing field `method`"),
    ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0, "Unknown property"),
    ({"method": "GET_PROPERTY", "params": [1], "id": 1}, 2, "property name must be a string"),
    ({"method": "GET_PROPERTY", "params": ["combined", 1], "id": 1}, 2, "too many parameters"),
    (
        {"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1},
        1,
        "Invalid value type: expected Boolean",
    ),
]


@pytest.mark.parametrize("nested", [True, False])
async def test_wrong_requests_get_the_documented_errors(nested: bool) -> None:
    async with running(messages_per_second=100, nested_errors=nested) as client:
        socket = await client.connect("/ws")
        for request, code, message in ERRORS:
            await socket.send_str(request if isinstance(request, str) else json.dumps(request))
            reply = json.loads(await socket.receive_str())
            error = reply["error"] if nested else reply
            assert error["code"] == code and message in error["msg"], request


async def test_an_unknown_symbol_is_acknowledged_and_stays_silent() -> None:
    async with running() as client:
        socket = await client.connect()
        names = ["nosuchusdt@trade", "BTCUSDT@trade", "!ticker@arr"]
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}))["result"] is None
        await ask(socket, {"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 2})
        events = await collect(socket, lambda events: len(events) > 100)
        assert {event["stream"] for event in events} == {"ethusdt@trade"}


async def test_more_streams_than_allowed_are_refused_whole() -> None:
    async with running(streams_per_connection=3) as client:
        socket = await client.connect()
        reply = await ask(socket, {"method": "SUBSCRIBE", "params": NAMES, "id": 7})
        assert reply == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 7}
        assert (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 8}))["result"] == []


async def test_a_request_that_is_too_long_gets_no_answer() -> None:
    async with running() as client:
        socket = await client.connect()
        names = [f"coin{n}usdt@aggTrade" for n in range(250)]
        await socket.send_str(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}))
        assert await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 2}) == {"result": [], "id": 2}


async def test_the_sixth_message_in_a_second_ends_the_connection_with_1008() -> None:
    async with running() as client:
        socket = await client.connect()
        for _ in range(3):
            await socket.ping()
        for number in range(3):
            await socket.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        code, events = await end_of(socket)
        assert code == 1008 and len(events) == 2


async def test_too_many_connection_attempts_get_429() -> None:
    async with running(connects_per_window=2) as client:
        first, second = await client.connect(), await client.connect()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.connect()
        assert refused.value.status == 429
        await first.close()
        await second.close()


async def test_a_connection_is_cut_at_its_maximum_age_after_a_notice() -> None:
    async with running(max_age_s=0.4, shutdown_notice_s=0.2, age_close_code=1001) as client:
        combined, raw = await client.connect(), await client.connect("/ws")
        (code, events), (_, bare) = await asyncio.gather(end_of(combined), end_of(raw))
        assert code == 1001
        assert [(e["stream"], e["data"]["e"]) for e in events] == [("!serverShutdown", "serverShutdown")]
        assert [event["e"] for event in bare] == ["serverShutdown"]


async def test_close_code_1006_means_a_cut_without_a_close_frame() -> None:
    async with running(max_age_s=0.1, age_close_code=1006) as client:
        code, _ = await end_of(await client.connect())
        assert code == 1006


async def test_a_client_that_never_answers_pings_is_closed_with_1008() -> None:
    async with running(ping_interval_s=0.2, pong_timeout_s=1.0, messages_per_second=100) as client:
        silent = await client.connect(autoping=False)
        polite = await client.connect()
        polite_end = asyncio.create_task(end_of(polite))
        pings = 0
        async with asyncio.timeout(WAIT_S):
            while (message := await silent.receive()).type is aiohttp.WSMsgType.PING:
                pings += 1
                assert message.data
                await silent.pong(b"not what was asked")
        assert pings >= 3 and silent.close_code == 1008
        assert not polite_end.done()
        polite_end.cancel()


async def test_a_slow_reader_is_cut_before_it_costs_memory() -> None:
    async with running(rate=20_000.0, write_buffer_limit=50_000) as client:
        _reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
        streams = "/".join(f"{s}@depth20@100ms/{s}@depth@100ms/{s}@bookTicker" for s in ("btcusdt", "ethusdt"))
        writer.write(
            f"GET /stream?streams={streams} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await until(lambda: client.exchange.connects_total and not client.exchange.connections)
        writer.close()


async def test_every_event_counted_as_emitted_reaches_a_client_that_reads_to_the_close_reply() -> None:
    async with running(rate=5000.0) as client:
        streams = "/stream?streams=" + "/".join(NAMES)
        socket = await client.connect(streams)
        events = await collect(socket, lambda events: len(events) > 500)
        closing = asyncio.create_task(client.post("/_exchange/stop_market"))
        await closing
        truth = (await client.get("/_exchange/truth"))["topics"]
        total = sum(topic["emitted"] for topic in truth.values())
        events += await collect(socket, lambda more: len(events) + len(more) >= total - 1)
        await socket.close()
        truth = (await client.get("/_exchange/truth"))["topics"]
        trades = ids(events, NAMES[0], "t")
        assert truth[NAMES[0]]["ranges"] == [[trades[0], trades[-1]]]
        assert truth[NAMES[0]]["emitted"] == len(trades)
        assert truth[NAMES[3]]["kind"] == "depth" and truth[NAMES[2]]["ranges"] == []


async def test_connections_can_be_dropped_and_warned_on_demand() -> None:
    async with running() as client:
        first, second = await client.connect(), await client.connect()
        assert await client.post("/_exchange/shutdown_notice") == {"notified": 2}
        assert (await collect(first, bool))[0]["stream"] == "!serverShutdown"
        assert await client.post("/_exchange/drop?connections=1") == {"dropped": 1}
        assert (await end_of(first))[0] == 1006
        assert await client.post("/_exchange/drop?connections=all") == {"dropped": 1}
        assert (await end_of(second))[0] == 1006
        assert (await client.get("/_exchange/status"))["connects_total"] == 2


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


async def test_names_that_never_brought_an_event_are_forgotten_with_their_connection() -> None:
    async with running() as client:
        socket = await client.connect("/ws/0/nosuchusdt@trade/btcusdt@trade")
        await collect(socket, lambda events: len(events) > 3)
        await socket.close()
        await until(lambda: not client.exchange.connections)
        assert client.exchange.hub.wanted == {"btcusdt@trade"}
