"""What a replay costs: ``python -m tests.recording.measure_replay [ROWS]`` publishes recordings as fast as one subscriber takes batches, and tells events a second and the CPU of both.

The recordings are of trades: evenly mixed over the topics, and in bursts of one topic, as most come; then book changes. The CPU a row is that of all threads of the program, from when it waits for
the subscriber to its end, and of all of the subscriber, which looks at each batch and no more. How busy the machine was is told by what both together could have of it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from k2workers import Event, Lost, Subscriber, wire
from k2workers.recording.conversion import convert
from k2workers.recording.journal_records import BATCH
from tests.recording.measure import event_of
from tests.recording.support import LATEST, NOON_NS, TRADES, journal_in
from tests.support.waiting import wait_for
from tests.system.support import Program, free_port

CASES = (("trade", 1, 1), ("trade", 40, 1), ("trade", 40, 10), ("trade", 400, 1), ("depth", 40, 1))
"""Kind, topics, and how many events of one topic come together."""

RECORDED_A_S = 20_000


def make(to: Path, kind: str, topics: int, together: int, count: int) -> int:
    """A recording of about so many rows; how many they are."""
    made, chance, per_topic = journal_in(to), random.Random(1), [0] * topics
    continuity = TRADES if kind == "trade" else LATEST  # no book is kept
    done = 0
    while done < count:
        topic = chance.randrange(topics)
        first = per_topic[topic] + 1
        per_topic[topic] += together
        events = [at_its_time(event_of(kind, first + each, chance, NOON_NS), done + each) for each in range(together)]
        batch = wire.batch_of(f"binance.{kind}.S{topic}", events, continuity.number)
        made.append(BATCH, wire.publication(batch, epoch=1, sequence=first, publish_ns=NOON_NS))
        done += together
    made.roll(b"")
    convert(to, made.number)
    return done


def at_its_time(event: Event, number: int) -> Event:
    return msgspec.structs.replace(event, received_ns=NOON_NS + number * 10**9 // RECORDED_A_S)


def taken(publish: int) -> Iterator[int]:
    """How many events each batch has, until the replay's end."""
    with Subscriber(["binance.", "status."], f"tcp://127.0.0.1:{publish}", high_water_mark=1_000) as subscriber:
        for batch in subscriber.batches():
            assert not isinstance(batch, Lost), batch
            if batch.topic != "status.replay":
                yield len(batch.events)
            elif batch.events[-1].data["ended"]:  # type: ignore[attr-defined]
                return


def measure(kind: str, topics: int, together: int, count: int, *args: str) -> str:
    with tempfile.TemporaryDirectory(prefix="k2-replay-") as place:
        to, publish = Path(place), free_port()
        count = make(to, kind, topics, together, count)
        endpoint = ("--endpoint", f"tcp://127.0.0.1:{publish}", "--log-format", "json")
        with Program("replay", place, "--speed", "max", *endpoint, *args) as program:
            wait_for("the replay", lambda: program.logged("replaying"))
            process = psutil.Process(program.process.pid)
            before, own, begun_s = process.cpu_times(), time.process_time(), 0.0
            events = batches = 0
            for size in taken(publish):
                begun_s = begun_s or time.monotonic()
                events, batches = events + size, batches + 1
            took_s, after, own = time.monotonic() - begun_s, process.cpu_times(), time.process_time() - own
            assert events == count, (events, count)
            program.join()
    cpu_s = after.user + after.system - before.user - before.system
    return (
        f"{kind}, {topics} topics, {together} together: {count / took_s:,.0f} events/s, {count / batches:.1f} a batch; CPU an event: replay "
        f"{cpu_s / count * 1e6:.2f} µs, subscriber {own / count * 1e6:.2f} µs; both had {(cpu_s + own) / took_s:.2f} of {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--topics", type=int, help="only trades of so many topics")
    parser.add_argument("--together", type=int, default=1)
    given, rest = parser.parse_known_args()
    cases = (("trade", given.topics, given.together),) if given.topics else CASES
    for kind, topics, together in cases:
        rows = given.rows if kind == "trade" else given.rows // 10
        sys.stdout.write(measure(kind, topics, together, rows, *rest) + "\n")
        sys.stdout.flush()
