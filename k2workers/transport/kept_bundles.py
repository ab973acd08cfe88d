"""Owns what a worker's kept bundles tell about where its topics stood before them, for its hello. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity, numberings_ahead, renumbered
from k2workers.events import (
    ANNOUNCEMENT_SCHEMAS,
    DATA_SCHEMAS,
    LATE,
    RESET_SCHEMA,
    SCHEMA_OF,
    Backfilled,
    Gap,
    covered_ids,
)
from k2workers.sequencing.coverage import NOT_KNOWN, Holes, PublishedPosition, Reached, is_before
from k2workers.sequencing.ranges import IdRanges

_AHEAD = DATA_SCHEMAS | {SCHEMA_OF[Gap]}
"""Batches whose ids come after all earlier ones of their topic."""


class BeforeKept(msgspec.Struct, frozen=True):
    """By topic: ``reached`` before the oldest bundle that is kept; ``open``, the announced ids that were filled since or are still wanted.

    ``open`` has the numbering of its ids beside them. It stays right while bundles are only added.
    """

    reached: dict[str, Reached]
    open: dict[str, tuple[int, IdRanges]]

    def unknown_to_us(self, published: Mapping[str, PublishedPosition]) -> Holes:
        """Of the ids that an aggregator has announced and not published, those that nothing kept will fill and that are not wanted."""
        found: Holes = {}
        for topic, (number, last_id), position in self._comparable(published):
            missing = IdRanges((first, min(last, last_id)) for first, last in position.open)
            known_in, known = self.open.get(topic, (number, IdRanges()))
            for first, last in () if numberings_ahead(known_in, number) else known:
                missing.remove(first, last)
            if missing:
                found[topic] = number, list(missing)
        return found

    def forgotten(self, published: Mapping[str, PublishedPosition], begun: Mapping[str, Reached]) -> Holes:
        """The ids that were published and that an aggregator knows nothing of, because its checkpoint is older than they are.

        Of a numbering that it does not know these are all ids; ``begun`` tells with which one each began.
        """
        found: Holes = {
            topic: (number, [(position.last_id + 1, last_id)])
            for topic, (number, last_id), position in self._comparable(published)
            if topic in self.reached and position.last_id < last_id
        }
        for topic, (number, last_id) in self.reached.items():
            known_in = published[topic].continuity if topic in published else NOT_KNOWN
            begun_in, first_id = begun.get(topic, (NOT_KNOWN, 0))
            if begun_in == number and known_in != NOT_KNOWN and numberings_ahead(number, known_in) > 0:
                found[topic] = number, [(first_id, last_id)]
        return found

    def _comparable(
        self, published: Mapping[str, PublishedPosition]
    ) -> Iterator[tuple[str, Reached, PublishedPosition]]:
        """The topics of which an aggregator knows ids of the numbering in which we were: topic, place here, position there.

        Those without a chain, of any shard, are as far as the aggregator says.
        """
        for topic, position in published.items():
            reached = self.reached.get(topic)
            if reached is None:
                if position.continuity != NOT_KNOWN and not Continuity.of(position.continuity).chained:
                    # Of a topic of which nothing else is known, gaps may be open.
                    last_id = max([position.last_id, *(last for _, last in position.open)])
                    yield topic, (position.continuity, last_id), position
            elif position.continuity == NOT_KNOWN or not numberings_ahead(position.continuity, reached[0]):
                yield topic, reached, position


def before_kept(bundles: Sequence[memoryview], reached: Mapping[str, Reached], open_gaps: Holes) -> BeforeKept:
    """Where topics stood before these encoded bundles, the oldest first; ``reached`` and ``open_gaps`` are as of now."""
    before = dict(reached)
    still_open = {topic: (number, IdRanges(ranges)) for topic, (number, ranges) in open_gaps.items()}
    for bundle in reversed(bundles):
        for batch in reversed(wire.decode_bundle(bundle)):
            if batch.schema in DATA_SCHEMAS:
                if batch.topic in before:
                    before[batch.topic] = batch.continuity, batch.first_id - 1
            elif batch.schema == RESET_SCHEMA:
                still_open.pop(batch.topic, None)
                if batch.topic in before:
                    before[batch.topic] = renumbered(batch.continuity, -1), batch.first_id
            elif batch.schema > LATE or batch.schema in ANNOUNCEMENT_SCHEMAS:
                _step_back(batch, before, still_open)
    return BeforeKept(before, still_open)


def _step_back(batch: wire.Batch, before: dict[str, Reached], still_open: dict[str, tuple[int, IdRanges]]) -> None:
    """Before this batch of announcements or late events: what did not continue its topic was about ids that were open."""
    number, topic = batch.continuity, batch.topic
    for event in reversed(wire.decode_batch(batch)):
        first_id, last_id = covered_ids(event.event if isinstance(event, Backfilled) else event)
        if not isinstance(event, Backfilled) and before.get(topic) == (number, last_id):
            before[topic] = number, first_id - 1
        elif not isinstance(event, Gap):
            known_in, filled = still_open.get(topic, (number, IdRanges()))
            if numberings_ahead(known_in, number):
                filled = IdRanges()
            filled.add(first_id, last_id)
            still_open[topic] = number, filled


class DroppedIds:
    """Ids, by topic with a chain, of bundles that were dropped before they were acknowledged."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[tuple[int, int, int]]] = {}
        """By topic (continuity number, first id, last id), the oldest first. A lost ``Reset`` is an empty range."""

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def add(self, batches: Iterable[wire.Batch]) -> None:
        """These were dropped."""
        for batch in batches:
            if not Continuity.of(batch.continuity).chained:
                continue
            if batch.schema in _AHEAD:
                self._add(batch.topic, batch.continuity, batch.first_id, batch.last_id)
            elif batch.schema == RESET_SCHEMA:
                self._add(batch.topic, renumbered(batch.continuity, -1), batch.first_id + 1, batch.first_id)

    def _add(self, topic: str, number: int, first_id: int, last_id: int) -> None:
        ranges = self._ranges.setdefault(topic, [])
        at = len(ranges)  # what was refused is newer than what is forgotten after it
        while at and is_before((number, last_id), (ranges[at - 1][0], ranges[at - 1][1])):
            at -= 1
        if at and ranges[at - 1][0] == number and ranges[at - 1][2] + 1 >= first_id:
            ranges[at - 1] = number, min(first_id, ranges[at - 1][1]), max(last_id, ranges[at - 1][2])
        else:
            ranges.insert(at, (number, first_id, last_id))

    def forgive(self, acknowledged: Iterable[wire.Batch]) -> None:
        """What was dropped before these is named in the checkpoint that covers them."""
        for batch in acknowledged:
            ranges = self._ranges.get(batch.topic)
            if ranges is None or batch.schema not in _AHEAD:
                continue
            while ranges and not is_before((batch.continuity, batch.last_id), (ranges[0][0], ranges[0][2])):
                del ranges[0]
            if not ranges:
                del self._ranges[batch.topic]

    def before(self, topic: str) -> Reached | None:
        """The numbering and the last id before what was dropped of a topic; None if nothing was."""
        ranges = self._ranges.get(topic)
        return (ranges[0][0], ranges[0][1] - 1) if ranges else None
