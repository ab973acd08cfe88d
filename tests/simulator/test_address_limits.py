"""The exchange's own limits, with time as a number."""

from __future__ import annotations

from k2workers.simulator.address_limits import NS, SlidingWindow


def test_a_sliding_window_has_no_burst_at_a_boundary() -> None:
    window = SlidingWindow(2, NS)
    assert [window.allow(at) for at in (0, NS - 2, NS - 1, NS, NS + 1)] == [True, True, False, True, False]
