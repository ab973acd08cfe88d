"""When totals rose last."""

from __future__ import annotations

from k2workers.metrics.last_rise import LastRise


def test_a_total_tells_when_it_was_last_seen_higher_and_one_that_never_rose_tells_nothing() -> None:
    rise = LastRise()
    assert dict(rise.look({"trade": 0, "depth": 3}, 10.0)) == {"depth": 10.0}
    assert dict(rise.look({"trade": 1, "depth": 3}, 11.0)) == {"trade": 11.0, "depth": 10.0}
    assert dict(rise.look({"trade": 1, "depth": 4, "kline": 0}, 12.0)) == {"trade": 11.0, "depth": 12.0}


def test_a_total_that_fell_rises_from_where_it_is() -> None:
    rise = LastRise()
    rise.look({"trade": 5}, 1.0)
    assert dict(rise.look({"trade": 2}, 2.0)) == {"trade": 1.0}
    assert dict(rise.look({"trade": 3}, 3.0)) == {"trade": 3.0}
