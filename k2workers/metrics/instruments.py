"""Owns every metric: one table of names for each kind of process, which hands over the values (``processes``, by the same names; how: ``flushing``)."""

from __future__ import annotations

import msgspec
from prometheus_client import Counter, Gauge, Histogram

BASE_LABELS = ("service", "environment", "component", "exchange", "shard")


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
        Counter, "The same by the kind of their stream; unknown: the kind could not be determined", "kind"
    ),
    "k2_native_messages": MetricRow(Counter, "Messages that the native lane took", "kind"),
    "k2_native_fallbacks": MetricRow(
        Counter,
        "Messages that it left to Python, by reason; unknown: all without a known shape",
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
        Counter, "Bundles dropped before the aggregator had saved them, because too many were kept"
    ),
    "k2_topics": MetricRow(Gauge, "Topics with data"),
    "k2_receive_latency_seconds": MetricRow(
        Histogram, "Venue event time to our socket read (two clocks; 0 where the venue's is ahead)"
    ),
    "k2_last_event_timestamp_seconds": MetricRow(
        Gauge, "When the last event of a kind was found to have come (Unix time, looked for once a second)", "kind"
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
    "k2_gaps_given_up": MetricRow(
        Counter,
        "Gaps, or parts of them, that are not asked for any longer; of topics whose ids prove a loss, and of others",
        "proven",
    ),
    "k2_resets": MetricRow(Counter, "Topics whose ids began anew"),
    "k2_replay_ring_bytes": MetricRow(Gauge, "Bytes of published batches kept for subscribers that missed some"),
    "k2_replayed_batches": MetricRow(Counter, "Batches given again to subscribers that missed them"),
    "k2_checkpoint_failures": MetricRow(Counter, "Checkpoints that could not be written"),
    "k2_batches_unreadable": MetricRow(Counter, "Batches of workers that could not be read"),
    "k2_old_events_dropped": MetricRow(Counter, "Events dropped because they were published before"),
    "k2_native_bundles": MetricRow(Counter, "Bundles that went natively from their bytes to publications"),
    "k2_native_bundle_fallbacks": MetricRow(
        Counter,
        "Bundles that were left to Python, by reason; turn: because of another one of the same turn",
        "why",
    ),
    "k2_published_topics": MetricRow(Gauge, "Topics published so far"),
    "k2_publish_latency_seconds": MetricRow(Histogram, "Our socket read to publication"),
    "k2_subscribers": MetricRow(Gauge, "Connections of subscribers"),
    "k2_subscribers_behind": MetricRow(Gauge, "Those of them that take their batches more slowly than they arrive"),
    "k2_subscribers_most_owed_bytes": MetricRow(Gauge, "What the one of them is owed that is owed most"),
    "k2_subscribers_most_waiting_batches": MetricRow(
        Gauge, "Batches that wait for the program of the subscriber where most do, as it says itself"
    ),
    "k2_subscribers_lost_batches": MetricRow(
        Gauge, "Batches that those who are connected could no longer have since they began, as they say themselves"
    ),
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
    "k2_books_ran_short": MetricRow(
        Counter, "Times that the market had moved beyond most levels that a book began with"
    ),
    "k2_books_compared": MetricRow(
        Counter,
        "Books that arrived again at exactly the change that ours had reached, by outcome of the comparison",
        "outcome",
    ),
    "k2_book_events_told": MetricRow(Counter, "Events of books published on topics of their own"),
    "k2_book_bundles_refused": MetricRow(
        Counter, "Bundles of these that found no room; the state at a later moment is published instead"
    ),
    "k2_peers_cut": PEERS_CUT,
}
"""Metrics of the books process."""

PARENT = ANY_PROCESS | {
    "k2_build_info": MetricRow(Gauge, "1, with the version of the program and of Python", "version python"),
    "k2_metrics_not_kept": MetricRow(
        Gauge, "Processes whose metrics no file can hold now: those of children are not shown meanwhile"
    ),
    "k2_process_resident_memory_bytes": MetricRow(Gauge, "Resident memory", "process"),
    "k2_process_cpu_seconds": MetricRow(Counter, "CPU time used by a process, in all its lives", "process"),
    "k2_symbols": MetricRow(Gauge, "Symbols that were asked for, by what has become of them", "state"),
    "k2_ready": MetricRow(Gauge, "1 while every stream flows, as /readyz says"),
    "k2_unready": MetricRow(Gauge, "How much there is of what keeps the feed from being ready", "reason"),
    "k2_rotations_overlapped": MetricRow(
        Counter, "Scheduled rotations that were under way while another one was: there should be none"
    ),
    "k2_child_restarts": MetricRow(Counter, "Restarts of a child process", "child"),
    "k2_connect_grants_in_window": MetricRow(Gauge, "Connection attempts granted in the venue's window"),
    "k2_connect_grants_limit": MetricRow(Gauge, "The most of them that we allow ourselves"),
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
    "k2_venue_refusal_status": MetricRow(
        Gauge,
        "HTTP status of a service's last refusal (0: not reached); 0 without one, or after a good answer",
        "service",
    ),
}
"""Metrics of the parent."""
