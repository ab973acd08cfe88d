"""Owns what the parent measures: memory and CPU of every process, event rates, and the parent's own metrics."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping

import msgspec
import psutil
from prometheus_client import CollectorRegistry

from k2workers import __version__, every
from k2workers.logs import outlet
from k2workers.metrics import metric_files
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import PARENT
from k2workers.network.venue_answers import Service
from k2workers.supervision.control_messages import BEAT_FRESH_S
from k2workers.supervision.permissions import Permissions

TOLD_NS = int(BEAT_FRESH_S * 1e9)
"""A total that was told longer ago says nothing of how it grows now."""


class Usage(msgspec.Struct, frozen=True):
    """What a process used when last looked at."""

    rss_bytes: int = 0
    cpu_s: float = 0.0
    pid: int = 0


class ResourceMeter:
    """Looks at processes by name; ``measure`` about once a second."""

    def __init__(self, environment: str) -> None:
        self._instruments = Instruments(PARENT, environment=environment, component="parent")
        self._usage: dict[str, Usage] = {}
        self._cpu_before_s: dict[str, float] = {}
        """What the earlier lives of a process used."""
        self._counts: dict[str, tuple[int, float]] = {}
        self._rates: dict[str, float] = {}

    @property
    def only_here(self) -> CollectorRegistry | None:
        """The parent's metrics, if no file can hold them."""
        return self._instruments.only_here

    def flush_not_kept(self, pids: Iterable[int]) -> None:
        """Bring the metric up to date that tells of how many processes, of these and this one, the metrics are in no file."""
        metric_files.bury_all()
        missing = sum(not metric_files.of(pid) for pid in pids) + (self.only_here is not None)
        self._instruments.flush({"k2_metrics_not_kept": missing})

    def measure(self, pids: Mapping[str, int]) -> None:
        """Read memory and CPU of these processes; one that has just ended keeps its last reading."""
        for name, pid in pids.items():
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    usage = Usage(process.memory_info().rss, round(times.user + times.system, 3), pid)
            except psutil.Error:
                continue
            before = self.of(name)
            if before.pid != pid:
                self._cpu_before_s[name] = self._cpu_before_s.get(name, 0.0) + before.cpu_s
            self._usage[name] = usage

    def of(self, name: str) -> Usage:
        """The last reading of a process."""
        return self._usage.get(name, Usage())

    def count(self, name: str, total: float, at_ns: int) -> None:
        """Note a rising total that was told at this time (monotonic); ``rate`` is then its growth a second. A total that fell has begun anew.

        The time is the teller's: between two looks of ours it may have told twice, or not at all.
        """
        before_ns, before = self._counts.get(name, (at_ns, total))
        if at_ns > before_ns:
            self._rates[name] = round(max(0.0, total - before) / ((at_ns - before_ns) / 1e9), 1)
        self._counts[name] = (at_ns, total)

    def rate(self, name: str) -> float:
        """Growth a second between the last two times that it was told; nothing if that is long ago."""
        told_ns, _ = self._counts.get(name, (0, 0.0))
        return self._rates.get(name, 0.0) if time.monotonic_ns() - told_ns <= TOLD_NS else 0.0

    def flush_readiness(self, unready: Mapping[str, int]) -> None:
        """Bring the metrics of readiness up to date: how much of each reason holds."""
        self._instruments.flush({"k2_ready": float(not any(unready.values())), "k2_unready": unready})

    def cpu_s(self, name: str) -> float:
        """CPU time of all lives of a process, each as it was last seen."""
        return self._cpu_before_s.get(name, 0.0) + self.of(name).cpu_s

    def flush(self, restarts: Mapping[str, int], rotations_overlapped: int) -> None:
        """Bring the parent's metrics of processes up to date."""
        self._instruments.flush(
            {
                "k2_build_info": {(__version__, platform.python_version()): 1.0},
                "k2_rotations_overlapped": rotations_overlapped,
                "k2_process_resident_memory_bytes": {n: u.rss_bytes for n, u in self._usage.items()},
                "k2_process_cpu_seconds": {n: self.cpu_s(n) for n in self._usage},
                "k2_child_restarts": restarts,
                "k2_duty_failures": every.failures,
                "k2_log_lines_dropped": outlet.dropped(),
            }
        )

    def flush_venue(
        self, venue: str, permissions: Permissions, market_looks: Mapping[str, int], symbols: Mapping[str, int]
    ) -> None:
        """Bring the parent's metrics of one venue up to date."""
        now_ns, budget, weight, gate = time.monotonic_ns(), permissions.budget, permissions.weight, permissions.gate
        self._instruments.flush(
            {
                "k2_symbols": symbols,
                "k2_connect_grants_in_window": budget.granted_in_window(now_ns),
                "k2_connect_grants_limit": budget.policy.limit,
                "k2_connect_grants_waiting": budget.waiting,
                "k2_connects_alone": budget.alone,
                "k2_connect_refusals": gate.refusals(Service.CONNECT),
                "k2_rest_weight_used": weight.used(now_ns),
                "k2_rest_weight_limit": weight.limit,
                "k2_market_looks": market_looks,
                "k2_rest_refusals": gate.refusals(Service.REST),
                "k2_venue_paused_seconds": {s.value: gate.paused_ns(s, now_ns) / 1e9 for s in Service},
                "k2_venue_refusal_status": {s.value: gate.status(s) for s in Service},
            },
            exchange=venue,
        )
