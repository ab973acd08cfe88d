"""The subscriber in JavaScript that was written from PROTOCOL.md alone, against the running feed: what that page says is enough, and true.

It joins late, misses batches and has them from the replay port, and goes on when the aggregator is killed. Then it is compared with the
exchange: every trade, and the order book level by level.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.chaos.rig import Rig
from tests.support.waiting import WAIT_S, until

NODE = shutil.which("node")
TRADES, DEPTH = "binance.trade.BTCUSDT", "binance.depth.BTCUSDT"

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


class Client:
    """The program; ``tell`` is what it knows."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def ask(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())

    async def tell(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        self.ask("tell")
        async with asyncio.timeout(WAIT_S):
            line = await self.process.stdout.readline()
        assert line, "it has ended"
        return dict(json.loads(line))

    async def trades(self) -> dict[str, Any]:
        return dict((await self.tell())["topics"][TRADES])

    async def has_more_than(self, count: int) -> bool:
        return len((await self.trades())["events"]) > count


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Rig(tmp_path, shards=1, symbols=3, rate=300, kinds=("trade", "depth")) as running:
        yield running


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    assert NODE is not None
    ports = [str(port) for port in (rig.publish, rig.replay, rig.books)]
    process = await asyncio.create_subprocess_exec(
        NODE, str(Path(__file__).with_name("node_client.js")), *ports, TRADES, DEPTH,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26,
    )  # fmt: skip
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.timeout(600)
async def test_a_subscriber_written_from_the_page_alone_gets_what_the_exchange_emitted(
    rig: Rig, client: Client
) -> None:
    await until(lambda: client.has_more_than(50), "trades")
    client.ask("deaf")

    async def has_repaired() -> bool:
        return bool(not (await client.tell())["deaf"] and (await client.trades())["repaired"])

    await until(has_repaired, "a hole that is filled from the replay port")

    async def is_known() -> bool:
        return any(one["name"] == "node_client" for one in (await rig.status())["subscribers"]["readers"])

    await until(is_known, "its name in /status")
    rig.kill(await rig.process("aggregator"))

    async def lives_on() -> bool:
        return bool((await client.tell())["lives"] == 2)

    await until(lives_on, "batches of another epoch")
    count = len((await client.trades())["events"])
    await until(lambda: client.has_more_than(count + 50), "trades of the new life")

    await rig.control("stop_market")
    sent = (await rig.sent())[TRADES]["ranges"]
    book = (await rig.ask("books"))["BTCUSDT"]

    async def has_all() -> bool:
        known = (await client.tell())["topics"]
        highest = known[TRADES]["highest"], known[DEPTH]["highest"]
        return highest == (str(sent[-1][1]), str(book["lastUpdateId"]))

    await until(has_all, "all that was emitted")
    known = await client.tell()
    trades, depth = known["topics"][TRADES], known["topics"][DEPTH]
    first, last = min(int(event[0]) for event in trades["events"]), sent[-1][1]
    ids = [int(event[0]) for event in trades["events"]]
    assert sorted(ids) == list(range(first, last + 1))
    assert trades["records"] or ids == sorted(ids)  # only what fills a gap comes later than its place
    assert [(row["id"], row["price"], row["qty"], row["isBuyerMaker"]) for row in await emitted(rig, first, last)] == [
        (int(number), price, quantity, maker)
        for number, price, quantity, maker, *_ in sorted(trades["events"], key=lambda event: int(event[0]))
    ]
    assert (trades["missing"], trades["lost"], trades["open"]) == ([], "0", [])
    assert {side: dict(depth["book"][side]) for side in ("bids", "asks")} == {
        side: dict(map(tuple, book[side])) for side in ("bids", "asks")
    }


async def emitted(rig: Rig, first: int, last: int) -> list[dict[str, Any]]:
    """The trades with these ids, as the exchange remembers them."""
    rows: list[dict[str, Any]] = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{rig.port}") as http:
        while first <= last:
            async with http.get(f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={first}&limit=1000") as reply:
                page = [row for row in await reply.json() if row["id"] <= last]
            assert page
            rows += page
            first = page[-1]["id"] + 1
    return rows
