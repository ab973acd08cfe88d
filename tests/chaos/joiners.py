"""Whether a subscriber gets a whole book wherever it begins: one that joins late, one that lost its place, one that was frozen.

Each must be given a ``BookSnapshot`` of every depth topic that the next difference continues, and must so rebuild the exchange's book level
by level. The one that lost its place goes on from a position that is older than the replay ring.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k2workers import Lost, Position, venues
from tests.chaos.ledger import Ledger, compare_books
from tests.chaos.readers import Reader
from tests.chaos.rig import Rig
from tests.chaos.table import SETTINGS
from tests.support.waiting import until

RING_S = 4.0
SETTINGS_WITH_A_SHORT_RING = {**SETTINGS, "K2_REPLAY_RING_S": f"{RING_S:g}"}
BOOK_S = 60.0
"""Within this time a joiner must have every book."""


class Joiner:
    """One further subscriber of depth, followed in this process."""

    def __init__(self, rig: Rig, position: Position | None) -> None:
        self.ledger = Ledger()
        self._following = asyncio.ensure_future(self._follow(rig, position))

    async def _follow(self, rig: Rig, position: Position | None) -> None:
        async with rig.subscriber_at(position, depth_of(rig)) as subscriber:
            async for item in subscriber:
                if isinstance(item, Lost):
                    self.ledger.lose(item.topic, item.first_id, item.last_id, item.count)
                else:
                    self.ledger.take(item.topic, item.event)

    async def leave(self) -> None:
        """End it. What went wrong in it is raised here."""
        self._following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._following


def depth_of(rig: Rig) -> list[str]:
    """What a joiner subscribes to."""
    return [rig.market.topic("depth", "")]


def position_of_depth(position: Position, prefixes: list[str]) -> Position:
    """The part of a position that is about depth; the rest was never asked for by a joiner."""
    topics = {topic: at for topic, at in position.topics.items() if topic.startswith(tuple(prefixes))}
    return Position(topics, position.left, prefixes)


class Joiners:
    """``await join()`` while the market runs, ``await verdict()`` once it stands still."""

    def __init__(self, rig: Rig, old: Position) -> None:
        self._rig = rig
        self._old = position_of_depth(old, depth_of(rig))
        self._ledgers: dict[str, Callable[[], Ledger]] = {}
        self._joined: list[Joiner] = []

    def add(self, name: str, ledger: Callable[[], Ledger]) -> None:
        """One that was there before."""
        self._ledgers[name] = ledger

    async def join(self) -> None:
        """Begin to read, and wait until every book is there, or ``BOOK_S`` have passed."""
        for name, position in (("late", None), ("lost its place", self._old)):
            joiner = Joiner(self._rig, position)
            self._joined.append(joiner)
            self.add(name, lambda joiner=joiner: joiner.ledger)  # type: ignore[misc]
        with contextlib.suppress(AssertionError):
            await until(lambda: all(self._is_whole(ledger()) for ledger in self._ledgers.values()), "", BOOK_S)

    async def verdict(self) -> dict[str, Any]:
        """By joiner: its books against the exchange's, and the rules that were broken towards it."""
        exchange = await self._rig.ask("books")

        def caught_up(ledger: Ledger) -> bool:
            return all(book.update_id >= exchange[symbol]["lastUpdateId"] for symbol, book in ledger.books.items())

        with contextlib.suppress(AssertionError):
            await until(lambda: all(caught_up(ledger()) for ledger in self._ledgers.values()), "", 10.0)
        for joiner in self._joined:
            await joiner.leave()
        return {
            name: {**compare_books(ledger(), exchange), "broken_rules": ledger().broken_rules()[:3]}
            for name, ledger in self._ledgers.items()
        }

    def _is_whole(self, ledger: Ledger) -> bool:
        books = ledger.books
        return len(books) == len(self._rig.shard_of) and all(book.valid for book in books.values())


def wrong_with(verdict: dict[str, Any]) -> list[str]:
    """What is wrong with the joiners' books, in words."""
    return [
        f"books of the one that is {name}: {books['equal']} equal, {books['different']} different, "
        f"{books['broken_chains']} broken chains {str(books['examples'][:1])[:200]} {books['broken_rules']}"
        for name, books in verdict.items()
        if books["different"] or books["broken_chains"] or books["broken_rules"]
    ]


async def run(
    *, shards: int = 3, symbols: int = 12, rate: float = 1500.0, seed: int = 1, venue: str = venues.DEFAULT
) -> dict[str, Any]:
    """One feed in which everything happens to its readers of books; the figures."""
    with tempfile.TemporaryDirectory(prefix="k2-books-") as name:
        directory = Path(name)
        rig = Rig(
            directory,
            shards=shards,
            symbols=symbols,
            rate=rate,
            seed=seed,
            settings=SETTINGS_WITH_A_SHORT_RING,
            venue=venue,
        )
        async with rig:
            frozen = Reader("frozen", directory, rig.endpoints, depth_of(rig))
            try:
                return await _run(rig, frozen)
            finally:
                frozen.kill()


async def _run(rig: Rig, frozen: Reader) -> dict[str, Any]:
    frozen.start()
    await frozen.saved_something()
    joiners = Joiners(rig, rig.subscriber.position())
    frozen.send_signal(signal.SIGSTOP)
    await rig.inject("drop", probability=0.05, everywhere=True, for_s=1.0)
    await asyncio.sleep(RING_S + 2.0)
    rig.kill(await rig.process("aggregator"))  # with what was on its way to the one that is frozen
    await asyncio.sleep(RING_S + 2.0)
    await until(rig.is_ready, "readyz 200")
    frozen.send_signal(signal.SIGCONT)
    joiners.add("frozen", frozen.read)
    await joiners.join()
    await rig.inject("drop", probability=0.05, everywhere=True, for_s=1.0)
    await asyncio.sleep(2.0)
    verdict = await rig.settle()
    joined = await joiners.verdict()
    await frozen.end(signal.SIGTERM)
    failures = wrong_with(joined)
    if verdict["books"]["different"]:
        failures.append(f"books of the one that was there: {str(verdict['books'])[:300]}")
    return {"there all the time": verdict["books"], **joined, "failures": failures}
