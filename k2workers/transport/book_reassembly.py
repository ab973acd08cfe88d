"""Owns that a subscriber has a whole book: changes of a book are of use only to those who have one. Pure.

Who joins, or was told of a ``Lost``, gets a book first, from whoever can be asked for one (``book_wait.py`` says when). A whole book says
which sequence it goes up to, and so stands for every batch up to there.
"""

from __future__ import annotations

from collections.abc import Sequence

from k2workers import wire
from k2workers.events import RESET_SCHEMA, SNAPSHOT_SCHEMAS
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN
from k2workers.transport.book_wait import BookWait
from k2workers.transport.lives import MAX_HELD_BYTES
from k2workers.transport.past_reassembly import NEVER, PastReassembly
from k2workers.transport.position import Position
from k2workers.transport.reassembly import PATIENCE_NS
from k2workers.transport.standing import Standing


class BookReassembly(PastReassembly):
    """The reassembly of a subscriber that can ask for whole books: those that ``book_questions`` names come to ``book``."""

    def __init__(self, position: Position | None = None, *, patience_ns: int = PATIENCE_NS) -> None:
        super().__init__(position, patience_ns=patience_ns)
        self._bookless: dict[str, Standing] = {}
        """Topics of which the program has no whole book. They are not in ``_waiting`` while they hold what comes."""
        for topic, state in self._topics.items():
            if state.by_book and not state.whole:
                self._begin_wait(topic, state, hold=True).bare = state.last_id != NO_ID

    def begin_past(self, epochs: Sequence[int], now_ns: int, recent_ns: int = NEVER) -> None:
        """A book that is given now is ahead of what comes: that goes on without one, and the book follows at its place."""
        super().begin_past(epochs, now_ns, recent_ns)
        for topic, state in list(self._bookless.items()):
            if state.holding:
                self._go_on(topic, state, now_ns)

    def book(self, frame: bytes, now_ns: int) -> bool:
        """A whole book that was asked for, in the form of a published batch: everything through its sequence is in it.

        False if it is of another life, or ahead of what was published before: all that was asked for is to be asked for again. Raises WireError if it is no batch.
        """
        header = wire.read_header(frame)
        topic = header.topic
        if self.in_past or header.epoch != self.epoch or header.schema not in SNAPSHOT_SCHEMAS:
            return False
        state = self._topics.get(topic)
        if state is None:
            state = self._add(topic, Standing(header.epoch, header.sequence))
        if state.continuity_number == NOT_KNOWN:
            state.learn(header.continuity)
        if state.by_book and not state.whole:
            self._take_book(header, state, frame, now_ns)
        return True

    def tick(self, now_ns: int) -> None:
        """Also go on without the books that did not come in time."""
        for topic, state in list(self._bookless.items()):
            wait = state.wait
            if wait is not None and wait.frame is not None and not wait.bare:
                frame, wait.frame = wait.frame, None
                self.book(frame, now_ns)
            elif wait is not None and wait.look(now_ns, self._patience_ns):
                self._go_on(topic, state, now_ns)
        super().tick(now_ns)

    def book_questions(self, now_ns: int) -> list[str]:
        """The topics of which to ask for a whole book now."""
        return [topic for topic, state in self._bookless.items() if state.wait is not None and state.wait.asks(now_ns)]

    @property
    def unheard(self) -> list[str]:
        """The topics that are known by name only: it is not known whether they want a book."""
        return [topic for topic, state in self._topics.items() if not state.heard]

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────

    def _begin_anew(self, topic: str, state: Standing, epoch: int) -> None:
        if (wait := state.wait) is not None:
            wait.frame = None
            if wait.holding and wait.bare:
                wait.holding = False
                self._drain(topic, state)
            elif wait.holding:
                # The book of the new life stands for it; if none comes, its ids are missing before what does.
                self._forget_held(state, max(state.held, default=0))
        super()._begin_anew(topic, state, epoch)

    def _lack_book(self, topic: str, state: Standing, *, hold: bool) -> None:
        """The program has no whole book of this topic. ``hold`` what comes until it has; otherwise one is expected by itself."""
        hold = hold and not self.in_past
        if state.wait is None:
            self._begin_wait(topic, state, hold=hold)
        elif not self.in_past:
            state.wait.hold()
            state.wait.bare = False
        if hold:
            self._waiting.pop(topic, None)
            self._forget_former(state)

    def _awaits_book(self, state: Standing, header: wire.Header) -> bool:
        """Whether the first batch of a topic is held until there is a book; one that is published itself is not."""
        if header.schema in SNAPSHOT_SCHEMAS or header.schema == RESET_SCHEMA:
            return False
        state.learn(header.continuity)
        if state.by_book:
            self._lack_book(header.topic, state, hold=True)
        return state.by_book and not self.in_past

    def _hold_for_book(self, header: wire.Header, state: Standing, frame: bytes, now_ns: int) -> None:
        """A batch was held because there is no book: is it one itself, or is that too much?"""
        wait = state.wait
        fits = state.same_numbering(header) and header.last_id >= state.last_id
        if header.schema in SNAPSHOT_SCHEMAS and wait is not None and not wait.bare and fits:
            self._give_book(state, header, frame)
            if state.held:
                self._want(header.topic, state, now_ns)
        elif header.schema in SNAPSHOT_SCHEMAS or self._held_bytes > MAX_HELD_BYTES:
            self._go_on(header.topic, state, now_ns)

    def _go_on(self, topic: str, state: Standing, now_ns: int) -> None:
        """Hold nothing for a book any longer; what is missing before what was held is now asked of the ring."""
        assert state.wait is not None
        state.wait.release(now_ns)
        self._drain(topic, state)
        self._want(topic, state, now_ns)

    def _follow_book(self, topic: str, state: Standing) -> None:
        """After each batch of a topic of book changes: is there a book, or does one belong here?"""
        wait = state.wait
        if state.whole:
            if wait is not None:
                self._end_wait(topic, state)
        elif wait is None:
            self._lack_book(topic, state, hold=False)  # after a Gap the venue is asked for one
        elif wait.frame is not None and wait.bare:
            header = wire.read_header(wait.frame)
            if header.sequence <= state.sequence:
                frame, wait.frame = wait.frame, None
                fits = state.same_numbering(header) and header.last_id >= state.last_id
                if header.sequence == state.sequence and fits:
                    self._give_book(state, header, frame)
                    self.counters.books += 1

    def _take_book(self, header: wire.Header, state: Standing, frame: bytes, now_ns: int) -> None:
        """Give a book that came, or wait for its place, or for one that is not behind."""
        topic = header.topic
        if state.wait is None:
            self._lack_book(topic, state, hold=True)
        wait = state.wait
        assert wait is not None
        if not state.same_numbering(header):
            self._go_on(topic, state, now_ns)  # the ``Reset`` is to be given before it: it is asked for again
        elif header.sequence < state.sequence or header.last_id < state.last_id:
            wait.hold(now_ns)  # it is behind what was given: only while that stands still can one catch up
            self._waiting.pop(topic, None)
        elif wait.bare and header.sequence > state.sequence:
            wait.frame = frame
            if wait.holding:
                self._go_on(topic, state, now_ns)
        else:
            self._give_book(state, header, frame)
            self.counters.books += 1
            if state.held:
                self._want(topic, state, now_ns)

    def _give_book(self, state: Standing, header: wire.Header, frame: bytes) -> None:
        """A whole book takes the place of everything up to its sequence that was not given."""
        events = wire.decode_events(frame, header)
        before = state.position_fields()
        self._forget_held(state, header.sequence)
        self._forget_former(state)
        self._forget_doubted(header.topic, state)
        for event in events:
            state.admit(event)
        state.note_ranges()
        state.sequence, state.renewed = header.sequence, False
        self._give(header, state, events, before)
        self._end_wait(header.topic, state)
        self._drain(header.topic, state)

    def _begin_wait(self, topic: str, state: Standing, *, hold: bool) -> BookWait:
        state.wait = wait = BookWait(holding=hold)
        self._bookless[topic] = state
        return wait

    def _end_wait(self, topic: str, state: Standing) -> None:
        state.wait = None
        self._bookless.pop(topic, None)
