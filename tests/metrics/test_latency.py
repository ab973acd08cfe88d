"""Latencies, counted in buckets."""

from __future__ import annotations

from k2workers.metrics.latency import LATENCY_BOUNDS_NS, RECENT_NS, LatencyHistogram, RecentLatency

S = 1_000_000_000
QUANTILES = (0.5, 0.99)


def test_a_quantile_is_the_upper_bound_of_its_bucket() -> None:
    histogram = LatencyHistogram()
    assert histogram.quantile_us(0.5) is None
    for latency_ns in (-5, 90_000, 90_000, 6_000_000_000):
        histogram.observe(latency_ns)
    assert (histogram.quantile_us(0.25), histogram.quantile_us(0.5)) == (50, 100)
    assert histogram.sum_ns == 6_000_180_000, "a clock that is ahead counts as no latency"


def test_beyond_the_last_bound_it_is_that_one_for_nothing_would_look_as_if_all_were_well() -> None:
    histogram = LatencyHistogram()
    recent = RecentLatency(histogram)
    assert recent.quantiles_us(QUANTILES, 0) == [None, None]
    histogram.observe(90_000)
    histogram.observe(3_600 * S)
    assert histogram.quantile_us(1) == LATENCY_BOUNDS_NS[-1] / 1_000
    assert recent.quantiles_us(QUANTILES, S) == [100, 5_000_000]


def test_what_was_long_ago_no_longer_counts_among_the_recent() -> None:
    histogram = LatencyHistogram()
    recent = RecentLatency(histogram)
    assert recent.quantiles_us(QUANTILES, 0) == [None, None]
    for _ in range(100):
        histogram.observe(900_000_000)
    assert recent.quantiles_us(QUANTILES, S // 2) == [1_000_000, 1_000_000]
    for second in range(1, RECENT_NS // S + 2):
        histogram.observe(90_000)
        told = recent.quantiles_us(QUANTILES, second * S)
    assert told == [100, 100]
    assert recent.quantiles_us(QUANTILES, 1_000 * S) == [None, None], "nothing since the last look"
