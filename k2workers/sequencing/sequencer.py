"""Owns our own numbers: each published batch of a topic gets the next sequence number. Pure.

Batches are first taken, then published: what was taken of a topic in between goes out as one batch, so that a busy feed costs
less for each event than a quiet one.

It is also the last guard of the venue's ids: for chained topics a batch that begins later than the last one ended gets a
``Gap`` in front, and what was published before is dropped. And it is the memory from which everything continues: per topic
the last published id and the gaps that are still open.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from k2workers import wire
from k2workers.events import (
    CHAINED,
    LATE,
    SCHEMA_OF,
    BookSnapshot,
    Event,
    Gap,
    Heartbeat,
    Kline,
    Status,
    Void,
)
from k2workers.sequencing.arbiter import without_ids_through
from k2workers.sequencing.bars import ids_of
from k2workers.sequencing.gap import Step, chain_step
from k2workers.sequencing.ranges import IdRanges, Range
from k2workers.wire import Batch

_GAP, _VOID, _BOOK = SCHEMA_OF[Gap], SCHEMA_OF[Void], SCHEMA_OF[BookSnapshot]
_UNCHECKED = frozenset({SCHEMA_OF[Kline], SCHEMA_OF[Status], SCHEMA_OF[Heartbeat]})
"""Schemas whose ids may repeat: a bar has many states, and our own records have no venue id."""

BETWEEN_WORKERS = "between workers"
"""The cause of a gap that was found here: a worker died, or had to give up what it could not send."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a topic stands: the last published venue id, and the announced gaps that nothing has filled yet."""

    last_id: int
    open: list[Range]


class TopicState(msgspec.Struct):
    """What has been taken of one topic. Ids are the venue's."""

    topic: str
    sequence: int = 0
    first_id: int | None = None
    last_id: int | None = None
    count: int = 0
    chained: bool = False
    open: IdRanges = msgspec.field(default_factory=IdRanges)
    waiting: list[Batch] = []
    """Taken and not published yet, in order."""


Publication = tuple[str, int, bytes]
"""What to publish: topic, sequence, frame."""


class Sequencer:
    """Numbers batches; ``epoch`` tells subscribers that numbering began anew."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.topics: dict[str, TopicState] = {}
        self.events = 0
        self.gaps = 0
        self.repaired_ids = 0
        self.void_ids = 0
        self.old_events = 0
        self._due: list[TopicState] = []
        """Topics with something to publish."""
        self.found_holes: dict[str, list[Range]] = {}
        """Gaps that were announced here and that no worker knows of yet; the caller tells them and clears this."""

    def positions(self) -> dict[str, Position]:
        """Where every topic of the venue stands."""
        return {
            topic: Position(state.last_id, list(state.open))
            for topic, state in self.topics.items()
            if state.last_id is not None and not topic.startswith("status.")
        }

    def restore(self, positions: Mapping[str, Position]) -> None:
        """Continue from positions that an earlier life wrote down."""
        for topic, position in positions.items():
            self.topics[topic] = TopicState(topic, last_id=position.last_id, open=IdRanges(position.open))

    def rewind(self, sent_from: Mapping[str, int]) -> None:
        """A worker will send everything after these ids, by topic.

        Where nothing was published in this life yet, the topic continues there, even if an earlier life is known to have been
        further: what it published last may not have reached anybody.
        """
        for topic, last_id in sent_from.items():
            state = self._state(topic)
            if not state.sequence:
                state.last_id = last_id

    def take(self, batch: Batch, now_ns: int) -> None:
        """Take what was not published before of a batch; ``now_ns`` is wall-clock time. Raises WireError for damaged events."""
        state = self.topics.get(batch.topic)
        if state is None:
            state = self._state(batch.topic)
        schema, last_id = batch.schema, state.last_id
        if schema in CHAINED:
            state.chained = True
            if last_id is not None and batch.first_id != last_id + 1:
                self._out_of_chain(batch, state, now_ns)
                return
        elif schema > LATE:
            self._late(batch, state)
            return
        elif schema in (_GAP, _VOID):
            self._announcement(batch, state, now_ns)
            return
        elif schema == _BOOK:
            if last_id is not None and batch.last_id < last_id:
                self.old_events += 1
                return
            self.repaired_ids += state.open.remove(0, batch.last_id)
        elif schema not in _UNCHECKED and last_id is not None and batch.first_id <= last_id:
            self._newer_part(batch, state)
            return
        self._pass(batch, state)

    def publish(self, now_ns: int) -> list[Publication]:
        """What was taken since the last call, in order within each topic."""
        published = []
        for state in self._due:
            batches, state.waiting = state.waiting, []
            for batch in batches if len(batches) == 1 else wire.joined(batches):
                state.sequence += 1
                frame = wire.publication(batch, epoch=self.epoch, sequence=state.sequence, publish_ns=now_ns)
                published.append((state.topic, state.sequence, frame))
        self._due.clear()
        return published

    def _state(self, topic: str) -> TopicState:
        state = self.topics.get(topic)
        if state is None:
            state = self.topics[topic] = TopicState(topic)
        return state

    def _out_of_chain(self, batch: Batch, state: TopicState, now_ns: int) -> None:
        step = chain_step(state.last_id, batch.first_id, batch.last_id)
        if step is Step.OLD:
            self.old_events += batch.count
        elif step is Step.AHEAD:
            self._find_gap(batch.first_id, state, now_ns)
            self._pass(batch, state)
        else:
            self._newer_part(batch, state)

    def _newer_part(self, batch: Batch, state: TopicState) -> None:
        """What of the batch was not published yet; the rare case in which events are decoded here."""
        assert state.last_id is not None
        events: list[Event] = []
        for event in wire.decode_batch(batch):
            if event.last_id <= state.last_id:
                self.old_events += 1
            elif event.first_id <= state.last_id:
                events.append(without_ids_through(state.last_id, event))
            else:
                events.append(event)
        if events:
            self._pass(wire.batch_of(batch.topic, events), state)

    def _announcement(self, batch: Batch, state: TopicState, now_ns: int) -> None:
        """Gaps or Voids: in front of later ids, or (Voids) for gaps announced before. Between them lie ids of neither."""
        for event in wire.decode_batch(batch):
            closed = state.open.remove(event.first_id, event.last_id) if batch.schema == _VOID else 0
            if state.last_id is not None and event.last_id <= state.last_id and not closed:
                self.old_events += 1
            elif batch.schema == _VOID:
                self.void_ids += event.last_id - event.first_id + 1
                self._pass(wire.batch_of(batch.topic, [event]), state)
            else:
                self._gap(event, state, now_ns)

    def _gap(self, gap: Event, state: TopicState, now_ns: int) -> None:
        """A gap that reaches beyond what was taken."""
        if state.chained and state.last_id is not None:
            if gap.first_id <= state.last_id:
                gap = without_ids_through(state.last_id, gap)
            elif gap.first_id > state.last_id + 1:
                self._find_gap(gap.first_id, state, now_ns)
        self.gaps += 1
        state.open.add(gap.first_id, gap.last_id)
        self._pass(wire.batch_of(state.topic, [gap]), state)

    def _late(self, batch: Batch, state: TopicState) -> None:
        """Events for gaps announced before: only what is still open goes on."""
        events = []
        for event in wire.decode_batch(batch):
            closed = state.open.remove(*ids_of(event.event))  # type: ignore[attr-defined]
            if closed:
                events.append(event)
                self.repaired_ids += closed
            else:
                self.old_events += 1
        if events:
            self._pass(wire.batch_of(batch.topic, events), state)

    def _find_gap(self, next_id: int, state: TopicState, now_ns: int) -> None:
        """Announce the ids between what was taken and this one."""
        assert state.last_id is not None
        first, last = state.last_id + 1, next_id - 1
        self.gaps += 1
        state.open.add(first, last)
        self.found_holes.setdefault(state.topic, []).append((first, last))
        self._pass(wire.batch_of(state.topic, [Gap(first, last, BETWEEN_WORKERS, now_ns)]), state)

    def _pass(self, batch: Batch, state: TopicState) -> None:
        if not state.waiting:
            self._due.append(state)
        state.waiting.append(batch)
        if state.last_id is None or batch.last_id > state.last_id:
            state.last_id = batch.last_id
        if batch.schema not in (_GAP, _VOID, _BOOK):
            state.count += batch.count
            self.events += batch.count
            if state.first_id is None or batch.first_id < state.first_id:
                state.first_id = batch.first_id

    @property
    def gaps_open(self) -> int:
        """Announced gaps that nothing has filled yet."""
        return sum(len(state.open) for state in self.topics.values())
