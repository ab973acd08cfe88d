from __future__ import annotations

import pytest

from k2workers.recording.playback_pace import EVER_NS, PlaybackPace
from tests.recording.support import NOON_NS

SECOND_NS = 10**9


def test_at_once_all_is_due() -> None:
    pace = PlaybackPace(None)
    assert (pace.wait_s(NOON_NS, 5.0), pace.due_ns(5.0)) == (0.0, EVER_NS)


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
def test_what_is_due_is_counted_from_the_first_that_is_asked_for(speed: float) -> None:
    pace = PlaybackPace(speed)
    assert (pace.wait_s(0, 99.0), pace.due_ns(99.0)) == (0.0, 0), "what has no time is due, and begins nothing"
    assert pace.wait_s(NOON_NS, 100.0) == 0.0
    assert pace.wait_s(NOON_NS + SECOND_NS, 100.0) == pytest.approx(1 / speed)
    assert pace.wait_s(NOON_NS + SECOND_NS, 100.0 + 3 / speed) == pytest.approx(-2 / speed)
    assert pace.due_ns(100.0) == NOON_NS
    assert pace.due_ns(100.0 + 3 / speed) == pytest.approx(NOON_NS + 3 * SECOND_NS, abs=1_000)
