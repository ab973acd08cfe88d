"""Owns which turns of the aggregator go natively from the bytes of bundles to frames, and when Python has its turn. Pure.

The rules of what is plain are in ``native/publish.h``: every batch simply continues its topic. A turn, which is everything from one publication to
the next, is in one of two hands. Natively, as long as every bundle of it is plain. Or Python's, from the first that is not: what was taken natively in
this turn is undone and taken again by the ``Sequencer``, which knows all the rules, so that whatever is asked of it is true at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k2workers import native, wire
from k2workers.continuity import MADE
from k2workers.events import DATA_SCHEMAS
from k2workers.sequencing.coverage import HIGHEST_ID, NO_ID, NOT_KNOWN, Holes, Reached
from k2workers.sequencing.sequencer import Publication, Sequencer
from k2workers.sequencing.topic_state import TopicState
from k2workers.wire import Batch

CHAIN, RISING, BAR, ANY = range(4)
"""How the batches of a topic follow each other (``publish.h``)."""

WHY = ("form", "schema", "topic", "order", "memory")
"""Why a bundle is Python's, in the order of ``publish.h``: it is written otherwise; it holds other than data that come in time; of a topic of which nothing
was published yet, or that continues in another way now; it does not simply continue; there is no room."""

TURN = "turn"
"""Why a plain bundle is Python's all the same: another one of its turn is."""


class NativeSequencer(Sequencer):
    """A sequencer that takes plain bundles natively. Everything that it tells counts them too."""

    def __init__(self, epoch: int, extension: Any) -> None:
        super().__init__(epoch)
        self._bundles = extension.Bundles(DATA_SCHEMAS)
        self._python_turn = False
        self._begin = 0
        """Where bundles begin in their frames."""
        self._pending = 0
        """Bundles that were taken natively in this turn."""
        self._unsettled = False
        """Whether topics stand natively where their states do not yet."""
        self._touched: dict[str, None] = {}
        """Topics whose states Python may have changed in this turn."""

    @property
    def topics(self) -> Mapping[str, TopicState]:
        self._settle()
        return self._topics

    @property
    def events(self) -> int:
        self._settle()
        return self._events

    def rewind(
        self,
        sent_from: Mapping[str, Reached],
        dropped_after: Mapping[str, Reached],
        open_gaps: Holes,
        begun: Mapping[str, Reached],
    ) -> None:
        self._settle()  # and nothing more: what was published in this life, and may stand natively, is not rewound
        super().rewind(sent_from, dropped_after, open_gaps, begun)

    def take_plain(self, frame: bytes, begin: int) -> bool:
        if self._python_turn:
            self.left_bundles[TURN] += 1
            return False
        why = self._bundles.take(frame, begin)
        self._begin = begin
        if not why:
            self._pending += 1
            return True
        self.left_bundles[WHY[why - 1]] += 1
        self._python_s(but_last=1)
        return False

    def take(self, batch: Batch, now_ns: int) -> None:
        if not self._python_turn:
            self._python_s()
        self._touched[batch.topic] = None
        super().take(batch, now_ns)

    def publish(self, now_ns: int) -> list[Publication]:
        if self._pending:
            published: list[Publication] = self._bundles.publish(self.epoch, now_ns)
            self.plain_bundles += self._pending
            self._pending, self._unsettled = 0, True
            return published
        published = super().publish(now_ns)
        if self._python_turn:
            for topic in self._touched:
                self._arm(topic)
            self._touched.clear()
            self._python_turn = False
        return published

    def _arm(self, topic: str) -> None:
        """Say where a topic stands, if it has come to where nothing but the next batch's ids decides."""
        state = self._topics.get(topic)
        rule = None if state is None else _rule(state)
        if state is None or rule is None:
            self._bundles.block(topic)
        else:
            self._bundles.arm(topic, rule, state.last_id, state.sequence, state.continuity_number)

    def _python_s(self, but_last: int = 0) -> None:
        """From here to the next publication everything is Python's, also what was taken natively in this turn; but for the ``but_last`` frames."""
        undone: list[bytes] = self._bundles.undone()
        frames = undone[: len(undone) - but_last]
        self._python_turn, self._pending = True, 0
        self._settle()
        for frame in frames:
            self.left_bundles[TURN] += 1
            for batch in wire.decode_bundle(memoryview(frame)[self._begin :]):
                self.take(batch, 0)  # nothing of it is announced, so the time does not count

    def _settle(self) -> None:
        """Have every state stand where its topic does."""
        if self._pending:
            self._python_s()
        if not self._unsettled:
            return
        self._unsettled = False
        for topic, last_id, sequence, events, first_id, bars in self._bundles.settle():
            state = self._topics[topic]
            state.last_id, state.sequence = last_id, sequence
            if state.continuity_number != MADE.number:
                state.count += events
                self._events += events
                if state.first_id is None or first_id < state.first_id:
                    state.first_id = first_id
            if bars is not None:
                schema, count, first, last, encoded = bars
                state.last_bar = Batch(topic, schema, count, first, last, state.continuity_number, encoded)


def _rule(state: TopicState) -> int | None:
    """How the next batch of data follows by itself; None if it does not, or if nothing of the topic was published yet."""
    if not state.sequence or state.continuity_number == NOT_KNOWN or not NO_ID < state.last_id <= HIGHEST_ID:
        return None
    if state.chained:
        return CHAIN
    if state.bars:
        return BAR if state.ordered else None
    return RISING if state.ordered else ANY


def sequencer(epoch: int) -> Sequencer:
    """The fastest there is: without the extension it is the one in Python."""
    return Sequencer(epoch) if native.extension is None else NativeSequencer(epoch, native.extension)
