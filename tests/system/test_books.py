"""Whole books for those who join late or lost their place, on the running program: equal to the exchange's, level by level."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zmq.asyncio

from k2workers import BookSnapshot, Lost, Message, Position, Subscriber
from k2workers.transport.replay_server import SINCE, pack, unpack_since
from tests.chaos.ledger import Book
from tests.chaos.rig import Rig, end
from tests.support.waiting import until, wait_for
from tests.system.support import alive, demo

SYMBOLS = 6


class Joiner:
    """A subscriber of all depth topics: its books, what each began with, and what followed each loss."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.first: dict[str, object] = {}
        self.lost: dict[str, int] = {}
        self.after_loss: dict[str, object] = {}
        self.position = Position()

    def take(self, item: Message | Lost) -> None:
        symbol = item.topic.rpartition(".")[2]
        event = item if isinstance(item, Lost) else item.event
        self.first.setdefault(symbol, event)
        if isinstance(item, Lost):
            self.lost[symbol] = self.lost.get(symbol, 0) + 1
            self.after_loss.pop(symbol, None)
        elif symbol in self.lost:
            self.after_loss.setdefault(symbol, event)
        book = self.books.setdefault(symbol, Book())
        if isinstance(event, Lost):
            book.lose()
        else:
            book.take(event)


@contextlib.asynccontextmanager
async def joined(rig: Rig, position: Position | None = None) -> AsyncIterator[Joiner]:
    joiner = Joiner()

    async def follow() -> None:
        async with Subscriber(
            ["binance.depth."], f"tcp://127.0.0.1:{rig.publish}", snapshot_endpoint=f"tcp://127.0.0.1:{rig.replay}",
            books_endpoint=f"tcp://127.0.0.1:{rig.books}", position=position,
        ) as subscriber:  # fmt: skip
            try:
                async for item in subscriber:
                    joiner.take(item)
            finally:
                joiner.position = subscriber.position()

    following = asyncio.create_task(follow())
    try:
        yield joiner
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def equal(rig: Rig, joiner: Joiner) -> bool:
    """Whether every book is the exchange's, whose market stands still."""
    own: dict[str, Any] = await rig.ask("books")
    return len(joiner.books) == len(own) and all(
        book.valid
        and book.update_id == own[symbol]["lastUpdateId"]
        and book.sides == (dict(map(tuple, own[symbol]["bids"])), dict(map(tuple, own[symbol]["asks"])))
        for symbol, book in joiner.books.items()
    )


async def books_are_whole(rig: Rig) -> bool:
    beat = (await rig.status())["books"]
    return bool(beat.get("whole") == SYMBOLS)


async def killed(rig: Rig, name: str) -> None:
    """One of the feed's processes, at once; until it is gone."""
    process = await rig.process(name)
    end(process, signal.SIGKILL)
    await until(lambda: not alive(process))


async def has_forgotten(rig: Rig, position: Position) -> bool:
    """Whether the replay ring has lost something of each topic since this place."""
    with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as ring:
        ring.linger = 0
        ring.connect(f"tcp://127.0.0.1:{rig.replay}")
        for topic, place in position.topics.items():
            await ring.send_multipart([SINCE, topic.encode(), pack(place.sequence + 1)])
            _, _, held, *_ = await ring.recv_multipart()
            if unpack_since(held)[1] <= place.sequence + 1:
                return False
    return True


def feed(tmp_path: Path, **settings: str) -> Rig:
    return Rig(tmp_path, shards=2, symbols=SYMBOLS, rate=600, settings=settings, kinds=("depth",))


@pytest.mark.timeout(900)
async def test_who_joins_late_has_the_exchanges_books_whoever_died_before(tmp_path: Path) -> None:
    async with feed(tmp_path) as rig:
        await until(lambda: books_are_whole(rig), "books of every topic")
        async with joined(rig) as joiner:
            await until(lambda: len(joiner.first) == SYMBOLS)
            assert {type(event) for event in joiner.first.values()} == {BookSnapshot}
            await killed(rig, "aggregator")
            async with joined(rig) as second:
                await until(lambda: len(second.first) == SYMBOLS, "books of every topic after the aggregator's death")
                await killed(rig, "books")
                async with joined(rig) as third:
                    await until(
                        lambda: len(third.books) == SYMBOLS and all(book.valid for book in third.books.values()),
                        "books of every topic after the death of the books process",
                    )
                    await rig.control("stop_market")
                    for one in (joiner, second, third):
                        await until(lambda one=one: equal(rig, one), "the exchange's books")
                    assert {type(event) for event in second.first.values()} == {BookSnapshot}
        # Now every symbol is quiet: who joins gets what no change will ever bring.
        await until(lambda: books_are_whole(rig), "books of every topic")
        async with joined(rig) as quiet:
            await until(lambda: equal(rig, quiet), "books of quiet topics")
            assert {type(event) for event in quiet.first.values()} == {BookSnapshot}
        ended = {name: await rig.process(name) for name in ("aggregator", "books")}
        for process in ended.values():
            end(process, signal.SIGKILL)
        for name, process in ended.items():
            await rig.process(name, after=process)
        await until(lambda: books_are_whole(rig), "books of quiet topics that nobody knows of but the workers")
        async with joined(rig) as quiet:
            await until(lambda: equal(rig, quiet), "books of quiet topics")
        rig.feed.stop()
        assert rig.feed.process.returncode == 0
        assert not any("Traceback" in line for line in rig.feed.raw), "".join(rig.feed.raw)


@pytest.mark.timeout(900)
async def test_who_lost_its_place_is_told_so_and_gets_the_exchanges_books(tmp_path: Path) -> None:
    async with feed(tmp_path, K2_REPLAY_RING_S="0.5") as rig:
        await until(lambda: books_are_whole(rig), "books of every topic")
        async with joined(rig) as joiner:
            await until(lambda: len(joiner.first) == SYMBOLS)
        before = rig.observer.ledger.books
        reached = {symbol: book.update_id for symbol, book in before.items()}
        await until(lambda: all(before[symbol].update_id > reached[symbol] for symbol in reached))
        await until(lambda: has_forgotten(rig, joiner.position), "a ring that has forgotten")
        async with joined(rig, joiner.position) as again:
            await until(lambda: len(again.after_loss) == SYMBOLS, "what follows the losses")
            assert {type(event) for event in again.after_loss.values()} == {BookSnapshot}
            await rig.control("stop_market")
            await until(lambda: equal(rig, again), "the exchange's books")


def test_a_feed_whose_port_for_books_is_taken_says_so_and_goes_on_without() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with demo("--streams", "depth,trade", books=port) as program:
            program.wait_ready()
            refused = wait_for("the reason in the log", lambda: program.logged("books_not_kept"))[0]
            assert f"books_endpoint = 'tcp://127.0.0.1:{port}'" in refused["error"]
            assert program.status()["books"]["error"] == refused["error"]
            wait_for("more than once", lambda: len(program.logged("books_not_kept")) > 2)
            assert [program.http(path)[0] for path in ("/healthz", "/readyz")] == [200, 200]
            other.close()
            wait_for("books", lambda: program.logged("keeping_books"))
            wait_for("whole ones", lambda: program.status()["books"].get("whole"))
            assert "error" not in program.status()["books"]
            program.stop()
            assert program.process.returncode == 0


@pytest.mark.timeout(900)
async def test_without_a_books_process_the_changes_come_all_the_same(tmp_path: Path) -> None:
    async with feed(tmp_path) as rig:
        books = await rig.process("books")
        end(books, signal.SIGSTOP)
        async with joined(rig) as joiner:
            await until(lambda: len(joiner.first) == SYMBOLS, "changes of every topic")
            assert not any(isinstance(event, BookSnapshot) for event in joiner.first.values())
            assert await rig._is_ok(f"{rig.feed.logged('started')[0]['http']}/readyz"), "the feed does not wait for it"
            end(books, signal.SIGCONT)
            await until(lambda: all(book.valid for book in joiner.books.values()), "books in the end")
            await rig.control("stop_market")
            await until(lambda: equal(rig, joiner), "the exchange's books")
