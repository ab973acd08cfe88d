"""Owns the proof record that each rotation leaves."""

from __future__ import annotations

import msgspec


class Handover(msgspec.Struct, frozen=True):
    """One stream at the cut: the newest id accepted, and the first id that the new line had delivered."""

    topic: str
    last_id: int
    first_id_on_new_line: int


class RotationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one rotation. Times are wall-clock ns; ``gap`` counts ids announced as missing meanwhile.

    ``opened_ns`` is when the new line was subscribed, ``cut_ns`` when it took over; ``complete`` is False if the
    old line ended before every active stream had continued on the new one.
    """

    shard: int
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
