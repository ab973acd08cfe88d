"""Owns a rotation under way: its grant, its beginning, and the record that it leaves."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from k2workers.errors import VenueError
from k2workers.feed import rotation
from k2workers.feed.intake import Intake
from k2workers.feed.overlap import Overlap
from k2workers.feed.record import Handover, RotationRecord


class Grant(Protocol):
    """A permission of the parent; ``done`` gives it back."""

    def done(self) -> None:
        """The connection or rotation it was for is over."""


class Grants(Protocol):
    """Where a driver asks before it connects, and says what became of it."""

    async def ask(self, purpose: str, starved_since_ns: int) -> Grant | None:
        """``purpose`` is ``connect`` or ``rotate``; the time is monotonic, and 0 if the feed is not starved.

        None means that nobody said anything: act alone.
        """

    def answered(self, error: VenueError | None) -> None:
        """How the venue answered the handshake that was permitted last; None: it let us in."""


class Rotating(msgspec.Struct):
    """What the record of a rotation will need. Times without ``monotonic`` are wall-clock."""

    reason: str
    grant: Grant | None
    started_ns: int
    opened_ns: int = 0
    opened_monotonic_ns: int = 0
    duplicates_before: int = 0
    missing_before: int = 0

    def record(
        self,
        intake: Intake,
        overlap: Overlap,
        shard: int,
        promoted: rotation.Promoted,
        *,
        lifetime_s: float,
        streams: int,
    ) -> RotationRecord:
        """The record, at the moment of the cut."""
        handovers = []
        for stream, (topic, lane) in enumerate(zip(intake.topics, intake.lanes, strict=False)):
            first = overlap.standby_first_id(stream)
            if topic.continuity.chained and first is not None and lane.last_id is not None:
                handovers.append(Handover(topic.topic, lane.last_id, first))
        return RotationRecord(
            shard=shard,
            reason=promoted.reason,
            started_ns=self.started_ns,
            opened_ns=self.opened_ns,
            cut_ns=time.time_ns(),
            overlap_ms=round((time.monotonic_ns() - self.opened_monotonic_ns) / 1e6, 3),
            lifetime_s=round(lifetime_s, 3),
            duplicates=intake.duplicates - self.duplicates_before,
            gap=intake.missing - self.missing_before,
            proven=overlap.proven,
            unproven=overlap.unproven,
            quiet=streams - overlap.proven - overlap.unproven,
            complete=promoted.complete,
            handovers=handovers,
        )
