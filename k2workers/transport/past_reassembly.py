"""Owns what a subscriber delivers of what was published while it was away, which comes in the order in which it was published. Pure.

Lives that ended are gone through once more, the oldest first; a topic that stands in a later one already waits for that. Nobody has what is missing in
between: it is lost at once. Only of what was published a short while ago in the life that goes on the memory ring may have more: the topic waits, and asks it at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from k2workers import wire
from k2workers.transport.position import Position
from k2workers.transport.reassembly import ASK_AGAIN_NS, PATIENCE_NS, Reassembly
from k2workers.transport.ring_block import EpochOrder
from k2workers.transport.standing import Standing

NEVER = 2**64
"""Later than any time of publication: then nothing counts as recent."""


class PastReassembly(Reassembly):
    """Between ``begin_past`` and ``end_past`` give it frames with ``take_past``, and neither live ones nor ticks."""

    def __init__(self, position: Position | None = None, *, patience_ns: int = PATIENCE_NS) -> None:
        super().__init__(position, patience_ns=patience_ns)
        self.in_past = False
        self._rank = EpochOrder(())
        self._recent_ns = NEVER
        self._even = False
        """Whether all topics stand in the life that is gone through."""

    def begin_past(self, epochs: Sequence[int], now_ns: int, recent_ns: int = NEVER) -> None:
        """From now on comes what was published before, in these lives and in their order.

        What is missing before a batch that was published at ``recent_ns`` (since 1970) or later in the last of them, the memory ring may still have.
        """
        self.in_past, self._rank, self._recent_ns = True, EpochOrder(epochs), recent_ns
        self._look_whether_even()
        oldest = min((self._rank(state.epoch) for state in self._topics.values()), default=0.0)
        for epoch in [epoch for epoch in self._left if self._rank(epoch) >= oldest]:
            del self._left[epoch]

    def join_at(self, wanted: Sequence[str], epoch: int, sequences: dict[str, int]) -> None:
        """The program joins at a time that has passed: these were the newest sequences then, and any other topic has begun since."""
        for name in wanted:
            self.join(name, epoch, sequences)

    def take_past(self, frame: bytes, now_ns: int) -> None:
        """The next frame. Raises WireError if it is no batch at all."""
        if self._even and self.take_plain(frame):
            return
        header = wire.read_header(frame)
        state = self._topics.get(header.topic)
        stands = state.epoch if state is not None else self.epoch
        old = state is not None and state.epoch == header.epoch and header.sequence <= state.sequence
        if old or (stands is not None and self._rank(stands) > self._rank(header.epoch)):
            self.counters.duplicates_dropped += header.count
            return
        self.take_other(frame, now_ns)
        state = self._topics.get(header.topic)
        if state is None or header.sequence not in state.held or state.holding:
            return
        if header.publish_ns < self._recent_ns or not self._rank.is_last(header.epoch):
            self._give_up(header.topic, state, header.sequence - 1)

    def pass_by(self, frame: bytes) -> None:
        """The next frame, which was published before the program joined. Raises WireError if it is no batch at all."""
        header = wire.read_header(frame)
        if self.enter(header.epoch):
            state = self._topics.get(header.topic) or self._add(header.topic, Standing(header.epoch, 0))
            state.sequence = max(state.sequence, header.sequence)

    def end_past(self, now_ns: int) -> None:
        """What comes from now on is live."""
        self.in_past, self._rank = False, EpochOrder(())
        for state in self._waiting.values():
            state.deadline_ns, state.asked_ns = now_ns + self._patience_ns, -ASK_AGAIN_NS

    def stands_at(self, topic: str) -> int:
        """The sequence of the topic's last batch in the present life; 0 if it is not known."""
        state = self._topics.get(topic)
        return state.sequence if state is not None else 0

    def sequences(self) -> dict[int, dict[str, int]]:
        """By epoch, the sequence of each topic's last batch."""
        found: dict[int, dict[str, int]] = {}
        for topic, state in self._topics.items():
            found.setdefault(state.epoch, {})[topic] = state.sequence
        return found

    def enter(self, epoch: int) -> bool:
        if epoch == self.epoch:
            return True
        entered = super().enter(epoch)
        self._look_whether_even()
        return entered

    def _look_whether_even(self) -> None:
        self._even = self.in_past and all(state.epoch == self.epoch for state in self._topics.values())

    def _is_ahead(self, state: Standing, epoch: int) -> bool:
        return self.in_past and self._rank(state.epoch) > self._rank(epoch)
