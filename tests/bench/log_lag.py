"""Owns the question whether somebody who does not read the log can be seen in the loop that logs: its lag beside the same with a reader that reads.

Run as a program it is the process that logs: ``python -m tests.bench.log_lag LINES_PER_S SECONDS``, with the figures on standard error.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time

import structlog

from k2workers import event_loop
from k2workers.logs import log, outlet
from tests.bench.floor import quantiles_us

READERS = {"reads": True, "stalls": False}

TURN_S = 0.01
"""So long the loop rests after each turn, in which it logs."""


def measure(reads: bool, lines_per_s: int, seconds: float) -> dict[str, float]:
    """Microseconds by which the turns of a process were too long that logged in each at debug level, and the lines that it had to drop.

    ``own`` is without the time for which the host let its loop wait for a processor: on a busy machine that is most of it.
    """
    command = [sys.executable, "-m", "tests.bench.log_lag", str(lines_per_s), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        reading = threading.Thread(target=running.stdout.read)
        if reads:
            reading.start()
        try:
            figures: dict[str, float] = json.loads(running.stderr.readline())
        finally:
            running.kill()
            if reads:
                reading.join()
    return figures


def _waited_ns(schedule: int) -> int:
    """For how long the host has let this thread wait for a processor so far (proc(5), schedstat)."""
    return int(os.pread(schedule, 64, 0).split()[1])


async def _log_on(lines_per_s: int, seconds: float) -> tuple[list[int], list[int]]:
    """By how much each turn was too long, in ns; and the same without the time for which the host let it wait."""
    logger, lags_ns, own_ns = structlog.get_logger(__name__), list[int](), list[int]()
    schedule = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    until_ns = time.monotonic_ns() + int(seconds * 1e9)
    while (begun_ns := time.monotonic_ns()) < until_ns:
        waited_ns = _waited_ns(schedule)
        for line in range(max(1, round(lines_per_s * TURN_S))):
            logger.debug("stall", line=line, text="as long as most lines of the feed are")
        await asyncio.sleep(TURN_S)
        lags_ns.append(time.monotonic_ns() - begun_ns - int(TURN_S * 1e9))
        own_ns.append(max(0, lags_ns[-1] - (_waited_ns(schedule) - waited_ns)))
    os.close(schedule)
    return lags_ns, own_ns


def main() -> None:
    """The process that logs."""
    outlet.take_over()
    log.configure("debug", "json", process="bench")
    lags_ns, own_ns = event_loop.run(_log_on(int(sys.argv[1]), float(sys.argv[2])))
    own = {f"own {name}": figure for name, figure in quantiles_us(own_ns).items()}
    figures = {**quantiles_us(lags_ns), **own, "turns": len(lags_ns), "dropped": outlet.dropped()}
    os.write(2, json.dumps(figures).encode() + b"\n")


if __name__ == "__main__":
    main()
