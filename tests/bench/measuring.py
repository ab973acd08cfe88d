"""Owns single measured runs, each against a pump of its own, and how figures are told."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
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
    with subprocess.Popen([sys.executable, "-m", module, *args], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip(), running
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
    """What the reader with this command line (of the pump's port) prints, and the pump's own CPU time an event.

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
        if not pumping.rate:  # else it has been waiting most of the time
            assert pump.stdout is not None
            figures["pump_us"] = json.loads(pump.stdout.readline())["us"]
        return figures


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


def tell(rows: list[dict[str, Any]], report: Path | None) -> None:
    """The table, for people; and everything as JSON. What is None was not had."""
    table = Table(title=f"CPU an event (us), median of interleaved runs; {machine()}")
    shown = [name for name in rows[0] if name != "runs_us" and any(row[name] != "" for row in rows)]
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
