"""Owns every metric: one table of names, and the instruments of each kind of process, which hands over the values (``processes``, by the same names).

The hot paths count in plain ints and hand over totals about once a second: in multiprocess mode each ``inc`` is a lock
and a write to a mapped file. PROMETHEUS_MULTIPROC_DIR must be set before instruments are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k2workers.metrics.latency import LATENCY_BOUNDS_NS, LatencyHistogram
from k2workers.metrics.metric_files import OwnFiles

BASE_LABELS = ("service", "environment", "component", "exchange", "shard")
SERVICE = "k2-binance-stream"


class MetricRow(msgspec.Struct, frozen=True):
    """One metric: its kind, its meaning, and its labels beside the base labels (none, or words)."""

    type: type[Counter | Gauge | Histogram]
    help: str
    label: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels beside the base labels."""
        return tuple(self.label.split())


ANY_PROCESS = {
    "k2_duty_failures": MetricRow(Counter, "Failed turns of a periodic duty", "duty"),
    "k2_log_lines_dropped": MetricRow(Counter, "Lines of the log that were lost because nobody read them in time"),
}
"""Metrics that the worker, the aggregator and the parent each have."""

WORKER = ANY_PROCESS | {
    "k2_binance_connection_rotations": MetricRow(Counter, "Planned replacements of a connection", "reason"),
    "k2_binance_connection_lifetime_seconds": MetricRow(
        Gauge, "How long the primary has carried the feed; of several connections of a shard the oldest"
    ),
    "k2_binance_connection_next_rotation_seconds": MetricRow(
        Gauge, "Time to the next planned rotation; of several connections of a shard the first that is due"
    ),
    "k2_binance_connection_up": MetricRow(
        Gauge, "1 while a primary carries the feed, on each of the shard's connections"
    ),
    "k2_binance_reconnects": MetricRow(Counter, "Unplanned losses of the primary", "cause"),
    "k2_events_received": MetricRow(Counter, "Events accepted and pushed", "kind"),
    "k2_duplicates_dropped": MetricRow(Counter, "Copies dropped by the arbiter", "kind"),
    "k2_outliers_dropped": MetricRow(
        Counter, "Events dropped because their ids or times were far from those before and after them", "kind"
    ),
    "k2_agg_links_broken": MetricRow(
        Counter, "Aggregates whose trades do not follow those of the aggregate before, though none is missing"
    ),
    "k2_gaps": MetricRow(Counter, "Holes announced", "kind"),
    "k2_missing_ids": MetricRow(Counter, "Ids (of bars: bars) announced as missing"),
    "k2_streams_silent": MetricRow(
        Gauge,
        "Streams of which the venue has what no connection brought, or that are silent for much longer than they used to be",
    ),
    "k2_streams_unproven": MetricRow(
        Gauge,
        "Streams that have brought nothing, at all, for long or on a new connection, and the venue was not asked about since",
    ),
    "k2_streams_quiet": MetricRow(Gauge, "Streams that bring nothing because the venue has nothing"),
    "k2_streams_refused": MetricRow(Gauge, "Streams that the venue refuses to subscribe"),
    "k2_subscriptions_lost": MetricRow(Counter, "Streams that the venue had dropped from a connection"),
    "k2_rest_requests": MetricRow(Counter, "Repairs asked of the venue over REST", "outcome"),
    "k2_rest_rows_dropped": MetricRow(Counter, "Rows of REST answers that could not be read"),
    "k2_holes_waiting": MetricRow(Gauge, "Topics that lack something and wait for a repair"),
    "k2_gaps_doubted": MetricRow(
        Gauge, "Announced gaps that REST has denied once, and that are looked for until that is sure"
    ),
    "k2_books_missing": MetricRow(Gauge, "Topics of order books of which subscribers have none that holds"),
    "k2_messages_dropped": MetricRow(
        Counter, "Messages, or elements of one, that were no event, reply or notice", "cause"
    ),
    "k2_messages_unreadable": MetricRow(
        Counter, "The same by the kind of their stream; unknown where it cannot be told", "kind"
    ),
    "k2_native_messages": MetricRow(Counter, "Messages that the native lane took", "kind"),
    "k2_native_fallbacks": MetricRow(
        Counter,
        "Messages that it left to Python, by what kept it from taking them; unknown is all without a shape",
        "kind why",
    ),
    "k2_bytes_received": MetricRow(Counter, "Bytes read from connections"),
    "k2_frames_received": MetricRow(Counter, "Messages read from connections"),
    "k2_push_queue_bundles": MetricRow(Gauge, "Bundles waiting because the aggregator is behind"),
    "k2_push_back_pressured": MetricRow(Counter, "Bundles that had to wait"),
    "k2_push_refused": MetricRow(Counter, "Bundles refused because the queue was full"),
    "k2_push_kept_bytes": MetricRow(Gauge, "Bytes kept until the aggregator has them safe"),
    "k2_push_resent": MetricRow(Counter, "Bundles sent again to a new aggregator"),
    "k2_push_forgotten": MetricRow(
        Counter, "Bundles dropped before the aggregator had them safe, because too many were kept"
    ),
    "k2_topics": MetricRow(Gauge, "Topics with data"),
    "k2_receive_latency_seconds": MetricRow(
        Histogram, "Venue event time to our socket read (two clocks; 0 where the venue's is ahead)"
    ),
    "k2_venue_clock_ahead_seconds": MetricRow(
        Gauge, "The most by which an event's time was after our socket read in the last one to two minutes; 0 if none"
    ),
}
"""Metrics of a worker, by name (counters get ``_total``)."""

PEERS_CUT = MetricRow(
    Counter, "Connections that were ended because they did not read, or sent or asked for too much", "host"
)

AGGREGATOR = ANY_PROCESS | {
    "k2_events_published": MetricRow(Counter, "Events published to subscribers"),
    "k2_batches_published": MetricRow(Counter, "Batches published to subscribers"),
    "k2_bytes_published": MetricRow(Counter, "Bytes published to subscribers"),
    "k2_gaps_published": MetricRow(Counter, "Gaps announced to subscribers"),
    "k2_gaps_open": MetricRow(Gauge, "Announced gaps that nothing has filled yet"),
    "k2_repaired_ids": MetricRow(Counter, "Ids (of bars: bars) that filled an announced gap"),
    "k2_void_ids": MetricRow(
        Counter, "Ids that the venue confirmed never to have existed; among bars one for each Void"
    ),
    "k2_gaps_given_up": MetricRow(Counter, "Gaps, or parts of them, that are not asked for any longer"),
    "k2_resets": MetricRow(Counter, "Topics whose ids began anew"),
    "k2_replay_ring_bytes": MetricRow(Gauge, "Bytes of published batches kept for subscribers that missed some"),
    "k2_replayed_batches": MetricRow(Counter, "Batches given again to subscribers that missed them"),
    "k2_checkpoint_failures": MetricRow(Counter, "Checkpoints that could not be written"),
    "k2_batches_unreadable": MetricRow(Counter, "Batches of workers that could not be read"),
    "k2_old_events_dropped": MetricRow(Counter, "Events dropped because they were published before"),
    "k2_native_bundles": MetricRow(Counter, "Bundles that went natively from their bytes to publications"),
    "k2_native_bundle_fallbacks": MetricRow(
        Counter,
        "Bundles that were left to Python, by what kept them from that; turn: another one of the same turn",
        "why",
    ),
    "k2_published_topics": MetricRow(Gauge, "Topics published so far"),
    "k2_publish_latency_seconds": MetricRow(Histogram, "Our socket read to publication"),
    "k2_subscribers": MetricRow(Gauge, "Connections of subscribers"),
    "k2_subscribers_behind": MetricRow(Gauge, "Those of them that do not take what they are owed as fast as it comes"),
    "k2_peers_cut": PEERS_CUT,
}
"""Metrics of the aggregator."""

BOOKS = ANY_PROCESS | {
    "k2_books": MetricRow(
        Gauge, "Order books kept for joiners: whole ones, and those that wait for the venue's", "state"
    ),
    "k2_books_lost": MetricRow(Counter, "Times that a book ceased to be whole"),
    "k2_book_requests": MetricRow(Counter, "Requests of subscribers for whole books"),
    "k2_books_given": MetricRow(Counter, "Whole books given to subscribers"),
    "k2_books_crossed": MetricRow(
        Counter,
        "Times that a book's best bid was not below its best ask: it counts as not whole, and another is awaited",
    ),
    "k2_books_compared": MetricRow(
        Counter,
        "Books that came anew at the very change that the one kept had come to, by outcome of the comparison",
        "outcome",
    ),
    "k2_book_events_told": MetricRow(Counter, "Events told of books on topics of their own"),
    "k2_book_bundles_refused": MetricRow(Counter, "Bundles of these that found no room; what they held is told anew"),
    "k2_peers_cut": PEERS_CUT,
}
"""Metrics of the books process."""

PARENT = ANY_PROCESS | {
    "k2_metrics_not_kept": MetricRow(
        Gauge, "Processes whose metrics no file can hold now: those of children are not shown meanwhile"
    ),
    "k2_process_resident_memory_bytes": MetricRow(Gauge, "Resident memory", "process"),
    "k2_process_cpu_seconds": MetricRow(Gauge, "CPU time used by the process as it runs now", "process"),
    "k2_symbols": MetricRow(Gauge, "Symbols that were asked for, by what has become of them", "state"),
    "k2_ready": MetricRow(Gauge, "1 while every stream flows, as /readyz says"),
    "k2_unready": MetricRow(Gauge, "How much there is of what keeps the feed from being ready", "reason"),
    "k2_child_restarts": MetricRow(Counter, "Restarts of a child process", "child"),
    "k2_connect_grants_in_window": MetricRow(Gauge, "Connection attempts granted in the venue's window"),
    "k2_connect_grants_waiting": MetricRow(Gauge, "Connection attempts and rotations waiting for their turn"),
    "k2_connects_alone": MetricRow(
        Counter, "Connection attempts that workers made without permission of a silent parent"
    ),
    "k2_connect_refusals": MetricRow(Counter, "Handshakes that the venue refused to this IP"),
    "k2_rest_weight_used": MetricRow(Gauge, "REST weight used in the venue's minute by this IP"),
    "k2_rest_weight_limit": MetricRow(Gauge, "REST weight a minute that we allow ourselves"),
    "k2_market_looks": MetricRow(Counter, "Looks at the whole market because of streams that bring nothing", "outcome"),
    "k2_rest_refusals": MetricRow(Counter, "REST requests that the venue refused to this IP, or was too ill to answer"),
    "k2_venue_paused_seconds": MetricRow(
        Gauge, "How long we still keep away from a service that refused us", "service"
    ),
}
"""Metrics of the parent."""


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
