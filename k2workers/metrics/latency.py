"""Owns how latencies are counted where they are met: in buckets of plain ints. Pure."""

from __future__ import annotations

from bisect import bisect_left

LATENCY_BOUNDS_NS = (
    50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
    100_000_000, 200_000_000, 500_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000,
)  # fmt: skip
"""Upper bounds of the latency buckets, in ns."""


class LatencyHistogram:
    """Latencies counted in plain ints; ``observe`` costs one bisection."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BOUNDS_NS) + 1)
        self.sum_ns = 0

    def observe(self, latency_ns: int) -> None:
        """Count one latency. A negative one (two clocks differ) counts as zero."""
        latency_ns = max(latency_ns, 0)
        self.counts[bisect_left(LATENCY_BOUNDS_NS, latency_ns)] += 1
        self.sum_ns += latency_ns

    def quantile_us(self, quantile: float) -> float | None:
        """The upper bound, in µs, of the bucket that holds this quantile; None without data or beyond the last bound."""
        wanted = quantile * sum(self.counts)
        reached = 0
        for bound_ns, count in zip(LATENCY_BOUNDS_NS, self.counts, strict=False):
            reached += count
            if count and reached >= wanted:
                return bound_ns / 1000
        return None
