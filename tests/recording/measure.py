"""What the recorder costs: ``python -m tests.recording.measure [ROWS]`` publishes more than it can take, and tells its CPU a row, and what a row takes on the disk, also after its files
were merged.

The publisher refuses what the recorder has no room for, so that nothing is lost and the recorder is always busy. The CPU is the recorder's own process; that of the conversion is told apart.
"""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import zmq

from k2workers import wire
from k2workers.continuity import RECORDS, Continuity
from k2workers.events import DepthUpdate, Event, Heartbeat, Trade
from k2workers.recording import layout
from k2workers.recording.compaction import Compacted
from k2workers.recording.conversion import convert
from k2workers.recording.journal_records import BATCH
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from tests.recording.recorded import reached, recorder
from tests.recording.support import LATEST, TRADES, journal_in
from tests.system.support import PROGRAM, Program, free_port

TOPICS = 50
LEVELS = 12
"""Of each side of a change of a book."""

HOURS = 24
BEAT_S = 0.25
CASES = (("trade", 1), ("trade", 10), ("trade", 50), ("depth", 1))


def event_of(kind: str, number: int, chance: random.Random, now_ns: int) -> Event:
    price, quantity = (
        f"{61_000 + chance.randrange(1_000)}.{chance.randrange(100):02}000000",
        f"0.{chance.randrange(10**5):05}000",
    )
    if kind == "trade":
        return Trade(number, price, quantity, chance.random() < 0.5, now_ns, now_ns, now_ns + number * 1_000)
    side = [(f"{61_000 + chance.randrange(1_000)}.50000000", quantity) for _ in range(LEVELS)]
    return DepthUpdate(number, number, side, side, now_ns, now_ns + number * 1_000)


def frames(kind: str, count: int, together: int) -> Iterator[bytes]:
    chance, now_ns = random.Random(1), time.time_ns()
    continuity: Continuity = TRADES if kind == "trade" else LATEST  # no book is asked for
    for batch in range(count // together):
        first, topic = batch // TOPICS * together + 1, batch % TOPICS
        events = [event_of(kind, number, chance, now_ns) for number in range(first, first + together)]
        made = wire.batch_of(f"binance.{kind}.S{topic}", events, continuity.number)
        yield wire.publication(made, epoch=1, sequence=batch // TOPICS + 1, publish_ns=now_ns)


class Source:
    """A publisher with heartbeats, which loses nothing."""

    def __init__(self, port: int) -> None:
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._publisher = Publisher(self._context, f"tcp://127.0.0.1:{port}", lossless=True, high_water_mark=1_000)
        self._server = ReplayServer(self._context, f"tcp://127.0.0.1:{port + 1}", ReplayRing(10_000_000, 10**12), 1)
        self._publisher.start()
        self._server.start()
        self._beats, self._beat_s = 0, 0.0

    def beat(self) -> None:
        if time.monotonic() - self._beat_s >= BEAT_S:
            self._beat_s, now_ns = time.monotonic(), time.time_ns()
            batch = wire.batch_of("heartbeat", [Heartbeat(now_ns)], RECORDS.number)
            frame = wire.publication(batch, epoch=1, sequence=self._beats + 1, publish_ns=now_ns)
            self._beats += self._publisher.offer(frame)
            self._publisher.look()

    async def send(self, kept: list[bytes]) -> None:
        while not any(b"heartbeat " in peer.topics for peer in self._publisher.watch.peers.values()):
            self.beat()
            await asyncio.sleep(0.01)
        for number, frame in enumerate(kept):
            while not self._publisher.offer(frame):
                await asyncio.sleep(0.001)
            if number % 100 == 0:
                self.beat()
                await asyncio.sleep(0)

    def close(self) -> None:
        self._server.close()
        self._publisher.close()
        self._context.term()


async def busy(program: Program, port: int, to: Path, kept: list[bytes], count: int) -> str:
    source, process, begun_s = Source(port), psutil.Process(program.process.pid), time.monotonic()
    before = process.cpu_times()
    await source.send(kept)
    while sum(at.last_id for at in reached(to).topics.values() if at.last_id > 0) < count:
        source.beat()
        await asyncio.sleep(0.05)
    after, taken_s = process.cpu_times(), time.monotonic() - begun_s
    source.close()
    cpu_s = after.user + after.system - before.user - before.system
    return f"{cpu_s / count * 1e6:.2f} µs CPU a row, {count / taken_s:,.0f} rows/s, {process.memory_info().rss / 1e6:.0f} MB"


def measure(kind: str, together: int, count: int) -> str:
    count -= count % (TOPICS * together)
    kept, port = list(frames(kind, count, together)), free_port()
    with tempfile.TemporaryDirectory() as place:
        to = Path(place)
        with recorder(to, port, "binance.") as program:
            told = asyncio.run(busy(program, port, to, kept, count))
            program.process.kill()
        made = journal_in(to)
        made.roll(made.position)
        begun = resource.getrusage(resource.RUSAGE_SELF)
        convert(to, made.number)
        ended = resource.getrusage(resource.RUSAGE_SELF)
        size = sum(path.stat().st_size for path in to.rglob("*.parquet"))
    cpu_s = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
    return f"{kind}, {together} a batch: {told}; conversion {cpu_s / count * 1e6:.2f} µs CPU a row, {size / count:.1f} bytes a row"


def merged(kind: str, count: int) -> str:
    """So many rows of one topic in hourly files of a day: what merging them costs and saves."""
    with tempfile.TemporaryDirectory() as place:
        to, chance, now_ns = Path(place), random.Random(1), time.time_ns()
        made, continuity = journal_in(to), TRADES if kind == "trade" else LATEST
        hour = -(-count // HOURS)
        for number in range(1, count + 1):
            batch = wire.batch_of(f"binance.{kind}.S", [event_of(kind, number, chance, now_ns)], continuity.number)
            made.append(BATCH, wire.publication(batch, epoch=1, sequence=number, publish_ns=now_ns))
            if number % hour == 0 or number == count:
                made.roll(made.position)
        convert(to, made.number)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [*PROGRAM, "compact", str(to), "--day", layout.day_of(now_ns), "--json"]
        found = msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Compacted)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"{kind}: {found.files} files of {found.bytes / count:.1f} bytes a row became {found.into} of {found.into_bytes / count:.1f}; "
        f"{cpu_s / count * 1e6:.2f} µs CPU a row with the start of the program, {after.ru_maxrss / 1e3:.0f} MB"
    )


if __name__ == "__main__":
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for kind, together in CASES:
        sys.stdout.write(measure(kind, together, rows if kind == "trade" else rows // 4) + "\n")
    for kind in ("trade", "depth"):
        sys.stdout.write(merged(kind, rows if kind == "trade" else rows // 4) + "\n")
