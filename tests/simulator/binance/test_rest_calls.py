"""How a REST request is answered, over real sockets: units, weight, refusals."""

from __future__ import annotations

from typing import Any

from tests.simulator.support import running


async def test_the_time_unit_header_switches_replies_to_microseconds() -> None:
    async with running() as client:
        url = f"http://127.0.0.1:{client.port}/api/v3/time"
        async with client.session.get(url, headers={"X-MBX-TIME-UNIT": "MICROSECOND"}) as reply:
            micro = (await reply.json())["serverTime"]
        assert micro > 10**15 > (await client.get("/api/v3/time"))["serverTime"]


async def test_weight_is_counted_then_refused_then_banned() -> None:
    async with running(weight_per_minute=60, ban_s=30.0) as client:
        url = f"http://127.0.0.1:{client.port}/api/v3/trades?symbol=BTCUSDT"
        replies: list[tuple[int, str | None, str | None, Any]] = []
        for _ in range(16):
            async with client.session.get(url) as reply:
                headers = reply.headers
                used, wait = headers["X-MBX-USED-WEIGHT-1M"], headers.get("Retry-After")
                replies.append((reply.status, used, wait, await reply.json()))
        assert [(status, used) for status, used, _, _ in replies[:2]] == [(200, "25"), (200, "50")]
        refused, banned = replies[2], replies[-1]
        assert refused[0] == 429 and int(refused[2] or 0) >= 1 and refused[3]["code"] == -1003
        assert banned[0] == 418 and int(banned[2] or 0) <= 30 and "IP banned until" in banned[3]["msg"]
