"""Owns what a worker's kept bundles tell about where its topics stood before them, for its hello. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity
from k2workers.events import ANNOUNCEMENT_SCHEMAS, DATA_SCHEMAS, LATE, SCHEMA_OF, Backfilled, Gap, covered_ids
from k2workers.sequencing.ranges import IdRanges, Range

_AHEAD = DATA_SCHEMAS | {SCHEMA_OF[Gap]}
"""Batches whose ids come after all earlier ones of their topic."""


class BeforeKept(msgspec.Struct, frozen=True):
    """By topic: ``last_ids`` before the oldest bundle that is kept; ``open``, the announced ids that were filled since or are still wanted.

    It stays right while bundles are only added.
    """

    last_ids: dict[str, int]
    open: dict[str, IdRanges]

    def unknown_to_us(self, announced: Mapping[str, Iterable[Range]]) -> dict[str, list[Range]]:
        """Of the ids that an aggregator has announced and not published, those that nothing kept will fill and that are not wanted."""
        found = {}
        for topic, last_id in self.last_ids.items():
            missing = IdRanges((first, min(last, last_id)) for first, last in announced.get(topic, ()))
            for known in self.open.get(topic, ()):
                missing.remove(*known)
            if missing:
                found[topic] = list(missing)
        return found


def before_kept(
    bundles: Sequence[memoryview], last_ids: Mapping[str, int], open_gaps: Mapping[str, Iterable[Range]]
) -> BeforeKept:
    """Where topics stood before these encoded bundles, the oldest first; ``last_ids`` and ``open_gaps`` are as of now."""
    before = dict(last_ids)
    still_open = {topic: IdRanges(ranges) for topic, ranges in open_gaps.items()}
    for bundle in reversed(bundles):
        for batch in reversed(wire.decode_bundle(bundle)):
            if batch.schema in _AHEAD:
                if batch.topic in before:
                    before[batch.topic] = batch.first_id - 1
            elif batch.schema in ANNOUNCEMENT_SCHEMAS and before.get(batch.topic) == batch.last_id:
                before[batch.topic] = batch.first_id - 1  # a Void that continued its topic; others fill an old gap
            elif batch.schema > LATE or batch.schema in ANNOUNCEMENT_SCHEMAS:
                filled = still_open.setdefault(batch.topic, IdRanges())
                for event in wire.decode_batch(batch):
                    filled.add(*covered_ids(event.event if isinstance(event, Backfilled) else event))
    return BeforeKept(before, still_open)


class GivenUp:
    """Ids, by topic with a chain, of bundles that were dropped before they were acknowledged."""

    def __init__(self) -> None:
        self._ids: dict[str, IdRanges] = {}

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, batches: Iterable[wire.Batch]) -> None:
        """These were dropped."""
        for batch in batches:
            if batch.schema in _AHEAD and Continuity.of(batch.continuity).chained:
                self._ids.setdefault(batch.topic, IdRanges()).add(batch.first_id, batch.last_id)

    def forgive(self, acknowledged: Iterable[wire.Batch]) -> None:
        """What was given up before these is named in the checkpoint that covers them."""
        for batch in acknowledged:
            dropped = self._ids.get(batch.topic)
            if dropped is not None and batch.schema in _AHEAD:
                dropped.remove(0, batch.last_id)
                if not dropped:
                    del self._ids[batch.topic]

    def before(self, topic: str) -> int | None:
        """The last id before what was given up of a topic; None if nothing was."""
        dropped = self._ids.get(topic)
        return None if dropped is None else next(iter(dropped))[0] - 1
