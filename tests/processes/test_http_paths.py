"""What the parent answers over HTTP, asked of one that runs."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from tests.processes.test_topology import made, running  # noqa: F401 - a fixture
from tests.support.waiting import until

BROWSER = {"Accept": "text/html,*/*;q=0.8"}


async def events_of(reply: aiohttp.ClientResponse, count: int) -> list[tuple[str, Any]]:
    """The next so many parts of the live stream."""
    found: list[tuple[str, Any]] = []
    while len(found) < count:
        name = (await reply.content.readline()).decode().rstrip("\n")
        if name.startswith("event: "):
            data = (await reply.content.readline()).decode().removeprefix("data: ")
            found.append((name.removeprefix("event: "), json.loads(data)))
    return found


async def test_the_page_its_live_parts_and_what_it_asks_for_are_there_while_the_feed_runs(made: Any) -> None:  # noqa: F811 - the fixture
    parent = made()
    async with running(parent) as run, aiohttp.ClientSession() as client:
        await until(lambda: run.done() or not parent._http.url.endswith(":0"))
        base = parent._http.url
        async with client.get(f"{base}/", headers=BROWSER) as reply:
            assert reply.headers["Content-Type"].startswith("text/html")
            assert "<h1>k2workers</h1>" in await reply.text()
        async with client.get(f"{base}/page/page.js") as reply:
            assert (reply.status, reply.content_type) == (200, "text/javascript")
        async with client.get(base) as reply:
            assert (await reply.text()).split() == [
                "/metrics", "/healthz", "/readyz", "/status", "/page/", "/events", "/trail", "/topics", "/book/",
            ]  # fmt: skip
        async with client.get(f"{base}/events") as reply:
            begun = dict(await events_of(reply, 4))
            assert set(begun) == {"lines", "happened", "watch", "now"}
            assert begun["now"]["status"]["demo"] is True
            await until(lambda: parent.view.status().ready and parent.view.status().published > 10)
            await until(lambda: _found(events_of(reply, 1), "lines", 2))
        async with client.get(f"{base}/topics?search=trade+btc") as reply:
            assert reply.status == 200
            assert [one["topic"] for one in (await reply.json())["shown"]] == ["binance.trade.BTCUSDT"]
        async with client.get(f"{base}/trail") as reply:
            assert "publish p99" in (await reply.json())["figures"]
        parent._stop.set()
        assert await run == 0


async def _found(coming: Any, name: str, length: int) -> bool:
    return any(what == name and len(data) == length for what, data in await coming)
