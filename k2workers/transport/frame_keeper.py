"""Owns which published frames go into the disk ring, and in which order: each once, in the order of its topic, holes repaired from the memory ring. Pure.

Every topic is expected from its first batch of an epoch on, or from where the disk ring ends: what the memory ring no longer has by then is a hole that
stays. Frames after a hole wait for it; other topics do not. Another epoch is a new life: what waits is written before anything of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from k2workers import wire
from k2workers.transport.ring_block import TopicFrames

PATIENCE_NS = 5_000_000_000
"""How long a hole is waited for."""

ASK_AGAIN_NS = 400_000_000

MAX_HELD_BYTES = 64 * 2**20
"""That wait behind holes; past it the topic that wants more gives up its hole."""

BLOCK_BYTES = 2**20
"""Frames of so many bytes are a block, also before its time is up."""


class FrameBlock:
    """Frames that are written together."""

    __slots__ = ("epoch", "first_ns", "last_ns", "size", "topics")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.first_ns = self.last_ns = 0
        self.size = 0
        self.topics: dict[bytes, TopicFrames] = {}


class _KeptTopic:
    """Where one topic stands: the sequence that was taken last, and what waits behind a hole."""

    __slots__ = ("asked_ns", "deadline_ns", "held", "sequence")

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.held: dict[int, bytes] = {}
        self.deadline_ns = self.asked_ns = 0


class FrameKeeper:
    """Give it frames with ``take`` and the memory ring's answers with ``replayed`` and ``behind``; ``tick`` steadily; write what ``cut`` gives.

    ``epoch`` and ``sequences`` are where the disk ring ends.
    """

    def __init__(self, epoch: int | None, sequences: Mapping[str, int]) -> None:
        self.holes = 0
        """Batches that could not be had."""
        self._left: dict[int, None] = {}
        self._begins = epoch is None
        """Whether nothing was written before this life: what was published before it was heard is no hole then."""
        self.back_to(epoch, sequences)

    def back_to(self, epoch: int | None, sequences: Mapping[str, int]) -> None:
        """Stand there; whatever was taken after it could not be written, and is asked for anew."""
        self.epoch = epoch
        self._topics = {topic.encode(): _KeptTopic(sequence) for topic, sequence in sequences.items()}
        self._waiting: dict[bytes, _KeptTopic] = {}
        self._held_bytes = 0
        self._block: FrameBlock | None = None
        self._full: deque[FrameBlock] = deque()

    def enter(self, epoch: int) -> bool:
        """The feed speaks in this epoch. False if it was left."""
        if epoch == self.epoch:
            return True
        if epoch in self._left:
            return False
        for topic, state in self._topics.items():
            while state.held:
                self._pass_hole(topic, state)
        self._close_block()
        if self.epoch is not None:
            self._left[self.epoch], self._begins = None, False
        self.epoch = epoch
        self._topics, self._waiting = {}, {}
        return True

    def take(self, frame: bytes, now_ns: int) -> None:
        """A frame as it was published. Raises WireError if it is none."""
        topic, epoch, sequence, publish_ns = wire.read_place(frame)
        if epoch != self.epoch and not self.enter(epoch):
            return
        state = self._topics.get(topic)
        if state is None:
            state = self._topics[topic] = _KeptTopic(0)
        if sequence == state.sequence + 1:
            self._put(topic, state, sequence, publish_ns, frame)
            if state.held:
                self._drain(topic, state)
        elif sequence > state.sequence:
            self._hold(topic, state, sequence, frame, now_ns)

    def replayed(self, name: str, epoch: int, first: int, newest: int, frames: list[bytes], now_ns: int) -> None:
        """The memory ring's answer: it holds sequences ``first`` to ``newest``, and gave these."""
        topic = name.encode()
        state = self._topics.get(topic)
        if epoch != self.epoch or state is None:
            return
        before = state.sequence
        if first - 1 > state.sequence:
            self._pass_over(topic, state, first - 1)
        for frame in frames:
            self.take(frame, now_ns)
        if newest > state.sequence:
            self._want(topic, state, now_ns)
            state.asked_ns = -ASK_AGAIN_NS if state.sequence > before else now_ns  # more at once after progress
        else:
            self._rest(topic, state)

    def behind(self, epoch: int, newest: Mapping[str, int], now_ns: int) -> None:
        """The memory ring's newest sequences."""
        if not self.enter(epoch):
            return
        for name, sequence in newest.items():
            topic = name.encode()
            state = self._topics.setdefault(topic, _KeptTopic(0))
            if sequence > state.sequence:
                self._want(topic, state, now_ns)

    def questions(self, now_ns: int) -> Iterator[tuple[bytes, int]]:
        """(topic, first missing sequence) to ask the memory ring for now."""
        for topic, state in self._waiting.items():
            if now_ns - state.asked_ns >= ASK_AGAIN_NS:
                state.asked_ns = now_ns
                yield topic, state.sequence + 1

    def tick(self, now_ns: int) -> None:
        """Give up the holes whose time is up."""
        for topic, state in [(t, s) for t, s in self._waiting.items() if now_ns >= s.deadline_ns]:
            if state.held:
                self._pass_hole(topic, state)
                state.deadline_ns = now_ns + PATIENCE_NS
            self._rest(topic, state)

    def cut(self) -> FrameBlock | None:
        """The next block to write, with all that was taken since the last; None if there is nothing."""
        if not self._full:
            self._close_block()
        return self._full.popleft() if self._full else None

    @property
    def blocks(self) -> int:
        """How many are complete and wait to be written."""
        return len(self._full)

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────

    def _put(self, topic: bytes, state: _KeptTopic, sequence: int, publish_ns: int, frame: bytes) -> None:
        state.sequence = sequence
        block = self._block
        if block is None:
            assert self.epoch is not None
            block = self._block = FrameBlock(self.epoch)
            block.first_ns = block.last_ns = publish_ns
        elif publish_ns > block.last_ns:
            block.last_ns = publish_ns
        elif publish_ns < block.first_ns:
            block.first_ns = publish_ns
        own = block.topics.get(topic)
        if own is None:
            block.topics[topic] = TopicFrames(sequence, sequence, [frame])
        else:
            own.last = sequence
            own.frames.append(frame)
        block.size += len(frame)
        if block.size >= BLOCK_BYTES:
            self._close_block()

    def _close_block(self) -> None:
        if self._block is not None:
            self._full.append(self._block)
            self._block = None

    def _hold(self, topic: bytes, state: _KeptTopic, sequence: int, frame: bytes, now_ns: int) -> None:
        if sequence in state.held:
            return
        state.held[sequence] = frame
        self._held_bytes += len(frame)
        self._want(topic, state, now_ns)
        if self._held_bytes > MAX_HELD_BYTES:
            self._pass_hole(topic, state)

    def _want(self, topic: bytes, state: _KeptTopic, now_ns: int) -> None:
        if topic not in self._waiting:
            self._waiting[topic] = state
            state.deadline_ns, state.asked_ns = now_ns + PATIENCE_NS, -ASK_AGAIN_NS

    def _rest(self, topic: bytes, state: _KeptTopic) -> None:
        if not state.held:
            self._waiting.pop(topic, None)

    def _drain(self, topic: bytes, state: _KeptTopic) -> None:
        while (frame := state.held.pop(state.sequence + 1, None)) is not None:
            self._held_bytes -= len(frame)
            self._put(topic, state, state.sequence + 1, wire.read_place(frame)[3], frame)
        self._rest(topic, state)

    def _pass_hole(self, topic: bytes, state: _KeptTopic) -> None:
        self._pass_over(topic, state, min(state.held) - 1)

    def _pass_over(self, topic: bytes, state: _KeptTopic, last: int) -> None:
        """What is missing up to this sequence cannot be had; what waits in between is taken."""
        while state.sequence < last:
            until = min([last, *(number - 1 for number in state.held)])
            self.holes += until - state.sequence if state.sequence or not self._begins else 0
            state.sequence = until
            self._drain(topic, state)
        self._drain(topic, state)
