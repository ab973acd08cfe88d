"""Troubles that are there from the start: a clock, a venue or a program that is not as it should be, each with a small feed of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import msgspec
import psutil

from tests.support.waiting import wait_for
from tests.system.support import Program, demo, free_port
from tests.system.test_duties import with_defect
from tests.system.test_logs import LITTLE_ROOM, rotating

SHIFTED = """
import time
real = time.time_ns
time.time_ns = lambda: real() + int({ahead_s} * 1e9)
from k2workers.cli import main
main()
"""
"""The exchange, with another clock than the feed's."""

FEW_CONNECTIONS = """
from k2workers.demo.demonstration import Demonstration
Demonstration.connects_per_window = 50
from k2workers.cli import main
main()
"""
"""A demonstration whose exchange allows 50 connection attempts in five minutes: the feed allows itself 20."""


class OwnFeed(msgspec.Struct, frozen=True):
    """``start`` gives the address to scrape; the alerts are those that must fire."""

    start: Callable[[], AbstractContextManager[str]]
    alerts: tuple[str, ...]


def _address(program: Program) -> str:
    started = wait_for("the HTTP address", lambda: program.logged("started"))[0]
    return str(started["http"]).removeprefix("http://")


@contextmanager
def _of(program: Program) -> Iterator[str]:
    with program:
        yield _address(program)


@contextmanager
def _clock(ahead_s: float) -> Iterator[str]:
    port = free_port()
    flags = ("simulate", "--port", str(port), "--symbols", "8", "--rate", "500")
    with contextlib.ExitStack() as stack:
        command = (sys.executable, "-c", SHIFTED.format(ahead_s=ahead_s))
        exchange = stack.enter_context(Program(*flags, command=command))
        wait_for("the exchange", lambda: exchange.raw)
        ports = [f"tcp://127.0.0.1:{free_port()}" for _ in range(3)]
        feed = Program(
            "--shards", "2", "--symbols", "*", "--http-port", "0", "--log-format", "json",
            "--binance-rest-url", f"http://127.0.0.1:{port}", "--binance-websocket-url", f"ws://127.0.0.1:{port}",
            "--publish-endpoint", ports[0], "--snapshot-endpoint", ports[1], "--books-endpoint", ports[2],
        )  # fmt: skip
        yield _address(stack.enter_context(feed))


@contextmanager
def _log_not_read() -> Iterator[str]:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, ours)
        stack.callback(os.close, theirs)
        program = stack.enter_context(rotating(output=theirs, command=(sys.executable, "-c", LITTLE_ROOM)))
        program.wait_ready()
        ended = threading.Event()

        def kill_books() -> None:
            while not ended.wait(3.0):
                child = program.status()["children"]["books"]
                if child["alive"]:
                    os.kill(child["pid"], signal.SIGKILL)  # of which the parent says more than it has room for

        killing = threading.Thread(target=kill_books)
        killing.start()
        try:
            yield program._url.removeprefix("http://")
        finally:
            ended.set()
            killing.join()


@contextmanager
def _ring_disk_is_full() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        keeps = ("--disk-ring-gb", "1", "--disk-ring-dir", folder)
        with demo(*keeps, "--disk-ring-endpoint", f"tcp://127.0.0.1:{free_port()}") as program:
            program.wait_ready()
            wait_for("something on the disk", lambda: program.status()["disk_ring"].get("bytes"))
            psutil.Process(program.pid_of("disk-ring")).rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
            yield _address(program)


OWN_FEEDS: Mapping[str, OwnFeed] = {
    "the exchange's clock is 2 s ahead": OwnFeed(lambda: _clock(2.0), ("K2ClockSkew",)),
    "the exchange's clock is 3 s behind": OwnFeed(lambda: _clock(-3.0), ("K2ReceiveLatencyHigh",)),
    "rotations need more connection attempts than there are": OwnFeed(
        lambda: _of(demo("--rotation-lifetime", "2", command=(sys.executable, "-c", FEW_CONNECTIONS))),
        ("K2ConnectsHigh", "K2RotationOverdue"),
    ),
    "a duty has a defect": OwnFeed(lambda: _of(with_defect("ResourceMeter.flush_venue")), ("K2DutyFailures",)),
    "there is no room for the disk ring": OwnFeed(_ring_disk_is_full, ("K2DiskRingNotWritten",)),
    "nobody reads the log, and there is room for little": OwnFeed(_log_not_read, ("K2LogLinesDropped",)),
}
"""By the name that the report shows."""
