"""Owns how a process hands over its totals: to its instruments, and through them to the files that the endpoint reads.

The hot paths count in plain ints and hand over totals about once a second: in multiprocess mode each ``inc`` is a lock
and a write to a mapped file. PROMETHEUS_MULTIPROC_DIR must be set before instruments are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k2workers.metrics.instruments import BASE_LABELS, MetricRow
from k2workers.metrics.latency import LATENCY_BOUNDS_NS, LatencyHistogram
from k2workers.metrics.metric_files import OwnFiles

SERVICE = "k2-binance-stream"

LabelValues = str | tuple[str, ...]
Totals = Mapping[str, float | Mapping[Any, float] | LatencyHistogram]


class Instruments:
    """The instruments of one process. ``flush`` takes totals since the process started."""

    def __init__(
        self,
        rows: Mapping[str, MetricRow],
        *,
        environment: str,
        component: str,
        exchange: str = "",
        shard: str = "",
    ) -> None:
        self._environment, self._component, self._exchange, self._shard = environment, component, exchange, shard
        self._rows = rows
        self._files = OwnFiles()
        self._look_at_files()

    @property
    def only_here(self) -> CollectorRegistry | None:
        """The metrics, if no file can hold them: then only this process can show them."""
        return None if self._files.kept else self._registry

    def _look_at_files(self) -> None:
        if self._files.renew():
            self._begin()

    def _begin(self) -> None:
        self._registry = CollectorRegistry()
        self._flushed: dict[tuple[str, str, LabelValues], float] = {}
        self._flushed_buckets: dict[str, list[int]] = {}
        self._metrics: dict[str, Any] = {
            name: self._make(name, row, self._registry) for name, row in self._rows.items()
        }

    @staticmethod
    def _make(name: str, row: MetricRow, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
        labels = (*BASE_LABELS, *row.labels)
        if row.type is Gauge:
            # Of one label set only the newest writer counts, and a dead process' value goes with it.
            return Gauge(name, row.help, labels, registry=registry, multiprocess_mode="livemostrecent")
        if row.type is Histogram:
            bounds_s = [bound / 1e9 for bound in LATENCY_BOUNDS_NS]
            return Histogram(name, row.help, labels, registry=registry, buckets=bounds_s)
        return Counter(name, row.help, labels, registry=registry)

    def flush(self, totals: Totals, *, exchange: str = "") -> None:
        """Bring the metrics up to these totals: name → number, or label value (several: a tuple of them) → number, or a histogram.

        They are of ``exchange``, or of the one that the process itself is of.
        """
        exchange = exchange or self._exchange
        self._look_at_files()
        try:
            self._flush(totals, exchange)
        except OSError as error:  # no room for more labels
            self._files.lose(error)
            self._begin()
            self._flush(totals, exchange)

    def _flush(self, totals: Totals, exchange: str) -> None:
        for name, total in totals.items():
            if isinstance(total, LatencyHistogram):
                self._flush_histogram(name, total, exchange)
            elif isinstance(total, Mapping):
                for value, number in total.items():
                    self._flush_number(name, value, number, exchange)
            else:
                self._flush_number(name, "", total, exchange)

    def _base(self, exchange: str) -> tuple[str, ...]:
        return SERVICE, self._environment, self._component, exchange, self._shard

    def _flush_number(self, name: str, value: LabelValues, total: float, exchange: str) -> None:
        key = (exchange, name, value)
        before = self._flushed.get(key)
        if total == before:
            return  # as most: to find a metric by its labels and to write it costs far more than to compare
        values = value if isinstance(value, tuple) else (value,)
        own = values if self._rows[name].label else ()
        metric = self._metrics[name].labels(*self._base(exchange), *own)
        if self._rows[name].type is Gauge:
            metric.set(total)
        else:
            metric.inc(max(0.0, total - (before or 0.0)))
        self._flushed[key] = total

    def _flush_histogram(self, name: str, histogram: LatencyHistogram, exchange: str) -> None:
        # prometheus_client can only observe one value at a time; adding a second's worth to its bucket values at
        # once is what its own observe() does for each.
        metric = self._metrics[name].labels(*self._base(exchange))
        before = self._flushed_buckets.get(name, [0] * len(histogram.counts))
        for bucket, count, old in zip(metric._buckets, histogram.counts, before, strict=True):
            if count != old:
                bucket.inc(count - old)
        self._flushed_buckets[name] = list(histogram.counts)
        key = (exchange, name, "sum")
        metric._sum.inc((histogram.sum_ns - self._flushed.get(key, 0.0)) / 1e9)
        self._flushed[key] = histogram.sum_ns
