"""Recorded time, with our time as a number."""

from __future__ import annotations

from k2workers.simulator.replay_clock import NS, ReplayClock

BEGINS_NS = 1_700_000_000 * NS


def has_come_to(clock: ReplayClock, stamp_ns: int) -> bool:
    """Whether this and no later line is due."""
    return clock.due(stamp_ns) and not clock.due(stamp_ns + 1)


def test_nothing_is_due_until_a_moment_after_the_first_subscription() -> None:
    clock = ReplayClock(1.0, 0.25, BEGINS_NS)
    assert not clock.advance(5 * NS)
    clock.subscribed(10 * NS)
    clock.subscribed(11 * NS)
    assert not clock.advance(10 * NS + NS // 4 - 1)
    assert clock.advance(10 * NS + NS // 4) and has_come_to(clock, BEGINS_NS)


def test_recorded_time_passes_so_much_faster_than_ours() -> None:
    clock = ReplayClock(20.0, 0.0, BEGINS_NS)
    clock.subscribed(0)
    for at_ns in (0, NS, 3 * NS):
        assert clock.advance(at_ns) and has_come_to(clock, BEGINS_NS + 20 * at_ns)


def test_a_pause_is_no_part_of_it() -> None:
    clock = ReplayClock(1.0, 0.0, BEGINS_NS)
    clock.subscribed(0)
    assert clock.advance(0)
    clock.running = False
    assert not clock.advance(NS) and not clock.advance(100 * NS)
    clock.running = True
    assert clock.advance(101 * NS) and has_come_to(clock, BEGINS_NS + NS)


def test_without_pauses_all_is_due_but_not_before_somebody_listens() -> None:
    clock = ReplayClock(0.0, 0.0, BEGINS_NS)
    assert clock.unpaced and not clock.advance(0)
    clock.subscribed(0)
    assert clock.advance(0) and clock.due(10**30)
