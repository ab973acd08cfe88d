"""The long proof of the bound: minutes in which no checkpoint can be written, at a high rate, and then the aggregator dies.

Workers keep what no checkpoint covers, up to 64 MB each; past that the oldest that were sent are forgotten. Memory and CPU of workers and
aggregator must be as they were when that bound was reached, and after the death every subscriber must be told what can no longer be
had: one that was there all the time, and one that goes on from a position saved before it began.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from k2workers import Lost, Position, Subscriber
from tests.chaos.ledger import Ledger, compare_chains
from tests.chaos.lives import has_all
from tests.chaos.market import Market
from tests.chaos.observer import Observer
from tests.chaos.rig import Rig
from tests.support.waiting import until

KINDS = ("trade", "agg_trade", "book_ticker", "depth")
BOUND_BYTES = 64 * 2**20
NEAR = 0.98
"""A worker that keeps this share of the bound has reached it: the last bundle may not have fitted."""
AFTER_S = 60.0
"""How long the feed is watched after the aggregator's death, and for how long an average is taken."""
MEMORY_GROWS, CPU_GROWS = 1.3, 1.2
"""By how much the last minute may be above the first one at the bound. Memory of bursts is not given back: of a subscriber that was slow for a
moment the aggregator may hold 100,000 batches, some 30 MB."""
MEMORY_STILL_GROWS = 1.05
"""By how much the last minute may be above the one half-way to it: by then there have been enough bursts."""


class BatchObserver(Observer):
    """Takes batches as they are: the feed is too fast to look at every event in this process."""

    def __init__(self, market: Market, shard_of: dict[str, int]) -> None:
        super().__init__(market, shard_of)
        self._heard: set[str] = set()

    @property
    def topics(self) -> int:
        return len(self._heard)

    def holes(self) -> list[str]:
        return [f"book of {symbol}" for symbol, book in self.ledger.books.items() if not book.valid]

    async def read(self, subscriber: Subscriber) -> None:
        """Take everything, for ever."""
        async for item in subscriber.batches():
            if isinstance(item, Lost):
                self.lost.append(item)
                self.ledger.lose(item.topic, item.first_id, item.last_id, item.count)
            else:
                self._heard.add(item.topic)
                self.ledger.take_batch(item.topic, item.events)


class FastRig(Rig):
    """A rig whose observer takes batches."""

    def make_observer(self) -> Observer:
        return BatchObserver(self.market, self.shard_of)

    async def read(self, subscriber: Subscriber) -> None:
        assert isinstance(self.observer, BatchObserver)
        await self.observer.read(subscriber)


class Sample(msgspec.Struct):
    """One process at one time (seconds since the start)."""

    at_s: float
    rss_mb: float
    cpu_s: float


async def run(
    minutes: float, *, shards: int = 2, symbols: int = 40, rate: float = 20_000.0, seed: int = 1
) -> dict[str, Any]:
    """The figures; ``failures`` are what is wrong, in words."""
    with tempfile.TemporaryDirectory(prefix="k2-unwritable-") as name:
        # The venue's history reaches back for ever: that of its stand-in must reach back to the begin of this.
        remembers = ("--history", "2000000", "--history-s", f"{minutes * 60 + 3600:g}")
        rig = FastRig(
            Path(name), shards=shards, symbols=symbols, rate=rate, seed=seed, exchange_args=remembers, kinds=KINDS,
            settings={"K2_BOOK_LEVELS": "500"},
        )  # fmt: skip
        async with rig:
            return await Outage(rig).run(minutes * 60.0)


class Outage:
    """One run, and what was seen in it."""

    def __init__(self, rig: FastRig) -> None:
        self._rig = rig
        self._begun_s = time.monotonic()
        self._samples: dict[str, list[Sample]] = {}
        self._kept: dict[float, dict[str, float]] = {}
        """Bytes kept by shard, by time."""
        self._emitted: list[tuple[float, int]] = []

    async def run(self, seconds: float) -> dict[str, Any]:
        """Everything, in order."""
        rig = self._rig
        await asyncio.sleep(5.0)
        before = rig.subscriber.position()
        # A directory where the file is to be written: nobody can write there, not even root.
        blocked = rig.checkpoint.with_name(rig.checkpoint.name + ".new")
        await self._block(blocked)
        await self._sample_for(seconds)
        failed = await rig.gauge("k2_checkpoint_failures_total")
        at_death_s = self._now_s()
        rig.kill(await rig.process("aggregator"))
        came_back = asyncio.ensure_future(self._come_back(before))
        await self._sample_for(AFTER_S)
        blocked.rmdir()
        released_s = self._now_s()
        with contextlib.suppress(AssertionError):
            await until(self._kept_nothing, "the kept bundles acknowledged")
        released_s = self._now_s() - released_s
        await rig.control("stop_market")
        await asyncio.sleep(2.0)
        sent = await rig.sent()
        for ledger in (rig.observer.ledger, self.came_back):
            with contextlib.suppress(AssertionError):
                await until(lambda ledger=ledger: has_all(ledger, sent), "the last event of every topic")
        came_back.cancel()
        await asyncio.gather(came_back, return_exceptions=True)
        refused = await rig.gauge("k2_push_refused_total")
        return self._judge(sent, at_death_s, failed, refused, released_s)

    async def _block(self, path: Path) -> None:
        """Until it succeeds: a checkpoint that is being written has the name."""
        while True:
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return
            await asyncio.sleep(0.001)

    async def _come_back(self, position: Position) -> None:
        self.came_back = Ledger()
        async with self._rig.subscriber_at(position) as subscriber:
            async for item in subscriber.batches():
                if isinstance(item, Lost):
                    self.came_back.lose(item.topic, item.first_id, item.last_id, item.count)
                else:
                    self.came_back.take_batch(item.topic, item.events)

    def _now_s(self) -> float:
        return time.monotonic() - self._begun_s

    async def _sample_for(self, seconds: float) -> None:
        until_s, children = self._now_s() + seconds, await self._children()
        while (now_s := self._now_s()) < until_s:
            for name, process in children.items():
                try:
                    cpu = process.cpu_times()
                    sample = Sample(now_s, process.memory_info().rss / 1e6, cpu.user + cpu.system)
                except psutil.NoSuchProcess:
                    children = await self._children()
                    break
                self._samples.setdefault(name, []).append(sample)
            if int(now_s) % 5 == 0:
                self._kept[now_s] = await self._kept_bytes()
                self._emitted.append((now_s, (await self._rig.ask("status"))["emitted"]))
            await asyncio.sleep(max(0.0, 1.0 - (self._now_s() - now_s)))

    async def _children(self) -> dict[str, psutil.Process]:
        await self._rig.process("aggregator")
        children = (await self._rig.status())["children"]
        return {n: psutil.Process(c["pid"]) for n, c in children.items() if n.startswith(("worker", "aggregator"))}

    async def _kept_bytes(self) -> dict[str, float]:
        return await asyncio.to_thread(self._rig.feed.metrics, "k2_push_kept_bytes")

    async def _kept_nothing(self) -> bool:
        await asyncio.sleep(0.5)
        return all(kept < BOUND_BYTES / 4 for kept in (await self._kept_bytes()).values())

    def _judge(
        self, sent: dict[str, Any], at_death_s: float, failed: float, refused: float, released_s: float
    ) -> dict[str, Any]:
        bound_s = next(
            (at_s for at_s, kept in self._kept.items() if kept and min(kept.values()) >= NEAR * BOUND_BYTES), None
        )
        (first_s, first), (last_s, last) = self._emitted[0], max(e for e in self._emitted if e[0] <= at_death_s)
        result: dict[str, Any] = {
            "events_a_second": round((last - first) / max(1e-9, last_s - first_s)),
            "checkpoint_failures": failed,
            "bundles_refused": refused,
            "bound_reached_s": None if bound_s is None else round(bound_s, 1),
            "death_s": round(at_death_s, 1),
            "kept_mb_at_death": [
                round(k / 1e6, 1) for at_s, kept in self._kept.items() if at_s <= at_death_s for k in kept.values()
            ][-self._rig.shards :],
            "released_within_s": round(released_s, 1),
            "processes": {},
            "subscribers": {},
            "failures": [],
        }
        if bound_s is None:
            result["failures"].append("the bound was never reached: longer, or more events a second")
        else:
            for name, samples in sorted(self._samples.items()):
                result["processes"][name] = figures = compare_minutes(samples, bound_s, at_death_s)
                minutes = figures["rss_mb_by_minute"]
                grown = figures["rss_mb"][1] > MEMORY_GROWS * figures["rss_mb"][0]
                if grown or minutes[-1] > MEMORY_STILL_GROWS * minutes[len(minutes) // 2]:
                    result["failures"].append(f"memory of {name} {figures['rss_mb']} {minutes}")
                if figures["cpu_share"][1] > CPU_GROWS * figures["cpu_share"][0]:
                    result["failures"].append(f"CPU of {name} {figures['cpu_share']}")
        for name, ledger in (("stayed", self._rig.observer.ledger), ("came back", self.came_back)):
            counts = compare_chains(ledger, sent)
            result["subscribers"][name] = {**counts, "broken_rules": ledger.broken_rules()[:5]}
            wrong = [f"{word} {counts[word]}" for word in ("silent", "wrongly_lost") if counts[word]]
            result["failures"] += [f"{name}: {text}" for text in wrong + ledger.broken_rules()[:5]]
        if released_s > AFTER_S:
            result["failures"].append(f"kept bundles were acknowledged only {released_s:.0f} s after the disk was well")
        return result


def compare_minutes(samples: list[Sample], bound_s: float, at_death_s: float) -> dict[str, list[float]]:
    """[the minute after the bound was reached, the last minute before the death]; and the means of each minute since the bound."""
    before = [s for s in samples if s.at_s <= at_death_s]
    first = [s for s in before if bound_s <= s.at_s <= bound_s + AFTER_S]
    last = [s for s in before if at_death_s - AFTER_S <= s.at_s]

    def share(part: list[Sample]) -> float:
        return round((part[-1].cpu_s - part[0].cpu_s) / max(1e-9, part[-1].at_s - part[0].at_s), 3)

    minutes: dict[int, list[Sample]] = {}
    for sample in before:
        minutes.setdefault(int((sample.at_s - bound_s) // AFTER_S), []).append(sample)
    each = [part for minute, part in sorted(minutes.items()) if minute >= 0]
    return {
        "rss_mb": [mean_rss(first), mean_rss(last)],
        "cpu_share": [share(first), share(last)],
        "rss_mb_by_minute": [mean_rss(part) for part in each],
        "cpu_share_by_minute": [share(part) for part in each],
        "highest_rss_mb_after_the_death": [
            round(max((s.rss_mb for s in samples if s.at_s > at_death_s), default=0.0), 1)
        ],
    }


def mean_rss(samples: list[Sample]) -> float:
    """In MB."""
    return round(statistics.mean(s.rss_mb for s in samples), 1)
