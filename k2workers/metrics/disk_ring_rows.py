"""Owns the metrics of the disk ring's process."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from k2workers.metrics.instruments import ANY_PROCESS, PEERS_CUT, MetricRow

DISK_RING = ANY_PROCESS | {
    "k2_disk_ring_bytes": MetricRow(Gauge, "Bytes of published batches kept on the disk"),
    "k2_disk_ring_oldest_age_seconds": MetricRow(Gauge, "How long ago the oldest of them was published"),
    "k2_disk_ring_batches": MetricRow(Counter, "Batches written to the disk"),
    "k2_disk_ring_holes": MetricRow(
        Counter, "Batches that are not on the disk, because the memory ring no longer had them"
    ),
    "k2_disk_ring_write_failures": MetricRow(Counter, "Times that the disk ring could not be written"),
    "k2_disk_ring_damaged_places": MetricRow(Gauge, "Places of its files that cannot be read; they are passed over"),
    "k2_disk_ring_requests": MetricRow(Counter, "Requests of subscribers that were away"),
    "k2_disk_ring_given_bytes": MetricRow(Counter, "Bytes of batches given to them"),
    "k2_peers_cut": PEERS_CUT,
}
