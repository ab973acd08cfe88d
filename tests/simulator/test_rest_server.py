"""Faults on REST replies: odd and missing rows, replies that trickle, a smaller allowance."""

from __future__ import annotations

import json
from typing import Any

from tests.simulator.support import inject, running


async def test_one_odd_row_stands_among_the_others() -> None:
    async with running() as client:
        for element, row in (
            ("null", None),
            ('{"symbol":"ODDUSDT"}', {"symbol": "ODDUSDT"}),
            ('{"symbol":"A B"}', {"symbol": "A B"}),
        ):
            await inject(client, kind="odd_row", element=element, count=1)
            rows = (await client.get("/api/v3/exchangeInfo"))["symbols"]
            assert rows[1] == row and [each["symbol"] for each in rows if each != row] == [
                "BTCUSDT",
                "ETHUSDT",
                "SOLUSDT",
            ]
        await inject(client, kind="odd_row", path="ticker/price", count=1)
        assert None in await client.get("/api/v3/ticker/price")
        assert all((await client.get("/api/v3/exchangeInfo"))["symbols"])


async def test_the_list_in_a_reply_is_empty() -> None:
    async with running() as client:
        await inject(client, kind="rest_empty", path="exchangeInfo", count=1)
        assert (await client.get("/api/v3/exchangeInfo"))["symbols"] == []
        assert len((await client.get("/api/v3/exchangeInfo"))["symbols"]) == 3


async def test_a_reply_that_trickles_comes_in_parts_and_whole() -> None:
    async with running() as client:
        plain = await client.get("/api/v3/exchangeInfo")
        await inject(client, kind="rest_trickle", path="exchangeInfo", over_s=0.6)
        async with client.session.get(f"http://127.0.0.1:{client.port}/api/v3/exchangeInfo") as reply:
            parts: list[Any] = [part async for part in reply.content.iter_any()]
            assert reply.content_type == "application/json" and reply.content_length == sum(map(len, parts))
        assert len(parts) > 2
        body = json.loads(b"".join(parts))
        assert body["symbols"] == plain["symbols"]


async def test_the_allowance_is_lowered_said_and_kept_to() -> None:
    async with running() as client:
        await inject(client, kind="rest_weight", limit=60)
        assert (await client.get("/api/v3/exchangeInfo"))["rateLimits"][0]["limit"] == 60
        answers = [await client.get("/api/v3/exchangeInfo") for _ in range(9)]
        refused = next(answer for answer in answers if "code" in answer)
        assert refused["code"] == -1003 and "current limit is 60 request weight per 1 MINUTE" in refused["msg"]
        await client.post("/_exchange/clear_faults")
        assert (await client.get("/api/v3/exchangeInfo"))["rateLimits"][0]["limit"] == 6000
