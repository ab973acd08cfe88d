"""The clock of waiting: it counts only while an answer can come and can be read."""

from __future__ import annotations

from k2workers.transport.waiting_clock import MAX_STEP_S, SILENT_S, WaitingClock

TICK_S = 0.1


def test_it_runs_while_the_aggregator_is_heard() -> None:
    clock = WaitingClock(5.0)
    for tick in range(1, 21):
        clock.heard(5.0 + tick * TICK_S)
        clock.look(5.0 + tick * TICK_S)
    assert abs(clock.now_ns - 2_000_000_000) < 1_000_000


def test_it_stands_still_while_the_aggregator_is_silent() -> None:
    clock = WaitingClock(0.0)
    times = [clock.look(tick * TICK_S) for tick in range(1, 200)]
    assert times[-1] <= SILENT_S * 1e9
    clock.heard(20.0)
    assert times[-1] < clock.look(20.0) <= times[-1] + TICK_S * 1.01e9


def test_a_program_that_was_elsewhere_finds_its_clock_where_it_was() -> None:
    clock = WaitingClock(0.0)
    clock.heard(20.0)
    assert clock.look(20.0) == MAX_STEP_S * 1e9


def test_how_long_nothing_was_heard_counts_only_while_the_program_looks() -> None:
    clock = WaitingClock(0.0)
    for tick in range(1, 31):
        clock.look(tick * TICK_S)
    assert abs(clock.silent_s - 3.0) < 0.01
    clock.look(100.0)
    assert abs(clock.silent_s - 3.0 - MAX_STEP_S) < 0.01
    clock.heard(100.0)
    assert clock.silent_s == 0
