"""Topics made of books, on the running program: each event is the book as the changes have it, stale comes before anything whole, and all of it the exchange's in the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import psutil
import pytest

from k2workers import BookLevels, BookSnapshot, BookTop, Gap, Lost, Message, Reset, Subscriber
from k2workers.sequencing.order_book import OrderBook
from tests.support.waiting import until
from tests.system.support import Program, alive, demo, free_port
from tests.system.test_usdm import port_of

LEVELS = 20
Best = tuple[list[tuple[str, str]], list[tuple[str, str]]]


class Judge:
    """One subscriber of changes and of what is made of them. It builds each book itself, with a sort, and holds every event against it."""

    def __init__(self, venue: str, subscriber: Subscriber) -> None:
        self.venue = venue
        self.subscriber = subscriber
        self.books = defaultdict[str, OrderBook](OrderBook)
        self.was = defaultdict[str, dict[int, Best]](dict)
        """Of each symbol the best levels at each id that its book came to."""
        self.gaps = defaultdict[str, list[Gap]](list)
        """Of each symbol those that were announced, and of which no stale event has told."""
        self.since_gap: dict[str, int] = {}
        """Of each symbol the changes that came since its last gap, of which no stale event has told."""
        self.until_stale: list[int] = []
        """How many changes had come when a stale event told of a gap."""
        self.told: dict[tuple[str, str], BookTop | BookLevels] = {}
        """By symbol and kind."""
        self.count = 0
        self.stale = 0
        self.wrong: list[object] = []

    def take(self, item: Message | Lost) -> None:
        kind, symbol = item.topic.removeprefix(f"{self.venue}.").split(".")
        if kind == "depth":
            self._take_change(symbol, item)
        elif isinstance(item, Message) and isinstance(item.event, BookTop | BookLevels):
            self._judge(symbol, kind, item.event)

    def _take_change(self, symbol: str, item: Message | Lost) -> None:
        book = self.books[symbol]
        if isinstance(item, Lost):
            book.lose()
            return
        if isinstance(item.event, Gap) and book.whole:
            self.gaps[symbol].append(item.event)
            self.since_gap.setdefault(symbol, 0)
        elif symbol in self.since_gap:
            self.since_gap[symbol] += 1
        if isinstance(item.event, Reset):
            self.was[symbol].clear()
        if isinstance(item.event, BookSnapshot):
            # A gap that is healed before the topic's next turn is told as what it is by then.
            self.gaps[symbol] = [gap for gap in self.gaps[symbol] if gap.last_id > item.event.last_id]
            if not self.gaps[symbol]:
                self.since_gap.pop(symbol, None)
        book.take(item.event)
        if book.whole:
            self.was[symbol][book.last_id] = best(book.bids, book.asks)

    def _judge(self, symbol: str, kind: str, event: BookTop | BookLevels) -> None:
        self.count += 1
        before, self.told[symbol, kind] = self.told.get((symbol, kind)), event
        if event.state == "stale":
            self.stale += 1
            if sides(event) != ([], []):
                self.wrong.append(("a stale book with levels", symbol, event))
            if kind == "book_top":
                self.gaps[symbol] = []
                self.until_stale += [self.since_gap.pop(symbol)] if symbol in self.since_gap else []
            return
        if kind == "book_top" and any(gap.last_id < event.update_id for gap in self.gaps[symbol]):
            self.wrong.append(("whole beyond a gap of which nothing was told", symbol, event, self.gaps[symbol]))
        # It may lack one that came from the port for books, or before it joined.
        expected = self.was[symbol].get(event.update_id)
        if expected is not None and sides(event) != tuple(
            side[: 1 if kind == "book_top" else LEVELS] for side in expected
        ):
            self.wrong.append(("other levels", symbol, event, expected))
        if before is not None and before.state == "whole" and before.update_id > event.update_id:
            self.wrong.append(("it went back", symbol, before, event))

    def unlike(self, own: dict[str, Any]) -> list[object]:
        """Of which symbol something is not what the exchange has now."""
        found: list[object] = []
        for symbol, levels in own.items():
            expected = best(dict(map(tuple, levels["bids"])), dict(map(tuple, levels["asks"])))
            for kind, most in (("book_top", 1), (f"book_{LEVELS}", LEVELS)):
                event = self.told.get((symbol, kind))
                if event is None or event.state != "whole" or sides(event) != tuple(side[:most] for side in expected):
                    found.append((symbol, kind, event))
            kept = self.subscriber.book(f"{self.venue}.{symbol}")
            if (kept.state, kept.update_id) != ("whole", levels["lastUpdateId"]) or sorted(
                kept.bids + kept.asks
            ) != sorted(map(tuple, levels["bids"] + levels["asks"])):
                found.append((symbol, "kept", kept.state, kept.update_id))
        return found


def best(bids: dict[str, str], asks: dict[str, str]) -> Best:
    by_price = [sorted(side.items(), key=lambda level: float(level[0])) for side in (bids, asks)]
    return by_price[0][::-1][:LEVELS], by_price[1][:LEVELS]


def sides(event: BookTop | BookLevels) -> Best:
    if isinstance(event, BookLevels):
        return event.bids, event.asks
    bid, ask = (event.bid_price, event.bid_quantity), (event.ask_price, event.ask_quantity)
    return [bid] * (bid != ("", "")), [ask] * (ask != ("", ""))


class Exchange:
    """The embedded one of a demonstration."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self._http = http
        self._base = f"http://127.0.0.1:{port}/_exchange"

    async def ask(self, word: str) -> dict[str, Any]:
        async with self._http.get(f"{self._base}/{word}") as reply:
            return dict(await reply.json())

    async def tell(self, word: str, **body: Any) -> None:
        async with self._http.post(f"{self._base}/{word}", json=body) as reply:
            assert reply.status == 200, await reply.text()


@contextlib.asynccontextmanager
async def judged(venue: str, where: Sequence[str]) -> AsyncIterator[Judge]:
    publish, replay, books = where
    topics = [f"{venue}.{kind}." for kind in ("depth", "book_top", f"book_{LEVELS}")]
    async with Subscriber(
        topics, publish, snapshot_endpoint=replay, books_endpoint=books, keep_books=True
    ) as subscriber:
        judge = Judge(venue, subscriber)

        async def follow() -> None:
            async for item in subscriber:
                judge.take(item)

        following = asyncio.create_task(follow())
        yield judge
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def killed(program: Program, name: str) -> None:
    """One of its processes, at once; until the next one is there."""
    process = psutil.Process(await asyncio.to_thread(program.pid_of, name))
    process.send_signal(signal.SIGKILL)
    await until(lambda: not alive(process))
    await until(lambda: asyncio.to_thread(lambda: runs(program, name, process.pid)), f"another {name}")


def runs(program: Program, name: str, not_pid: int) -> bool:
    child = program.status()["children"][name]
    return bool(child["alive"] and child["ready"] and child["pid"] != not_pid)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("venue", ["binance", pytest.param("binance_usdm", marks=pytest.mark.long)])
async def test_every_event_is_the_book_through_rotations_gaps_and_deaths_and_at_the_end_the_exchanges(
    venue: str,
) -> None:
    where = [f"tcp://127.0.0.1:{free_port()}" for _ in range(3)]
    publish, replay, books = (int(each.rpartition(":")[2]) for each in where)
    flags = (
        "--venue", venue, "--streams", "depth", "--rotation-lifetime", "4", "--demo-rate", "1500",
        "--book-topics", f"book_top,book_{LEVELS}", "--book-pace-ms", "100",
    )  # fmt: skip
    with demo(*flags, publish=publish, replay=replay, books=books) as program:
        await asyncio.to_thread(program.wait_ready)
        exchange_port = await asyncio.to_thread(port_of, program, "exchange")
        async with aiohttp.ClientSession() as http, judged(venue, where) as judge:
            exchange = Exchange(http, exchange_port)
            symbols = list(await exchange.ask("books"))

            def all_whole() -> bool:
                kinds = ("book_top", f"book_{LEVELS}")
                found = [judge.told.get((symbol, kind)) for symbol in symbols for kind in kinds]
                return all(event is not None and event.state == "whole" for event in found)

            async def goes_on() -> None:
                """Every topic is whole, and some seconds' worth of events has come since."""
                await until(all_whole, "every topic whole")
                count = judge.count
                await until(lambda: judge.count > count + 500, "more events")

            await goes_on()
            await until(lambda: asyncio.to_thread(lambda: program.status()["rotations"] >= 2 * 2), "rotations")
            await exchange.tell("fault", kind="drop", probability=0.2, everywhere=True, count=40)
            await until(lambda: judge.stale >= 2, "stale")
            await goes_on()
            for name in ("worker-0", "books", "aggregator"):
                stale = judge.stale
                await killed(program, name)
                if name == "books":
                    await until(lambda stale=stale: judge.stale >= stale + 2 * len(symbols), "all of it stale")
                await goes_on()
            await exchange.tell("stop_market")
            own = await exchange.ask("books")
            await until(lambda: not judge.unlike(own), lambda: f"the exchange's books; not {judge.unlike(own)[:2]}")
            for symbol, levels in own.items():
                code, text = await asyncio.to_thread(program.http, f"/book/{venue}/{quote(symbol)}?levels={LEVELS}")
                page, expected = json.loads(text), best(dict(levels["bids"]), dict(levels["asks"]))
                assert (code, page["state"], page["update_id"]) == (200, "whole", levels["lastUpdateId"])
                assert ([*map(tuple, page["bids"])], [*map(tuple, page["asks"])]) == expected
            assert (await asyncio.to_thread(program.http, f"/book/{venue}/{symbols[0]}X"))[0] == 404
            assert judge.wrong == []
            assert not any(gaps for gaps in judge.gaps.values())
            # A change comes every 100 ms, the first of them together with its gap.
            assert statistics.median(judge.until_stale) <= 1, judge.until_stale
        counted = await asyncio.to_thread(program.metrics, "k2_books_")
        assert sum(value for name, value in counted.items() if "crossed" in name or "different" in name) == 0, counted
        await asyncio.to_thread(program.stop)
        assert program.process.returncode == 0, "".join(program.raw)
        assert not any("Traceback" in line for line in program.raw), "".join(program.raw)
