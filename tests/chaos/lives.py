"""The long proof of restarts: the aggregator dies every few seconds while gaps are open and REST is ill half of the time.

Three capture programs read everything meanwhile: one is killed again and again, one is told to end, one stays away for longer than
the feed can remember. Each goes on from what it saved. In the end the exchange's count decides: what did not come must have been named, at
the moment at which it was missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from k2workers import venues
from tests.chaos.ledger import Ledger, compare_bars, compare_books, compare_chains
from tests.chaos.readers import Reader
from tests.chaos.rig import Rig
from tests.chaos.table import SETTINGS, WHOLE_S
from tests.support.waiting import until

KILL_EVERY_S = 8.0
REST_ILL_S = KILL_EVERY_S / 2
"""How long REST is ill around each death, and then well."""
BEFORE_DEATH_S = (1.3, 3.9)
"""When REST becomes ill and a gap begins: a gap is announced a second later."""
RESTART_EVERY_S = (8.0, 20.0)
STAYS_AWAY_S = (6.0, 12.0)


async def run(
    minutes: float,
    *,
    shards: int = 4,
    symbols: int = 8,
    rate: float = 1000.0,
    seed: int = 1,
    venue: str = venues.DEFAULT,
) -> dict[str, Any]:
    """The figures; ``failures`` are what is wrong, in words."""
    with tempfile.TemporaryDirectory(prefix="k2-lives-") as name:
        directory = Path(name)
        rig = Rig(directory, shards=shards, symbols=symbols, rate=rate, seed=seed, settings=SETTINGS, venue=venue)
        async with rig:
            readers = [
                Reader(word, directory, rig.endpoints, [rig.market.prefix]) for word in ("killed", "ended", "away")
            ]
            try:
                return await _run(rig, readers, minutes * 60.0)
            finally:
                for reader in readers:
                    reader.kill()


async def _run(rig: Rig, readers: list[Reader], seconds: float) -> dict[str, Any]:
    killed, ended, away = readers
    for reader in readers:
        reader.start()
    for reader in readers:
        await reader.saved_something()
    deaths = Deaths(rig)
    rng = random.Random(rig.rng.random())
    here = (0.0, 0.0)
    async with asyncio.timeout(seconds + WHOLE_S):
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                deaths.kill_for_ever(),
                gaps_for_ever(rig),
                killed.restart_for_ever(signal.SIGKILL, RESTART_EVERY_S, here, rng),
                ended.restart_for_ever(signal.SIGTERM, RESTART_EVERY_S, here, rng),
                away.restart_for_ever(signal.SIGKILL, RESTART_EVERY_S, STAYS_AWAY_S, rng),
            )
        ]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
    return await judge(rig, readers, deaths)


class Deaths:
    """Kills the aggregator, and notes whether gaps were open then."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.count = 0
        self.with_gaps_open = 0

    async def kill_for_ever(self) -> None:
        """Every ``KILL_EVERY_S``, each time after another part of the life of a gap."""
        due_s = time.monotonic()
        while True:
            due_s += KILL_EVERY_S
            await self._until_s(due_s - self._rig.rng.uniform(*BEFORE_DEATH_S))
            await self._rig.inject("rest_5xx", for_s=REST_ILL_S)
            await lose_messages(self._rig)
            await self._until_s(due_s)
            process = await self._rig.process("aggregator")
            self.count += 1
            self.with_gaps_open += bool(self._rig.observer.ledger.open_gaps())
            self._rig.kill(process)

    async def _until_s(self, due_s: float) -> None:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def lose_messages(rig: Rig) -> None:
    """On every line at once: they can only be had over REST."""
    await rig.inject("drop", probability=0.04, everywhere=True, for_s=0.3)


async def gaps_for_ever(rig: Rig) -> None:
    """At any moment, also just before and after a death."""
    while True:
        await asyncio.sleep(rig.rng.uniform(0.5, 1.5) * KILL_EVERY_S)
        await lose_messages(rig)


async def judge(rig: Rig, readers: list[Reader], deaths: Deaths) -> dict[str, Any]:
    """Everything heals; then each subscriber's count against the exchange's."""
    begun_s = time.monotonic()
    await rig.control("clear_faults")
    with contextlib.suppress(AssertionError):
        await until(lambda: not rig.observer.holes() and not rig.observer.ledger.open_gaps(), "", WHOLE_S)
    whole_s = time.monotonic() - begun_s

    # While the market runs: streams that it lets fall silent at the end are rightly not ready for long.
    async def at_rest() -> bool:
        return await rig.is_ready() and not await rig.gauge("k2_gaps_open")  # metrics are a second behind

    with contextlib.suppress(AssertionError):
        await until(at_rest, "", WHOLE_S)
    ready, gaps_open = await rig.is_ready(), await rig.gauge("k2_gaps_open")
    verdict = await rig.settle()
    sent, books = await rig.sent(), await rig.ask("books")

    def has_caught_up(reader: Reader) -> bool:
        reader.start_if_away()  # it may have been ended as the last thing
        return has_all(reader.read(), sent)

    for reader in readers:
        with contextlib.suppress(AssertionError):
            await until(lambda reader=reader: has_caught_up(reader), f"{reader.name} having read all")
    exchange_bars = {kind: await rig.exchange_bars(kind) for kind in rig.market.bars}
    await asyncio.sleep(2.0)  # for the last bars, and in which nothing may come again
    for reader in readers:
        await reader.end(signal.SIGTERM)
    result: dict[str, Any] = {
        "aggregator_deaths": deaths.count,
        "with_gaps_open": deaths.with_gaps_open,
        "gaps_announced": rig.observer.gaps,
        "whole_s": round(whole_s, 1),
        "ready": ready,
        "gaps_open": gaps_open,
        "readers": {},
        "failures": [],
    }
    ledgers = {"never ended": rig.observer.ledger, **{reader.name: reader.read() for reader in readers}}
    lives = {reader.name: reader.lives for reader in readers}
    for name, ledger in ledgers.items():
        counts = compare_chains(ledger, sent)
        bars = {kind: compare_bars(ledger, found, rig.market.topic(kind, "")) for kind, found in exchange_bars.items()}
        figures: dict[str, Any] = {
            "lives": lives.get(name, 1),
            **counts,
            "repeated": sum(chain.repeated for chain in ledger.chains.values()),
            "still_open": sum(chain.open.ids for chain in ledger.chains.values()),
            "bars": bars,
            "books": compare_books(ledger, books),
            "broken_rules": ledger.broken_rules(),
            "unnamed_batches": ledger.unnamed_batches,
        }
        result["readers"][name] = figures
        result["failures"] += [f"{name}: {text}" for text in wrong_with(figures, allowed_to_lose=name == "away")]
        if figures["books"]["different"]:
            result["failures"].append(f"{name}: books {str(figures['books'])[:300]}")
    if not ready or result["gaps_open"]:
        result["failures"].append(f"at rest: ready {ready}, gaps open {result['gaps_open']}")
    if verdict["holes"]:
        result["failures"].append(f"holes {verdict['holes'][:3]}")
    return result


def has_all(ledger: Ledger, sent: dict[str, Any]) -> bool:
    """Whether a program was given the last event of every topic."""
    return all(
        topic in ledger.chains and (ledger.chains[topic].last_id or 0) >= counts["ranges"][-1][1]
        for topic, counts in sent.items()
        if counts["ranges"]
    )


def wrong_with(figures: dict[str, Any], *, allowed_to_lose: bool) -> list[str]:
    """What is wrong with one program's count, in words."""
    # A gap whose events came while a program was away stays open for it: PROTOCOL.md says so of what is missing.
    words = ["silent", "repeated", "wrongly_lost", "unnamed_batches"]
    words += [] if allowed_to_lose else ["lost", "still_open"]
    found = [f"{word} {figures[word]}" for word in words if figures[word]]
    found += figures["broken_rules"][:5]
    for kind, bars in figures["bars"].items():
        if bars["missing"] or bars["different"] or (bars["lost"] and not allowed_to_lose):
            found.append(f"{kind} {str(bars)[:300]}")
    return found
