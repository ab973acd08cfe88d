"""Owns who is measured under a steady load: how each is started, which processes are its own, and how many events it has had."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgspec

from tests.bench import footprint
from tests.bench.frames import KINDS, symbols
from tests.bench.measuring import process
from tests.bench.peers.table import PEERS, UNICORN, Peer
from tests.bench.steady import cpu
from tests.bench.steady.exchange import Sending
from tests.support.waiting import wait_for
from tests.system.support import Program, free_port

ENDLESS = 10**15


@dataclass(frozen=True)
class Running:
    """One that reads: the names of its processes, by id, and how many events it has had (None: nobody counts)."""

    processes: Callable[[], dict[int, str]]
    events: Callable[[], int | None]


@dataclass(frozen=True)
class Contestant:
    """Who reads which kinds of which symbols; ``start`` is told the exchange's port."""

    name: str
    start: Callable[[int, Sending], contextlib.AbstractContextManager[Running]]
    kinds: tuple[str, ...] = tuple(KINDS)


def told(asked: subprocess.Popen[str]) -> int:
    """How many events a process says it has had."""
    asked.send_signal(signal.SIGUSR1)
    assert asked.stdout is not None
    return int(json.loads(asked.stdout.readline())["events"])


def wait_subscribed(port: int, sending: Sending) -> None:
    """Wait until the exchange has been asked for all that it sends."""
    streams = len(sending.kinds) * sending.symbols
    wait_for("all streams subscribed", lambda: ask(port, "/sent")["streams"] == streams)


def ask(port: int, path: str) -> dict[str, float]:
    """An answer of the exchange."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        found: dict[str, float] = json.load(answer)
    return found


@contextlib.contextmanager
def tree(shards: int, gather: str, port: int, sending: Sending) -> Iterator[Running]:
    """The real command, and a program that takes everything from it, which is no part of it."""
    publish, snapshot = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
    feed = Program(
        "--shards", str(shards), "--symbols", ",".join(symbols(sending.symbols)), "--streams", ",".join(sending.kinds),
        "--binance-rest-url", f"http://127.0.0.1:{port}", "--binance-websocket-url", f"ws://127.0.0.1:{port}",
        "--publish-endpoint", publish, "--snapshot-endpoint", snapshot, "--books-endpoint", f"tcp://127.0.0.1:{free_port()}",
        "--http-port", "0", "--log-format", "json", "--gather", gather,
    )  # fmt: skip
    with feed, process("tests.bench.steady.subscriber", publish, snapshot) as (_, subscriber):
        feed.wait_ready()
        names = _names(feed)
        yield Running(lambda: names | {subscriber.pid: "(subscriber)"}, lambda: told(subscriber))
        feed.stop()


def _names(feed: Program) -> dict[int, str]:
    children = {int(state["pid"]): name for name, state in feed.status()["children"].items()}
    parent, *below = cpu.family(feed.process.pid)
    return {parent.pid: "parent", **{each.pid: children.get(each.pid) or footprint.helper(each) for each in below}}


@contextlib.contextmanager
def peer(one: Peer, interpreter: Path, port: int, sending: Sending) -> Iterator[Running]:
    """Another library, told what to read."""
    kind, *others = sending.kinds
    asked = {
        "port": port, "kind": kind, "others": others, "symbols": symbols(sending.symbols), "events": ENDLESS, "way": one.way,
    }  # fmt: skip
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    script = str(Path(__file__).parents[1] / "peers" / one.script)
    with subprocess.Popen(
        [interpreter, script, json.dumps(asked)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:  # fmt: skip
        try:
            yield Running(lambda: {each.pid: "process" for each in cpu.family(running.pid)}, lambda: told(running))
        finally:
            running.kill()


@contextlib.contextmanager
def bare(port: int, sending: Sending) -> Iterator[Running]:
    """The least that a worker could be: reads the socket and pushes what it read, in a blocking loop."""
    streams = "/".join(
        f"{symbol.lower()}@{KINDS[kind]}" for kind in sending.kinds for symbol in symbols(sending.symbols)
    )
    with process("tests.bench.floor", "forward") as (endpoints, _):
        pull = endpoints.split()[0]
        with subprocess.Popen(
            [sys.executable, "-m", "tests.bench.floor", "relay", str(port), pull, streams]
        ) as running:
            try:
                yield Running(lambda: {running.pid: "process"}, lambda: None)
            finally:
                running.kill()


def ours(shards: Sequence[int], profiles: Sequence[str]) -> list[Contestant]:
    """The tree with so many shards each, in each profile of gathering, and the bare loop."""
    trees = [
        Contestant(
            f"tree, {count} shard{'s' * (count > 1)}{f', {profile}' * (profile != 'balanced')}",
            partial(tree, count, profile),
        )
        for count in shards
        for profile in profiles
    ]
    return [*trees, Contestant("bare read and push", bare)]


def theirs(wanted: Sequence[str], interpreter: Callable[[str], Path | str]) -> list[Contestant]:
    """Other libraries with one of these words in their names; one that cannot be installed is told and left out."""
    found = []
    for one in PEERS:
        if one.library not in {UNICORN, "cryptofeed"} or not any(part in one.name for part in wanted):
            continue
        where = interpreter(one.environment)
        if isinstance(where, str):
            sys.stderr.write(f"scripts/bench: {one.name}: {where}\n")
            continue
        # What the venue calls trades cryptofeed does not read, only aggregate ones.
        kinds = tuple(kind for kind in KINDS if one.library == UNICORN or kind != "trade")
        found.append(Contestant(one.name, partial(peer, one, where), kinds))
    return found


def order(port: int, sending: Sending) -> None:
    """Have the exchange send this from now on."""
    ask(port, f"/sending?as={quote(msgspec.json.encode(sending).decode())}")
