"""Owns single measured runs, each against a pump of its own, and how figures are told."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import trustme
from rich.console import Console
from rich.table import Table

from tests.bench.pump import Pumping
from tests.bench.readers import Reading

LIMIT_S = 120.0
"""How long one run may take."""


class RunFailedError(Exception):
    """A reader did not get to the end, or found that something was wrong; the text has its last words."""


class Certificate(NamedTuple):
    """Files for TLS: what the reader trusts, and the pump's key and chain. Empty without TLS."""

    bundle: str = ""
    chain: str = ""


@contextmanager
def certificate() -> Iterator[Certificate]:
    """One for 127.0.0.1."""
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        authority = trustme.CA()
        made = Certificate(f"{directory}/ca.pem", f"{directory}/server.pem")
        authority.cert_pem.write_to_path(made.bundle)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(made.chain)
        yield made


@contextmanager
def process(module: str, *args: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that says one line when it is ready: (that line, the process)."""
    # It is killed in the end, so what it leaves in files is cleared away here.
    with (
        tempfile.TemporaryDirectory(prefix="k2-bench-") as scratch,
        subprocess.Popen(
            [sys.executable, "-m", module, *args],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": scratch},
        ) as running,
    ):
        try:
            yield _line(running).strip(), running
        finally:
            running.kill()


def measure(way: str, pumping: Pumping, reading: Reading) -> dict[str, float]:
    """One run of one way. Raises ``RunFailedError``."""

    def command(port: int) -> list[str]:
        reading.port = port
        return [sys.executable, "-m", "tests.bench.readers", way, msgspec.json.encode(reading).decode()]

    return against_pump(pumping, command)


def against_pump(
    pumping: Pumping, command: Callable[[int], list[str]], environment: dict[str, str] | None = None
) -> dict[str, float]:
    """What the reader with this command line (of the pump's port) prints, and what its pump does.

    Raises ``RunFailedError``.
    """
    with process("tests.bench.pump", msgspec.json.encode(pumping).decode()) as (port, pump):
        try:
            found = subprocess.run(
                command(int(port)), env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise RunFailedError(f"not done after {LIMIT_S:.0f} s") from None
        if found.returncode:
            raise RunFailedError(found.stderr[-2_000:].strip())
        figures: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
        return {**figures, **_of_pump(pumping, pump)}


def _of_pump(pumping: Pumping, pump: subprocess.Popen[str]) -> dict[str, float]:
    """What a pump that has sent everything tells: its CPU time an event, or the rate it reached if it was to keep one."""
    found = json.loads(_line(pump))
    return {"reached_per_s": found["events_per_s"]} if pumping.rate else {"pump_us": found["us"]}


class Pipeline(NamedTuple):
    """One run of workers, the aggregator and subscribers. ``events`` are those of each shard, ``rate`` a second of each."""

    symbols: int
    events: int
    shards: int = 1
    subscribers: int = 1
    frames_a_write: int = 64
    rate: float = 0.0
    gather_us: int = 500

    def pumping(self, shard: int, *, stamped: bool = False) -> Pumping:
        """What the exchange sends to a shard."""
        return Pumping(
            symbols=self.symbols, events=self.events, frames_a_write=self.frames_a_write, rate=self.rate,
            shard=shard, shards=self.shards, stamped=stamped,
        )  # fmt: skip

    def reading(self, shard: int, endpoints: str, events: int) -> Reading:
        """What a process of it reads."""
        push, publish, snapshot = endpoints.split()
        return Reading(
            port=0, symbols=self.symbols, events=events, push=push, publish=publish, snapshot=snapshot, shard=shard,
            shards=self.shards, subscribers=self.subscribers, gather_us=self.gather_us,
        )  # fmt: skip


def measure_pipeline(run: Pipeline) -> dict[str, float]:
    """Microseconds of CPU an event, by kind of process; and how many events a second got through."""
    total = run.events * run.shards
    with process("tests.bench.readers", "aggregator", '{"port":0}') as (endpoints, aggregator):
        asked = msgspec.json.encode(run.reading(0, endpoints, total)).decode()
        with process("tests.bench.readers", "subscriber", asked) as (_, subscriber):
            before_s = _cpu_s(aggregator)
            with ThreadPoolExecutor(run.shards) as pool:
                workers = list(
                    pool.map(
                        lambda shard: measure("worker", run.pumping(shard), run.reading(shard, endpoints, run.events)),
                        range(run.shards),
                    )
                )
            received = json.loads(_line(subscriber))
            aggregator_us = 1e6 * (_cpu_s(aggregator) - before_s) / total
    worker_us = sum(worker["us"] for worker in workers) / run.shards
    return {
        "worker": worker_us,
        "aggregator": aggregator_us,
        "subscriber": received["us"],
        "whole": worker_us + aggregator_us + received["us"],
        "lost_batches": received["lost_batches"],
        "events_a_read": sum(worker["events_a_read"] for worker in workers) / run.shards,
        "events_per_s": received["events_per_s"] / run.subscribers,
        **({"reached_per_s": sum(worker["reached_per_s"] for worker in workers)} if run.rate else {}),
    }


def measure_latency(run: Pipeline) -> dict[str, float]:
    """Microseconds from the exchange's write to the subscriber, of the whole pipeline."""
    with ExitStack() as stack:
        endpoints, _ = stack.enter_context(process("tests.bench.readers", "aggregator", '{"port":0}'))
        asked = run.reading(0, endpoints, run.events)
        _, clock = stack.enter_context(process("tests.bench.readers", "clock", msgspec.json.encode(asked).decode()))
        worker = measure("worker", run.pumping(0, stamped=True), asked)
        return {**json.loads(_line(clock)), "reached_per_s": worker["reached_per_s"]}


def measure_floor(run: Pipeline) -> dict[str, float]:
    """The same with nothing on the way: one TCP hop and two of ZeroMQ."""
    pumping = run.pumping(0, stamped=True)
    with ExitStack() as stack:
        endpoints, _ = stack.enter_context(process("tests.bench.floor", "forward"))
        pull, publish = endpoints.split()
        _, clock = stack.enter_context(process("tests.bench.floor", "clock", publish, str(run.events)))
        port, pump = stack.enter_context(process("tests.bench.pump", msgspec.json.encode(pumping).decode()))
        with subprocess.Popen([sys.executable, "-m", "tests.bench.floor", "relay", port, pull]) as relay:
            try:
                return {**json.loads(_line(clock)), **_of_pump(pumping, pump)}
            finally:
                relay.kill()


def _line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline()


def _cpu_s(running: subprocess.Popen[str]) -> float:
    """CPU time of all its threads, to the nanosecond (proc(5), schedstat); what psutil tells is counted in ticks of 10 ms."""
    threads = Path(f"/proc/{running.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def machine() -> str:
    """What the figures are from."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )  # fmt: skip
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def tell(rows: list[dict[str, Any]], report: Path | None, *, title: str = "CPU an event (us)") -> None:
    """The table, for people; and everything as JSON. What is None was not had."""
    table = Table(title=f"{title}, median of interleaved runs; {machine()}")
    names = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name) for name in names} for row in rows]
    shown = [name for name in names if name != "runs_us" and any(row[name] != "" for row in rows)]
    for column in shown:
        numbers = all(isinstance(row[column], int | float | None) for row in rows)
        table.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in shown))
    Console(width=150).print(table)
    if report is not None:
        report.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n", encoding="utf-8")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
