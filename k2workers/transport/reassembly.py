"""Owns what a subscriber delivers: each event once and in order, holes repaired from the ring, or named. Pure.

Batches of one topic carry consecutive sequences within one epoch (one life of the aggregator). A batch ahead of a hole is
held for a bounded time while the ring is asked for the missing ones; other topics are never delayed.

Another epoch is a new life, whatever its number: it counts from 1 again, and may bring events again that the last one had
published. What was delivered is known by the venue's ids, and dropped; ids that are missing in between are named. An epoch that was left
is never taken again: a publisher that still speaks in it is a second one.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity, numberings_ahead, renumbered
from k2workers.events import DATA_SCHEMAS, LATE, RESET_SCHEMA, SNAPSHOT_SCHEMAS, Event, Reset
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN, next_id_before
from k2workers.sequencing.ranges import Range
from k2workers.transport.position import Position, TopicPosition
from k2workers.transport.standing import PositionFields, Standing, after

_AT_THE_HEAD = DATA_SCHEMAS | SNAPSHOT_SCHEMAS
"""Batches that show how far a topic is; what fills or voids a gap may be far below."""

PATIENCE_NS = 2_000_000_000
ASK_AGAIN_NS = 400_000_000
MAX_HELD_BYTES = 64 * 2**20
"""Over all topics; past it the topic that wants to hold more gives up its hole."""

DOUBT = 5
"""How many times its patience a subscriber waits for a new life to come to the numbering that an earlier one had reached."""

MAX_EPOCHS_LEFT = 64
"""Epochs that are remembered as left; the oldest is forgotten first."""

NO_SEQUENCES = (0, -1)
"""Of a loss that is known by ids only."""


class Lost(msgspec.Struct, frozen=True, gc=False):
    """Batches of this topic that were published and can no longer be fetched: sequences first to last, inclusive.

    They are no longer in the ring, or of a schema that this version does not know.

    ``first_id`` to ``last_id`` are the venue ids that will not come because of it, where they follow from the neighbours. (Should
    one come all the same, it comes as ``Backfilled``.) Events of
    an announced gap that may have been among them are not: that gap stays open. A hole that is known by ids only (between two
    lives of the aggregator) has the sequences 0 to -1; if the ids began anew in it, its ids are not known either.
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


Delivery = tuple[MessageBatch | Lost, PositionFields]
"""Something to give to the program, and where its topic stood before it."""


class ReassemblyCounters(msgspec.Struct, gc=False):
    """Totals since the subscriber was made."""

    batches: int = 0
    events: int = 0
    lost_batches: int = 0
    repaired_batches: int = 0
    duplicates_dropped: int = 0
    refused_batches: int = 0
    """Of an epoch that was left: two publishers speak at once. Not delivered."""
    books: int = 0
    """Whole books that were asked for and given."""


class Reassembly:
    """The state of all topics of one subscriber.

    Feed it with ``take`` and ``replayed``, call ``tick`` steadily; deliveries appear in ``ready``, requests to the ring
    come from ``questions``. ``BookReassembly`` is the same for those who have somebody to ask for whole books.
    """

    def __init__(self, position: Position | None = None, *, patience_ns: int = PATIENCE_NS) -> None:
        self.ready: deque[Delivery] = deque()
        self.counters = ReassemblyCounters()
        self.unreadable = ""
        """Why the last unreadable batch could not be read; the caller that reports it clears it."""
        self.epoch: int | None = None
        """The life that the feed is in; None until something was heard."""
        self.refused_epoch: int | None = None
        """The last epoch that was refused because it was left; the caller that reports it clears it."""
        self._left: dict[int, None] = dict.fromkeys(position.left if position is not None else ())
        self._joined = set(position.joined if position is not None else ())
        self._patience_ns = patience_ns
        self._topics: dict[str, Standing] = {}
        self._waiting: dict[str, Standing] = {}
        """Topics with a hole, other than those that hold everything until there is a book."""
        self._doubtful: dict[str, Standing] = {}
        """Topics whose new life is in an earlier numbering."""
        self._held_bytes = 0
        for topic, at in (position.topics if position is not None else {}).items():
            self._topics[topic] = Standing.at(at)

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, epoch: int) -> bool:
        """The feed speaks in this epoch. False if it was left before: then what it says does not count."""
        if epoch == self.epoch:
            return True
        if epoch in self._left:
            self.counters.refused_batches += 1
            self.refused_epoch = epoch
            return False
        if self.epoch is not None:
            self._left[self.epoch] = None
        self.epoch = epoch
        for topic, state in self._topics.items():
            if state.epoch != epoch:
                self._begin_anew(topic, state, epoch)
        while len(self._left) > MAX_EPOCHS_LEFT:
            del self._left[next(iter(self._left))]
        return True

    def has_joined(self, wanted: str) -> bool:
        """Whether it is known from where these topics count."""
        return wanted in self._joined

    def join(self, wanted: str, epoch: int, newest: dict[str, int]) -> None:
        """The first answer about a topic or prefix: those of its topics that are not known count from their newest batch on.

        A topic that shows up later has begun since, and counts from its first batch.
        """
        if self._hears(epoch):
            self._joined.add(wanted)
            for topic, sequence in newest.items():
                if topic not in self._topics:
                    self._topics[topic] = Standing(epoch, sequence)

    def take(self, frame: bytes, now_ns: int) -> None:
        """A frame as it was published. Raises WireError if it is no batch at all."""
        header = wire.read_header(frame)
        if header.epoch != self.epoch and not self.enter(header.epoch):
            return
        state = self._topics.get(header.topic)
        if state is None:
            begins = 0 if self._begun_since(header.topic) else header.sequence - 1
            state = self._topics[header.topic] = Standing(header.epoch, begins)
        if header.sequence == state.sequence + 1 and not state.by_book:
            self._deliver(state, header, frame)
            if state.held:
                self._drain(header.topic, state)
        elif header.sequence <= state.sequence:
            if state.heard:
                self.counters.duplicates_dropped += header.count
            else:  # it was still to be read when the newest sequences were asked for
                state.sequence = header.sequence - 1
                self._deliver(state, header, frame)
        elif header.sequence == state.sequence + 1 and not state.holding:
            self._deliver(state, header, frame)
            self._follow_book(header.topic, state)
            self._drain(header.topic, state)
        else:
            self._hold(state, header, frame, now_ns)

    def replayed(self, topic: str, epoch: int, first: int, newest: int, frames: list[bytes], now_ns: int) -> None:
        """The ring's answer: it holds sequences ``first`` to ``newest``, and gave these frames."""
        state = self._topics.get(topic)
        if state is None or not self._hears(epoch):
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
        else:
            self._rest(topic, state)

    def behind(self, epoch: int, newest: dict[str, int], now_ns: int) -> None:
        """The ring's newest sequences: topics that are behind them need a repair."""
        if not self._hears(epoch):
            return
        for topic, sequence in newest.items():
            state = self._topics.get(topic)
            if state is None:
                state = self._topics[topic] = Standing(epoch, 0)
            if sequence > state.sequence:
                self._want(topic, state, now_ns)

    def tick(self, now_ns: int) -> None:
        """Give up the holes, and end the doubts, whose time is up."""
        for topic, state in list(self._doubtful.items()):
            if state.doubted_until_ns == NO_ID:
                state.doubted_until_ns = now_ns + DOUBT * self._patience_ns
            elif now_ns >= state.doubted_until_ns:
                self._believe(topic, state)
        for topic, state in [(t, s) for t, s in self._waiting.items() if now_ns >= s.deadline_ns]:
            if state.held:
                self._give_up(topic, state, min(state.held) - 1)
                state.deadline_ns = now_ns + self._patience_ns
            if state.former:
                self._give_former(topic, state)
            self._rest(topic, state)

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
        state = self._topics.get(topic)
        return state is not None and state.heard

    def place(self, topic: str) -> TopicPosition | None:
        """Where the program stands in one topic, if it is in the middle of no batch; None if the topic is not known."""
        for item, before in self.ready:
            if item.topic == topic:
                return TopicPosition(*before)
        state = self._topics.get(topic)
        return TopicPosition(*state.position_fields()) if state is not None else None

    def position(self, begun: Delivery | None, begun_at: int) -> Position:
        """Where the program stands: all that was taken out of ``ready``, and ``begun_at`` events of ``begun``."""
        found = {topic: TopicPosition(*state.position_fields()) for topic, state in self._topics.items()}
        for item, before in reversed(self.ready):
            found[item.topic] = TopicPosition(*before)
        if begun is not None and isinstance(begun[0], MessageBatch) and begun_at < len(begun[0].events):
            found[begun[0].topic] = after(TopicPosition(*begun[1]), begun[0].events[:begun_at])
        return Position(found, list(self._left), sorted(self._joined))

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────

    def _hears(self, epoch: int) -> bool:
        """Whether an answer is of this life or a new one. One of an earlier life was only late."""
        return epoch not in self._left and self.enter(epoch)

    def _begun_since(self, topic: str) -> bool:
        """Whether a topic that is not known has begun since the program joined: then none of its batches was before that."""
        return any(topic == wanted or (wanted[-1:] == "." and topic.startswith(wanted)) for wanted in self._joined)

    def _begin_anew(self, topic: str, state: Standing, epoch: int) -> None:
        """The topic counts from 1 in a new epoch."""
        if state.held and state.chained and state.last_id != NO_ID and self._patience_ns:
            state.former += state.held.values()
            state.former.sort(key=lambda frame: wire.read_header(frame).first_id)
            state.held.clear()
        elif state.held:
            self._give_up(topic, state, max(state.held))
            self._forget_held(state, max(state.held, default=0))  # what a book is awaited for since
        self._forget_doubted(topic, state)
        self._left[state.epoch] = None
        state.epoch, state.sequence, state.renewed = epoch, 0, True

    def _hold(self, state: Standing, header: wire.Header, frame: bytes, now_ns: int) -> None:
        if header.sequence in state.held:
            self.counters.duplicates_dropped += header.count
            return
        self._keep(state, header, frame)
        if state.holding:
            self._hold_for_book(header, state, frame, now_ns)
            return
        self._want(header.topic, state, now_ns)
        if self._held_bytes > MAX_HELD_BYTES:
            self._give_up(header.topic, state, min(state.held) - 1)

    def _want(self, topic: str, state: Standing, now_ns: int) -> None:
        if topic not in self._waiting and not state.holding:
            self._waiting[topic] = state
            state.deadline_ns = now_ns + self._patience_ns
            state.asked_ns = -ASK_AGAIN_NS

    def _give_up(self, topic: str, state: Standing, last_sequence: int) -> None:
        """Report what is missing up to this sequence as lost, delivering what was held in between."""
        while state.sequence < last_sequence and not state.holding:
            if state.sequence + 1 in state.held:
                self._drain(topic, state)
                continue
            until = min((s for s in state.held if s > state.sequence), default=last_sequence + 1) - 1
            until = min(until, last_sequence)
            frame = state.held.get(until + 1)
            # After a new epoch only ids show what is lost: what was missed may have been received in the old one.
            if not (state.renewed and state.chained):
                missing = self._missing_before(state, frame) if frame is not None else None
                self._lose(topic, state, (state.sequence + 1, until), missing)
            state.sequence = until
        self._drain(topic, state)

    def _missing_before(self, state: Standing, frame: bytes) -> Range | None:
        header = wire.read_header(frame)
        if not state.bars:
            return state.missing_before(header)
        with contextlib.suppress(wire.WireError):  # whoever delivers it will say so
            return state.missing_bars(header, wire.decode_events(frame, header))
        return None

    def _drain(self, topic: str, state: Standing) -> None:
        """Deliver what is held and follows on now."""
        while not state.holding and (frame := state.held.pop(state.sequence + 1, None)) is not None:
            self._held_bytes -= len(frame)
            self._deliver(state, wire.read_header(frame), frame)
            if state.by_book:
                self._follow_book(topic, state)
        self._rest(topic, state)

    def _rest(self, topic: str, state: Standing) -> None:
        """It waits no longer, unless something of it is still held."""
        if not state.held and not state.former:
            self._waiting.pop(topic, None)

    def _deliver(self, state: Standing, header: wire.Header, frame: bytes) -> None:
        """The topic's next batch: what of it is new goes to ``ready``."""
        try:
            events = wire.decode_events(frame, header)
            if header.continuity != state.continuity_number and not self._learn_next(state, header, events, frame):
                return
        except (wire.WireError, ValueError) as error:
            self._cannot_read(state, header, str(error))
            return
        if state.renewed and not self._compare_lives(state, header, events):
            state.sequence = header.sequence
            return
        # The nearly always right answer first, without a call.
        plain = header.first_id > state.last_id and header.schema in DATA_SCHEMAS and not state.bars
        if not plain and not state.all_new(header.schema, header.first_id):
            self._give_new(state, header, events, header.sequence)
            return
        if state.chained and header.first_id != state.last_id + 1 and (missing := state.missing_before(header)):
            self._lose(header.topic, state, NO_SEQUENCES, missing)
            if state.holding:
                self._keep(state, header, frame)
                return
        before = state.position_fields()
        state.sequence, state.last_id = header.sequence, header.last_id
        self._give(header, state, events, before)

    def _learn_next(self, state: Standing, header: wire.Header, events: list[Event], frame: bytes) -> bool:
        """The topic's next batch is of another continuity number than those before it. Returns whether it is to be given now."""
        if state.continuity_number == NOT_KNOWN and self._awaits_book(state, header):
            self._keep(state, header, frame)
            return False
        if self._learn(state, header, events):
            return True
        state.sequence = header.sequence
        if state.renewed and not state.same_numbering(header):
            self._doubt(header.topic, state, frame)
        return False

    def _learn(self, state: Standing, header: wire.Header, events: list[Event]) -> bool:
        """A batch of another continuity number than those before it: the first of its topic, or of another numbering.

        Returns whether it is still to be given.
        """
        if state.former and not state.same_numbering(header):
            self._give_former(header.topic, state)
        if state.same_numbering(header) and header.schema != RESET_SCHEMA:
            state.learn(header.continuity)
            return True
        if state.continuity_number == NOT_KNOWN or numberings_ahead(header.continuity, state.continuity_number) > 0:
            self._begin_numbering(state, header, events)
            return header.schema != RESET_SCHEMA
        if not state.renewed:
            self.counters.duplicates_dropped += header.count
        return False

    def _doubt(self, topic: str, state: Standing, frame: bytes) -> None:
        """A new life begins in an earlier numbering: keep what it brings until it is clear whether it only repeats."""
        if not state.doubted:
            self._doubtful[topic], state.doubted_until_ns = state, NO_ID
        state.doubted.append(frame)
        self._held_bytes += len(frame)
        if self._held_bytes > MAX_HELD_BYTES:
            self._believe(topic, state)

    def _end_doubt(self, topic: str, state: Standing) -> list[bytes]:
        """Returns what was kept."""
        doubted, state.doubted = state.doubted, []
        self._doubtful.pop(topic, None)
        self._held_bytes -= sum(map(len, doubted))
        return doubted

    def _forget_doubted(self, topic: str, state: Standing) -> None:
        """It was repeated."""
        if state.doubted:
            self.counters.duplicates_dropped += sum(
                wire.read_header(frame).count for frame in self._end_doubt(topic, state)
            )

    def _believe(self, topic: str, state: Standing) -> None:
        """The new life remembers nothing of the numbering that we know: its ids are what counts from now on."""
        for frame in self._end_doubt(topic, state):
            header = wire.read_header(frame)
            events = wire.decode_events(frame, header)
            if header.continuity != state.continuity_number:
                self._begin_numbering(state, header, events)
            if header.schema != RESET_SCHEMA:
                self._give_new(state, header, events, state.sequence)

    def _begin_numbering(self, state: Standing, header: wire.Header, events: list[Event]) -> None:
        """The first batch of a numbering. If its ``Reset`` was lost, the program gets one from here."""
        self._forget_doubted(header.topic, state)
        reset, missing = events[0], None
        is_next = state.continuity_number == NOT_KNOWN or renumbered(state.continuity_number) == header.continuity
        if not isinstance(reset, Reset):
            is_next = False
            first_new_id = next_id_before(header.schema, header.first_id, header.last_id)
            reset = Reset(state.last_id, first_new_id, header.publish_ns)
        elif is_next and NO_ID != state.last_id < reset.last_old_id:
            missing = state.last_id + 1, reset.last_old_id
        if state.chained and (missing is not None or (state.renewed and not is_next)):
            self._lose(header.topic, state, NO_SEQUENCES, missing)
        before = state.position_fields()
        state.begin_anew(header.continuity, reset.first_new_id)
        state.renewed = False
        state.note_ranges()
        self._give(header, state, [reset], before)

    def _compare_lives(self, state: Standing, header: wire.Header, events: list[Event]) -> bool:
        """A batch of a life that had not shown how far it is: does it, and does it bring again what was held before?

        Returns whether it is still to be given: what was held may have begun a new numbering.
        """
        self._forget_doubted(header.topic, state)
        if state.former and state.missing_before(header) is not None:
            self._give_former(header.topic, state)
            if not state.same_numbering(header):
                return self._learn(state, header, events)
        # What fills a gap shows nothing of where the life is, among bars neither.
        if header.schema in _AT_THE_HEAD or not (state.chained or (state.bars and header.schema > LATE)):
            self._forget_former(state)
            self._rest(header.topic, state)
            if (missing := state.missing_bars(header, events)) is not None:
                self._lose(header.topic, state, NO_SEQUENCES, missing)
            state.renewed = (state.chained or state.bars) and header.last_id < state.last_id
        return True

    def _give_former(self, topic: str, state: Standing) -> None:
        """Deliver what was held when an earlier life ended, and name the ids that are missing before it."""
        former, state.former = state.former, []
        for frame in former:
            self._held_bytes -= len(frame)
            header = wire.read_header(frame)
            try:
                events = wire.decode_events(frame, header)
                if header.continuity == state.continuity_number or self._learn(state, header, events):
                    self._give_new(state, header, events, state.sequence)
            except (wire.WireError, ValueError) as error:
                self.unreadable = str(error)  # its ids are missing before what comes next
        state.renewed = True  # what was held tells nothing of how far the new life is
        self._rest(topic, state)

    def _give_new(self, state: Standing, header: wire.Header, events: list[Event], sequence: int) -> None:
        """What is new of a batch that must be looked at event by event; then the topic stands at ``sequence``.

        Missing ids between two of its events divide it.
        """
        before = state.position_fields()
        run: list[Event] = []
        for event in events:
            if state.chained and (missing := state.missing_before_event(event)) is not None:
                state.note_ranges()
                if run:
                    self._give(header, state, run, before)
                self._lose(header.topic, state, NO_SEQUENCES, missing)
                before, run = state.position_fields(), []
            new = state.admit(event)
            if new is not None:
                run.append(new)
            else:
                self.counters.duplicates_dropped += 1
        state.note_ranges()
        state.sequence = sequence
        if run:
            self._give(header, state, run, before)

    def _give(self, header: wire.Header, state: Standing, events: list[Event], before: PositionFields) -> None:
        counters = self.counters
        counters.batches += 1
        counters.events += len(events)
        batch = MessageBatch(header.topic, header.sequence, header.publish_ns, events, state.continuity)
        self.ready.append((batch, before))

    def _lose(self, topic: str, state: Standing, sequences: Range, ids: Range | None) -> None:
        """Tell what is lost; these ids count as dealt with."""
        self.ready.append((Lost(topic, *sequences, *(ids or (None, None))), state.position_fields()))
        self.counters.lost_batches += sequences[1] - sequences[0] + 1
        if ids is not None:
            state.pass_over(ids[1])
            state.close(*ids)
            state.note_ranges()
            state.last_id = ids[1]
        if state.by_book:
            state.whole = False
            self._lack_book(topic, state, hold=True)

    def _cannot_read(self, state: Standing, header: wire.Header, cause: str) -> None:
        """A batch that is damaged, or that only a newer version can read: the topic continues after it."""
        self.unreadable = cause
        ids = None
        if state.chained and header.schema in DATA_SCHEMAS and state.same_numbering(header):
            if (missing := state.missing_before(header)) is not None:
                self._lose(header.topic, state, NO_SEQUENCES, missing)
            ids = (max(header.first_id, state.last_id + 1), header.last_id)
        if ids is None or ids[0] <= ids[1]:  # else all of it was given before
            self._lose(header.topic, state, (header.sequence, header.sequence), ids)
        state.sequence = header.sequence

    def _keep(self, state: Standing, header: wire.Header, frame: bytes) -> None:
        state.held[header.sequence] = frame
        self._held_bytes += len(frame)

    def _forget_held(self, state: Standing, last_sequence: int) -> None:
        for sequence in [number for number in state.held if number <= last_sequence]:
            self._held_bytes -= len(state.held.pop(sequence))

    def _forget_former(self, state: Standing) -> None:
        self._held_bytes -= sum(map(len, state.former))
        state.former = []

    # ── whole books: see ``BookReassembly`` ─────────────────────────────────────────────────────────────

    def _lack_book(self, topic: str, state: Standing, *, hold: bool) -> None:
        """The program has no whole book of this topic. ``hold`` what comes until it has; otherwise one is expected by itself."""

    def _awaits_book(self, state: Standing, header: wire.Header) -> bool:
        """Whether the first batch of a topic is held until there is a book."""
        return False

    def _hold_for_book(self, header: wire.Header, state: Standing, frame: bytes, now_ns: int) -> None:
        """A batch was held because there is no book."""

    def _follow_book(self, topic: str, state: Standing) -> None:
        """After each batch of a topic of book changes."""
