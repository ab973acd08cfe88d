"""Owns the reading of CPU time and wake-ups, thread by thread, of processes that run (proc(5))."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil


class Used(NamedTuple):
    """CPU time, to the nanosecond (what psutil tells is counted in ticks of 10 ms), and how often it waited: each time it was woken."""

    cpu_ns: int
    wakeups: int


Threads = dict[tuple[str, str, int], Used]
"""By the names of process and thread, and the thread's id."""


def family(pid: int) -> list[psutil.Process]:
    """A process and everything below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def threads(processes: Mapping[int, str]) -> Threads:
    """Of the processes with these ids and names. A thread that ends meanwhile is not counted."""
    found: Threads = {}
    for pid, process in processes.items():
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                name = "main" if task.name == str(pid) else (task / "comm").read_text().strip()
                cpu_ns = int((task / "schedstat").read_text().split()[0])
                status = (task / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            waits = int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
            found[process, name, int(task.name)] = Used(cpu_ns, waits)
    return found


def spent(before: Threads, after: Threads, seconds: float) -> dict[tuple[str, str], tuple[float, float]]:
    """Percent of one core and wake-ups a second, by process and kind of thread."""
    percent, wakeups = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for thread, used in after.items():
        begun = before.get(thread, Used(0, 0))
        percent[thread[:2]] += (used.cpu_ns - begun.cpu_ns) / seconds / 1e7  # type: ignore[assignment]
        wakeups[thread[:2]] += (used.wakeups - begun.wakeups) / seconds  # type: ignore[assignment]
    return {name: (percent[name], wakeups[name]) for name in percent}


def total(spent_by: Iterable[tuple[float, float]]) -> float:
    """Percent of one core of all of them."""
    return sum(percent for percent, _ in spent_by)
