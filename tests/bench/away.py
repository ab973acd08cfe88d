"""What the disk ring costs: ``python -m tests.bench.away``.

A demonstration with a disk ring runs for a while; then a live reader measures from publication to its program in many short turns, with nobody else and beside readers
that read the whole ring again and again. Of the turns' percentiles the median counts: both are of one run, so that their ratio says something on a busy machine too. Then the CPU of the disk ring's process for
each batch that it wrote, and the bytes on the disk for each event.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psutil

from k2workers import Lost, MessageBatch, Subscriber
from tests.system.support import ROOT, demo, free_port

READER = """
import sys
from k2workers import Subscriber
publish, replay, disk = sys.argv[1:]
while True:
    with Subscriber(["binance."], publish, snapshot_endpoint=replay, books_endpoint=None, disk_ring_endpoint=disk, since=1) as subscriber:
        for item in subscriber.batches():
            if not subscriber._away.active and not subscriber._reassembly.ready:
                break
    print("read", flush=True)
"""


def percentile(values: list[int], share: float) -> float:
    """In microseconds."""
    return sorted(values)[int(len(values) * share)] / 1e3


def measured(subscriber: Subscriber, seconds: float) -> list[int]:
    """How late each batch reaches the program, in ns, for so long."""
    found, until_s = [], time.monotonic() + seconds
    for item in subscriber.batches():
        assert isinstance(item, MessageBatch | Lost)
        if isinstance(item, MessageBatch):
            found.append(time.time_ns() - item.publish_ns)
        if time.monotonic() >= until_s:
            break
    return found


@contextmanager
def catching_up(count: int, *endpoints: str) -> Iterator[None]:
    """Readers of the whole ring beside it."""
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, *endpoints], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None
            reader.stdout.readline()  # it has read the ring once, and goes on
        yield
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=4_000, help="events a second")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--turn-s", type=float, default=2.0)
    parser.add_argument("--readers", type=int, default=1)
    chosen = parser.parse_args()
    publish, replay, disk = free_port(), free_port(), free_port()
    endpoints = tuple(f"tcp://127.0.0.1:{port}" for port in (publish, replay, disk))
    flags = ["--demo-rate", str(chosen.rate), "--disk-ring-gb", "1", "--disk-ring-endpoint", endpoints[2]]
    with demo(*flags, publish=publish, replay=replay) as program:
        program.wait_ready()
        process = psutil.Process(program.pid_of("disk-ring"))

        def counts() -> tuple[float, float, float, float]:
            def total(name: str) -> float:
                return sum(program.metrics(name).values())

            cpu = process.cpu_times()
            return (
                cpu.user + cpu.system,
                total("k2_disk_ring_batches_total"),
                total("k2_disk_ring_bytes{"),
                total("k2_events_published_total"),
            )

        begun = counts()
        time.sleep(20.0)
        cpu_s, batches, size, events = (after - before for after, before in zip(counts(), begun, strict=True))
        alone: list[list[int]] = []
        beside: list[list[int]] = []
        with Subscriber(["binance."], endpoints[0], snapshot_endpoint=endpoints[1], books_endpoint=None) as subscriber:
            measured(subscriber, 2.0)
            for _ in range(chosen.turns):
                alone.append(measured(subscriber, chosen.turn_s))
                with catching_up(chosen.readers, *endpoints):
                    measured(subscriber, 1.0)
                    beside.append(measured(subscriber, chosen.turn_s))
                measured(subscriber, 1.0)
        given = sum(program.metrics("k2_disk_ring_given_bytes_total").values())
        program.stop()
    print(
        f"writing: {cpu_s / batches * 1e6:.1f} us of CPU a batch, {size / events:.0f} bytes on the disk an event, {events / batches:.1f} events a batch"
    )
    print(f"given to readers that catch up: {given / 1e6:.0f} MB")
    for share in (0.5, 0.99):
        one, two = (median(percentile(turn, share) for turn in turns) for turns in (alone, beside))
        print(
            f"p{share * 100:g}, median of {len(alone)} turns: {one:.0f} us alone, {two:.0f} us beside {chosen.readers}, ratio {two / one:.2f}"
        )


if __name__ == "__main__":
    main()
