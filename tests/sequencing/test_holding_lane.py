"""What the lanes share that hold events back."""

from __future__ import annotations

import pytest

from k2workers.errors import StateError
from k2workers.events import BookSnapshot, Kline
from k2workers.sequencing.holding_lane import HoldingLane


def test_it_announces_no_hole_by_itself() -> None:
    with pytest.raises(StateError):
        HoldingLane("t")._announce()


@pytest.mark.parametrize(
    "event", [BookSnapshot(7, [], [], 0), Kline(0, 59, "", "", "", "", "", "", "", "", 0, 0, 0, False, 10, 0)]
)
def test_a_book_and_a_bar_that_is_not_final_are_no_loss_when_they_are_not_sent(event: BookSnapshot | Kline) -> None:
    lane = HoldingLane("t")
    lane.take_back([event])
    assert (lane.gaps, lane.ready) == (0, [])
