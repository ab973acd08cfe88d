"""The exchange's own limits, with time as a number."""

from __future__ import annotations

from k2workers.simulator.address_limits import NS, SlidingWindow, WeightMeter


def test_a_sliding_window_has_no_burst_at_a_boundary() -> None:
    window = SlidingWindow(2, NS)
    assert [window.allow(at) for at in (0, NS - 2, NS - 1, NS, NS + 1)] == [True, True, False, True, False]


def test_weight_starts_anew_each_minute() -> None:
    meter = WeightMeter(10, 120 * NS)
    assert meter.spend(10, 0).status == 200
    assert meter.spend(1, 59 * NS) == (429, 11, 1)
    assert meter.spend(1, 60 * NS) == (200, 1, 0)


def test_a_ban_lasts_its_time_across_minutes() -> None:
    meter = WeightMeter(1, 120 * NS, patience=1)
    assert [meter.spend(1, 0).status for _ in range(3)] == [200, 429, 418]
    assert meter.spend(1, 119 * NS) == (418, 3, 1)
    assert meter.spend(1, 120 * NS).status == 200
