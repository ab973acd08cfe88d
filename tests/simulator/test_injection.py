"""Symbols that do not trade, or are not listed: what REST and streams say of them, and how they come back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from k2workers.simulator.binance.spot_symbol import SpotSymbol
from tests.simulator.support import Client, ask, collect, end_of, inject, running
from tests.support.waiting import WAIT_S, until


async def statuses(client: Client) -> dict[str, str]:
    return {row["symbol"]: row["status"] for row in (await client.get("/api/v3/exchangeInfo"))["symbols"]}


@pytest.mark.parametrize(
    ("fault", "listed"),
    [
        ({"kind": "status"}, {"BTCUSDT": "BREAK", "ETHUSDT": "TRADING", "SOLUSDT": "TRADING"}),
        ({"kind": "status", "symbol": "ETHUSDT", "status": "HALT"}, {"BTCUSDT": "TRADING", "ETHUSDT": "HALT", "SOLUSDT": "TRADING"}),
        ({"kind": "delist", "symbol": "SOLUSDT"}, {"BTCUSDT": "TRADING", "ETHUSDT": "TRADING"}),
    ],
)  # fmt: skip
async def test_a_symbol_at_rest_is_acknowledged_and_silent_until_it_trades_again(
    fault: dict[str, Any], listed: dict[str, str]
) -> None:
    async with running() as client:
        assert set((await statuses(client)).values()) == {"TRADING"}
        await inject(client, **fault)
        assert await statuses(client) == listed
        trading = [name for name, status in listed.items() if status == "TRADING"]
        socket = await client.connect()
        names = [
            f"{name.lower()}@{kind}" for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT") for kind in ("trade", "depth@100ms")
        ]
        assert (await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}))["result"] is None
        heard = await collect(socket, lambda events: len(events) > 500)
        assert {event["data"]["s"] for event in heard} == set(trading)
        await client.post("/_exchange/clear_faults")
        assert set((await statuses(client)).values()) == {"TRADING"}
        await collect(
            socket, lambda events: {event["data"]["s"] for event in events} == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
        )


async def test_rest_knows_a_symbol_in_break_and_not_a_delisted_one() -> None:
    async with running() as client:
        await inject(client, kind="status", symbol="ETHUSDT")
        await inject(client, kind="delist", symbol="SOLUSDT")
        for path in (
            "exchangeInfo?symbol=SOLUSDT",
            'exchangeInfo?symbols=["BTCUSDT","SOLUSDT"]',
            "depth?symbol=SOLUSDT",
        ):
            assert (await client.get(f"/api/v3/{path}"))["code"] == -1121
        assert "lastUpdateId" in await client.get("/api/v3/depth?symbol=ETHUSDT")
        assert (await client.get("/api/v3/depth?symbol=ETHUSDT&symbolStatus=TRADING"))["code"] == -1220
        asleep = await client.get("/api/v3/exchangeInfo?symbolStatus=BREAK")
        assert [row["symbol"] for row in asleep["symbols"]] == ["ETHUSDT"]
        assert [row["symbol"] for row in await client.get("/api/v3/ticker/price")] == ["BTCUSDT", "ETHUSDT"]


async def test_ids_go_on_where_they_stood_and_the_truth_stays_whole() -> None:
    async with running() as client:
        socket = await client.connect("/ws/btcusdt@trade")
        before = await collect(socket, lambda events: len(events) > 20)
        await inject(client, kind="status")
        other = await client.connect("/ws/ethusdt@trade")
        await collect(other, lambda events: len(events) > 100)
        await client.post("/_exchange/clear_faults")
        after = await collect(socket, lambda events: len(events) > 20)
        ids = [event["t"] for event in before + after]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert len((await client.get("/_exchange/truth"))["topics"]["btcusdt@trade"]["ranges"]) == 1


async def test_a_rest_with_an_end_ends_by_itself() -> None:
    async with running(symbols=2) as client:
        await inject(client, kind="status", for_s=0.2)

        async def trades_again() -> bool:
            return (await statuses(client))["BTCUSDT"] == "TRADING"

        await until(trades_again)
        (fault,) = (await client.get("/_exchange/faults"))["faults"]
        assert fault["acted"] == 1, "it was in effect"
        await collect(await client.connect("/ws/btcusdt@trade"), lambda events: len(events) > 3)


async def test_ids_begin_anew_everywhere_and_the_truth_tells_of_another_life() -> None:
    async with running(symbols=2) as client:
        socket = await client.connect("/ws/ethusdt@trade/ethusdt@depth@100ms/ethusdt@bookTicker")
        await collect(socket, lambda events: len(events) > 20)
        await inject(client, kind="new_ids", symbol="*")
        events = await collect(socket, lambda events: bool(events) and events[-1].get("t") == 3)
        assert [event["t"] for event in events if event.get("e") == "trade"][-3:] == [1, 2, 3]
        (diff,) = [e for e in await collect(socket, lambda new: any("U" in e for e in new)) if "U" in e]
        assert diff["U"] < 10_000
        rows = await client.get("/api/v3/historicalTrades?symbol=ETHUSDT&fromId=0&limit=2")
        assert [row["id"] for row in rows] == [1, 2]
        assert (await client.get("/api/v3/depth?symbol=ETHUSDT"))["lastUpdateId"] < 10**6
        truth = (await client.get("/_exchange/truth"))["topics"]["ethusdt@trade"]
        assert truth["ranges"][0][0] == 1 and len(truth["ranges"]) == 1

        async def told() -> bool:
            heads = (await client.get("/_exchange/heads"))["heads"]
            return [heads[f"ethusdt@{kind}"][0] for kind in ("trade", "bookTicker")] == [1, 1]

        await until(told)


async def test_a_market_that_halts_pings_and_goes_on() -> None:
    async with running(ping_interval_s=0.1) as client:
        socket = await client.connect("/ws/btcusdt@trade/btcusdt@kline_1s", autoping=False)
        await inject(client, kind="halt")
        pings, market = 0, client.exchange.market.symbols["BTCUSDT"]
        assert isinstance(market, SpotSymbol)
        last_id, halted_s = market.trade_id, time.monotonic()
        await until(lambda: time.monotonic() > halted_s + client.exchange.market.pushes_on_s + 0.1)
        status = await client.get("/_exchange/status")
        async with asyncio.timeout(WAIT_S):
            while pings < 10:
                pings += (await socket.receive()).type is aiohttp.WSMsgType.PING
        assert (await client.get("/_exchange/status"))["emitted"] == status["emitted"]
        assert market.trade_id == last_id
        await client.post("/_exchange/clear_faults")
        emitted = status["emitted"]

        async def goes_on() -> bool:
            return bool((await client.get("/_exchange/status"))["emitted"] > emitted)

        await until(goes_on)


async def test_only_connections_that_carry_a_stream_are_hit_if_one_is_named() -> None:
    async with running("binance_usdm") as client:
        public, market = "/public/ws/btcusdt@bookTicker", "/market/ws/btcusdt@aggTrade"
        sockets = {path: await client.connect(path) for path in (public, market)}
        for socket in sockets.values():
            await collect(socket, bool)
        assert (await inject(client, kind="reset", stream="@aggTrade"))[1]["acted"] == 1
        assert (await end_of(sockets[market]))[0] == 1006
        await collect(sockets[public], lambda events: len(events) > 100)
        assert [connection.names for connection in client.exchange.connections] == [["btcusdt@bookTicker"]]
