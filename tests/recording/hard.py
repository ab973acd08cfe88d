"""The hard proof: ``python -m tests.recording.hard [--rate 2000] [--kills 20] [--seed 1] [--ring-s 300]`` records a busy feed while everything around the recorder dies, and compares with the exchange.

The recorder is killed at random moments, while it starts and while it converts too; the aggregator and the whole run are killed beside it; its disk is full, and it is killed on a full disk. In the
end ``verify`` must find nothing missing without a word, nothing twice and nothing damaged, ids, books and final bars must be the exchange's, and a replay recorded again must give the same rows.
With a replay ring of a second or two the feed no longer has what was missed: then all of that must be named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from k2workers.events import BookSnapshot, Event, Gap
from k2workers.recording.played_events import LOST
from k2workers.recording.row import Loss, Row
from k2workers.recording.verification import verify
from tests.chaos.ledger import Ledger, compare_bars, compare_books, compare_chains
from tests.chaos.rig import Rig
from tests.recording.recorded import recorder, rows
from tests.recording.test_recorder import goes_on, last_ids, wrong
from tests.support.full_file_system import kept_full
from tests.support.waiting import until, wait_for
from tests.system.support import Program, free_port

KINDS = ("trade", "agg_trade", "book_ticker", "depth", "kline_1s")
BARS = "kline_1s"
SHARDS, SYMBOLS = 4, 8
DISK = "256m"
FULL_S = 2.0
FILE_MINUTES = 0.05
AGGREGATOR, RUN, FULL, FULL_AND_KILLED, CONVERSION, START, NOTHING = (
    "aggregator", "whole run", "disk full", "disk full, killed on it", "its conversion", "while it starts", "nothing else",
)  # fmt: skip
ALWAYS = (*[AGGREGATOR] * 3, *[RUN] * 2, FULL, FULL_AND_KILLED)
"""Strikes of every proof beside the recorder's death; the others fill up the number."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own there, if one can be had: whether it is."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    made = os.geteuid() == 0 and not subprocess.run(command, capture_output=True, check=False).returncode
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", str(folder)], check=True)


class Proof:
    """One feed, and recorders of it one after the other."""

    def __init__(self, rig: Rig, disk: Path, *, own_disk: bool, chance: random.Random) -> None:
        self.to = disk / "recording"
        self.struck: dict[str, int] = {}
        self._rig, self._disk, self._own_disk, self._chance = rig, disk, own_disk, chance

    def start(self) -> Program:
        rig = self._rig
        return recorder(
            self.to, rig.publish, rig.market.prefix, replay=rig.replay, books=rig.books, file_minutes=FILE_MINUTES
        )

    async def strike(self, kind: str) -> None:
        """One life of a recorder, ended with SIGKILL."""
        self.struck[kind] = self.struck.get(kind, 0) + 1
        with self.start() as program:
            if kind != START:
                await goes_on(self.to, SYMBOLS)
            await asyncio.sleep(self._chance.uniform(0.0, 2.0))
            if kind == AGGREGATOR:
                self._rig.kill(await self._rig.process("aggregator"))
                await asyncio.sleep(self._chance.choice((0.0, 0.5)))
            elif kind == RUN:
                self._kill_run()
            elif kind in {FULL, FULL_AND_KILLED}:
                await self._fill(program, kill=kind == FULL_AND_KILLED)
            conversions = self._conversions(program) if kind == CONVERSION else []
            program.process.kill()
            program.join()
            for conversion in conversions:
                with contextlib.suppress(psutil.NoSuchProcess):
                    conversion.kill()
        if kind == RUN:
            self._rig.start_feed()
            await self._rig.ready()

    def _conversions(self, program: Program) -> list[psutil.Process]:
        """What turns its journal into files, once that has begun."""
        return wait_for("a conversion", lambda: psutil.Process(program.process.pid).children())

    def _kill_run(self) -> None:
        feed = self._rig.feed
        for pid in (feed.process.pid, *feed.remember_family()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        feed.join()

    async def _fill(self, program: Program, *, kill: bool) -> None:
        with self._no_room(program):
            await until(lambda: program.logged("recording_stopped"), "word of no room")
            await asyncio.sleep(FULL_S)
            assert len(program.logged("recording_stopped")) == 1
            if kill:
                program.process.kill()
                return
        await until(lambda: program.logged("recording_resumed"), "word of room")
        await goes_on(self.to, SYMBOLS)

    @contextlib.contextmanager
    def _no_room(self, program: Program) -> Iterator[None]:
        if self._own_disk:
            with kept_full(self._disk):
                yield
            return
        process = psutil.Process(program.process.pid)
        process.rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        yield
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    async def finish(self) -> dict[str, Any]:
        """Record to the end of the market; what the exchange says of it."""
        rig = self._rig
        with self.start() as program:
            await goes_on(self.to, SYMBOLS)
            verdict = await rig.settle()
            sent = await rig.sent()
            ends = {topic: counts["ranges"][-1][1] for topic, counts in sent.items() if counts["ranges"]}
            await until(
                lambda: all(last_ids(self.to).get(topic, -2) >= last for topic, last in ends.items()), "the end"
            )
            exchange = {"sent": sent, "books": await rig.ask("books"), "bars": await rig.exchange_bars(BARS)}
            program.stop()
            assert program.process.returncode == 0, "".join(program.raw)
        # What a subscriber that was there all the time says is the feed's; what only a recorder says is the recorder's.
        return exchange | {"onlooker": verdict["broken_rules"]}


def judge(found: dict[str, list[Row]], exchange: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The recorded rows against the exchange's own count, books and bars."""
    ledger = Ledger()
    for topic, its in found.items():
        for row in its:
            if isinstance(row.of, Loss):
                ledger.lose(topic, row.of.first_id, row.of.last_id, row.of.last_sequence - row.of.first_sequence + 1)
            elif isinstance(row.of, Event) and row.sequence is not None:
                ledger.take(topic, row.of)
    return {
        "rows": sum(map(len, found.values())),
        "trades": compare_chains(ledger, exchange["sent"]),
        "books": compare_books(ledger, exchange["books"]),
        "bars": compare_bars(ledger, exchange["bars"], prefix),
        "broken_rules": ledger.broken_rules(),
    }


def as_replayed(found: list[Row]) -> list[Event]:
    """What a replay publishes of the rows of one topic."""
    events: list[Event] = []
    for row in found:
        if (
            isinstance(row.of, BookSnapshot)
            and row.sequence is not None
            and events
            and events[-1].last_id < row.of.last_id
        ):
            events.append(Gap(events[-1].last_id + 1, row.of.last_id, LOST, row.of.received_ns))
        if isinstance(row.of, Loss):
            if row.of.first_id is not None and row.of.last_id is not None:
                events.append(Gap(row.of.first_id, row.of.last_id, LOST, row.of.at_ns))
        elif isinstance(row.of, Event) and row.sequence is not None:
            events.append(row.of)
    return events


def replayed_again(first: Path, second: Path, prefix: str) -> list[str]:
    """Record a replay; the topics of which it has not the same rows."""
    publish = free_port()
    with recorder(second, publish, prefix) as taking:
        endpoint = ("--endpoint", f"tcp://127.0.0.1:{publish}", "--log-format", "json")
        with Program("replay", str(first), "--speed", "max", *endpoint) as program:
            program.process.wait()
            program.join()
            assert program.process.returncode == 0, "".join(program.raw)
        wait_for("the feed's silence", lambda: taking.logged("feed_silent"))
        taking.stop()
        assert taking.process.returncode == 0, "".join(taking.raw)
    one = {topic: as_replayed(its) for topic, its in rows(first).items()}
    other = {topic: [row.of for row in its] for topic, its in rows(second).items()}
    return [
        f"{topic}: {len(its)} and {len(other.get(topic, []))} rows"
        for topic, its in one.items()
        if its != other.get(topic, [])
    ]


def strikes_of(kills: int, chance: random.Random) -> list[str]:
    """So many deaths of the recorder, and with what, in a random order."""
    rest = (CONVERSION, START, NOTHING)
    strikes = [*ALWAYS[:kills], *(rest[number % len(rest)] for number in range(kills - len(ALWAYS)))]
    chance.shuffle(strikes)
    return strikes


async def prove(strikes: Sequence[str], rate: float, chance: random.Random, place: Path, ring_s: float = 300.0) -> dict[str, Any]:  # fmt: skip
    """All of it; ``faults_of`` says what of it may not be."""
    begun_s = time.monotonic()
    with small_disk(place / "disk") as own_disk:
        ring = {"K2_REPLAY_RING_S": f"{ring_s:g}"}
        async with Rig(place, shards=SHARDS, symbols=SYMBOLS, rate=rate, kinds=KINDS, settings=ring) as rig:
            proof = Proof(rig, place / "disk", own_disk=own_disk, chance=chance)
            for kind in strikes:
                await proof.strike(kind)
                sys.stderr.write(f"{time.monotonic() - begun_s:.0f} s: {kind}\n")
            exchange = await proof.finish()
        kept = place / "recording"
        shutil.copytree(proof.to, kept)
    found = verify(kept)
    days = [day for topic in found.topics for day in topic.days.values()]
    result = judge(rows(kept), exchange, f"{rig.market.prefix}{BARS}.")
    return {
        "struck": proof.struck,
        "own_disk": own_disk,
        "seconds": round(time.monotonic() - begun_s),
        "verify": {name: sum(getattr(day, name) for day in days) for name in ("rows", "missing", "twice", "named", "losses", "restarts")},
        "wrong": wrong(found),
        **result,
        "broken_for_an_onlooker": exchange["onlooker"],
        "replayed_differently": replayed_again(kept, place / "again", rig.market.prefix),
        "wrong_again": wrong(verify(place / "again")),
    }  # fmt: skip


def faults_of(result: dict[str, Any]) -> list[str]:
    """What of it may not be."""
    trades, books, bars = result["trades"], result["books"], result["bars"]
    counts = {
        "trades neither there nor named": trades["lost"] - trades["named"], "trades silent": trades["silent"], "trades wrongly lost": trades["wrongly_lost"], "books different": books["different"],
        "bars missing": bars["missing"], "bars different": bars["different"],
    }  # fmt: skip
    lists = (result["wrong"], result["broken_rules"], result["replayed_differently"], result["wrong_again"])
    return [*(f"{word} {count}" for word, count in counts.items() if count), *(word for each in lists for word in each)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ring-s", type=float, default=300.0, help="how long the feed has what was missed")
    parser.add_argument("--keep", type=Path, help="where the recording is left")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="k2-hard-") as name:
        chance = random.Random(given.seed)
        strikes = strikes_of(given.kills, chance)
        result = asyncio.run(prove(strikes, given.rate, chance, Path(name), given.ring_s))
        if given.keep:
            shutil.copytree(Path(name, "recording"), given.keep)
    faults = faults_of(result)
    sys.stdout.write(json.dumps(result | {"faults": faults}, indent=1) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
