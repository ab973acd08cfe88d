"""A feed that may have few files open, while very many peers connect and say nothing."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from k2workers import Message, Subscriber, Trade
from tests.support.venue import Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, feed, free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are looked at")

LIMIT = 256
PEERS = 250
"""To each of three ports."""

SOON_S = 20.0
"""ZeroMQ itself ends a connection that says nothing after 30 s."""


@contextlib.contextmanager
def limited(ulimit: str, *args: str, publish: int, replay: int) -> Iterator[Program]:
    command = ("bash", "-c", f'{ulimit}; exec "$@"', "bash")
    with (
        Venue(["AAAUSDT", "BBBUSDT"]) as venue,
        feed(venue, "--streams", "trade,depth", *args, publish=publish, replay=replay, command=command) as program,
    ):
        program.wait_ready()
        yield program
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)


@contextlib.contextmanager
def silent_peers(*ports: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for port in ports:
            for _ in range(PEERS):
                peer = stack.enter_context(socket.socket())
                peer.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    peer.connect(("127.0.0.1", port))
        yield


def test_silent_peers_cannot_take_the_files_that_the_feed_needs(tmp_path: Path) -> None:
    publish, replay = free_port(), free_port()
    checkpoint = tmp_path / "checkpoint"
    with limited(f"ulimit -n {LIMIT}", "--checkpoint", str(checkpoint), publish=publish, replay=replay) as program:
        (few,) = program.logged("few_files")
        assert few["limit"] == LIMIT
        books = wait_for("the books", lambda: program.logged("keeping_books"))[0]["endpoint"]
        aggregator = psutil.Process(program.pid_of("aggregator"))
        with silent_peers(publish, replay, int(books.rsplit(":", 1)[1])):
            wait_for(
                "those to be cut loose for whom there is no room",
                lambda: program.status()["subscribers"]["cut"] >= PEERS - few["peers_a_port"],
            )
            # What is cut loose is closed in a moment.
            wait_for("room", lambda: aggregator.num_fds() <= LIMIT - 50, SOON_S)
            before = wait_for("the first checkpoint", lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns)
            wait_for("a checkpoint", changed(checkpoint, before))
            with Subscriber(["binance.trade."], f"tcp://127.0.0.1:{publish}", books_endpoint=None) as subscriber:
                first = next(iter(subscriber))
                assert isinstance(first, Message)
                assert isinstance(first.event, Trade)
        children = program.status()["children"]
        assert {name: child["restarts"] for name, child in children.items()} == dict.fromkeys(children, 0)
        assert list(program.metrics("k2_metrics_not_kept").values()) == [0]


def changed(path: Path, before: int) -> Callable[[], bool]:
    return lambda: path.stat().st_mtime_ns != before


def test_a_soft_limit_is_raised_for_all_processes() -> None:
    publish, replay = free_port(), free_port()
    with limited(f"ulimit -Sn {LIMIT}", publish=publish, replay=replay) as program:
        _, hard = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)
        for name in ("aggregator", "books", "worker-0"):
            soft, _ = psutil.Process(program.pid_of(name)).rlimit(psutil.RLIMIT_NOFILE)
            assert soft == min(hard, 65_536)
        assert bool(program.logged("few_files")) == (soft < 1_000)
