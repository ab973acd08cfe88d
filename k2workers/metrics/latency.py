"""Owns how latencies are counted where they are met: in buckets of plain ints. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

LATENCY_BOUNDS_NS = (
    50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
    100_000_000, 200_000_000, 500_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000,
)  # fmt: skip
"""Upper bounds of the latency buckets, in ns."""

RECENT_NS = 10_000_000_000
MARK_NS = 1_000_000_000


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
        """The upper bound, in µs, of the bucket that holds this quantile, or the last bound, if it lies beyond; None without data."""
        return _quantile_us(self.counts, quantile)


class RecentLatency:
    """What a histogram has counted lately: about in the last ``RECENT_NS``. Ask it steadily; times are monotonic."""

    def __init__(self, histogram: LatencyHistogram) -> None:
        self._histogram = histogram
        self._marks: deque[tuple[int, list[int]]] = deque()
        """What had been counted at these times, a second apart at least."""

    def quantiles_us(self, quantiles: Sequence[float], now_ns: int) -> list[float | None]:
        """As ``LatencyHistogram.quantile_us``."""
        if not self._marks or now_ns - self._marks[-1][0] >= MARK_NS:
            self._marks.append((now_ns, list(self._histogram.counts)))
        while len(self._marks) > 1 and self._marks[1][0] <= now_ns - RECENT_NS:
            self._marks.popleft()
        lately = [count - before for count, before in zip(self._histogram.counts, self._marks[0][1], strict=True)]
        return [_quantile_us(lately, quantile) for quantile in quantiles]


def _quantile_us(counts: Sequence[int], quantile: float) -> float | None:
    every = sum(counts)
    if not every:
        return None
    reached = 0
    for bound_ns, count in zip(LATENCY_BOUNDS_NS, counts, strict=False):
        reached += count
        if count and reached >= quantile * every:
            return bound_ns / 1000
    return LATENCY_BOUNDS_NS[-1] / 1000
