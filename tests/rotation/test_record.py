"""What a rotation leaves: figures of the overlap, and which id each stream was handed over at."""

from __future__ import annotations

import msgspec

from k2workers.rotation.actions import Promoted
from k2workers.rotation.memory import Rotation
from k2workers.rotation.proof import OverlapProof
from k2workers.rotation.record import Cut, Handover, RotationRecord, record_of

MS = 1_000_000
WALL_NS = 1_700_000_000_000_000_000


def test_a_record_tells_what_happened_between_the_permission_and_the_cut() -> None:
    proof = OverlapProof(0)
    proof.acknowledged(200 * MS)
    proof.standby_delivered(0, 101)
    proof.primary_delivered(0, 100)
    proof.primary_delivered(1, 50)
    proof.standby_delivered(2, 7)
    rotation = Rotation(
        reason="operator",
        grant=None,
        replaced=1,
        begun_ns=100 * MS,
        opened_ns=200 * MS,
        proof=proof,
        duplicates_before=3,
        missing_before=1,
    )
    promoted = Promoted(2, complete=False, lifetime_ns=5_000 * MS, rotation=rotation)
    cut = Cut(
        now_ns=450 * MS,
        wall_ns=WALL_NS,
        topics=10,
        duplicates=8,
        missing=3,
        last_ids=[(0, "a", 102), (1, "b", 50), (2, "c", None)],
    )
    record = record_of(promoted, cut, shard=4, route="")
    assert "route" not in msgspec.to_builtins(record), "there is only one"
    assert msgspec.to_builtins(record_of(promoted, cut, shard=4, route="market"))["route"] == "market"
    assert record == RotationRecord(
        shard=4,
        reason="operator",
        started_ns=WALL_NS - 350 * MS,
        opened_ns=WALL_NS - 250 * MS,
        cut_ns=WALL_NS,
        overlap_ms=250.0,
        lifetime_s=5.0,
        duplicates=5,
        gap=2,
        proven=1,
        unproven=1,
        quiet=8,
        complete=False,
        handovers=[Handover("a", 102, 101)],
    )
