"""What all lanes share."""

from __future__ import annotations

import pytest

from k2workers.errors import StateError
from k2workers.events import Trade
from k2workers.sequencing.lane import Lane


def test_the_base_lane_judges_nothing() -> None:
    with pytest.raises(StateError):
        Lane("t").offer(Trade(1, "", "", True, 0, 0, 0), 0, 0)
    assert not Lane("t").expire(0)
    assert Lane("t").deadline_ns is None
