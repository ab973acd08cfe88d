"""Owns our own numbers: each published batch of a topic gets the next sequence number. Pure.

It is also the last guard of the venue's ids: for chained topics a batch that begins later than the last one ended (a
worker died and a new one took over) gets a ``Gap`` in front, and one that was published before is dropped.
"""

from __future__ import annotations

import msgspec

from k2workers import wire
from k2workers.events import CHAINED, SCHEMA_OF, Event, Gap
from k2workers.sequencing.arbiter import without_ids_through
from k2workers.sequencing.gap import Step, chain_step

_GAP = SCHEMA_OF[Gap]


class TopicState(msgspec.Struct):
    """What has been published of one topic. Ids are the venue's; ``missing`` counts those announced in gaps."""

    sequence: int = 0
    first_id: int | None = None
    last_id: int | None = None
    count: int = 0
    missing: int = 0
    chained: bool = False


class Sequencer:
    """Numbers batches; ``epoch`` tells subscribers that numbering began anew."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.topics: dict[str, TopicState] = {}
        self.events = 0
        self.gaps = 0
        self.old_events = 0

    def stamp(self, frame: bytes, publish_ns: int) -> list[bytes]:
        """The frames to publish for this batch, in order: usually one; none if all of it is old.

        Raises WireError for bytes that are not a batch.
        """
        header = wire.read_header(frame)
        state = self.topics.get(header.topic)
        if state is None:
            state = self.topics[header.topic] = TopicState()
        frames = []
        if header.schema in CHAINED:
            state.chained = True
            step = chain_step(state.last_id, header.first_id, header.last_id)
            if step is Step.OLD:
                self.old_events += header.count
                return []
            if step is Step.OVERLAPS:
                frame, header = self._without_old(frame, header, state)
            elif step is Step.AHEAD:
                frames.append(self._gap(header, state, publish_ns))
        elif header.schema == _GAP:
            self.gaps += 1
            state.missing += header.last_id - header.first_id + 1
        self._count(header, state)
        frames.append(wire.stamp(frame, header, epoch=self.epoch, sequence=state.sequence, publish_ns=publish_ns))
        return frames

    def _count(self, header: wire.Header, state: TopicState) -> None:
        state.sequence += 1
        state.last_id = header.last_id
        if header.schema != _GAP:
            state.count += header.count
            self.events += header.count
            if state.first_id is None:
                state.first_id = header.first_id

    def _gap(self, header: wire.Header, state: TopicState, publish_ns: int) -> bytes:
        assert state.last_id is not None
        missing = Gap(state.last_id + 1, header.first_id - 1, "between workers", publish_ns)
        frame = wire.encode_batch(header.topic, [missing])
        gap_header = wire.read_header(frame)
        self.gaps += 1
        state.missing += missing.last_missing_id - missing.first_missing_id + 1
        self._count(gap_header, state)
        return wire.stamp(frame, gap_header, epoch=self.epoch, sequence=state.sequence, publish_ns=publish_ns)

    def _without_old(self, frame: bytes, header: wire.Header, state: TopicState) -> tuple[bytes, wire.Header]:
        """The part of the batch that was not published yet; the rare case in which events are decoded here."""
        assert state.last_id is not None
        events: list[Event] = []
        for event in wire.decode_events(frame, header):
            if event.last_id <= state.last_id:
                self.old_events += 1
            elif event.first_id <= state.last_id:
                events.append(without_ids_through(state.last_id, event))
            else:
                events.append(event)
        trimmed = wire.encode_batch(header.topic, events)
        return trimmed, wire.read_header(trimmed)
