"""The benchmark: CPU time an event, by way of reading, in one interleaved run. See ``scripts/bench --help``."""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import trustme
from cyclopts import App
from rich.console import Console
from rich.table import Table

from tests.bench import footprint as tree
from tests.bench.pump import Pumping
from tests.bench.readers import Reading

app = App(
    name="scripts/bench",
    help="What an event costs in CPU time, beside other ways of reading; what the running feed costs. All of it offline.",
)


@contextmanager
def process(module: str, *args: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that says one line when it is ready: (that line, the process)."""
    with subprocess.Popen([sys.executable, "-m", module, *args], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip(), running
        finally:
            running.kill()


def measure(way: str, pumping: Pumping, reading: Reading) -> dict[str, float]:
    """One run of one way against a pump of its own."""
    with process("tests.bench.pump", msgspec.json.encode(pumping).decode()) as (port, _):
        reading.port = int(port)
        found = subprocess.run(
            [sys.executable, "-m", "tests.bench.readers", way, msgspec.json.encode(reading).decode()],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if found.returncode:
            raise RuntimeError(f"{way} failed: {found.stderr[-2_000:]}")
        return dict(json.loads(found.stdout.splitlines()[-1]))


def measure_pipeline(symbol_count: int, events: int, frames_a_write: int) -> dict[str, float]:
    """One run of worker, aggregator and one subscriber; microseconds of CPU an event, by process."""
    reading = Reading(port=0, symbols=symbol_count, events=events)
    pumping = Pumping(symbols=symbol_count, events=events, frames_a_write=frames_a_write)
    with process("tests.bench.readers", "aggregator", '{"port":0}') as (endpoints, aggregator):
        reading.push, reading.publish, reading.snapshot = endpoints.split()
        with process("tests.bench.readers", "subscriber", msgspec.json.encode(reading).decode()) as (_, subscriber):
            before_s = _cpu_s(aggregator)
            worker = measure("worker", pumping, reading)
            assert subscriber.stdout is not None
            received = json.loads(subscriber.stdout.readline())
            aggregator_us = 1e6 * (_cpu_s(aggregator) - before_s) / events
    return {
        "worker": worker["us"],
        "aggregator": aggregator_us,
        "subscriber": received["us"],
        "whole": worker["us"] + aggregator_us + received["us"],
        "lost_batches": received["lost_batches"],
        "events_per_s": received["events_per_s"],
    }


def _cpu_s(running: subprocess.Popen[str]) -> float:
    times = psutil.Process(running.pid).cpu_times()
    return float(times.user + times.system)


def machine() -> str:
    """What the figures are from."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )  # fmt: skip
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


@app.command
def path(
    *,
    kind: list[str] | None = None,
    symbols: list[int] | None = None,
    events: int = 200_000,
    rounds: int = 5,
    way: list[str] | None = None,
    report: Path | None = None,
) -> int:
    """The worker's path alone: microseconds of CPU an event, over TCP and TLS, 1 and 64 frames a write.

    Parameters
    ----------
    kind
        Of trade, book_ticker, depth.
    symbols
        How many, evenly mixed.
    events
        How many a run.
    rounds
        Interleaved runs of each; the median counts.
    way
        Of worker (all of it), decode (without the push), websockets (that library's loop and json).
    report
        Write all figures to this JSON file.
    """
    kinds, counts, ways = kind or ["trade"], symbols or [1, 10, 100], way or ["worker", "decode", "websockets"]
    figures: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory, process("tests.bench.readers", "sink", '{"port":0}') as (
        endpoint,
        _,
    ):  # fmt: skip
        authority = trustme.CA()
        bundle, chain = Path(directory, "ca.pem"), Path(directory, "server.pem")
        authority.cert_pem.write_to_path(str(bundle))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
        cases = list(itertools.product(kinds, counts, ("TCP", "TLS"), (64, 1), ways))
        for _, case in itertools.product(range(rounds), cases):
            a_kind, count, layer, a_write, a_way = case
            secure = layer == "TLS"
            figures.setdefault(case, []).append(
                measure(
                    a_way,
                    Pumping(kind=a_kind, symbols=count, events=events, frames_a_write=a_write, certificate=str(chain) if secure else ""),
                    Reading(
                        port=0, kind=a_kind, symbols=count, events=events, push=endpoint,
                        ca_bundle=str(bundle) if secure else "",
                    ),
                )
            )  # fmt: skip
    rows = [
        {
            **dict(zip(("kind", "symbols", "layer", "frames_a_write", "way"), case, strict=True)),
            **{name: statistics.median(run[name] for run in runs) for name in runs[0]},
            "runs_us": [run["us"] for run in runs],
        }
        for case, runs in figures.items()
    ]
    tell(rows, report)
    return 0


@app.command
def load(
    *,
    rates: list[int] | None = None,
    seconds: float = 3.0,
    rounds: int = 3,
    symbols: int = 10,
    report: Path | None = None,
) -> int:
    """The worker's path at given rates of single messages: microseconds of CPU an event, with and without gathering.

    Parameters
    ----------
    rates
        Events a second.
    seconds
        How long each run takes.
    rounds
        Interleaved runs of each; the median counts.
    symbols
        How many, evenly mixed.
    report
        Write all figures to this JSON file.
    """
    figures: dict[tuple[int, int], list[dict[str, float]]] = {}
    with process("tests.bench.readers", "sink", '{"port":0}') as (endpoint, _):
        cases = list(itertools.product(rates or [1_000, 5_000, 20_000, 50_000], (0, 500)))
        for _, (rate, gather_us) in itertools.product(range(rounds), cases):
            events = int(rate * seconds)
            pumping = Pumping(symbols=symbols, events=events, frames_a_write=1, rate=rate)
            reading = Reading(port=0, symbols=symbols, events=events, push=endpoint, gather_us=gather_us)
            figures.setdefault((rate, gather_us), []).append(measure("worker", pumping, reading))
    rows = [
        {
            "rate": rate,
            "gather_us": gather_us,
            **{name: statistics.median(run[name] for run in runs) for name in runs[0]},
        }
        for (rate, gather_us), runs in figures.items()
    ]
    tell(rows, report)
    return 0


@app.command
def pipeline(
    *,
    symbols: list[int] | None = None,
    events: int = 500_000,
    rounds: int = 5,
    frames_a_write: int = 64,
    report: Path | None = None,
) -> int:
    """One worker, the aggregator and one decoding subscriber at saturation: microseconds of CPU an event, by process.

    Parameters
    ----------
    symbols
        How many, evenly mixed.
    events
        How many a run.
    rounds
        Interleaved runs of each; the median counts.
    frames_a_write
        How many frames the exchange sends at once.
    report
        Write all figures to this JSON file.
    """
    counts = symbols or [1, 10, 100, 500]
    figures: dict[int, list[dict[str, float]]] = {}
    for _, count in itertools.product(range(rounds), counts):
        figures.setdefault(count, []).append(measure_pipeline(count, events, frames_a_write))
    rows = [
        {"symbols": count, **{name: statistics.median(run[name] for run in runs) for name in runs[0]}}
        for count, runs in figures.items()
    ]
    tell(rows, report)
    return 0


@app.command
def footprint(
    *, shards: int = 8, starts: int = 3, rotations: int = 0, plain: bool = False, report: Path | None = None
) -> int:
    """The whole running feed: seconds from the command to the first event at a subscriber, memory by process.

    Parameters
    ----------
    shards
        How many workers.
    starts
        How many starts; the median of their seconds counts, the memory is that of the last.
    rotations
        Look at the memory again after so many rotations, four seconds of each connection (500 take five minutes).
    plain
        Without TLS, as a demonstration; the venue speaks TLS.
    report
        Write all figures to this JSON file.
    """
    with tempfile.TemporaryDirectory(prefix="k2-bench-") as directory:
        found = tree.run(shards, starts, rotations, Path(directory), secure=not plain)
    rotated = found["rotated"] or {}
    grown = rotated.get("rss_kb_a_rotation", {})
    layer = "TLS" if found["tls"] else "plain"
    table = Table()
    table.add_column("process")
    for column in ("RSS MB", "PSS MB", *([f"RSS kB a rotation ({rotated['rotations']})"] if rotated else [])):
        table.add_column(column, justify="right")
    for name, figures in {**found["at_rest"], "sum": found["sum"]}.items():
        growth = [f"{grown[name]:.2f}"] if name in grown else []
        table.add_row(name, f"{figures['rss_mb']:.1f}", f"{figures['pss_mb']:.1f}", *growth)
    console = Console(width=130)
    console.print(f"{shards} shards, {layer}; {machine()}")
    console.print(
        f"first event after {found['first_event_s']:.2f} s, of every shard after {found['every_shard_s']:.2f} s"
    )
    console.print(table)
    if report is not None:
        report.write_text(json.dumps({"machine": machine(), **found}, indent=2) + "\n", encoding="utf-8")
    return 0


def tell(rows: list[dict[str, Any]], report: Path | None) -> None:
    """The table, for people; and everything as JSON."""
    table = Table(title=f"CPU an event (us), median of interleaved runs; {machine()}")
    shown = [name for name in rows[0] if name != "runs_us"]
    for column in shown:
        table.add_column(column, justify="right" if isinstance(rows[0][column], int | float) else "left")
    for row in rows:
        table.add_row(*(f"{row[name]:.2f}" if isinstance(row[name], float) else str(row[name]) for name in shown))
    Console(width=130).print(table)
    if report is not None:
        report.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(app())
