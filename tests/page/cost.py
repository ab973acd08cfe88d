"""``python -m tests.page.cost``: what the status page costs a feed of eight shards: the CPU of the parent without and with three viewers, in turns, in one run.

A viewer reads the live stream as a browser does, and every other second searches for topics with ``--search``. With ``--top`` one ``k2workers top`` on a terminal looks instead.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator

import psutil

from tests.support.screen import Terminal
from tests.support.waiting import WAIT_S
from tests.system.support import Program, demo

VIEWERS, TURNS, TURN_S = 3, 6, 20.0


@contextlib.contextmanager
def looked_at(url: str, searches: bool) -> Iterator[list[int]]:
    """Three viewers; how many bytes each was sent."""
    ended, sent = threading.Event(), [0] * VIEWERS

    def look(number: int) -> None:
        with urllib.request.urlopen(f"{url}/events", timeout=WAIT_S) as stream:
            searched_s = time.monotonic()
            while not ended.is_set():
                sent[number] += len(stream.readline())
                if searches and time.monotonic() - searched_s > 2:
                    searched_s = time.monotonic()
                    urllib.request.urlopen(f"{url}/topics?search=trade", timeout=WAIT_S).read()

    threads = [threading.Thread(target=look, args=(number,)) for number in range(VIEWERS)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        ended.set()
        for thread in threads:
            thread.join(WAIT_S)


@contextlib.contextmanager
def topped(url: str) -> Iterator[list[int]]:
    """One ``top``; what it is sent is not counted."""
    with Terminal(columns=120, rows=40) as terminal:
        terminal.read_on()
        with Program("top", "--url", url, output=terminal.theirs, keys=terminal.theirs, TERM="xterm"):
            time.sleep(2)
            yield [0]


def cpu_of(process: psutil.Process, seconds: float) -> float:
    """The share of a core that it used, in percent."""
    before, begun_s = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - begun_s)


def measure(program: Program, *, searches: bool, top: bool) -> None:
    """Print what was measured."""
    parent = psutil.Process(program.process.pid)
    aggregator = psutil.Process(program.pid_of("aggregator"))
    url = program.logged("started")[0]["http"]
    without, with_them = [], []
    for _ in range(TURNS):
        without.append(cpu_of(parent, TURN_S))
        with topped(url) if top else looked_at(url, searches) as sent:
            time.sleep(1)
            begun = sum(sent)
            with_them.append(cpu_of(parent, TURN_S))
            a_second = (sum(sent) - begun) / TURN_S / VIEWERS
    print(f"aggregator now {cpu_of(aggregator, 2.0):.1f} %, {psutil.getloadavg()[0]:.0f} processes want to run")
    rise = [after - before for before, after in zip(without, with_them, strict=True)]
    print(f"parent without viewers: {statistics.median(without):.2f} % of a core {[round(one, 2) for one in without]}")
    print(
        f"with {'one top' if top else VIEWERS}: {statistics.median(with_them):.2f} % {[round(one, 2) for one in with_them]}"
    )
    sent_each = "" if top else f"; each was sent {a_second:,.0f} bytes a second"
    print(f"they cost {statistics.median(rise):.2f} % of a core (median of {TURNS} turns of {TURN_S:g} s){sent_each}")


if __name__ == "__main__":
    with demo(shards=8) as running:
        running.wait_ready()
        measure(running, searches="--search" in sys.argv, top="--top" in sys.argv)
