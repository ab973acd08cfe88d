"""The long proof of everything: at a high rate the faults of the table strike one feed for an hour, in random order.

In the end the exchange's count decides, the feed's own report must say the same, no process that was healthy may have been ended, and neither
memory nor files may have grown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest

from k2workers import venues
from k2workers.continuity import Guarantee
from tests.chaos import book_judge
from tests.chaos.market import Market
from tests.chaos.readiness_watch import ReadinessWatch
from tests.chaos.rig import Rig
from tests.chaos.rounds import judge, one_round
from tests.chaos.table import SETTINGS, TABLE, WHOLE_S, rows_for
from tests.support.waiting import until

TWO_DIE = ("run directory removed, two die", "no room under the run directory, two die")
LEFT_OUT = ("parent killed, all restarted",)
"""The next run has a report of its own."""

AT_THE_END = "REST allows less"
"""A lower limit counts for an hour: whatever struck after it would find all repairs and looks waiting for weight."""

SAMPLE_S = 5.0
LATE_SAMPLE_S = 60.0
"""A feed that stands still answers no question meanwhile."""
GROWTH_MB = 24.0
"""What a process' memory may move between two parts of the run: how full its buffers are is chance."""
GROWTH_FILES_KB = 256.0
PATIENCE_S = 3 * WHOLE_S
"""For everything to be whole again: one fault after the other wants the same weight, and most of the time it is waited for."""
LOST_WITH_TWO_S = 4.0
"""When a worker and the aggregator die together, nobody knows any longer how many values of this long there were that no id makes anybody fetch again."""
PUBLISHED_TWICE = 0.001
"""The share of all events that an aggregator's death may make the report count twice: the states of a bar have one id."""
UNCOUNTED_S = 1.0
"""For so long nobody has heard what a process counted last: what a worker that is killed takes with it, and how far a first look is off."""

LIFETIME_H = "1"
"""So that each shard also rotates once."""


class Sample(msgspec.Struct, frozen=True):
    """One look. ``rss_mb`` by process; ``files_kb`` and ``files`` of the run directory and of the checkpoint's."""

    at_s: float
    rss_mb: dict[str, float]
    files_kb: float
    files: int


EXCHANGE = ("--history", "1000000")
"""All trades of a quarter of an hour: repairs wait for weight most of the time, and no venue has forgotten by then what is asked for."""


async def run(
    minutes: float,
    *,
    shards: int = 4,
    rate: float = 5000.0,
    seed: int = 1,
    faults: Iterable[str] | None = None,
    venue: str = venues.DEFAULT,
    log: Path | None = None,
) -> dict[str, Any]:
    """The figures; ``failures`` are what is wrong, in words. What the feed said is written to ``log``."""
    with tempfile.TemporaryDirectory(prefix="k2-hour-") as name:
        market = Market(venue)
        settings = {**SETTINGS, market.variable("connection_max_lifetime_hours"): LIFETIME_H}
        chosen = [fault for fault in faults or rows_for(market) if fault not in LEFT_OUT]
        async with Rig(
            Path(name),
            shards=shards,
            rate=rate,
            seed=seed,
            settings=settings,
            venue=venue,
            place=True,
            exchange_args=EXCHANGE,
            watch_books=True,
        ) as rig:
            hour = Hour(rig, chosen)
            hour.unheard = (await rig.status())["published"] - hour.given()
            async with ReadinessWatch(rig) as watch:
                sampling = asyncio.ensure_future(hour.sample())
                broken = await hour.strike(minutes * 60.0)
                broken += await hour.end_sampling(sampling)
                await rig.control("clear_faults")
                await watch.see_it_out(PATIENCE_S)
                await until(rig.lacks_nothing, "books with all levels", PATIENCE_S)
            verdict = await rig.settle()
            assert rig.book_watch is not None
            watched = await rig.book_watch.end()
            await asyncio.to_thread(rig.feed.stop)
            if log is not None:
                log.write_text("".join(rig.feed.raw), encoding="utf-8")
            report = json.loads(rig.report.read_text(encoding="utf-8"))
            failures = [
                *broken,
                *judge(market, verdict, [0.0], None),
                *watch.promise.wrong(),
                *rig.died_healthy(),
                *hour.grown(),
                *hour.wrong_in(report, rate),
                *book_judge.wrong_in(watched),
            ]
            return {
                **hour.figures(),
                **_shown(verdict),
                "ready": watch.promise.figures(),
                "books_watched": watched,
                "report": report["events"],
                "failures": failures,
            }


def _shown(verdict: dict[str, Any]) -> dict[str, Any]:
    return {key: verdict[key] for key in ("by_kind", "holes", "books", "bars", "broken_rules", "lost_batches")}


class Hour:
    """Strikes, looks, and remembers."""

    def __init__(self, rig: Rig, faults: list[str]) -> None:
        self._rig = rig
        self._faults = faults
        self._begun_s = time.monotonic()
        self.unheard = 0
        """Events that were published before the subscriber was there: bars go on while the market does not yet."""
        self.samples: list[Sample] = []
        self.order: list[str] = []
        """The faults that struck."""
        self.skipped: set[str] = set()
        self.pauses_s: dict[str, list[float]] = {}
        self.wholes_s: dict[str, list[float]] = {}

    # ── faults ──────────────────────────────────────────────────────────────────────────────────────────

    async def strike(self, seconds: float) -> list[str]:
        """One fault after the other, each as often as every other; what ended it early, in words."""
        deck = shuffled([fault for fault in self._faults if fault != AT_THE_END], random.Random(self._rig.rng.random()))
        try:
            for name in deck:
                if time.monotonic() - self._begun_s >= seconds:
                    break
                await self._strike_with(name)
            if AT_THE_END in self._faults:
                await self._strike_with(AT_THE_END)
        except (AssertionError, OSError, aiohttp.ClientError) as error:
            return [f"{self.order[-1]}, number {len(self.order)}: {str(error).strip()}"]
        return []

    async def _strike_with(self, name: str) -> None:
        self.order.append(name)
        row = TABLE[name]
        try:
            pause_s, whole_s = await one_round(self._rig, [row], PATIENCE_S)
            await until(self._at_rest, "the feed ready", PATIENCE_S)
        except pytest.skip.Exception:
            self.skipped.add(name)  # the machine cannot have it
            return
        self.pauses_s.setdefault(name, []).append(pause_s)
        self.wholes_s.setdefault(name, []).append(whole_s)
        await asyncio.sleep(0.2 + row.rest_s)

    async def _at_rest(self) -> bool:
        return not await self._rig.unready()

    # ── what must not grow ──────────────────────────────────────────────────────────────────────────────

    async def sample(self) -> None:
        """Look at memory and files, for ever."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):  # a parent that stands still lets nobody in
                children = {name: child["pid"] for name, child in (await self._rig.status())["children"].items()}
                pids = {"parent": self._rig.feed.process.pid, **children}
                self.samples.append(await asyncio.to_thread(self._look, pids))
            await asyncio.sleep(SAMPLE_S)

    async def end_sampling(self, sampling: asyncio.Task[None]) -> list[str]:
        """Look no longer; what is wrong if it was not looked until now, in words."""
        sampling.cancel()
        (outcome,) = await asyncio.gather(sampling, return_exceptions=True)
        if not isinstance(outcome, asyncio.CancelledError):
            return [f"memory and files were not looked at until the end: {outcome!r}"]
        last_s, now_s = (self.samples[-1].at_s if self.samples else 0.0), time.monotonic() - self._begun_s
        return [] if now_s - last_s < LATE_SAMPLE_S else [f"the last look at memory was {now_s - last_s:.0f} s ago"]

    def _look(self, pids: dict[str, int]) -> Sample:
        rss_mb = {}
        for name, pid in pids.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                rss_mb[name] = psutil.Process(pid).memory_info().rss / 1e6
        sizes = list(_sizes_kb(self._rig.run_dir)) + list(_sizes_kb(self._rig.checkpoint.parent))
        return Sample(time.monotonic() - self._begun_s, rss_mb, sum(sizes), len(sizes))

    def grown(self) -> list[str]:
        """What was larger in the last quarter of the run than in the second, by more than chance."""
        found = []
        for what, limit, of in self._bounded():
            before, after = self._parts(of)
            if after > before + limit:
                found.append(f"{what} grew from {before:.0f} to {after:.0f}")
        return found

    def _bounded(self) -> list[tuple[str, float, Callable[[Sample], float]]]:
        names = sorted({name for sample in self.samples for name in sample.rss_mb})
        memory = [(f"MB of {name}", GROWTH_MB, _memory_of(name)) for name in names]
        return [*memory, ("kB of files", GROWTH_FILES_KB, lambda sample: sample.files_kb)]

    def _parts(self, of: Callable[[Sample], float]) -> tuple[float, float]:
        """The median of the second quarter of the run, and of the last."""
        quarter = max(1, len(self.samples) // 4)
        second, last = self.samples[quarter : 2 * quarter] or self.samples, self.samples[-quarter:]
        return statistics.median(map(of, second)), statistics.median(map(of, last))

    # ── the feed's own word ─────────────────────────────────────────────────────────────────────────────

    def given(self) -> int:
        """Events that the subscriber was given."""
        return sum(count.received for count in self._rig.observer.witness.topics.values())

    def wrong_in(self, report: dict[str, Any], rate: float) -> list[str]:
        """Where the report says something else than what the subscriber counted, at this rate of events a second."""
        found = []
        topics = self._rig.observer.witness.topics
        told = {one["topic"]: one for one in report["continuity"]}
        for topic, count in topics.items():
            if self._rig.market.guarantee(topic.split(".")[1]) is not Guarantee.REPAIRABLE or not count.ranges:
                continue
            # A numbering that began anew is counted anew.
            counted = count.ranges.ids, count.last_id, 0
            says = told.get(topic, {})
            if (says.get("count"), says.get("last_id"), says.get("missing")) != counted:
                found.append(f"report of {topic}: {says}, a subscriber counted {counted}")
        events, given, off = report["events"], self.given() + self.unheard, UNCOUNTED_S * rate
        dead_together = sum(name in TWO_DIE for name in self.order) * LOST_WITH_TWO_S * rate / self._rig.shards
        if not given - off - dead_together <= events["published"] <= given * (1 + PUBLISHED_TWICE) + off:
            found.append(f"report: published {events['published']}, a subscriber was given {given}")
        deaths = 1 + sum(worker["restarts"] for worker in report["workers"])
        if events["received"] + events["repaired_ids"] + deaths * off < given:
            found.append(f"report: received {events['received']}, repaired {events['repaired_ids']}, given {given}")
        if not report["clean"]:
            found.append(f"report: not clean, {report['complaints']}")
        return [*found[:10], *([f"{len(found)} in all"] if found[10:] else [])]

    def figures(self) -> dict[str, Any]:
        """For the report of the proof."""
        return {
            "minutes": round((time.monotonic() - self._begun_s) / 60.0, 1),
            "strikes": len(self.order),
            "order": self.order,
            "skipped": sorted(self.skipped),
            "pause_s": {name: round(max(each), 2) for name, each in sorted(self.pauses_s.items())},
            "whole_s": {name: round(max(each), 1) for name, each in sorted(self.wholes_s.items())},
            "processes_ended_by_us": len(self._rig.doomed),
            "bounded": {
                what: [round(part, 1) for part in self._parts(of)] + [round(max(map(of, self.samples)), 1)]
                for what, _, of in self._bounded()
            },
            "files": max(sample.files for sample in self.samples),
        }


def shuffled(names: list[str], rng: random.Random) -> Iterator[str]:
    """All of them in random order, again and again; nothing of none."""
    while names:
        yield from rng.sample(names, len(names))


def _memory_of(name: str) -> Callable[[Sample], float]:
    return lambda sample: sample.rss_mb.get(name, 0.0)


def _sizes_kb(directory: Path) -> Iterator[float]:
    """Of each file below; one that goes meanwhile does not count."""
    for folder, _, files in os.walk(directory):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                yield (Path(folder) / file).stat().st_size / 1024.0
