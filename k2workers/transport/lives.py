"""Owns what of a topic's next batch a subscriber is given: once, in the order of ids, across lives of the feed and numberings. Pure.

Another epoch is a new life, whatever its number: it counts from 1 again, and may bring events again that the last one had
published. What was delivered is known by the venue's ids, and dropped; ids that are missing in between are named.
"""

from __future__ import annotations

from collections import deque

from k2workers import wire
from k2workers.continuity import numberings_ahead, renumbered
from k2workers.events import DATA_SCHEMAS, GAP_SCHEMA, RESET_SCHEMA, SNAPSHOT_SCHEMAS, Event, Reset
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN, next_id_before
from k2workers.sequencing.ranges import Range
from k2workers.transport.deliveries import Delivery, Lost, MessageBatch, ReassemblyCounters
from k2workers.transport.standing import PositionFields, Standing

_AT_THE_HEAD = DATA_SCHEMAS | SNAPSHOT_SCHEMAS
"""Batches that show how far a topic is; what fills or voids a gap may be far below."""

MAX_HELD_BYTES = 64 * 2**20
"""Over all topics; past it the topic that wants to hold more gives up its hole."""

NO_SEQUENCES = (0, -1)
"""Of a loss that is known by ids only."""


class Lives:
    """``_deliver`` a topic's next batch: what of it is new appears in ``ready``."""

    def __init__(self) -> None:
        self.ready: deque[Delivery] = deque()
        self.counters = ReassemblyCounters()
        self.unreadable = ""
        """Why the last unreadable batch could not be read; the caller that reports it clears it."""
        self._waiting: dict[str, Standing] = {}
        """Topics with a hole, other than those that hold everything until there is a book."""
        self._doubtful: dict[str, Standing] = {}
        """Topics whose new life is in an earlier numbering."""
        self._held_bytes = 0

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
            try:
                events = wire.decode_events(frame, header)
                if header.continuity != state.continuity_number:
                    self._begin_numbering(state, header, events)
            except (wire.WireError, ValueError) as error:
                self.unreadable = str(error)  # a continuity that only a newer version knows
                continue
            if header.schema != RESET_SCHEMA:
                self._give_new(state, header, events, state.sequence)

    def _begin_numbering(self, state: Standing, header: wire.Header, events: list[Event]) -> None:
        """The first batch of a numbering. If its ``Reset`` was lost, the program gets one from here."""
        self._forget_doubted(header.topic, state)
        reset, missing = events[0], None
        is_next = state.continuity_number == NOT_KNOWN or renumbered(state.continuity_number) == header.continuity
        unknown = not is_next and state.renewed
        if not isinstance(reset, Reset):
            is_next, unknown = False, state.renewed
            first_new_id = next_id_before(header.schema, header.first_id, header.last_id)
            reset = Reset(state.last_id, first_new_id, header.publish_ns)
        elif reset.last_old_id == NO_ID:
            unknown = state.last_id != NO_ID
        elif is_next and NO_ID != state.last_id < reset.last_old_id:
            missing = state.last_id + 1, reset.last_old_id
        if state.chained and (missing is not None or unknown):
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
        # What fills, voids or gives up a gap may be far below; a gap among bars is announced where they are.
        shows = header.schema in _AT_THE_HEAD or (header.schema == GAP_SCHEMA if state.bars else not state.chained)
        if shows:
            self._forget_former(state)
            self._rest(header.topic, state)
        if (missing := state.missing_bars(header, events)) is not None:
            self._lose(header.topic, state, NO_SEQUENCES, missing)
        if shows:
            state.renewed = (state.chained or state.bars) and header.last_id < state.last_id
        return True

    def _give_former(self, topic: str, state: Standing) -> None:
        """Deliver what was held when an earlier life ended, and name the ids that are missing before it."""
        former, state.former = state.former, []
        for frame in former:
            self._held_bytes -= len(frame)
            state.renewed = True  # of the sequences that are missing before it nobody was told
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

    def _rest(self, topic: str, state: Standing) -> None:
        """It waits no longer, unless something of it is still held."""
        if not state.held and not state.former:
            self._waiting.pop(topic, None)

    # ── whole books: see ``BookReassembly`` ─────────────────────────────────────────────────────────────

    def _lack_book(self, topic: str, state: Standing, *, hold: bool) -> None:
        """The program has no whole book of this topic. ``hold`` what comes until it has; otherwise one is expected by itself."""

    def _awaits_book(self, state: Standing, header: wire.Header) -> bool:
        """Whether the first batch of a topic is held until there is a book."""
        return False
