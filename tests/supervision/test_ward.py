"""What is known of a child through all its lives."""

from __future__ import annotations

from k2workers.supervision.child import ChildSpec, ChildState
from k2workers.supervision.control_messages import Beat
from k2workers.supervision.signs_of_life import SignsOfLife
from k2workers.supervision.ward import Ward


def made() -> Ward:
    return Ward(ChildSpec(name="one", target="nowhere:main", settings=None))


def beat(pid: int, turns: int) -> Beat:
    return Beat("one", pid, {"turns": turns}, {})


def test_what_was_counted_before_a_life_ended_still_counts() -> None:
    ward = made()
    assert ward.counted() == {}
    for pid, turns in ((1, 2), (1, 5), (2, 1), (2, 3), (3, 4)):
        ward.heard(beat(pid, turns))
    assert ward.counted() == {"turns": 5 + 3 + 4}
    assert ward.beat == beat(3, 4)


def test_a_child_that_was_never_started_is_shown_as_one_that_is_not_there() -> None:
    ward = made()
    assert ward.running is None
    assert ward.state(10**9) == ChildState(pid=None, alive=False, ready=False, restarts=0, last_beat_s=None)
    ward.life = SignsOfLife(10**9)
    assert ward.state(3 * 10**9).last_beat_s == 2.0
