"""What a client may ask on a stream connection, over real sockets: answers and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.support import ask, collect, running

NAMES = ["btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@depth@100ms"]


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
