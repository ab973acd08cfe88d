"""What moves each metric: a demonstration that rotates and whose processes are killed, a trouble of ``strikes``, or neither, and then whose tests
make it count.

By the names that ``/metrics`` shows. One test holds this against all metrics, and the first list against what a real Prometheus saw.
"""

from __future__ import annotations

from collections.abc import Mapping

NATIVE = frozenset({"k2_native_messages_total", "k2_native_bundles_total"})
"""Of those below: only where there is a native lane."""

BY_DEMONSTRATION = (
    "k2_batches_published_total", "k2_binance_connection_lifetime_seconds", "k2_binance_connection_next_rotation_seconds",
    "k2_binance_connection_rotations_total", "k2_bytes_published_total", "k2_bytes_received_total", "k2_child_restarts_total", "k2_connect_grants_in_window", "k2_duplicates_dropped_total",
    "k2_events_published_total", "k2_events_received_total", "k2_frames_received_total", "k2_last_event_timestamp_seconds",
    "k2_native_bundles_total", "k2_native_messages_total", "k2_process_cpu_seconds_total", "k2_process_resident_memory_bytes",
    "k2_publish_latency_seconds", "k2_push_kept_bytes", "k2_push_resent_total", "k2_receive_latency_seconds",
    "k2_replay_ring_bytes", "k2_rest_requests_total",
)  # fmt: skip

BY_FAULTS = (
    "k2_binance_connection_up", "k2_binance_reconnects_total", "k2_books", "k2_books_lost_total", "k2_books_missing",
    "k2_checkpoint_failures_total", "k2_connect_refusals_total", "k2_gaps_open", "k2_gaps_published_total",
    "k2_gaps_total", "k2_holes_waiting", "k2_market_looks_total",
    "k2_messages_dropped_total", "k2_messages_unreadable_total", "k2_metrics_not_kept", "k2_missing_ids_total",
    "k2_outliers_dropped_total", "k2_peers_cut_total", "k2_push_back_pressured_total",
    "k2_ready", "k2_repaired_ids_total", "k2_resets_total", "k2_rest_refusals_total", "k2_rest_rows_dropped_total",
    "k2_rest_weight_limit", "k2_rest_weight_used", "k2_streams_refused", "k2_streams_silent", "k2_streams_unproven",
    "k2_subscribers", "k2_subscribers_behind", "k2_subscribers_most_owed_bytes", "k2_subscribers_most_waiting_batches", "k2_subscriptions_lost_total",
    "k2_unready", "k2_venue_paused_seconds", "k2_venue_refusal_status", "k2_void_ids_total",
)  # fmt: skip

STILL: Mapping[str, str] = {
    "k2_build_info": "always 1",
    "k2_connect_grants_limit": "what the venue allows",
    "k2_published_topics": "topics are told with their first events, and stay",
    "k2_symbols": "the venue is asked for news every five minutes",
    "k2_topics": "topics are told with their first events, and stay",
}
"""Those that may stay as they are for as long as anybody looks here, and why."""

ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "k2_agg_links_broken_total": ("tests/sequencing/test_chain_lane.py", "links_broken"),
    "k2_batches_unreadable_total": ("tests/transport/test_relay.py", "relay.unreadable"),
    "k2_book_bundles_refused_total": ("tests/processes/test_book_teller.py", "teller.refused"),
    "k2_book_events_told_total": ("tests/processes/test_book_teller.py", "teller.told"),
    "k2_book_requests_total": ("tests/transport/test_books_server.py", "server.requests"),
    "k2_books_compared_total": ("tests/processes/test_books.py", "books.compared"),
    "k2_books_crossed_total": ("tests/processes/test_books.py", "books.crossed"),
    "k2_books_ran_short_total": ("tests/processes/test_books.py", "books.ran_short"),
    "k2_disk_ring_batches_total": ("tests/processes/test_ring_keeping.py", "keeping.frames"),
    "k2_disk_ring_bytes": ("tests/processes/test_ring_keeping.py", "status().bytes"),
    "k2_disk_ring_damaged_places": ("tests/transport/test_disk_ring.py", "ring.damaged"),
    "k2_disk_ring_given_bytes_total": ("tests/transport/test_disk_ring_server.py", "server.given_bytes"),
    "k2_disk_ring_holes_total": ("tests/processes/test_ring_keeping.py", "status().holes"),
    "k2_disk_ring_oldest_age_seconds": ("tests/processes/test_ring_keeping.py", "oldest_age_s"),
    "k2_disk_ring_requests_total": ("tests/transport/test_disk_ring_server.py", "server.requests"),
    "k2_disk_ring_write_failures_total": ("tests/processes/test_ring_keeping.py", "write_failures"),
    "k2_books_given_total": ("tests/transport/test_books_server.py", "server.given"),
    "k2_connect_grants_waiting": ("tests/supervision/test_connect_budget.py", "budget.waiting"),
    "k2_connects_alone_total": ("tests/supervision/test_connect_budget.py", "budget.alone"),
    "k2_duty_failures_total": ("tests/system/test_duties.py", "k2_duty_failures_total"),
    "k2_gaps_doubted": ("tests/feed/test_repairs.py", "gaps_doubted"),
    "k2_gaps_given_up_total": ("tests/sequencing/test_sequencer.py", "gaps_given_up"),
    "k2_log_lines_dropped_total": ("tests/system/test_logs.py", "k2_log_lines_dropped_total"),
    "k2_native_bundle_fallbacks_total": ("tests/sequencing/test_native_sequencer.py", "left_bundles"),
    "k2_native_fallbacks_total": ("tests/feed/test_plain_lane.py", "left_to_python"),
    "k2_old_events_dropped_total": ("tests/sequencing/test_sequencer.py", "old_events"),
    "k2_push_forgotten_total": ("tests/transport/test_bundle_sender.py", "counters.forgotten"),
    "k2_push_queue_bundles": ("tests/transport/test_outbox.py", "counters.pending_bundles"),
    "k2_push_refused_total": ("tests/transport/test_bundle_sender.py", "counters.bundles_refused"),
    "k2_replayed_batches_total": ("tests/transport/test_replay_server.py", "server.replayed"),
    "k2_rotations_overlapped_total": ("tests/rotation/test_overlaps.py", "overlaps.count"),
    "k2_streams_quiet": ("tests/feed/test_silence.py", "silence.quiet"),
    "k2_subscribers_lost_batches": ("tests/transport/test_readers.py", "Reader("),
    "k2_venue_clock_ahead_seconds": ("tests/feed/test_venue_clock.py", "ahead_s"),
}
"""Metric → the file whose tests make it count, and what they call the figure."""
