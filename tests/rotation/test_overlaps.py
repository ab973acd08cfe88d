"""Rotations that were under way together: only scheduled ones count, whichever of them ends first."""

from __future__ import annotations

import pytest

from k2workers.rotation.overlaps import REMEMBERED, Overlaps
from k2workers.rotation.policy import SCHEDULED, SERVER_SHUTDOWN
from k2workers.rotation.record import RotationRecord


def rotation(started_ns: int, cut_ns: int, reason: str = SCHEDULED) -> RotationRecord:
    return RotationRecord(
        shard=0, reason=reason, started_ns=started_ns, opened_ns=started_ns, cut_ns=cut_ns, overlap_ms=0.0, lifetime_s=1.0,
        duplicates=0, gap=0, proven=0, unproven=0, quiet=0, complete=True, handovers=[],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "overlapped"),
    [
        ([(0, 5), (5, 9), (10, 12)], 0),
        ([(0, 5), (4, 9)], 1),
        ([(4, 9), (0, 5)], 1),
        ([(3, 4), (0, 9)], 1),
        ([(0, 9), (3, 4), (5, 6)], 2),
    ],
)
def test_a_rotation_that_shared_a_moment_with_another_counts_once(
    spans: list[tuple[int, int]], overlapped: int
) -> None:
    overlaps = Overlaps()
    for started_ns, cut_ns in spans:
        overlaps.ended(rotation(started_ns, cut_ns))
    assert overlaps.count == overlapped


def test_those_that_wait_for_no_turn_do_not_count() -> None:
    overlaps = Overlaps()
    for reason in (SERVER_SHUTDOWN, SERVER_SHUTDOWN, SCHEDULED):
        overlaps.ended(rotation(0, 9, reason))
    assert overlaps.count == 0


def test_what_is_remembered_is_bounded() -> None:
    overlaps = Overlaps()
    for number in range(3 * REMEMBERED):
        overlaps.ended(rotation(number, number + 1))
    assert len(overlaps._spans_ns) == REMEMBERED
    assert overlaps.count == 0
