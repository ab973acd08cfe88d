"""The figures of the last minutes."""

from __future__ import annotations

from k2workers.page.trail import Columns, Trail


def test_figures_stand_in_columns_and_one_that_was_not_known_is_none() -> None:
    trail = Trail()
    assert trail.columns() == Columns([], {})
    trail.add(1_000, {"a": 1.0})
    trail.add(2_000, {"b": None})
    trail.add(3_000, {"a": 2.0, "b": 3.0})
    assert trail.columns() == Columns([1_000, 2_000, 3_000], {"a": [1.0, None, 2.0], "b": [None, None, 3.0]})


def test_the_oldest_points_go_and_with_them_what_only_they_had() -> None:
    trail = Trail(points=2)
    for at_ms, name in ((1, "gone"), (2, "kept"), (3, "kept")):
        trail.add(at_ms, {name: 1.0})
    assert trail.columns() == Columns([2, 3], {"kept": [1.0, 1.0]})


def test_points_that_lie_ahead_go_when_the_clock_was_set_back() -> None:
    trail = Trail()
    for at_ms in (1_000, 9_000, 10_000, 2_000, 3_000):
        trail.add(at_ms, {"a": float(at_ms)})
    assert trail.columns().at_ms == [1_000, 2_000, 3_000]
