"""Owns our own numbers: each published batch of a topic gets the next sequence number. Pure.

Batches are first taken in, then published: those of one topic that were taken in between leave as one batch, so that a busy feed costs
less per event than a quiet one.

It is also the last guard of the venue's ids: for chained topics a batch that begins later than the last one ended gets a
``Gap`` in front, and what was published before is dropped. And it is the memory from which everything continues: per topic
the last published id and the gaps that are still open.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping

from k2workers import wire
from k2workers.continuity import RECORDS, Guarantee, numberings_ahead, renumbered
from k2workers.events import (
    ANNOUNCEMENT_SCHEMAS,
    COUNTED_SCHEMAS,
    DATA_SCHEMAS,
    RESET_SCHEMA,
    SNAPSHOT_SCHEMAS,
    Backfilled,
    Event,
    Gap,
    GivenUp,
    Reset,
    Void,
)
from k2workers.sequencing.coverage import (
    NO_ID,
    NOT_KNOWN,
    ChainStep,
    Holes,
    PublishedPosition,
    Reached,
    chain_step,
    is_before,
    next_id_before,
)
from k2workers.sequencing.tally import Tally
from k2workers.sequencing.topic_state import TopicState
from k2workers.wire import Batch

BETWEEN_WORKERS = "between workers"
"""The cause of a gap that was found here: a worker died, or had to give up what it could not send."""


Publication = tuple[str, int, bytes]
"""What to publish: topic, sequence, frame."""


class Sequencer:
    """Numbers batches; ``epoch`` tells subscribers that numbering began anew."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._topics: dict[str, TopicState] = {}
        self._events = 0
        self.gaps = 0
        self.void_ids = 0
        self.gaps_given_up = 0
        self.unproven_gaps_given_up = 0
        self.resets = 0
        self.old_events = 0
        self.plain_bundles = 0
        """Bundles that were taken natively."""
        self.left_bundles: Counter[str] = Counter()
        """Bundles that were left to Python, by why."""
        self._earlier = Tally()
        """What earlier lives of the run had counted."""
        self._due: list[TopicState] = []
        """Topics with something to publish."""
        self.found_holes: Holes = {}
        """Holes that were found here, announced as gaps, and that no worker knows of yet; the caller reports them and clears this."""
        self._begun: dict[str, Reached] = {}
        """The continuity number and first id of numberings that workers have begun."""

    @property
    def topics(self) -> Mapping[str, TopicState]:
        """Where each topic stands."""
        return self._topics

    @property
    def events(self) -> int:
        """Events of the venue published so far."""
        return self._events

    def positions(self) -> dict[str, PublishedPosition]:
        """The published position of every topic of the venue."""
        return {
            topic: state.position()
            for topic, state in self.topics.items()
            if (state.last_id != NO_ID or state.open) and state.continuity_number != RECORDS.number
        }

    def restore(self, positions: Mapping[str, PublishedPosition]) -> None:
        """Continue from the positions of an earlier life."""
        for topic, position in positions.items():
            state = self._topics[topic] = TopicState(topic, position)
            if position.continuity != NOT_KNOWN:
                with contextlib.suppress(ValueError):  # of a newer version: the topic's first batch tells
                    state.learn(position.continuity)

    def count_on(self, earlier: Tally) -> None:
        """Count on from what earlier lives of the same run had counted; call it after ``restore``."""
        self._earlier = earlier
        for topic, (first_id, count) in earlier.topics.items():
            if (state := self._topics.get(topic)) is not None:
                state.first_id, state.count = first_id, count

    def tally(self) -> Tally:
        """What was counted in all lives of the run."""
        totals = {name: earlier + getattr(self, name) for name, earlier in self._earlier.totals().items()}
        return Tally(**totals, topics={topic: (state.first_id, state.count) for topic, state in self.topics.items()})

    def rewind(
        self,
        sent_from: Mapping[str, Reached],
        dropped_after: Mapping[str, Reached],
        open_gaps: Holes,
        begun: Mapping[str, Reached],
    ) -> None:
        """A worker says where its topics stood before what it will send; it counts for those that this life has not published yet.

        ``sent_from``: everything after these ids will come. So the topic goes back to there, if the checkpoint is further: what was
        published last may not have reached anybody. If the checkpoint is not as far, it stays: what lies between is a hole. ``dropped_after``:
        the same, but something after these ids is lacking, so they count only if no checkpoint knows the topic. ``open_gaps`` may still
        be filled. ``begun``: with which id each numbering began that began in the worker's life, should its ``Reset`` be lacking.
        """
        self._begun.update(begun)
        for topic, reached in sent_from.items():
            state = self._state(topic)
            known = state.continuity_number if state.continuity_number != NOT_KNOWN else reached[0], state.last_id
            if not state.sequence and (state.last_id == NO_ID or is_before(reached, known)):
                state.restart(*reached)
        for topic, reached in dropped_after.items():
            state = self._state(topic)
            if state.last_id == NO_ID:
                state.restart(*reached)
        for topic, (number, ranges) in open_gaps.items():
            state = self._state(topic)
            claimed = topic in sent_from or topic in dropped_after
            if state.continuity_number == NOT_KNOWN:
                state.learn(number)
            other = numberings_ahead(number, state.continuity_number) != 0
            for first_id, last_id in () if state.sequence or other else ranges:
                # What was announced after the id from which the topic restarts will be announced again.
                state.open.add(first_id, min(last_id, state.last_id) if claimed else last_id)

    def take_plain(self, _frame: bytes, _begin: int) -> bool:
        """Take a whole bundle, which begins there, from its bytes: whether it was; if not, ``take`` its batches. Here it never is."""
        return False

    def take(self, batch: Batch, now_ns: int) -> None:
        """Take what was not published before of a batch; ``now_ns`` is wall-clock time. Raises WireError for damaged events."""
        state = self._topics.get(batch.topic)
        if state is None:
            state = self._state(batch.topic)
        if batch.continuity != state.continuity_number and not self._learn(batch, state, now_ns):
            return
        is_data = batch.schema in DATA_SCHEMAS
        if is_data and state.chained:
            if batch.first_id == state.last_id + 1 or state.last_id == NO_ID:
                self._pass(batch, state)
            else:
                self._out_of_chain(batch, state, now_ns)
        elif batch.schema in ANNOUNCEMENT_SCHEMAS:
            self._announcements(batch, state, now_ns)
        elif is_data and state.bars and batch.last_id >= state.last_id:
            # A bar has many states under one id; only decoding would tell which of them are new, so the subscriber looks.
            if not state.sequence and not state.waiting and NO_ID != state.next_id < batch.first_id:
                # The worker began without knowing what an earlier life had published.
                self._find_gap(batch.first_id, state, now_ns)
            state.last_bar = batch
            self._pass(batch, state)
        elif state.all_new(batch.schema, batch.first_id):
            self._pass(batch, state)
        else:
            self._newer_part(batch, state)

    def publish(self, now_ns: int) -> list[Publication]:
        """What was taken since the last call, in order within each topic."""
        published = []
        for state in self._due:
            batches, state.waiting = state.waiting, []
            for batch in batches if len(batches) == 1 else wire.joined(batches):
                state.sequence += 1
                frame = wire.publication(batch, epoch=self.epoch, sequence=state.sequence, publish_ns=now_ns)
                published.append((state.topic, state.sequence, frame))
        self._due.clear()
        return published

    def _state(self, topic: str) -> TopicState:
        state = self._topics.get(topic)
        if state is None:
            state = self._topics[topic] = TopicState(topic)
        return state

    def _out_of_chain(self, batch: Batch, state: TopicState, now_ns: int) -> None:
        step = chain_step(state.last_id, batch.first_id, batch.last_id)
        if step is ChainStep.OLD and not state.open:
            self.old_events += batch.count
        elif step is ChainStep.AHEAD:
            self._find_gap(batch.first_id, state, now_ns)
            self._pass(batch, state)
        else:
            self._newer_part(batch, state)

    def _newer_part(self, batch: Batch, state: TopicState) -> None:
        """What of the batch was not published yet; the rare case in which events are decoded here."""
        events = [new for event in wire.decode_batch(batch) if (new := state.admit(event)) is not None]
        self.old_events += batch.count - len(events)
        for event_type, run in itertools.groupby(events, type):  # some of them may fill a gap
            last_id = state.last_id
            self._pass(wire.batch_of(batch.topic, list(run), batch.continuity), state)
            if event_type is Backfilled:
                state.last_id = last_id  # what fills a gap does not show how far its topic is

    def _announcements(self, batch: Batch, state: TopicState, now_ns: int) -> None:
        """Gaps, Voids and GivenUps: ahead of later ids, or (all but Gaps) for gaps announced before. What lies between two of them belongs to neither."""
        for event in wire.decode_batch(batch):
            if state.chained and state.last_id != NO_ID and event.first_id > state.last_id + 1:
                self._find_gap(event.first_id, state, now_ns)
            new = state.admit(event)
            if new is None:
                self.old_events += 1
                continue
            self._count(new, state)
            self._pass(wire.batch_of(batch.topic, [new], batch.continuity), state)

    def _count(self, announcement: Event, state: TopicState) -> None:
        self.gaps += isinstance(announcement, Gap)
        if isinstance(announcement, GivenUp):
            self.gaps_given_up += 1
            self.unproven_gaps_given_up += state.continuity.guarantee is Guarantee.CHAINED
        if isinstance(announcement, Void):
            # Among bars ids are times.
            self.void_ids += 1 if state.bars else announcement.last_id - announcement.first_id + 1

    def _learn(self, batch: Batch, state: TopicState, now_ns: int) -> bool:
        """A batch of another continuity number than those before it: the first of its topic, or of another numbering.

        Returns whether it is still to be taken.
        """
        try:
            ahead = (
                0
                if state.continuity_number == NOT_KNOWN
                else numberings_ahead(batch.continuity, state.continuity_number)
            )
            if ahead < 0:
                self.old_events += batch.count
            elif ahead or batch.schema == RESET_SCHEMA:
                self._begin_anew(batch, state, now_ns)
            else:
                state.learn(batch.continuity)
        except ValueError as error:
            raise wire.WireError(f"topic {batch.topic}: continuity {error}") from None
        return ahead >= 0 and batch.schema != RESET_SCHEMA

    def _begin_anew(self, batch: Batch, state: TopicState, now_ns: int) -> None:
        """The batch is the first of its numbering. Without its ``Reset``, which was lost, there is one from here."""
        is_next = state.continuity_number == NOT_KNOWN or renumbered(state.continuity_number) == batch.continuity
        if batch.schema == RESET_SCHEMA:
            reset = wire.decode_batch(batch)[0]
            assert isinstance(reset, Reset)
        else:
            number, first_new_id = self._begun.get(batch.topic, (NOT_KNOWN, NO_ID))
            if number != batch.continuity:
                first_new_id = next_id_before(batch.schema, batch.first_id, batch.last_id)
            reset = Reset(state.last_id if is_next else NO_ID, first_new_id, now_ns)
        if is_next and state.chained and NO_ID != state.last_id < reset.last_old_id:
            # It is nobody's to fill: no worker is told.
            self._announce_gap(Gap(state.last_id + 1, reset.last_old_id, BETWEEN_WORKERS, now_ns), state)
        state.begin_anew(batch.continuity, reset.first_new_id)
        self.found_holes.pop(state.topic, None)  # nobody can fill them any longer
        self.resets += 1
        self._put(wire.batch_of(batch.topic, [reset], batch.continuity), state)

    def _find_gap(self, next_id: int, state: TopicState, now_ns: int) -> None:
        """Announce the ids between what was taken and this one."""
        gap = Gap(state.next_id, next_id - 1, BETWEEN_WORKERS, now_ns)
        self.found_holes.setdefault(state.topic, (state.continuity_number, []))[1].append((gap.first_id, gap.last_id))
        self._announce_gap(gap, state)

    def _announce_gap(self, gap: Gap, state: TopicState) -> None:
        self.gaps += 1
        state.admit(gap)
        self._pass(wire.batch_of(state.topic, [gap], state.continuity_number), state)

    def _put(self, batch: Batch, state: TopicState) -> None:
        if not state.waiting:
            self._due.append(state)
        state.waiting.append(batch)

    def _pass(self, batch: Batch, state: TopicState) -> None:
        if not state.waiting:
            self._due.append(state)
        state.waiting.append(batch)
        if batch.last_id > state.last_id:  # noqa: PLR1730 - ``max`` is a call more for every batch
            state.last_id = batch.last_id
        if batch.schema in COUNTED_SCHEMAS:
            state.count += batch.count
            self._events += batch.count
            if state.first_id is None or batch.first_id < state.first_id:
                state.first_id = batch.first_id
        elif batch.schema in SNAPSHOT_SCHEMAS:
            state.whole = True

    @property
    def repaired_ids(self) -> int:
        """Ids of announced gaps that came late, or that a book snapshot made good."""
        return sum(state.filled for state in self.topics.values())

    @property
    def gaps_open(self) -> int:
        """Announced gaps that nothing has filled yet."""
        return sum(len(state.open) for state in self.topics.values())

    def missing(self, most: int) -> dict[str, int]:
        """Topics with an open gap, with how many ids are missing: so many of them."""
        lacking = ((topic, state.open.ids) for topic, state in self.topics.items() if state.open)
        return dict(itertools.islice(lacking, most))
