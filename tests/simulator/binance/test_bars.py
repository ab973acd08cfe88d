"""Bars that are passed over in one step are those that were closed second by second."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from k2workers.simulator.binance.bars import DAY, INTERVALS, SECOND, UTC8, Bar, Bars

START = 1_709_164_799_500_000
"""Half a second before the end of a leap day, UTC."""


def traded() -> Bars:
    bars = Bars(START, 100)
    bars.live.add(1, 120, 3, 4, True)
    return bars


def content(bars: Bars) -> dict[Any, list[dict[str, int]]]:
    def fields(bar: Bar) -> dict[str, int]:
        return {name: getattr(bar, name) for name in Bar.__slots__}

    return {
        (interval, offset): [fields(bar) for bar in bars.rows(interval, offset)]
        for interval in INTERVALS
        for offset in (0, UTC8)
    }


@pytest.mark.parametrize("gap_us", [0, 400_000, 500_000, 2 * SECOND, 61 * SECOND, 3_599_500_000, 20_000_000_000])
def test_a_quiet_time_passed_in_one_step_leaves_the_same_bars(gap_us: int) -> None:
    stepwise = traded()
    at_once = copy.deepcopy(stepwise)
    while stepwise.live.end_us <= START + gap_us:
        stepwise.close_second(lambda _series, _bar: None)
    at_once.skip_to(START + gap_us)
    assert content(at_once) == content(stepwise)


def test_a_hole_of_a_lifetime_makes_no_more_bars_than_are_kept() -> None:
    bars = traded()
    bars.skip_to(START + 60 * 365 * DAY)
    minutes = bars.rows("1m")
    assert len(minutes) == 1501
    assert all(later.open_us == earlier.end_us for earlier, later in itertools.pairwise(minutes))
    assert minutes[-1].open_us <= START + 60 * 365 * DAY < minutes[-1].end_us
