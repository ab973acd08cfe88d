"""The whole program on USD-M futures: a connection for each class of streams, recordings, and what is wrong with them named."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web

from k2workers import Subscriber
from k2workers.demo.witness import compare
from k2workers.simulator.binance.futures_names import PUBLIC
from k2workers.simulator.binance.routed_talk import RoutedTalk
from k2workers.simulator.binance.settings import UsdmSimulatorSettings
from k2workers.simulator.binance.usdm import UsdmStandIn
from k2workers.simulator.fault_set import FaultSet
from tests.chaos.ledger import compare_books, compare_chains
from tests.chaos.market import Market
from tests.chaos.observer import Observer
from tests.simulator.binance.test_recordable import converted, written
from tests.simulator.support import served
from tests.support.waiting import until
from tests.system.support import Program, demo, free_port

VENUE = "binance_usdm"
ALARM_S = 15.0
"""Within this time a stream that brings nothing has been named, and the feed is not ready."""


class Reader:
    """An independent subscriber of everything, and the exchange's own word on it."""

    def __init__(self, market: Market, endpoints: Sequence[str], exchange_port: int) -> None:
        self.observer = Observer(market, defaultdict(int))
        self._market = market
        self._endpoints = endpoints
        self._exchange_port = exchange_port

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Takes everything meanwhile."""
        publish, replay, books = self._endpoints
        async with (
            aiohttp.ClientSession() as self._http,
            Subscriber(
                [self._market.prefix], publish, snapshot_endpoint=replay, books_endpoint=books or None
            ) as subscriber,
        ):
            taking = asyncio.ensure_future(self._take(subscriber))
            yield
            taking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await taking

    async def _take(self, subscriber: Subscriber) -> None:
        async for item in subscriber:
            self.observer.take(item)

    async def ask(self, word: str) -> dict[str, Any]:
        """What the exchange answers."""
        async with self._http.get(self._url(word)) as reply:
            return dict(await reply.json())

    async def tell(self, word: str, **body: Any) -> None:
        """Have the exchange do it."""
        async with self._http.post(self._url(word), json=body) as reply:
            assert reply.status == 200, await reply.text()

    def _url(self, word: str) -> str:
        return f"http://127.0.0.1:{self._exchange_port}/_exchange/{word}"

    async def sent(self) -> dict[str, Any]:
        """What the exchange sent, by our topics."""
        return {self._market.topic_of(name): count for name, count in (await self.ask("truth"))["topics"].items()}

    async def has_all(self) -> dict[str, Any]:
        """Wait until the last event of every topic is here and nothing is missing; what was sent."""
        sent, counts = await self.sent(), self.observer.witness.topics
        await until(
            lambda: all(topic in counts and counts[topic].last_id >= told["last_id"] for topic, told in sent.items() if told["ranges"]),
            lambda: f"the last event of every topic; here are { {topic: count.last_id for topic, count in counts.items()} } of {sent}",
        )  # fmt: skip
        await until(lambda: not self.observer.holes(), lambda: f"nothing missing; {self.observer.holes()}")
        return sent

    async def has_the_last_change(self) -> bool:
        """Whether each book is as new as the exchange's own."""
        books = self.observer.ledger.books
        return {name: book["lastUpdateId"] for name, book in (await self.ask("books")).items()} == {
            name: book.update_id for name, book in books.items()
        }

    async def is_over(self) -> bool:
        """Whether a recording was played to its end."""
        return bool((await self.ask("status"))["finished"])

    async def subscribed_to(self, streams: int) -> bool:
        """Whether so many streams are subscribed."""
        return bool((await self.ask("status"))["streams"] == streams)


def port_of(program: Program, child: str) -> int:
    """Where a child of the feed listens."""
    sockets = psutil.Process(program.pid_of(child)).net_connections("tcp")
    (port,) = (at.laddr.port for at in sockets if at.status == psutil.CONN_LISTEN)
    return int(port)


def endpoints() -> list[str]:
    """Where a feed publishes, replays and gives books."""
    return [f"tcp://127.0.0.1:{free_port()}" for _ in range(3)]


def feed_from(port: int, market: Market, where: Sequence[str], *flags: str) -> Program:
    """The feed of everything that an exchange on this port has."""
    publish, replay, books = where
    return Program(
        "--venue", VENUE, "--shards", "1", "--symbols", "*", "--streams", ",".join(market.kinds), "--http-port", "0",
        "--log-format", "json", "--binance-usdm-rest-url", f"http://127.0.0.1:{port}",
        "--binance-usdm-websocket-url", f"ws://127.0.0.1:{port}", "--publish-endpoint", publish,
        "--snapshot-endpoint", replay, "--books-endpoint", books, *flags,
    )  # fmt: skip


async def test_a_demonstration_rotates_every_connection_and_each_event_and_level_is_the_exchanges(
    tmp_path: Path,
) -> None:
    report, where = tmp_path / "r.json", endpoints()
    publish, replay, books = (int(each.rpartition(":")[2]) for each in where)
    market = Market(VENUE)
    flags = ("--venue", VENUE, "--streams", ",".join(market.kinds), "--rotation-lifetime", "4", "--report", str(report))
    with demo(*flags, shards=4, publish=publish, replay=replay, books=books) as program:
        await asyncio.to_thread(program.wait_ready)
        reader = Reader(market, where, await asyncio.to_thread(port_of, program, "exchange"))
        async with reader.following():
            # Each of the 8 connections twice.
            await until(lambda: asyncio.to_thread(lambda: program.status()["rotations"] >= 16), "16 rotations")
            await until(lambda: asyncio.to_thread(whole, program), "books with all levels")
            await until(lambda: len(reader.observer.ledger.books) == 40 and not reader.observer.holes(), "every book")
            await reader.tell("stop_market")
            await until(reader.has_the_last_change, "the last change of every book")
            verdict = compare_books(reader.observer.ledger, await reader.ask("books"))
        assert reader.observer.ledger.broken_rules() == []
        await asyncio.to_thread(program.stop)
        assert program.process.returncode == 0, "".join(program.raw)
    assert (verdict["equal"], verdict["different"], verdict["broken_chains"]) == (40, 0, 0), verdict
    result = json.loads(report.read_text(encoding="utf-8"))
    truth = result["truth"]
    assert truth["received"] == truth["emitted"] > 10_000
    assert (truth["lost"], truth["duplicated"], truth["reordered"]) == (0, 0, 0)
    rotated = {(record["shard"], record["route"]) for record in result["rotations"]["records"]}
    assert rotated == {(shard, route) for shard in range(4) for route in ("public", "market")}
    assert result["rotations"]["max_concurrent"] == 1


class MovedTalk(RoutedTalk):
    """Aggregates of one symbol have moved to the other class: where they used to be they are acknowledged and stay silent."""

    def brings(self, name: str) -> bool:
        return self._route == PUBLIC if name == MOVED else super().brings(name)


class MovedStandIn(UsdmStandIn):
    """An exchange that has moved a stream."""

    def talk(self, request: web.Request) -> MovedTalk:
        return MovedTalk(request, self._settings, self.refuses, routed=True)


class MovedSettings(UsdmSimulatorSettings, frozen=True, kw_only=True):
    """Its settings."""

    def stand_in(self, faults: FaultSet) -> MovedStandIn:
        return MovedStandIn(self, faults)


MOVED, MOVED_TOPIC = "ethusdt@aggTrade", f"{VENUE}.agg_trade.ETHUSDT"


async def test_a_stream_that_is_in_another_class_is_named_and_the_feed_is_not_ready() -> None:
    async with served(MovedSettings(port=0, symbols=3, rate=300.0, ping_interval_s=2.0)) as client:
        with feed_from(client.port, Market(VENUE), endpoints()) as program:
            await until(lambda: len(program.logged("connection_live")) == 2, "a connection of each class")
            live = program.logged("connection_live")
            alarms = await until(lambda: program.logged("streams_silent"), "the alarm")
            assert alarms[0]["topics"] == [MOVED_TOPIC]
            assert seconds(alarms[0]) - seconds(live[-1]) < ALARM_S
            named = "streams_silent: worker-0 has 1"
            await until(lambda: asyncio.to_thread(lambda: named in unready(program)), "the reason")
            # It stays so, whichever line is tried.
            await until(lambda: asyncio.to_thread(lambda: program.status()["rotations"] >= 1), "another line")
            assert await asyncio.to_thread(unready, program)


def whole(program: Program) -> bool:
    """Whether all has been fetched that was to be."""
    return not any(worker["gaps_open"] or worker["repairs_waiting"] for worker in program.status()["workers"])


def unready(program: Program) -> list[str]:
    """Why it is not ready."""
    code, text = program.http("/readyz")
    assert code in (200, 503)
    return list(json.loads(text)["reasons"])


def seconds(line: Mapping[str, Any]) -> float:
    """When it was logged."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()


RECORDED = {
    "one symbol with its trades": ("usdm/btcusdt_20240808.gz", ("trade", "book_ticker", "depth_0ms"), 30.0, 500),
    "five symbols with aggregates": (
        "multi/BINANCE_FUTURES-1125a2.0.gz",
        ("agg_trade", "book_ticker", "depth"),
        10.0,
        40,
    ),
}
"""File, kinds in it, how fast it is played, and how many messages are dropped of those that it has after its begin: the end is whole."""


@pytest.mark.parametrize("dropped", [0, 1], ids=["whole", "one in a hundred dropped"])
@pytest.mark.parametrize("name", RECORDED)
async def test_of_a_recording_every_id_comes_once_or_is_named(
    recordings: Path, tmp_path: Path, name: str, dropped: int
) -> None:
    file, kinds, speed, count = RECORDED[name]
    market, where, port = Market(VENUE, kinds), endpoints(), free_port()
    (played,) = (
        (str(recordings / file),)
        if file.startswith("usdm")
        else written(tmp_path / "a.gz", converted(recordings / file))
    )
    flags = ("simulate", "--venue", VENUE, "--port", str(port), "--replay", played, "--replay-speed", f"{speed:g}")
    with Program(*flags) as exchange:
        await until(lambda: exchange.raw, "the exchange listening")
        assert exchange.raw[0].startswith("embedded exchange"), exchange.raw
        # Without whole books it is given every change, also those before the first one.
        reader = Reader(market, [*where[:2], ""], port)
        async with reader.following():
            await reader.tell("stop_market")
            with feed_from(port, market, where) as program:
                streams = len((await reader.ask("status"))["symbols"]) * len(kinds)
                await until(lambda: reader.subscribed_to(streams), "every stream subscribed")
                await reader.tell("start_market")
                await until(lambda: len(reader.observer.witness.topics) == streams, "events of every topic")
                if dropped:
                    await reader.tell("fault", kind="drop", probability=0.01, everywhere=True, count=count)
                await until(lambda: reader.is_over(), "the recording's end")
                if dropped:
                    assert (await reader.ask("faults"))["faults"][0]["acted"] == count
                sent = await reader.has_all()
                verdict = compare(sent, reader.observer.witness.result()["topics"])
                books = await reader.ask("books")
                await asyncio.to_thread(program.stop)
                assert program.process.returncode == 0, "".join(program.raw)
    ledger = reader.observer.ledger
    assert ledger.broken_rules() == []
    assert verdict["unannounced"] == verdict["duplicated"] == verdict["reordered"] == 0
    counts = compare_chains(ledger, sent)
    assert counts["silent"] == counts["wrongly_lost"] == 0 < counts["emitted"]
    lost = {kind: found["lost"] for kind, found in verdict["by_kind"].items() if kind != "book_ticker"}
    assert lost.get("agg_trade", 0) == 0
    if dropped:
        assert reader.observer.gaps_of
    else:
        assert lost == dict.fromkeys(lost, 0) and not reader.observer.gaps
    assert {symbol: best(levels) for symbol, levels in books.items()} == {
        symbol: best({"bids": book.sides[0].items(), "asks": book.sides[1].items()})
        for symbol, book in ledger.books.items()
    }


LEVELS = 100
"""Of each side; what is beyond a snapshot's last level nobody knows."""


def best(book: Mapping[str, Any]) -> list[list[tuple[float, float]]]:
    """The best levels of each side."""
    sides = ([(float(price), float(quantity)) for price, quantity in book[side]] for side in ("bids", "asks"))
    bids, asks = map(sorted, sides)
    return [bids[: -LEVELS - 1 : -1], asks[:LEVELS]]
