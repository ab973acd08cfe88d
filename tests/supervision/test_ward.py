"""What is known of a child through all its lives."""

from __future__ import annotations

from k2workers.supervision.child import ChildSpec, ChildState
from k2workers.supervision.control_messages import Beat
from k2workers.supervision.signs_of_life import SignsOfLife
from k2workers.supervision.ward import Ward


def made() -> Ward:
    return Ward(ChildSpec(name="one", target="nowhere:main", settings=None))


def beat(pid: int, turns: int, at_ns: int = 0) -> Beat:
    return Beat("one", pid, {"turns": turns}, {}, at_ns)


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


def test_what_it_told_is_as_old_as_it_is_although_we_could_not_listen_meanwhile() -> None:
    ward = made()
    ward.life = SignsOfLife(10**9)
    ward.heard(beat(1, 1, at_ns=5 * 10**9))
    ward.life.heard_ns = 5 * 10**9
    ward.life.excuse(25 * 10**9, 30 * 10**9)
    assert ward.life.silent_ns(30 * 10**9) == 0, "it is not blamed"
    assert ward.state(30 * 10**9).last_beat_s == 25.0
    # One that it made before, and that waited to be heard.
    ward.heard(beat(1, 2, at_ns=6 * 10**9))
    ward.life.heard_ns = 30 * 10**9
    assert ward.state(30 * 10**9).last_beat_s == 24.0
    ward.heard(beat(1, 3, at_ns=30 * 10**9))
    assert ward.state(31 * 10**9).last_beat_s == 1.0


def test_of_a_new_life_nothing_is_old_that_an_earlier_one_told() -> None:
    ward = made()
    ward.life = SignsOfLife(10**9)
    ward.heard(beat(1, 1, at_ns=2 * 10**9))
    ward.life = SignsOfLife(30 * 10**9)
    assert ward.state(31 * 10**9).last_beat_s == 1.0
    ward.heard(beat(1, 2, at_ns=3 * 10**9))
    assert ward.state(31 * 10**9).last_beat_s == 1.0
