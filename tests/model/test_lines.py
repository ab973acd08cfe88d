"""A worker through faults of its lines, in virtual time: everything comes again, by itself and in time."""

from __future__ import annotations

from tests.model import lines

LIVES = 40


def test_after_each_fault_everything_comes_again_in_time() -> None:
    for seed in range(LIVES):
        lines.live(seed)
