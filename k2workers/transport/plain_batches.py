"""Owns the plain case of a subscriber, which nearly every batch is: the very next one of a topic that is known. Pure.

What is to be done with any batch stands in ``reassembly.py`` and ``lives.py``, and would come to the same here: this is one step instead of a
dozen calls. Whatever is not surely plain is left to them untouched.
"""

from __future__ import annotations

from k2workers import wire
from k2workers.events import SCHEMAS
from k2workers.transport.columns import Read
from k2workers.transport.deliveries import MessageBatch, MessageColumns
from k2workers.transport.lives import Lives
from k2workers.transport.standing import Standing


class PlainBatches(Lives):
    """``take_plain`` a frame if it is plain."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch: int | None = None
        """The life that the feed is in; None until something was heard."""
        self._topics: dict[str, Standing] = {}
        self._by_name: dict[bytes, tuple[str, Standing]] = {}
        """The same by their names as they stand in frames."""
        self.read_columns: Read | None = None
        """If set, batches are read as columns where they can be; the others have their events, as without it."""

        self.keep_frames = False
        """If set, batches that are taken here have the frames that they came in."""

    def take_plain(self, frame: bytes) -> bool:
        """The same as ``take``, if the batch is the next one of its topic in sequence, epoch, continuity and ids. False if it was not taken."""
        space = frame.find(b" ")
        known = self._by_name.get(frame[:space])
        if known is None:
            return False
        topic, state = known
        if state.renewed or state.bars or state.held or (state.by_book and (not state.whole or state.wait is not None)):
            return False
        batch: wire.DataBatch | wire.Header
        item: MessageBatch | MessageColumns | None
        try:
            whole = self.read_columns is None
            batch = wire.decode_data(memoryview(frame)[space + 1 :]) if whole else wire.read_header(frame)
        except (ValueError, wire.WireError):
            return False
        if (
            batch.sequence != state.sequence + 1
            or batch.epoch != self.epoch
            or batch.continuity != state.continuity_number
            or (batch.first_id != state.last_id + 1 and (state.chained or batch.first_id <= state.last_id))
        ):
            return False
        if isinstance(batch, wire.DataBatch):
            count = len(batch.events)
            kept = frame if self.keep_frames else b""
            item = MessageBatch(topic, batch.sequence, batch.publish_ns, batch.events, state.continuity, kept)
        else:
            count, item = batch.count, self._in_columns(topic, state, batch, frame)
            if item is None:
                return False
        self.ready.append((item, state.position_fields()))
        state.sequence, state.last_id = batch.sequence, batch.last_id
        self.counters.batches += 1
        self.counters.events += count
        return True

    def _in_columns(self, topic: str, state: Standing, header: wire.Header, frame: bytes) -> MessageColumns | None:
        rows = self.read_columns(frame, header) if self.read_columns is not None else None
        if rows is None:
            return None
        event_type = SCHEMAS[header.schema]
        return MessageColumns(
            topic, header.sequence, header.publish_ns, state.continuity, event_type, header.count, rows
        )

    def _add(self, topic: str, state: Standing) -> Standing:
        """The topic stands there, and was not known before."""
        self._topics[topic] = state
        self._by_name[topic.encode()] = topic, state
        return state
