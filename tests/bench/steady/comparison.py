"""Owns the measurement under a steady load: each contestant in turn, at each rate, for some seconds after it has warmed up."""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tests.bench.measuring import RunFailedError, process
from tests.bench.steady import contestants, cpu
from tests.bench.steady.contestants import Contestant
from tests.bench.steady.exchange import Sending

MISSING_SHARE, UNDER_WAY_S = 0.02, 0.5
"""Whose events differ from those sent by more than that share, and what may be under way as they are counted, has not had the load."""

Threads = dict[tuple[str, str], tuple[float, float]]


class Window(NamedTuple):
    """What one contestant took at one rate: percent of a core and wake-ups a second by process and thread; events a second it was sent."""

    threads: Threads
    sent_per_s: float
    had_per_s: float | None
    longest_late_s: float


def measure(one: Contestant, rates: Sequence[int], symbols: int, seconds: float, warm_s: float) -> dict[int, Window]:
    """One start of it, and each rate in turn. Raises ``RunFailedError`` if it did not get what was sent."""
    found = {}
    with process("tests.bench.steady.exchange") as (told, _):
        port, sending = int(told), Sending(kinds=one.kinds, symbols=symbols, rate=float(rates[0]))
        contestants.order(port, sending)
        with one.start(port, sending) as running:
            contestants.wait_subscribed(port, sending)
            time.sleep(warm_s)
            for rate in rates:
                contestants.order(port, msgspec.structs.replace(sending, rate=float(rate)))
                time.sleep(warm_s / 4)
                found[rate] = _window(running, port, seconds)
                had, sent = found[rate].had_per_s, found[rate].sent_per_s
                if had is not None and abs(had - sent) > sent * (MISSING_SHARE + UNDER_WAY_S / seconds):
                    raise RunFailedError(f"{one.name}: was sent {sent:.0f}/s and had {had:.0f}/s")
    return found


def _window(running: contestants.Running, port: int, seconds: float) -> Window:
    def look() -> tuple[int, float, float, float, cpu.Threads]:
        sent, had = contestants.ask(port, "/sent"), running.events()
        return had or 0, sent["events"], sent["longest_late_s"], time.perf_counter(), cpu.threads(running.processes())

    had_0, sent_0, _, begun_s, before = look()
    time.sleep(seconds)
    had_1, sent_1, late_s, ended_s, after = look()
    took_s = ended_s - begun_s
    had_per_s = (had_1 - had_0) / took_s if had_1 else None
    return Window(cpu.spent(before, after, took_s), (sent_1 - sent_0) / took_s, had_per_s, late_s)


def percent(window: Window) -> float:
    """Of one core, all its processes; not the program that takes its events."""
    return cpu.total(used for (name, _), used in window.threads.items() if not name.startswith("("))


def compare(
    each: Sequence[Contestant], rates: Sequence[int], symbols: int, rounds: int, seconds: float, warm_s: float
) -> dict[str, dict[int, list[Window]]]:
    """All windows of each contestant, by rate; none of one that failed, which is told."""
    found: dict[str, dict[int, list[Window]]] = defaultdict(lambda: defaultdict(list))
    failed = set[str]()
    for _, one in itertools.product(range(rounds), each):
        if one.name in failed:
            continue
        try:
            for rate, window in measure(one, rates, symbols, seconds, warm_s).items():
                found[one.name][rate].append(window)
        except RunFailedError as error:
            failed.add(one.name)
            found.pop(one.name, None)
            sys.stderr.write(f"scripts/bench: {error}\n")
    return found


def rows(found: dict[str, dict[int, list[Window]]], rates: Sequence[int]) -> list[dict[str, Any]]:
    """A row a rate: percent of one core of each, medians."""
    return [
        {
            "events/s": rate,
            **{name: statistics.median(map(percent, of_rates[rate])) for name, of_rates in found.items()},
        }
        for rate in rates
    ]


def by_thread(windows: Sequence[Window]) -> list[dict[str, Any]]:
    """A row for each kind of process and thread of one contestant that did something: medians. Workers are added up."""
    sums: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(lambda: [(0.0, 0.0)] * len(windows))
    for number, window in enumerate(windows):
        for (process_name, thread), (used, wakeups) in window.threads.items():
            kind = process_name.rpartition("-")[0] or process_name if process_name[-1:].isdigit() else process_name
            one, other = sums[kind, thread][number]
            sums[kind, thread][number] = (one + used, other + wakeups)
    return [
        {
            "process": name,
            "thread": thread,
            "% of a core": statistics.median(used for used, _ in each),
            "wake-ups/s": statistics.median(wakeups for _, wakeups in each),
        }
        for (name, thread), each in sorted(sums.items())
        if any(wakeups for _, wakeups in each)
    ]
