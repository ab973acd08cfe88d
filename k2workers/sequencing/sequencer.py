"""Owns our own numbers: each published batch of a topic gets the next sequence number. Pure.

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
    """What has been published of one topic. Ids are the venue's; ``missing`` counts those announced in gaps."""

    sequence: int = 0
    first_id: int | None = None
    last_id: int | None = None
    count: int = 0
    missing: int = 0
    chained: bool = False
    open: IdRanges = msgspec.field(default_factory=IdRanges)


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
            self.topics[topic] = TopicState(last_id=position.last_id, open=IdRanges(position.open))

    def rewind(self, sent_from: Mapping[str, int]) -> None:
        """A worker will send everything after these ids, by topic.

        Where nothing was published in this life yet, the topic continues there, even if an earlier life is known to have been
        further: what it published last may not have reached anybody.
        """
        for topic, last_id in sent_from.items():
            state = self.topics.setdefault(topic, TopicState())
            if not state.sequence:
                state.last_id = last_id

    def stamp(self, frame: bytes, publish_ns: int) -> list[bytes]:
        """The frames to publish for this batch, in order: usually one; none if all of it is old.

        Raises WireError for bytes that are not a batch.
        """
        header = wire.read_header(frame)
        state = self.topics.get(header.topic)
        if state is None:
            state = self.topics[header.topic] = TopicState()
        schema, last_id = header.schema, state.last_id
        if schema in CHAINED:
            state.chained = True
            if last_id is not None and header.first_id != last_id + 1:
                return self._out_of_chain(frame, header, state, publish_ns)
        elif schema > LATE:
            return self._late(frame, header, state, publish_ns)
        elif schema in (_GAP, _VOID):
            return self._announcement(frame, header, state, publish_ns)
        elif schema == _BOOK:
            if last_id is not None and header.last_id < last_id:
                self.old_events += 1
                return []
            self.repaired_ids += state.open.remove(0, header.last_id)
        elif schema not in _UNCHECKED and last_id is not None and header.first_id <= last_id:
            return self._newer_part(frame, header, state, publish_ns)
        return [self._number(frame, header, state, publish_ns)]

    def _out_of_chain(self, frame: bytes, header: wire.Header, state: TopicState, publish_ns: int) -> list[bytes]:
        step = chain_step(state.last_id, header.first_id, header.last_id)
        if step is Step.OLD:
            self.old_events += header.count
            return []
        if step is Step.AHEAD:
            return [self._found_gap(header, state, publish_ns), self._number(frame, header, state, publish_ns)]
        return self._newer_part(frame, header, state, publish_ns)

    def _newer_part(self, frame: bytes, header: wire.Header, state: TopicState, publish_ns: int) -> list[bytes]:
        """What of the batch was not published yet; the rare case in which events are decoded here."""
        assert state.last_id is not None
        events: list[Event] = []
        for event in wire.decode_events(frame, header):
            if event.last_id <= state.last_id:
                self.old_events += 1
            elif event.first_id <= state.last_id:
                events.append(without_ids_through(state.last_id, event))
            else:
                events.append(event)
        return [self._encode(header.topic, events, state, publish_ns)] if events else []

    def _announcement(self, frame: bytes, header: wire.Header, state: TopicState, publish_ns: int) -> list[bytes]:
        """A Gap or a Void: in front of later ids, or (a Void) for a gap announced before."""
        late = state.last_id is not None and header.last_id <= state.last_id
        if header.schema == _VOID:
            closed = state.open.remove(header.first_id, header.last_id)
            if late and not closed:
                self.old_events += 1
                return []
            self.void_ids += header.last_id - header.first_id + 1
            return [self._number(frame, header, state, publish_ns)]
        if late:
            self.old_events += 1
            return []
        frames = []
        if state.chained and state.last_id is not None and header.first_id <= state.last_id:
            gap = without_ids_through(state.last_id, wire.decode_events(frame, header)[0])
            frame = wire.encode_batch(header.topic, [gap])
            header = wire.read_header(frame)
        elif state.chained and state.last_id is not None and header.first_id > state.last_id + 1:
            frames.append(self._found_gap(header, state, publish_ns))
        self.gaps += 1
        state.missing += header.last_id - header.first_id + 1
        state.open.add(header.first_id, header.last_id)
        return [*frames, self._number(frame, header, state, publish_ns)]

    def _late(self, frame: bytes, header: wire.Header, state: TopicState, publish_ns: int) -> list[bytes]:
        """Events for gaps announced before: only what is still open goes on."""
        events = []
        for event in wire.decode_events(frame, header):
            closed = state.open.remove(*ids_of(event.event))  # type: ignore[attr-defined]
            if closed:
                events.append(event)
                self.repaired_ids += closed
            else:
                self.old_events += 1
        return [self._encode(header.topic, events, state, publish_ns)] if events else []

    def _found_gap(self, header: wire.Header, state: TopicState, publish_ns: int) -> bytes:
        assert state.last_id is not None
        first, last = state.last_id + 1, header.first_id - 1
        self.gaps += 1
        state.missing += last - first + 1
        state.open.add(first, last)
        self.found_holes.setdefault(header.topic, []).append((first, last))
        return self._encode(header.topic, [Gap(first, last, BETWEEN_WORKERS, publish_ns)], state, publish_ns)

    def _encode(self, topic: str, events: list[Event], state: TopicState, publish_ns: int) -> bytes:
        frame = wire.encode_batch(topic, events)
        return self._number(frame, wire.read_header(frame), state, publish_ns)

    def _number(self, frame: bytes, header: wire.Header, state: TopicState, publish_ns: int) -> bytes:
        state.sequence += 1
        schema = header.schema
        if state.last_id is None or header.last_id > state.last_id:
            state.last_id = header.last_id
        if schema not in (_GAP, _VOID, _BOOK):
            state.count += header.count
            self.events += header.count
            if state.first_id is None or header.first_id < state.first_id:
                state.first_id = header.first_id
        return wire.stamp(frame, header, epoch=self.epoch, sequence=state.sequence, publish_ns=publish_ns)

    @property
    def gaps_open(self) -> int:
        """Announced gaps that nothing has filled yet."""
        return sum(len(state.open) for state in self.topics.values())
