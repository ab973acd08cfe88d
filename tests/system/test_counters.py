"""Counters are there before anything is counted: an alert on the first reconnect, the first gap or the first refusal needs the zero before it."""

from __future__ import annotations

import re

from prometheus_client import Counter

from k2workers.metrics.disk_ring_rows import DISK_RING
from k2workers.metrics.instruments import AGGREGATOR, BOOKS, PARENT, WORKER
from tests.support.waiting import wait_for
from tests.system.support import demo

TABLES = {"worker": WORKER, "aggregator": AGGREGATOR, "books": BOOKS, "disk_ring": DISK_RING, "parent": PARENT}
BY_STRANGERS = "k2_peers_cut"
"""Its label names hosts, which nobody knows before."""
COUNTERS = {
    (part, f"{name}_total")
    for part, rows in TABLES.items()
    for name, row in rows.items()
    if row.type is Counter and name != BY_STRANGERS
}
KNOWN = {
    "k2_binance_reconnects_total": {"stale", "silent", "defect", "closed_1000", "closed_1001", "closed_1006", "closed_1008"},
    "k2_binance_connection_rotations_total": {"scheduled_rotation", "server_shutdown", "silent_stream"},
    "k2_messages_dropped_total": {"malformed", "unknown_stream", "unknown_notice", "odd_element"},
    "k2_messages_unreadable_total": {"trade", "agg_trade", "depth", "book_ticker", "unknown"},
    "k2_rest_requests_total": {
        "answered", "failed", "refused", "rate_limited", "banned", "address_refused", "no_permission", "stale_book",
    },
    "k2_market_looks_total": {"answered", "failed"},
    "k2_gaps_total": {"trade", "agg_trade", "depth", "book_ticker"},
    "k2_child_restarts_total": {"aggregator", "books", "exchange", "witness", "worker-0", "worker-1"},
}  # fmt: skip
"""The values of labels that an alert may name."""


def test_every_counter_begins_at_zero_with_each_label_that_an_alert_may_name() -> None:
    with demo("--disk-ring-gb", "0.01", "--disk-ring-endpoint", "tcp://127.0.0.1:*") as program:
        program.wait_ready()

        def missing() -> set[tuple[str, str]]:
            samples = program.metrics("k2_")
            there = {
                (found[1], key.partition("{")[0]) for key in samples if (found := re.search(r'component="(\w+)"', key))
            }
            return COUNTERS - there

        wait_for("a sample of each", lambda: not missing())
        for name, values in KNOWN.items():
            samples = program.metrics(name)
            assert {v for v in values if not any(f'="{v}"' in key for key in samples)} == set(), name
        program.stop()
