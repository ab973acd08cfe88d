"""Owns one running feed under test: the exchange and the feed as real programs, and a subscriber that counts for itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import time
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil

from k2workers import Lost, Message, Position, Subscriber, sharding
from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Gap
from k2workers.venues.binance import streams
from k2workers.witness import Witness, compare
from tests.processes.support import Program, free_port
from tests.support.waiting import WAIT_S, until

KINDS = ("trade", "agg_trade", "book_ticker", "depth")
CHAINED = ("trade", "agg_trade")
_SUFFIX_OF = {streams.KINDS[kind].suffix: kind for kind in KINDS}


class Book:
    """One symbol's order book, built only from what the subscriber received."""

    def __init__(self) -> None:
        self.valid = False
        self.update_id = 0
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.broken_chains = 0

    def take(self, event: object) -> None:
        if isinstance(event, BookSnapshot):
            self.valid, self.update_id = True, event.last_update_id
            self.sides = (dict(event.bids), dict(event.asks))
        elif isinstance(event, Gap | Lost):
            self.valid = False
        elif isinstance(event, DepthUpdate) and self.valid:
            if event.first_update_id != self.update_id + 1:
                self.broken_chains += 1
            self.update_id = event.last_update_id
            for side, levels in zip(self.sides, (event.bids, event.asks), strict=True):
                for price, quantity in levels:
                    if float(quantity):
                        side[price] = quantity
                    else:
                        side.pop(price, None)


class Observer:
    """Everything that the subscriber received, and when."""

    def __init__(self, shard_of: dict[str, int]) -> None:
        self.witness = Witness()
        self.books: dict[str, Book] = {}
        self.lost: list[Lost] = []
        self.gaps = 0
        self._depth_topics = {f"binance.depth.{symbol}" for symbol in shard_of}
        self.last_s: dict[int, float] = {}
        self.pause_s: dict[int, float] = {}
        """The longest time without any event of a shard since ``watch``."""
        self._shard_of = shard_of

    def take(self, item: Message | Lost) -> None:
        self.witness.take(item)
        if isinstance(item, Lost):
            self.lost.append(item)
            if item.topic in self._depth_topics:
                self.books.setdefault(item.topic.rpartition(".")[2], Book()).take(item)
            return
        _, kind, symbol = item.topic.split(".", 2)
        event = item.event
        if isinstance(event, Gap):
            self.gaps += 1
        if kind == "depth":
            self.books.setdefault(symbol, Book()).take(event)
        if not isinstance(event, Gap | Backfilled | BookSnapshot):
            shard, now_s = self._shard_of[symbol], time.monotonic()
            since_s = now_s - self.last_s.get(shard, now_s)
            if since_s > self.pause_s.get(shard, 0.0):
                self.pause_s[shard] = since_s
            self.last_s[shard] = now_s

    def watch(self) -> None:
        """Begin to measure pauses anew."""
        self.pause_s.clear()

    def longest_pause_s(self, shards: list[int]) -> float:
        """The longest pause of these shards since ``watch``, one that still goes on included."""
        now_s = time.monotonic()
        return max(max(self.pause_s.get(s, 0.0), now_s - self.last_s.get(s, now_s)) for s in shards)

    def holes(self) -> list[str]:
        """Topics that are not complete: ids missing, or no valid book."""
        found = []
        for topic, count in self.witness.topics.items():
            kind = topic.split(".")[1]
            if kind in CHAINED:
                had = list(count.ranges)
                voids = sum(len(count.voids.within(a[1] + 1, b[0] - 1)) for a, b in itertools.pairwise(had))
                if len(had) - 1 > voids:
                    found.append(topic)
        return found + [f"book of {symbol}" for symbol, book in self.books.items() if not book.valid]


class Rig:
    """``async with Rig(...)``: an exchange, a feed of ``shards`` against it, and an observer that follows everything."""

    def __init__(self, directory: Path, *, shards: int = 8, symbols: int = 40, rate: float = 2000.0, seed: int = 1,
                 settings: dict[str, str] | None = None, exchange_args: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.directory = directory
        self.shards = shards
        self.rng = random.Random(seed)
        self.report = directory / "report.json"
        self.checkpoint = directory / "checkpoint"
        self.port, self.publish, self.replay, self.books = (free_port() for _ in range(4))
        self._stack = contextlib.AsyncExitStack()
        self._settings = settings or {}
        self._exchange_args = (
            "simulate", "--port", str(self.port), "--symbols", str(symbols), "--rate", str(rate), "--seed", str(seed),
            *exchange_args,
        )  # fmt: skip
        self.position = Position()

    async def __aenter__(self) -> Self:
        try:
            return await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> Self:
        self.exchange = self._stack.enter_context(Program(*self._exchange_args))
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        await until(lambda: self.exchange.raw, "the exchange listening")
        await self.control("stop_market")
        symbols = (await self.ask("status"))["symbols"]
        assigned = sharding.assign(symbols, self.shards, streams_per_symbol=4, streams_per_connection=1024)
        self.shard_of = {symbol: shard for shard, names in enumerate(assigned) for symbol in names}
        self.observer = Observer(self.shard_of)
        self.start_feed()
        await self.ready()
        self.subscribe()
        await until(lambda: self._subscribed, "the subscription")
        await self.control("start_market")
        # Where a topic begins is nobody's loss: faults strike only topics that have begun.
        topics = len(self.shard_of) * len(KINDS)
        await until(lambda: len(self.observer.witness.topics) == topics, "events of every topic")
        await until(lambda: not self.observer.holes(), "a book of every symbol")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unsubscribe()
        await self._stack.aclose()

    # ── the feed ────────────────────────────────────────────────────────────────────────────────────────

    def start_feed(self) -> None:
        self.feed = self._stack.enter_context(Program(
            "--shards", str(self.shards), "--symbols", "*", "--http-port", "0", "--log-format", "json",
            "--binance-rest-url", f"http://127.0.0.1:{self.port}",
            "--binance-websocket-url", f"ws://127.0.0.1:{self.port}",
            "--publish-endpoint", f"tcp://127.0.0.1:{self.publish}",
            "--snapshot-endpoint", f"tcp://127.0.0.1:{self.replay}",
            "--books-endpoint", f"tcp://127.0.0.1:{self.books}",
            "--checkpoint", str(self.checkpoint), "--report", str(self.report), **self._settings,
        ))  # fmt: skip

    async def ready(self) -> None:
        await until(lambda: self.feed.logged("started") or self.feed.process.poll() is not None, "the feed's start")
        assert self.feed.process.poll() is None, "".join(self.feed.raw)
        base = self.feed.logged("started")[0]["http"]
        await until(lambda: self._is_ok(f"{base}/readyz"), "readyz 200")

    async def _is_ok(self, url: str) -> bool:
        async with self._http.get(url) as reply:
            return reply.status == 200

    async def status(self) -> dict[str, Any]:
        while True:
            async with self._http.get(f"{self.feed.logged('started')[0]['http']}/status") as reply:
                if reply.status == 200:  # a parent that has much to do answers 503
                    return dict(await reply.json())

    async def process(self, name: str) -> psutil.Process:
        """A child of the feed, once it runs."""
        found: list[int] = []

        async def look() -> bool:
            state = (await self.status())["children"][name]
            found[:] = [state["pid"]] if state["alive"] and state["ready"] else []
            return bool(found)

        await until(look, f"{name} running")
        return psutil.Process(found[0])

    # ── the subscriber ──────────────────────────────────────────────────────────────────────────────────

    def subscribe(self) -> None:
        self._subscribed = False
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        resumed = self.position if self.position.topics else None
        async with Subscriber(
            ["binance."], f"tcp://127.0.0.1:{self.publish}", snapshot_endpoint=f"tcp://127.0.0.1:{self.replay}",
            books_endpoint=f"tcp://127.0.0.1:{self.books}", position=resumed,
        ) as subscriber:  # fmt: skip
            self.subscriber = subscriber
            await subscriber.wait_subscribed(WAIT_S)
            self._subscribed = True
            async for item in subscriber:
                self.observer.take(item)

    async def unsubscribe(self) -> None:
        """End the subscription, keeping its position."""
        self.position = self.subscriber.position()
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    # ── the exchange ────────────────────────────────────────────────────────────────────────────────────

    async def inject(self, kind: str, **keys: Any) -> None:
        """Put a fault into the exchange."""
        body = {"kind": kind, **keys}
        async with self._http.post(f"http://127.0.0.1:{self.port}/_exchange/fault", json=body) as reply:
            assert reply.status == 200, await reply.text()

    async def control(self, word: str) -> None:
        async with self._http.post(f"http://127.0.0.1:{self.port}/_exchange/{word}") as reply:
            assert reply.status == 200

    async def ask(self, word: str) -> dict[str, Any]:
        async with self._http.get(f"http://127.0.0.1:{self.port}/_exchange/{word}") as reply:
            return dict(await reply.json())

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> dict[str, Any]:
        """End all faults, let the market run on so that every hole shows, stop it, and compare both counts."""
        await self.control("clear_faults")
        counts = self.observer.witness.topics
        before = {topic: count.last_id for topic, count in counts.items()}
        with contextlib.suppress(AssertionError):
            await until(
                lambda: all(counts[topic].last_id > last for topic, last in before.items()), "news of every topic"
            )
        with contextlib.suppress(AssertionError):
            await until(lambda: not self.observer.holes(), "every hole filled")
        await self.control("stop_market")
        sent = {}
        for name, count in (await self.ask("truth"))["topics"].items():
            symbol, _, suffix = name.partition("@")
            sent[f"binance.{_SUFFIX_OF[f'@{suffix}']}.{symbol.upper()}"] = count
        with contextlib.suppress(AssertionError):
            await until(
                lambda: all(not c["ranges"] or counts[t].last_id >= c["ranges"][-1][1] for t, c in sent.items()),
                "the last event of every topic",
            )
        await asyncio.sleep(1.0)  # in which nothing may come again
        verdict = compare(sent, self.observer.witness.result()["topics"])
        verdict["holes"] = self.observer.holes()
        verdict["books"] = await self._compare_books()
        verdict["lost_batches"] = sum(lost.count for lost in self.observer.lost)
        return verdict

    async def _compare_books(self) -> dict[str, Any]:
        """Every level of every book against the exchange's own."""
        result: dict[str, Any] = {"equal": 0, "different": 0, "broken_chains": 0, "examples": []}
        books = await self.ask("books")
        for symbol, book in self.observer.books.items():
            own = books[symbol]
            levels = (dict(map(tuple, own["bids"])), dict(map(tuple, own["asks"])))
            result["broken_chains"] += book.broken_chains
            if book.valid and levels == book.sides:
                result["equal"] += 1
                continue
            result["different"] += 1
            wrong = [dict(a.items() ^ b.items()) for a, b in zip(levels, book.sides, strict=True)]
            result["examples"].append([symbol, own["lastUpdateId"], book.update_id, book.valid, wrong])
        return result


def end(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to one of the feed's own processes."""
    os.kill(process.pid, number)
