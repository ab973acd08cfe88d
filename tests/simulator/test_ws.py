"""Stream connections over real sockets: what is served, what is refused, and how connections end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.simulator.support import collect, end_of, running
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


async def test_names_that_never_brought_an_event_are_forgotten_with_their_connection() -> None:
    async with running() as client:
        socket = await client.connect("/ws/0/nosuchusdt@trade/btcusdt@trade")
        await collect(socket, lambda events: len(events) > 3)
        await socket.close()
        await until(lambda: not client.exchange.connections)
        assert client.exchange.hub.wanted == {"btcusdt@trade"}
