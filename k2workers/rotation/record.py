"""Owns the record that each rotation leaves."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from k2workers.rotation.actions import Promoted
from k2workers.rotation.proof import OverlapProof


class Handover(msgspec.Struct, frozen=True):
    """One topic at the cut: the newest id accepted, and the first id that the new line had delivered."""

    topic: str
    last_id: int
    first_id_on_new_line: int


class RotationRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened in one rotation. Times are wall-clock ns; ``gap`` counts ids announced as missing meanwhile.

    ``opened_ns`` is when the new line was subscribed, ``cut_ns`` when it took over; ``complete`` is False if the
    old line ended before every active stream had continued on the new one. ``route`` is there only at a venue with several.
    """

    shard: int
    route: str = ""
    reason: str
    started_ns: int
    opened_ns: int
    cut_ns: int
    overlap_ms: float
    lifetime_s: float
    duplicates: int
    gap: int
    proven: int
    unproven: int
    quiet: int
    complete: bool
    handovers: list[Handover]


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What the feed knows at the moment when the new line takes over."""

    now_ns: int
    """By the machine's clock (monotonic)."""
    wall_ns: int
    """The same moment by the wall clock."""
    topics: int
    """How many topics the lines bring."""
    duplicates: int
    missing: int
    """Counts so far."""
    last_ids: Iterable[tuple[int, str, int | None]]
    """Topic index, topic and newest id accepted, of the topics whose ids prove that nothing is missing."""


def record_of(promoted: Promoted, cut: Cut, shard: int, route: str) -> RotationRecord:
    """The record of a rotation that ends with this promotion."""
    rotation, proof = promoted.rotation, promoted.rotation.proof
    return RotationRecord(
        shard=shard,
        route=route,
        reason=rotation.reason,
        started_ns=cut.wall_ns - (cut.now_ns - rotation.begun_ns),
        opened_ns=cut.wall_ns - (cut.now_ns - rotation.opened_ns),
        cut_ns=cut.wall_ns,
        overlap_ms=round((cut.now_ns - rotation.opened_ns) / 1e6, 3),
        lifetime_s=round(promoted.lifetime_ns / 1e9, 3),
        duplicates=cut.duplicates - rotation.duplicates_before,
        gap=cut.missing - rotation.missing_before,
        proven=proof.proven,
        unproven=proof.unproven,
        quiet=cut.topics - proof.proven - proof.unproven,
        complete=promoted.complete,
        handovers=_handovers(cut.last_ids, proof),
    )


def _handovers(last_ids: Iterable[tuple[int, str, int | None]], proof: OverlapProof) -> list[Handover]:
    handovers = []
    for topic_index, topic, last_id in last_ids:
        first_id = proof.standby_first_id(topic_index)
        if first_id is not None and last_id is not None:
            handovers.append(Handover(topic, last_id, first_id))
    return handovers
