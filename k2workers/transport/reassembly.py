"""Owns what a subscriber delivers: each event once and in order, holes repaired from the ring, or named. Pure.

Batches of one topic carry consecutive sequences within one epoch (one life of the aggregator). A batch ahead of a hole is
held for a bounded time while the ring is asked for the missing ones; other topics are never delayed.

Another epoch is a new life (``lives.py``). An epoch that was left is never taken again: a publisher that still speaks in it is a second
one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from k2workers import wire
from k2workers.sequencing.coverage import NO_ID
from k2workers.sequencing.ranges import Range
from k2workers.transport.deliveries import Delivery, MessageBatch
from k2workers.transport.lives import MAX_HELD_BYTES
from k2workers.transport.plain_batches import PlainBatches
from k2workers.transport.position import Position, TopicPosition
from k2workers.transport.standing import Standing, after
from k2workers.wanted import wants

PATIENCE_NS = 2_000_000_000
ASK_AGAIN_NS = 400_000_000
DOUBT = 5
"""How many times its patience a subscriber waits for a new life to come to the numbering that an earlier one had reached.

One without patience asks the ring for nothing, but a life that only repeats takes its time for it all the same: it waits as others do.
"""

MAX_EPOCHS_LEFT = 64
"""Epochs that are remembered as left; the oldest is forgotten first."""


class Reassembly(PlainBatches):
    """The state of all topics of one subscriber.

    Feed it with ``take`` and ``replayed``, call ``tick`` steadily; deliveries appear in ``ready``, requests to the ring
    come from ``questions``. ``BookReassembly`` is the same for those who have somebody to ask for whole books.
    """

    def __init__(self, position: Position | None = None, *, patience_ns: int = PATIENCE_NS) -> None:
        super().__init__()
        self.refused_epoch: int | None = None
        """The last epoch that was refused because it was left; the caller that reports it clears it."""
        self._left: dict[int, None] = dict.fromkeys(position.left if position is not None else ())
        self._joined = set(position.joined if position is not None else ())
        self._patience_ns = patience_ns
        for topic, at in (position.topics if position is not None else {}).items():
            self._add(topic, Standing.at(at))

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
            if state.epoch != epoch and not self._is_ahead(state, epoch):
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
                    self._add(topic, Standing(epoch, sequence))

    def take(self, frame: bytes, now_ns: int) -> None:
        """A frame as it was published. Raises WireError if it is no batch at all."""
        if not self.take_plain(frame):
            self.take_other(frame, now_ns)

    def take_other(self, frame: bytes, now_ns: int) -> None:
        """The same for one that ``take_plain`` did not take."""
        header = wire.read_header(frame)
        if header.epoch != self.epoch and not self.enter(header.epoch):
            return
        state = self._topics.get(header.topic)
        if state is None:
            begins = 0 if self._begun_since(header.topic) else header.sequence - 1
            state = self._add(header.topic, Standing(header.epoch, begins))
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
            if state.wait is not None or not state.whole:
                self._follow_book(header.topic, state)
            if state.held:
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
                state = self._add(topic, Standing(epoch, 0))
            if sequence > state.sequence:
                self._want(topic, state, now_ns)

    def tick(self, now_ns: int) -> None:
        """Give up the holes, and end the doubts, whose time is up."""
        for topic, state in list(self._doubtful.items()):
            if state.doubted_until_ns == NO_ID:
                state.doubted_until_ns = now_ns + DOUBT * (self._patience_ns or PATIENCE_NS)
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
        return wants(self._joined)(topic)

    def _begin_anew(self, topic: str, state: Standing, epoch: int) -> None:
        """The topic counts from 1 in a new epoch."""
        if state.held and state.chained and state.last_id != NO_ID and self._patience_ns:
            state.former += state.held.values()
            state.former.sort(key=state.place_of)
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
                # Only the next bar shows which ones that were.
                state.renewed = state.renewed or (state.bars and frame is None)
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

    # ── what was published before: see ``PastReassembly`` ───────────────────────────────────────────────

    def _is_ahead(self, state: Standing, epoch: int) -> bool:
        """Whether the topic was given in a later life than this one already."""
        return False

    # ── whole books: see ``BookReassembly`` ─────────────────────────────────────────────────────────────

    def _hold_for_book(self, header: wire.Header, state: Standing, frame: bytes, now_ns: int) -> None:
        """A batch was held because there is no book."""

    def _follow_book(self, topic: str, state: Standing) -> None:
        """After each batch of a topic of book changes."""
