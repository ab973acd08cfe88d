"""Owns what a subscriber delivers: each event once and in order, holes repaired from the ring, or named. Pure.

Batches of one topic carry consecutive sequences within one epoch (one life of the aggregator). A batch ahead of a hole is
held for a bounded time while the ring is asked for the missing ones; other topics are never delayed. A new epoch counts
from 1 again, and may bring events again that the last one had published: what was delivered is known by the venue's
ids, and dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity
from k2workers.events import ANNOUNCEMENT_SCHEMAS, DATA_SCHEMAS, Event
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN, Coverage
from k2workers.sequencing.ranges import Range
from k2workers.transport.position import Position, TopicPosition

_WITH_IDS = DATA_SCHEMAS | ANNOUNCEMENT_SCHEMAS
"""Batches whose first id tells where a topic goes on."""

PATIENCE_NS = 2_000_000_000
ASK_AGAIN_NS = 400_000_000
MAX_HELD_BYTES = 64 * 2**20
"""Over all topics; past it the topic that wants to hold more gives up its hole."""


class Lost(msgspec.Struct, frozen=True, gc=False):
    """Batches of this topic that were published and can no longer be fetched: sequences first to last, inclusive.

    They are no longer in the ring, or of a schema that this version does not know.

    ``first_id`` to ``last_id`` are the venue ids that went with them, where they follow from the neighbours. A hole between
    two lives of the aggregator is known by ids only: its sequences are 0 to -1.
    """

    topic: str
    first_sequence: int
    last_sequence: int
    first_id: int | None = None
    last_id: int | None = None

    @property
    def count(self) -> int:
        """How many batches; 0 if only ids are known."""
        return self.last_sequence - self.first_sequence + 1


class MessageBatch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive events of one topic, as they were published. ``publish_ns`` wall-clock ns."""

    topic: str
    sequence: int
    publish_ns: int
    events: list[Event]
    continuity: Continuity
    """How the ids of the topic continue, and so what its guarantee is."""


PositionFields = tuple[int, int, int, int, int, list[Range], bool]
"""Where a topic stands, in the field order of ``TopicPosition``; a tuple, because one is made for each batch."""

Delivery = tuple[MessageBatch | Lost, PositionFields]
"""Something to give to the program, and where its topic stood before it."""


class ReassemblyCounters(msgspec.Struct, gc=False):
    """Totals since the subscriber was made."""

    batches: int = 0
    events: int = 0
    lost_batches: int = 0
    repaired_batches: int = 0
    duplicates_dropped: int = 0


class _Topic(Coverage):
    """Where one topic stands: which of its ids were delivered, and which of its batches."""

    __slots__ = ("asked_ns", "deadline_ns", "epoch", "gaps", "held", "renewed", "sequence")

    def __init__(self, epoch: int, sequence: int, last_id: int = NO_ID, open_gaps: list[Range] | None = None) -> None:
        super().__init__(last_id, open_gaps or ())
        self.epoch = epoch
        self.sequence = sequence
        self.renewed = False
        """A new epoch began and its first batch with ids has not come yet: only ids can show whether something is lost."""
        self.gaps: list[Range] = open_gaps or []
        """``open`` as it was after the last batch: a list of its own for each change, so that places can share it."""
        self.held: dict[int, bytes] = {}
        self.deadline_ns = 0
        self.asked_ns = 0

    @classmethod
    def at(cls, position: TopicPosition) -> _Topic:
        """A topic that stands there."""
        state = cls(position.epoch, position.sequence, position.last_id, position.open)
        state.last_time_ns, state.renewed = position.last_time_ns, position.renewed
        if position.continuity != NOT_KNOWN:
            state.learn(position.continuity)
        return state

    def position_fields(self) -> PositionFields:
        return (
            self.epoch, self.sequence, self.last_id, self.last_time_ns, self.continuity_number, self.gaps, self.renewed
        )  # fmt: skip


class Reassembly:
    """The state of all topics of one subscriber.

    Feed it with ``take`` and ``replayed``, call ``tick`` steadily; deliveries appear in ``ready``, requests to the ring
    come from ``questions``.
    """

    def __init__(self, position: Position | None = None, *, patience_ns: int = PATIENCE_NS) -> None:
        self.ready: deque[Delivery] = deque()
        self.counters = ReassemblyCounters()
        self.unreadable = ""
        """Why the last unreadable batch could not be read; the caller that reports it clears it."""
        self._patience_ns = patience_ns
        self._topics: dict[str, _Topic] = {}
        self._waiting: dict[str, _Topic] = {}
        """Topics with a hole."""
        self._held_bytes = 0
        for topic, at in (position.topics if position is not None else {}).items():
            self._topics[topic] = _Topic.at(at)

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, frame: bytes, now_ns: int) -> None:
        """A frame as it was published. Raises WireError if it is no batch at all."""
        header = wire.read_header(frame)
        state = self._topics.get(header.topic)
        if state is None:
            state = self._topics[header.topic] = _Topic(header.epoch, header.sequence - 1)
        if header.epoch != state.epoch and not self._change_epoch(header.topic, state, header.epoch):
            self.counters.duplicates_dropped += header.count
        elif header.sequence == state.sequence + 1:
            self._deliver(state, header, frame)
            if state.held:
                self._drain(header.topic, state)
        elif header.sequence <= state.sequence:
            self.counters.duplicates_dropped += header.count
        else:
            self._hold(state, header, frame, now_ns)

    def replayed(self, topic: str, epoch: int, first: int, newest: int, frames: list[bytes], now_ns: int) -> None:
        """The ring's answer: it holds sequences ``first`` to ``newest``, and gave these frames."""
        state = self._topics.get(topic)
        if state is None:
            state = self._topics[topic] = _Topic(epoch, first - 1)
        if epoch != state.epoch and not self._change_epoch(topic, state, epoch):
            return
        before, lost = state.sequence, max(0, first - 1 - state.sequence)
        for frame in frames:
            header = wire.read_header(frame)
            if header.sequence > state.sequence and header.sequence not in state.held:
                state.held[header.sequence] = frame
                self._held_bytes += len(frame)
        if lost:
            self._give_up(topic, state, first - 1)
        self._drain(topic, state)
        self.counters.repaired_batches += max(0, state.sequence - before - lost)
        if newest > state.sequence:
            self._want(topic, state, now_ns)
            state.asked_ns = 0 if frames else now_ns  # more at once after progress
        elif not state.held:
            self._waiting.pop(topic, None)

    def behind(self, epoch: int, newest: dict[str, int], now_ns: int) -> None:
        """The ring's newest sequences: topics that are behind them need a repair."""
        for topic, sequence in newest.items():
            state = self._topics.get(topic)
            if state is None:
                state = self._topics[topic] = _Topic(epoch, 0)
            if epoch > state.epoch or (epoch == state.epoch and sequence > state.sequence):
                self._want(topic, state, now_ns)

    def tick(self, now_ns: int) -> None:
        """Give up the holes whose time is up."""
        for topic, state in [(t, s) for t, s in self._waiting.items() if now_ns >= s.deadline_ns]:
            if state.held:
                self._give_up(topic, state, min(state.held) - 1)
                state.deadline_ns = now_ns + self._patience_ns
            if not state.held:
                self._waiting.pop(topic, None)

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────

    def questions(self, now_ns: int) -> Iterator[tuple[str, int]]:
        """(topic, first missing sequence) to ask the ring for now."""
        for topic, state in self._waiting.items():
            if now_ns - state.asked_ns >= ASK_AGAIN_NS:
                state.asked_ns = now_ns
                yield topic, state.sequence + 1

    @property
    def waiting(self) -> bool:
        """Whether any topic has a hole."""
        return bool(self._waiting)

    def knows(self, topic: str) -> bool:
        """Whether any batch of this topic has arrived."""
        return topic in self._topics

    def position(self, begun: Delivery | None, begun_at: int) -> Position:
        """Where the program stands: all that was taken out of ``ready``, and ``begun_at`` events of ``begun``."""
        found = {topic: TopicPosition(*state.position_fields()) for topic, state in self._topics.items()}
        for item, before in reversed(self.ready):
            found[item.topic] = TopicPosition(*before)
        if begun is not None and isinstance(begun[0], MessageBatch) and begun_at < len(begun[0].events):
            found[begun[0].topic] = _after(TopicPosition(*begun[1]), begun[0].events[:begun_at])
        return Position(found)

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────

    def _change_epoch(self, topic: str, state: _Topic, epoch: int) -> bool:
        """Begin the numbering of a new epoch; False if this one is older."""
        if epoch < state.epoch:
            return False
        if state.held:
            self._give_up(topic, state, max(state.held))
        state.epoch, state.sequence = epoch, 0
        state.renewed = True
        return True

    def _hold(self, state: _Topic, header: wire.Header, frame: bytes, now_ns: int) -> None:
        if header.sequence in state.held:
            self.counters.duplicates_dropped += header.count
            return
        state.held[header.sequence] = frame
        self._held_bytes += len(frame)
        self._want(header.topic, state, now_ns)
        if self._held_bytes > MAX_HELD_BYTES:
            self._give_up(header.topic, state, min(state.held) - 1)

    def _want(self, topic: str, state: _Topic, now_ns: int) -> None:
        if topic not in self._waiting:
            self._waiting[topic] = state
            state.deadline_ns = now_ns + self._patience_ns
            state.asked_ns = -ASK_AGAIN_NS

    def _give_up(self, topic: str, state: _Topic, last_sequence: int) -> None:
        """Report what is missing up to this sequence as lost, delivering what was held in between."""
        while state.sequence < last_sequence:
            if state.sequence + 1 in state.held:
                self._drain(topic, state)
                continue
            until = min((s for s in state.held if s > state.sequence), default=last_sequence + 1) - 1
            until = min(until, last_sequence)
            frame = state.held.get(until + 1)
            following = wire.read_header(frame) if frame is not None else None
            first_id = last_id = None
            if state.chained and state.last_id != NO_ID and following is not None and following.schema in DATA_SCHEMAS:
                first_id, last_id = state.last_id + 1, following.first_id - 1
            # After a new epoch only ids show what is lost: what was missed may have been received in the old one.
            if not (state.renewed and state.chained):
                self.ready.append((Lost(topic, state.sequence + 1, until, first_id, last_id), state.position_fields()))
                self.counters.lost_batches += until - state.sequence
                if last_id is not None:
                    state.last_id = max(state.last_id, last_id)
            state.sequence = until
        self._drain(topic, state)

    def _drain(self, topic: str, state: _Topic) -> None:
        """Deliver what is held and follows on now."""
        while (frame := state.held.pop(state.sequence + 1, None)) is not None:
            self._held_bytes -= len(frame)
            self._deliver(state, wire.read_header(frame), frame)
        if not state.held:
            self._waiting.pop(topic, None)

    def _deliver(self, state: _Topic, header: wire.Header, frame: bytes) -> None:
        """The topic's next batch: what of it is new goes to ``ready``."""
        try:
            if header.continuity != state.continuity_number:
                state.learn(header.continuity)
            events = wire.decode_events(frame, header)
        except (wire.WireError, ValueError) as error:
            self._cannot_read(state, header, str(error))
            return
        before = state.position_fields()
        state.sequence = header.sequence
        if state.renewed:
            self._begin_epoch(state, header, before)
        if state.all_new(header.schema, header.first_id):
            state.last_id = header.last_id
        else:
            events = [new for event in events if (new := state.admit(event)) is not None]
            state.gaps = list(state.open)
            self.counters.duplicates_dropped += header.count - len(events)
            if not events:
                return
        counters = self.counters
        counters.batches += 1
        counters.events += len(events)
        batch = MessageBatch(header.topic, header.sequence, header.publish_ns, events, state.continuity)
        self.ready.append((batch, before))

    def _cannot_read(self, state: _Topic, header: wire.Header, cause: str) -> None:
        """A batch that is damaged, or that only a newer version can read: the topic continues after it."""
        self.unreadable = cause
        self.counters.lost_batches += 1
        ids = (header.first_id, header.last_id) if state.chained and header.schema in DATA_SCHEMAS else (None, None)
        self.ready.append((Lost(header.topic, header.sequence, header.sequence, *ids), state.position_fields()))
        state.sequence = header.sequence

    def _begin_epoch(self, state: _Topic, header: wire.Header, before: PositionFields) -> None:
        """The first batches of a new epoch: ids tell whether something was lost between the two."""
        if not state.chained or header.schema not in _WITH_IDS:
            return
        if 0 <= state.last_id < header.first_id - 1:
            lost = Lost(header.topic, 0, -1, state.last_id + 1, header.first_id - 1)
            self.ready.append((lost, before))
            state.last_id = header.first_id - 1
        if header.schema in DATA_SCHEMAS or header.first_id > state.last_id:
            state.renewed = False


def _after(before: TopicPosition, given: list[Event]) -> TopicPosition:
    """Where a topic stands after these events, if the rest of their batch is not given."""
    state = _Topic.at(before)
    for event in given:
        state.admit(event)
    state.gaps = list(state.open)
    return TopicPosition(*state.position_fields())
