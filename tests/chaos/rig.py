"""Owns one running feed under test: the exchange and the feed as real programs, and a subscriber that counts for itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec
import psutil
import pytest

from k2workers import Position, Subscriber, venues
from k2workers.demo.witness import compare
from k2workers.processes import sharding
from tests.chaos import book_watch
from tests.chaos.book_watch import BookWatch
from tests.chaos.ledger import compare_bars, compare_books
from tests.chaos.market import Market
from tests.chaos.observer import Observer
from tests.chaos.place import VENUE, Place, hindrance
from tests.chaos.promise import NO_ANSWER
from tests.support.waiting import WAIT_S, until
from tests.system.support import PROGRAM, Program, free_port

ALARM_S = 15.0


class Rig:
    """``async with Rig(...)``: an exchange, a feed of ``shards`` against it, and an observer that follows everything.

    With ``place`` the feed runs in a ``Place``, which some faults need, if this machine can have one.
    """

    def __init__(self, directory: Path, *, shards: int = 8, symbols: int = 40, rate: float = 2000.0, seed: int = 1,
                 settings: dict[str, str] | None = None, exchange_args: tuple[str, ...] = (),
                 venue: str = venues.DEFAULT, kinds: tuple[str, ...] = (), place: bool = False, watch_books: bool = False,
                 alarm_s: float = ALARM_S) -> None:  # fmt: skip
        self.alarm_s = alarm_s
        """Within this time a feed must have named streams that bring nothing."""
        self.market = Market(venue, kinds)
        self.directory = directory
        self.shards = shards
        self.rng = random.Random(seed)
        self.report = directory / "report.json"
        self.checkpoint = directory / "checkpoint"
        self.port, self.publish, self.replay, self.books = (free_port() for _ in range(4))
        self._stack = contextlib.AsyncExitStack()
        self._run_dir = directory / "small" / "run"
        self._place = Place(directory, self._run_dir, self.port) if place and not hindrance() else None
        self.settings = {"K2_RUN_DIR": str(self._run_dir), **(settings or {})}
        self.book_watch = BookWatch(self.market.prefix, self.endpoints) if watch_books else None
        """With it every book is held against the exchange's, whatever strikes."""
        if self.book_watch is not None:
            self.settings |= book_watch.SETTINGS
            exchange_args = (*exchange_args, "--book-log", str(self.book_watch.log))
        self._exchange_args = (
            "simulate", "--venue", venue, "--port", str(self.port), "--symbols", str(symbols), "--rate", str(rate), "--seed", str(seed),
            "--ping-interval", "2",  # as far below the stale limit of these feeds as the venue's is below the usual one
            *exchange_args,
        )  # fmt: skip
        self.position = Position()
        self.doomed: set[int] = set()
        """Processes of the feed that have been killed, or stopped for so long that it has to end them: no other may ever die."""

    async def __aenter__(self) -> Self:
        try:
            return await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> Self:
        if self._place is not None:
            self._stack.enter_context(self._place)
        self.exchange = self._stack.enter_context(Program(*self._exchange_args))
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        await until(lambda: self.exchange.raw, "the exchange listening")
        first_line = self.exchange.raw[0]  # an error if its port was taken meanwhile
        assert first_line.startswith("embedded exchange"), first_line
        await self.control("stop_market")
        self.symbols: list[str] = (await self.ask("status"))["symbols"]
        assigned = sharding.assign(
            self.symbols, self.shards, streams_per_symbol=len(self.market.kinds), streams_per_connection=1024
        )
        self.shard_of = {symbol: shard for shard, names in enumerate(assigned) for symbol in names}
        self.observer = self.make_observer()
        self.start_feed()
        await self.ready()
        if self.book_watch is not None:
            self._stack.callback(self.book_watch.kill)
            self.book_watch.start()
            await until(lambda: self.book_watch is None or self.book_watch.watches, "the program that watches books")
        self.subscribe()
        await until(self.following_s, "the subscription")
        await self.control("start_market")
        # Where a topic begins is nobody's loss: faults strike only topics that have begun.
        topics = len(self.shard_of) * len(self.market.kinds)
        await until(lambda: self.observer.topics == topics, "events of every topic")
        await until(lambda: not self.observer.holes(), "a book of every symbol")
        # Until a checkpoint knows where a topic begins only two processes do; some faults end both in the same instant.
        await until(lambda: len(self._checkpoint_topics()) == topics, "a checkpoint that knows every topic")
        return self

    def _checkpoint_topics(self) -> dict[str, Any]:
        """What the feed could continue from, were all of it killed now."""
        _, _, positions = self.checkpoint.read_bytes().partition(b"\n") if self.checkpoint.exists() else (b"",) * 3
        found = dict(msgspec.msgpack.decode(positions)) if positions else {}
        return {topic: at for topic, at in found.items() if topic.startswith(tuple(self.topics_judged))}

    async def __aexit__(self, *_: object) -> None:
        await self.unsubscribe()
        await self._stack.aclose()

    # ── the feed ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def place(self) -> Place:
        """Where the feed runs. Who has no such place skips the fault that needs it."""
        if self._place is None:
            pytest.skip(hindrance() or "this rig was made without a place of its own")
        return self._place

    @property
    def run_dir(self) -> Path:
        """The feed's run directory, as seen from here."""
        return self._place.seen(self._run_dir) if self._place else self._run_dir

    def start_feed(self) -> None:
        """Start it; the last one must have ended."""
        self.feed = self._stack.enter_context(self.make_feed())

    def make_feed(self) -> Program:
        """A feed with these places and ports: the one under test, or a second copy of it."""
        host = VENUE if self._place else "127.0.0.1"
        return Program(
            "--shards", str(self.shards), "--symbols", "*", "--streams", ",".join(self.market.kinds), "--http-port", "0", "--log-format", "json",
            "--venue", self.market.name,
            self.market.flag("rest_url"), f"http://{host}:{self.port}",
            self.market.flag("websocket_url"), f"ws://{host}:{self.port}",
            "--publish-endpoint", f"tcp://127.0.0.1:{self.publish}",
            "--snapshot-endpoint", f"tcp://127.0.0.1:{self.replay}",
            "--books-endpoint", f"tcp://127.0.0.1:{self.books}",
            "--checkpoint", str(self.checkpoint), "--report", str(self.report),
            command=self._place.inside(*PROGRAM) if self._place else PROGRAM, only={**os.environ, **self.settings},
        )  # fmt: skip

    async def ready(self) -> None:
        await until(lambda: self.feed.logged("started") or self.feed.process.poll() is not None, "the feed's start")
        assert self.feed.process.poll() is None, "".join(self.feed.raw)
        base = self.feed.logged("started")[0]["http"]
        await until(lambda: self._is_ok(f"{base}/readyz"), "readyz 200")

    async def is_ready(self) -> bool:
        """Whether the feed says that all of it flows and nothing is missing."""
        return await self._is_ok(f"{self.feed.logged('started')[0]['http']}/readyz")

    async def unready(self) -> list[str]:
        """The reasons that the feed gives for not being ready; none if it is."""
        try:
            async with self._http.get(f"{self.feed.logged('started')[0]['http']}/readyz") as reply:
                if reply.status == 200:
                    return []
                return list((await reply.json())["reasons"]) if "json" in reply.content_type else [NO_ANSWER]
        except (aiohttp.ClientError, IndexError):
            return [NO_ANSWER]

    async def gauge(self, name: str) -> float:
        """The sum of a metric over all processes."""
        return sum((await asyncio.to_thread(self.feed.metrics, name)).values())

    async def _is_ok(self, url: str) -> bool:
        async with self._http.get(url) as reply:
            return reply.status == 200

    async def status(self) -> dict[str, Any]:
        while True:
            async with self._http.get(f"{self.feed.logged('started')[0]['http']}/status") as reply:
                if reply.status == 200:  # a parent that has much to do answers 503
                    return dict(await reply.json())

    async def lacks_nothing(self) -> bool:
        """Whether all has been fetched that was to be. Of a book that was missing the first one has few levels; the others follow when there is weight."""
        return not sum(worker["repairs_waiting"] for worker in (await self.status())["workers"])

    async def process(self, name: str, after: psutil.Process | None = None) -> psutil.Process:
        """A child of the feed, once it runs; its next life, if this one has just been ended."""
        found: list[int] = []

        async def look() -> bool:
            state = (await self.status())["children"][name]
            runs = state["alive"] and state["ready"] and (after is None or state["pid"] != after.pid)
            found[:] = [state["pid"]] if runs else []
            return bool(found)

        await until(look, f"{name} running")
        return psutil.Process(found[0])

    def kill(self, process: psutil.Process) -> None:
        """SIGKILL of one of the feed's own processes."""
        self.doomed.add(process.pid)
        end(process, signal.SIGKILL)

    def died_healthy(self) -> list[str]:
        """Children of the feed that died, or were ended as hung, although nothing was done to them."""
        died = [*self.feed.logged("child_died"), *self.feed.logged("child_hung")]
        return [f"{line['event']}: {line['child']}" for line in died if line["pid"] not in self.doomed]

    # ── the subscriber ──────────────────────────────────────────────────────────────────────────────────

    def subscribe(self) -> None:
        self._following_since_s: float | None = None
        self._following = asyncio.get_running_loop().create_task(self._follow())

    def make_observer(self) -> Observer:
        """What follows everything."""
        return Observer(self.market, self.shard_of)

    def subscriber_at(self, position: Position | None, topics: Sequence[str] = ()) -> Subscriber:
        """A further subscriber of this feed."""
        publish, replay, books = self.endpoints
        return Subscriber(
            topics or self.topics_judged, publish, snapshot_endpoint=replay, books_endpoint=books, position=position
        )  # fmt: skip

    @property
    def topics_judged(self) -> list[str]:
        """All topics of the venue's streams."""
        return [self.market.topic(kind, "") for kind in self.market.kinds]

    @property
    def endpoints(self) -> tuple[str, str, str]:
        """Where to subscribe, and where to ask for what was missed and for whole books."""
        publish, replay, books = (f"tcp://127.0.0.1:{port}" for port in (self.publish, self.replay, self.books))
        return publish, replay, books

    async def _follow(self) -> None:
        async with self.subscriber_at(self.position if self.position.topics else None) as subscriber:
            self.subscriber = subscriber
            await subscriber.wait_subscribed(WAIT_S)
            self._following_since_s = time.monotonic()
            await self.read(subscriber)

    async def read(self, subscriber: Subscriber) -> None:
        """Give the observer everything, for ever."""
        async for item in subscriber:
            self.observer.take(item)

    def following_s(self) -> float:
        """For how long the observer has been subscribed; 0 while it is not."""
        since_s = self._following_since_s
        return time.monotonic() - since_s if since_s is not None else 0.0

    async def unsubscribe(self) -> None:
        """End the subscription, keeping its position."""
        self.position, self._following_since_s = self.subscriber.position(), None
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    # ── the exchange ────────────────────────────────────────────────────────────────────────────────────

    async def inject(self, kind: str, **keys: Any) -> None:
        """Put a fault into the exchange. A key that differs between markets is a function of this rig."""
        body = {"kind": kind, **{key: value(self) if callable(value) else value for key, value in keys.items()}}
        async with self._http.post(f"http://127.0.0.1:{self.port}/_exchange/fault", json=body) as reply:
            assert reply.status == 200, await reply.text()

    async def control(self, word: str) -> None:
        async with self._http.post(f"http://127.0.0.1:{self.port}/_exchange/{word}") as reply:
            assert reply.status == 200

    async def ask(self, word: str) -> dict[str, Any]:
        async with self._http.get(f"http://127.0.0.1:{self.port}/_exchange/{word}") as reply:
            return dict(await reply.json())

    async def sent(self) -> dict[str, Any]:
        """What the exchange says it has sent, by our topics."""
        return {self.market.topic_of(name): count for name, count in (await self.ask("truth"))["topics"].items()}

    async def heads(self, before_s: float) -> dict[str, tuple[int, int]]:
        """How far the exchange says that it had sent each topic so long ago."""
        heads = (await self.ask(f"heads?before_s={before_s}"))["heads"]
        # A bar is known by when it opened: there in µs, here in ns.
        units = {name: 1_000 if "@kline" in name else 1 for name in heads}
        return {self.market.topic_of(name): (lives, last_id * units[name]) for name, (lives, last_id) in heads.items()}

    async def exchange_bars(self, kind: str) -> dict[str, Any]:
        """Every final bar of this kind that the exchange remembers, by symbol."""
        return await self.ask(f"bars?interval={kind.removeprefix('kline_')}")

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> dict[str, Any]:
        """End all faults, let the market run on so that every hole shows, stop it, and compare both counts."""
        await self.control("clear_faults")
        counts = self.observer.witness.topics
        before = {topic: (count.last_id, count.received) for topic, count in counts.items()}

        def news(topic: str, last_id: int, received: int) -> bool:
            # A bar has many states, and a new id only when the next one opens.
            return counts[topic].received > received if ".kline_" in topic else counts[topic].last_id > last_id

        with contextlib.suppress(AssertionError):
            await until(lambda: all(news(topic, *last) for topic, last in before.items()), "news of every topic")
        with contextlib.suppress(AssertionError):
            await until(lambda: not self.observer.holes(), "every hole filled")
            await until(self.lacks_nothing, "books with all levels")
        await self.control("stop_market")
        sent = await self.sent()
        with contextlib.suppress(AssertionError):
            await until(
                lambda: all(not c["ranges"] or counts[t].last_id >= c["ranges"][-1][1] for t, c in sent.items()),
                "the last event of every topic",
            )
        verdict_bars = {kind: await self._compare_bars(kind) for kind in self.market.bars}
        await asyncio.sleep(1.0)  # in which nothing may come again
        verdict = compare(sent, self.observer.witness.result()["topics"])
        verdict["holes"] = self.observer.holes()
        verdict["books"] = compare_books(self.observer.ledger, await self.ask("books"))
        verdict["bars"] = verdict_bars
        verdict["broken_rules"] = self.observer.ledger.broken_rules()
        verdict["lost_batches"] = sum(lost.count for lost in self.observer.lost)
        return verdict

    async def _compare_bars(self, kind: str) -> dict[str, Any]:
        """Every final bar against the exchange's own; time goes on for bars when the market stands still."""
        exchange = await self.exchange_bars(kind)
        ends = {self.market.topic(kind, symbol): rows[-1][0] * 1_000_000 for symbol, rows in exchange.items() if rows}
        bars = self.observer.ledger.bars
        with contextlib.suppress(AssertionError):
            await until(
                lambda: all(
                    opens_ns in bars[topic].finals or opens_ns < (bars[topic].first_ns or 0)
                    for topic, opens_ns in ends.items()
                ),
                "the last bar of every topic",
            )
        return compare_bars(self.observer.ledger, exchange, self.market.topic(kind, ""))


def end(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to one of the feed's own processes."""
    os.kill(process.pid, number)
