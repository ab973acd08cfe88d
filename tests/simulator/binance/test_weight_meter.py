"""The venue's limit of weight, with time as a number."""

from __future__ import annotations

from k2workers.simulator.address_limits import NS
from k2workers.simulator.binance.weight_meter import WeightMeter


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
