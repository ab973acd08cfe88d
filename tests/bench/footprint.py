"""Owns the measurement of the whole tree: seconds to the first event outside, memory by process, growth by rotations.

What is measured is the real command against the exchange stand-in. The stand-in and the subscriber are processes of their own
and do not count; the parent and everything below it does. RSS counts a page in each process that has it, PSS its share.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import trustme
import zmq

from k2workers.processes import sharding
from tests.system.support import Program, demo, free_port, wait_for

SYMBOLS = 40
SLOW_RATE = 400.0
"""Events a second of all symbols: enough for an event of every stream within a moment, too few to fill caches and rings."""

REST_S = 5.0
"""How long after the start the memory is looked at."""

LIVE_KINDS = ("trade", "agg_trade", "book_ticker")
"""An order book's first event may come from REST; an event of these has come over a worker's connection."""

NOT_OURS = ("exchange", "witness")
"""Children that only --demo has."""

ROTATION_LIFETIME_S = 4.0

Memory = dict[str, dict[str, float]]


def start(shards: int, directory: Path, *, secure: bool, rest_s: float = REST_S) -> tuple[dict[str, float], Memory]:
    """One start of the command: (seconds to the first event and to an event of every shard, the memory at rest)."""
    of_server, of_feed = _certificates(directory) if secure else ((), ())
    tls = "s" if secure else ""
    port, publish, replay = free_port(), free_port(), free_port()
    exchange = Program(
        "simulate", "--port", str(port), "--symbols", str(SYMBOLS), "--rate", str(SLOW_RATE),
        *of_server,
    )  # fmt: skip
    with exchange, outside(f"tcp://127.0.0.1:{publish}") as subscriber:
        wait_for("the exchange listening", lambda: exchange.raw)
        begun_s = time.monotonic()
        feed = Program(
            "--shards", str(shards), "--symbols", "*", "--http-port", "0", "--log-format", "json",
            "--binance-rest-url", f"http{tls}://127.0.0.1:{port}", "--binance-websocket-url", f"ws{tls}://127.0.0.1:{port}",
            *of_feed,
            "--publish-endpoint", f"tcp://127.0.0.1:{publish}", "--snapshot-endpoint", f"tcp://127.0.0.1:{replay}",
        )  # fmt: skip
        with feed:
            seen_s = first_events(subscriber, shards)
            feed.wait_ready()
            time.sleep(rest_s)
            memory = memory_of(feed)
            feed.stop()
    return {"first_event_s": min(seen_s) - begun_s, "every_shard_s": max(seen_s) - begun_s}, memory


def _certificates(directory: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to tell the exchange, and the feed, so that they speak TLS."""
    authority = trustme.CA()
    bundle, chain = directory / "ca.pem", directory / "server.pem"
    authority.cert_pem.write_to_path(str(bundle))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
    return ("--tls-cert", str(chain), "--tls-key", str(chain)), ("--binance-ca-bundle", str(bundle))


@contextlib.contextmanager
def outside(endpoint: str) -> Iterator[zmq.Socket[bytes]]:
    """A subscriber as any program could be, waiting for the feed before it starts."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 10)
        socket.setsockopt(zmq.RCVTIMEO, 60_000)
        for kind in LIVE_KINDS:
            socket.subscribe(f"binance.{kind}.")
        socket.connect(endpoint)
        yield socket


def first_events(subscriber: zmq.Socket[bytes], shards: int) -> list[float]:
    """When (monotonic seconds) the first event of each shard came."""
    seen_s: dict[str, float] = {}
    while len(seen_s) < SYMBOLS:
        symbol = subscriber.recv().partition(b" ")[0].decode().rpartition(".")[2]
        seen_s.setdefault(symbol, time.monotonic())
    assigned = sharding.assign(list(seen_s), shards, streams_per_symbol=4, streams_per_connection=1024)
    return [min(seen_s[symbol] for symbol in symbols) for symbols in assigned if symbols]


def memory_of(feed: Program) -> Memory:
    """RSS and PSS in MB of the parent and of everything below it, by name."""
    name_of = {int(state["pid"]): name for name, state in feed.status()["children"].items()}
    parent = psutil.Process(feed.process.pid)
    found: Memory = {"parent": _memory(parent)}
    for process in parent.children(recursive=True):
        name = name_of.get(process.pid) or helper(process)
        if name not in NOT_OURS:
            found[name] = _memory(process)
    return dict(sorted(found.items()))


def helper(process: psutil.Process) -> str:
    """What a process is there for that is no child of ours with a name."""
    line = " ".join(process.cmdline())
    return next((name for name in ("resource_tracker", "forkserver") if name in line), f"pid {process.pid}")


def _memory(process: psutil.Process) -> dict[str, float]:
    rows = (line.split() for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:])
    kb_of = {row[0]: int(row[1]) for row in rows}
    return {"rss_mb": kb_of["Rss:"] * 1024 / 1e6, "pss_mb": kb_of["Pss:"] * 1024 / 1e6}


def rotate(shards: int, rotations: int) -> dict[str, Any]:
    """The memory before and after so many rotations, against the embedded exchange: only there are short lifetimes allowed."""
    arguments = ("--rotation-lifetime", f"{ROTATION_LIFETIME_S:g}", "--demo-rate", f"{SLOW_RATE:g}")
    with demo(*arguments, shards=shards) as feed:
        feed.wait_ready()
        # The first rotations of each shard pay for what every later one uses again.
        warm = _wait_rotations(feed, 3 * shards)
        before, begun_s = memory_of(feed), time.monotonic()
        done = _wait_rotations(feed, warm + rotations) - warm
        after, seconds = memory_of(feed), time.monotonic() - begun_s
        ring_mb = sum(feed.metrics("k2_replay_ring_bytes").values()) / 1e6
        feed.stop()
    growth = {name: 1e3 * (figures["rss_mb"] - before[name]["rss_mb"]) / done for name, figures in after.items()}
    return {
        "rotations": done,
        "seconds": seconds,
        "before": before,
        "after": after,
        "sum_before": summed(before),
        "sum_after": summed(after),
        "replay_ring_mb": ring_mb,
        "rss_kb_a_rotation": {**growth, "sum": sum(growth.values())},
    }


def _wait_rotations(feed: Program, wanted: int) -> int:
    while (done := int(feed.status()["rotations"])) < wanted:
        time.sleep(0.5)
    return done


def summed(memory: Memory) -> dict[str, float]:
    """Both figures over all processes."""
    return {key: sum(figures[key] for figures in memory.values()) for key in ("rss_mb", "pss_mb")}


def run(shards: int, starts: int, rotations: int, directory: Path, *, secure: bool) -> dict[str, Any]:
    """All of it. The first start does not count: it compiles modules and warms the file cache."""
    # Where bytecode files are forbidden every process compiles every module, which is no user's case.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = [start(shards, directory, secure=secure) for _ in range(starts + 1)][1:]
    memory = runs[-1][1]
    return {
        "shards": shards,
        "tls": secure,
        **{key: statistics.median(seconds[key] for seconds, _ in runs) for key in runs[0][0]},
        "starts": [seconds for seconds, _ in runs],
        "at_rest": memory,
        "sum": summed(memory),
        "rotated": rotate(shards, rotations) if rotations else None,
    }
