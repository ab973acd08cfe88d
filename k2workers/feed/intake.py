"""Owns the data path of a worker: messages → decoded events → arbitration → batches. No sockets, no tasks.

Everything that arrived in one socket read leaves as one bundle: a batch for each topic touched.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from k2workers import wire
from k2workers.continuity import numberings_ahead, renumbered
from k2workers.errors import StateError
from k2workers.events import RESET_SCHEMA, TABLE, BookSnapshot, Event, Reset
from k2workers.feed.dropped_messages import ODD_ELEMENT, OUTCOME_CAUSE, DroppedMessages
from k2workers.feed.intake_figures import IntakeFigures
from k2workers.feed.log_limit import LogLimit
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.plain_lane import ASK, FrameOutlet, plain_lane
from k2workers.rotation.proof import OverlapProof
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.coverage import NOT_KNOWN, Holes, PublishedPosition, Reached
from k2workers.sequencing.doubts import LAG_NS
from k2workers.sequencing.lane import Lane, Verdict
from k2workers.sequencing.lane_choice import lane_of
from k2workers.sequencing.monotone_lane import MonotoneLane
from k2workers.sequencing.ranges import Range
from k2workers.venues.venue import Codec, Outcome, Reply, StreamSpec, Topic

OUTLIER_EVERY_NS = 10_000_000_000
"""In this time one glitch of each kind is told; all are counted."""

FOREVER_NS = 2**63 - 1
"""Later than any hold ends."""

TIMED = frozenset(row.type for row in TABLE if row.timed)
"""Event types that hold both the venue's time and ours."""


class Intake(IntakeFigures):
    """The data path of one route of a shard. ``on_messages``, and ``take`` where there is a native lane, are on the hot path. Topics are known by their index in ``topics``.

    ``hold_ns`` is how long a topic waits for missing ids before it announces the gap. ``push`` takes one bundle and must not
    block; what it refuses (``wire.SendOutcome.REFUSED``) is missing from then on: announced, and wanted again. ``frames`` takes those that the native lane encodes;
    without it, or without the extension, all is done in Python. ``on_reply`` and ``on_notice`` get what is not data, with the line's number; ``observe_latency`` gets the ns
    from the venue's time to our receive time, once a bundle.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        hold_ns: int,
        push: Callable[[list[wire.Batch]], object],
        on_reply: Callable[[int, Reply], None],
        on_notice: Callable[[int], None],
        observe_latency: Callable[[int], None],
        frames: FrameOutlet | None = None,
    ) -> None:
        self.codec = codec
        self._lanes: list[Lane] = []
        self.dropped = DroppedMessages()
        self.proof: OverlapProof | None = None
        self.primary: int | None = None
        self.hold_ns = hold_ns
        self.incomplete: set[int] = set()
        """Indexes of topics that may lack something; the backfiller removes those that do not."""
        self.refused = False
        """Whether a refused bundle still waits to be announced: nobody takes what a backfill would bring."""
        self._told = True
        """Whether somebody has told what was published before; false while this route had to begin without."""
        self.begun: dict[str, Reached] = {}
        """By topic, the continuity number and first id of the numbering that began last, if one has begun here."""
        self._heard_ns: list[int] = []
        self.on_incomplete: Callable[[], None] = lambda: None
        """Called when a topic is added to ``incomplete``."""
        self.on_began_anew: Callable[[str, int, int], None] = lambda _topic, _last_old_id, _first_new_id: None
        """Called when the ids of a topic have begun anew."""
        self.on_others_expected: Callable[[str], None] = lambda _symbol: None
        """Called with the symbol of such a topic, if its ids on other routes are likely to begin anew too."""
        self.on_outlier: Callable[[str, Event, int], None] = lambda _topic, _event, _total: None
        """Called with a topic, an event that was dropped because its ids or times were far from the others, and how many have been of its kind:
        once in ``OUTLIER_EVERY_NS`` for each kind."""
        self._several_lines = False
        self._continuity_numbers = []
        self._published: dict[str, PublishedPosition] = {}
        self._push, self._frames = push, frames
        self.plain = None if frames is None else plain_lane()
        self._on_reply, self._on_notice = on_reply, on_notice
        self._observe_latency = observe_latency
        self.latency_ns: int | None = 0
        """That of the last read, of events that tell the venue's time. Whoever knows that it counts no longer sets it to None."""
        self._dirty: dict[int, Lane] = {}
        self._holding: set[int] = set()
        self._lag_passed_ns = 0
        self._outlier_limits: dict[str, LogLimit] = {}
        """By kind."""

    @property
    def topics(self) -> Sequence[Topic]:
        """The topics of this route. A topic's index in this list identifies it in all calls; it never changes."""
        return self.codec.topics

    @property
    def lanes(self) -> list[Lane]:
        """See ``IntakeFigures``."""
        if self.plain is not None:
            self.plain.settle(self._lanes, self._heard_ns)
        return self._lanes

    @property
    def standing(self) -> Sequence[Lane]:
        """See ``IntakeFigures``."""
        if self.plain is not None:
            self.plain.settle(self._lanes, self._heard_ns, keep=True)
        return self._lanes

    @property
    def heard_ns(self) -> list[int]:
        """When a line last brought anything of each topic, copies too (monotonic; 0: never)."""
        if self.plain is not None:
            self.plain.settle(self._lanes, self._heard_ns, keep=True)
        return self._heard_ns

    def take(self, line: int, buffer: bytearray, begin: int, filled: int, received_ns: int) -> tuple[int, int, int]:
        """Push the plain messages of one read of one line, as far as the native lane can take them.

        Returns where it stopped, where the messages end that ``on_messages`` must get before it is called again, and how many it took.
        """
        plain, frames = self.plain, self._frames
        assert plain is not None, "only with a native lane"
        assert frames is not None
        if self._dirty:
            self.flush()
        if not plain.is_current(self.codec.written):
            plain.settle(self._lanes, self._heard_ns)
            plain.follow(self.codec.written, self.topics)
        now_ns = time.monotonic_ns()
        head = frames.next_head()
        total = newest_ns = 0
        while True:
            stop, begin, span_end, taken, topic_index, venue_time_ns, frame = plain.take(
                buffer, begin, filled, received_ns, now_ns, head
            )
            total += taken
            newest_ns = venue_time_ns or newest_ns
            if stop != ASK:
                break
            self._grow()
            plain.place(topic_index, self._lanes[topic_index], self._continuity_numbers[topic_index])
        if total and (self.proof is not None or self.dropped.readability.in_question):
            self._note_touched(line, plain.touched())
        if frame is not None:
            self.refused = False
            if frames.push_frame(frame) is wire.SendOutcome.REFUSED:
                self._take_back_encoded(memoryview(frame)[len(head) :])
        if newest_ns:
            self.latency_ns = received_ns - newest_ns
            self._observe_latency(self.latency_ns)
        return begin, span_end, total

    def _note_touched(self, line: int, touched: Sequence[tuple[int, int, int]]) -> None:
        """What else must know which topics the native lane has just taken messages of (``PlainLane.touched``)."""
        if self.dropped.readability.in_question:
            self.dropped.readability.read({self.codec.topics[topic_index].kind for topic_index, *_ in touched})
        if self.proof is not None:
            for topic_index, first_id, last_id in touched:
                self._prove(self.proof, line, topic_index, first_id, last_id)

    def _prove(self, proof: OverlapProof, line: int, topic_index: int, first_id: int, last_id: int) -> None:
        if line == self.primary:
            proof.primary_delivered(topic_index, last_id)
        else:
            proof.standby_delivered(topic_index, first_id)

    def on_messages(self, line: int, messages: MessageBlock, received_ns: int) -> None:
        """Decode the messages of one read of one line, and push the new events as one bundle."""
        runs = self.codec.decode_together(messages.together, len(messages), received_ns)
        if runs is None:
            runs = self._decode_singly(line, messages.singly(), received_ns)
        if runs:
            self._arbitrate(line, runs, time.monotonic_ns())
            self.flush()

    def expire(self, now_ns: int) -> None:
        """Announce the holes whose hold time is up (monotonic time)."""
        if self._holding:
            self._expire_held(self.lanes, now_ns)
        if now_ns >= self._lag_passed_ns + LAG_NS:
            self._lag_passed_ns = now_ns
            for lane in self.lanes:
                lane.pass_lag()
        self.flush()

    def _expire_held(self, lanes: list[Lane], now_ns: int) -> None:
        for topic_index in [s for s in self._holding if lanes[s].expire(now_ns)]:
            self._dirty[topic_index] = lanes[topic_index]
        for topic_index in self._holding:
            if (outlier := lanes[topic_index].outlier) is not None:
                lanes[topic_index].outlier = None
                self._tell_outlier(self.topics[topic_index], outlier, now_ns)
        self._holding = {s for s in self._holding if lanes[s].deadline_ns is not None}

    def _tell_outlier(self, topic: Topic, outlier: Event, now_ns: int) -> None:
        if self._outlier_limits.setdefault(topic.kind, LogLimit(1, OUTLIER_EVERY_NS)).allows(now_ns):
            self.on_outlier(topic.topic, outlier, self.outliers_by_kind()[topic.kind])

    def look_at_kinds(self, now_ns: int) -> None:
        """See of which kinds nothing can be read, and what is not read natively (monotonic time)."""
        if self.plain is not None:
            self.plain.share.look(now_ns)
        self.dropped.look({topic.kind for topic in self.topics}, now_ns)

    def flush(self) -> None:
        """Push every accepted event as one bundle."""
        if not self._dirty:
            return
        bundle: list[wire.Batch] = []
        numbers = self._continuity_numbers
        for topic_index, lane in self._dirty.items():
            if mixed := lane.mixed:
                self._mark_incomplete(topic_index)
            for events in lane.pop_ready():
                if mixed and type(events[0]) is Reset:
                    numbers[topic_index] = renumbered(numbers[topic_index])
                    self._note_begun(topic_index, numbers[topic_index], events)
                bundle.append(wire.batch_of(lane.topic, events, numbers[topic_index]))
        dirty, self._dirty = self._dirty, {}
        refused = self._push(bundle) is wire.SendOutcome.REFUSED
        if refused:
            self._take_back(bundle, dirty)
        self.refused = refused and bool(self._dirty)
        # All events of a read arrived at the same time: one of them is enough for the latency.
        newest = events[-1]
        if type(newest) in TIMED:
            self.latency_ns = newest.received_ns - newest.venue_time_ns  # type: ignore[attr-defined]
            self._observe_latency(self.latency_ns)

    def _note_begun(self, topic_index: int, number: int, resets: Sequence[Event]) -> None:
        topic = self.topics[topic_index]
        self.begun[topic.topic] = number, resets[-1].last_id
        self.on_began_anew(topic.topic, resets[0].first_id, resets[-1].last_id)
        if not self.lanes[topic_index].REACH.times:  # those begin anew only where the ones before were wrong
            self.expect_anew(topic.symbol, but=topic_index)
            self.on_others_expected(topic.symbol)

    def expect_anew(self, symbol: str, but: int | None = None) -> None:
        """Ids of this symbol have begun anew: those of its topics here, but of one, are likely to."""
        for topic_index, (topic, lane) in enumerate(zip(self.topics, self.lanes, strict=False)):
            if topic.symbol == symbol and topic_index != but and not lane.REACH.times:
                lane.expect_anew()

    # ── continuing and repairing ────────────────────────────────────────────────────────────────────────

    def resume(self, positions: Mapping[str, PublishedPosition] | None) -> None:
        """Continue each topic after what was published of it; None if nobody has told.

        Only before the first message and before streams are added: a topic that has lanes already cannot continue an earlier one.
        """
        if self.lanes:
            raise StateError("topics are served already: what was published of them comes too late")
        self._published = dict(positions or {})
        self._told = positions is not None
        self._grow()

    def resume_late(self, positions: Mapping[str, PublishedPosition]) -> bool:
        """What was published is told after topics have begun; call it with every later word of it. Whether any topic goes on from there.

        Those do of which nothing has come yet. Of the others it only counts in which numbering they were published, and which gaps are open.
        """
        resumed, self._told, was_told = False, True, self._told
        for topic_index, lane in enumerate(self.lanes):
            published = positions.get(lane.topic)
            if published is None:
                continue
            number = _as_in(published, self._continuity_numbers[topic_index])
            if lane.topic in self.begun:
                if not was_told and numberings_ahead(number, self._continuity_numbers[topic_index]) >= 0:
                    # Our count began without the numberings before: what we took for one of them is the next one.
                    number = self._continuity_numbers[topic_index] = renumbered(number)
                    self.begun[lane.topic] = number, self.begun[lane.topic][1]
            elif lane.newest_id is None:
                lane.resume(published)
                self._continuity_numbers[topic_index] = number
                resumed = True
                if lane.open or isinstance(lane, BookLane):
                    self._mark_incomplete(topic_index)
            else:
                if numberings_ahead(number, self._continuity_numbers[topic_index]) > 0:
                    self._continuity_numbers[topic_index] = number
                if not was_told:
                    self.reopen({lane.topic: (number, published.open)})
        return resumed

    def add_streams(self, specs: Sequence[StreamSpec]) -> None:
        """Serve these streams too, from now on."""
        self.codec.add(specs)
        self._grow()

    def reopen(self, holes: Holes) -> None:
        """Ids that left here and were lost before the aggregator, which has announced them as gaps: fetch them again."""
        for topic_index, ranges in self._of_our_numbering(holes):
            for first_id, last_id in ranges:
                self.lanes[topic_index].reopen(first_id, last_id, time.time_ns())
            self._mark_incomplete(topic_index)
            self._flush_ready(topic_index)

    def announce(self, holes: Holes) -> None:
        """Ids that left here and were lost behind the aggregator: nobody has announced them."""
        for topic_index, ranges in self._of_our_numbering(holes):
            for first_id, last_id in ranges:
                self.lanes[topic_index].want_again(first_id, last_id, time.time_ns())
            self._flush_ready(topic_index)

    def _of_our_numbering(self, holes: Holes) -> list[tuple[int, list[Range]]]:
        """The ids that can still be had, by topic index: not those from before the ids began anew, which may just have happened."""
        found = []
        for topic_index, lane in enumerate(self.lanes):
            if lane.topic in holes:
                number, ranges = holes[lane.topic]
                if not numberings_ahead(self._numbering(topic_index), number):
                    found.append((topic_index, ranges))
        return found

    def give_up(self, topic_index: int, ranges: Sequence[Range], cause: str) -> None:
        """Nobody asks any longer for these ids, so no event waits for them any longer; subscribers are told."""
        if self.lanes[topic_index].expire(FOREVER_NS):
            self._holding.discard(topic_index)
        for first_id, last_id in ranges:
            self.lanes[topic_index].give_up(first_id, last_id, cause, time.time_ns())
        self._flush_ready(topic_index)

    def fill(self, topic_index: int, events: Sequence[Event], now_ns: int) -> None:
        """Take the events that a backfill fetched for this topic, in rising id order (monotonic time)."""
        self.lanes[topic_index].fill(events, now_ns)
        self._flush_ready(topic_index)

    def add(self, topic_index: int, events: Sequence[Event], now_ns: int) -> None:
        """Take newer events that a probe of the venue found and no line has delivered, in rising id order."""
        lane = self.lanes[topic_index]
        verdicts = {lane.offer(event, now_ns, self.hold_ns) for event in events}
        if Verdict.HELD in verdicts:
            self._wait_for_missing(topic_index)
        self._flush_ready(topic_index)

    def confirm(self, topic_index: int, events: Sequence[Event], newest_id: int | None, now_ns: int) -> None:
        """The venue was asked about an event that may be one of new ids: it has these, and none above ``newest_id`` (None: not known)."""
        self.lanes[topic_index].confirm(events, newest_id, now_ns, self.hold_ns)
        self._flush_ready(topic_index)

    def take_book(self, topic_index: int, snapshot: Event, *, cut: bool = False, levels: int = 0) -> bool:
        """Take a fetched book, see ``BookLane.offer_snapshot``. False if it is too old and another is needed."""
        lane = self.lanes[topic_index]
        assert isinstance(lane, BookLane)
        assert isinstance(snapshot, BookSnapshot)
        fits = lane.offer_snapshot(snapshot, cut=cut, levels=levels)
        self._flush_ready(topic_index)
        return fits

    def begin_after(self, topic_index: int, last_id: int) -> None:
        """The topic begins after this id of the venue, if nothing of it has come yet."""
        lane = self.lanes[topic_index]
        if lane.newest_id is None:
            lane.resume(PublishedPosition(last_id, []))

    def ask_book(self, topic_index: int) -> None:
        """Have the book of this topic fetched: changes of it were withheld. Does nothing for a topic that keeps none."""
        lane = self.lanes[topic_index]
        if isinstance(lane, BookLane) and lane.ask_book(withheld=True):
            self._mark_incomplete(topic_index)

    def do_without_diffs(self, topic_index: int) -> None:
        """No diff of this topic comes: its book is to be published as the venue gives it."""
        lane = self.lanes[topic_index]
        assert isinstance(lane, BookLane)
        lane.do_without_diffs()
        self._flush_ready(topic_index)

    def publish_books(self, under: Sequence[str], kept: Collection[str]) -> int:
        """Somebody keeps only these books of those under these prefixes: have the others published anew. How many that are."""
        wanted, prefixes = 0, tuple(under)
        for topic_index, lane in enumerate(self.lanes):
            if not isinstance(lane, BookLane) or not lane.topic.startswith(prefixes):
                continue
            if lane.topic not in kept and lane.ask_book():
                wanted += 1
                self._mark_incomplete(topic_index)
        return wanted

    def several_lines(self, several: bool) -> None:
        """Whether more than one line carries the streams: then the other one may bring what a book lacks."""
        self._several_lines = several
        if self.plain is not None:
            self.plain.several_lines(several)
        for lane in self.lanes:
            if isinstance(lane, BookLane):
                lane.patient = several

    def _decode_singly(self, line: int, messages: list[bytes], received_ns: int) -> dict[int, list[Event]]:
        decoded: list[tuple[int, Event]] = []
        for message in messages:
            outcome = self.codec.decode(message, received_ns, decoded)
            if outcome is not Outcome.EVENTS:
                self._not_data(line, outcome, message)
            elif self.codec.odd_elements:
                codec = self.codec
                self.dropped.count(
                    ODD_ELEMENT, message, codec.malformed_cause, codec.malformed_kind, codec.odd_elements
                )
        runs: dict[int, list[Event]] = {}
        for topic_index, event in decoded:
            runs.setdefault(topic_index, []).append(event)
        return runs

    def _arbitrate(self, line: int, runs: dict[int, list[Event]], now_ns: int) -> None:
        lanes, dirty, hold_ns, proof, heard_ns = self._lanes, self._dirty, self.hold_ns, self.proof, self._heard_ns
        plain = self.plain
        if len(lanes) < len(self.codec.topics):
            self._grow()
        if self.dropped.readability.in_question:
            self.dropped.readability.read({self.codec.topics[topic_index].kind for topic_index in runs})
        for topic_index, events in runs.items():
            if not events:
                continue
            lane = lanes[topic_index]
            if plain is not None:
                plain.settle_one(topic_index, lanes, heard_ns)
            heard_ns[topic_index] = now_ns
            if lane.offer_run(events, now_ns, hold_ns):
                self._wait_for_missing(topic_index)
            if lane.ready:
                dirty[topic_index] = lane
            if proof is not None:
                self._prove(proof, line, topic_index, events[0].first_id, events[-1].last_id)

    def _flush_ready(self, topic_index: int) -> None:
        lane = self.lanes[topic_index]
        if lane.ready:
            self._dirty[topic_index] = lane
            self.flush()

    def _take_back_encoded(self, bundle: memoryview) -> None:
        """The same as ``_take_back``, of a bundle that the native lane made."""
        batches = wire.decode_bundle(bundle)
        names = {batch.topic for batch in batches}
        self._take_back(batches, {index: lane for index, lane in enumerate(self.lanes) if lane.topic in names})
        self.refused = bool(self._dirty)

    def _take_back(self, bundle: list[wire.Batch], lanes: Mapping[int, Lane]) -> None:
        """The aggregator will not get this bundle: each lane knows what of it is missing now; its ``Gap`` goes with the next bundle."""
        events: dict[str, list[Event]] = {}
        resets: Counter[str] = Counter()
        for batch in bundle:
            events.setdefault(batch.topic, []).extend(wire.decode_batch(batch))
            resets[batch.topic] += batch.schema == RESET_SCHEMA
        for topic_index, lane in lanes.items():
            if resets[lane.topic]:
                numbers = self._continuity_numbers
                numbers[topic_index] = renumbered(numbers[topic_index], -resets[lane.topic])
            lane.take_back(events.get(lane.topic, ()))
            if lane.ready:
                self._dirty[topic_index] = lane
            if not isinstance(lane, MonotoneLane):
                self._mark_incomplete(topic_index)

    def _grow(self) -> None:
        while len(self._lanes) < len(self.codec.topics):
            self._add_lane()

    def _add_lane(self) -> None:
        topic = self.codec.topics[len(self._lanes)]
        lane = lane_of(topic.topic, topic.continuity)
        published = self._published.pop(topic.topic, None)
        if published is not None:
            lane.resume(published)
        if isinstance(lane, BookLane):
            lane.patient = self._several_lines
        if lane.open or isinstance(lane, BookLane):
            self._mark_incomplete(len(self._lanes))
        self._lanes.append(lane)
        self._heard_ns.append(0)
        number = topic.continuity.number
        self._continuity_numbers.append(number if published is None else _as_in(published, number))

    def _wait_for_missing(self, topic_index: int) -> None:
        """An event of this topic is held back behind a hole."""
        self._holding.add(topic_index)
        self._mark_incomplete(topic_index)

    def _mark_incomplete(self, topic_index: int) -> None:
        if topic_index not in self.incomplete:
            self.incomplete.add(topic_index)
            self.on_incomplete()

    def _not_data(self, line: int, outcome: Outcome, message: bytes) -> None:
        if outcome is Outcome.REPLY:
            self._on_reply(line, self.codec.last_reply)
        elif outcome is Outcome.SHUTDOWN_NOTICE:
            self._on_notice(line)
        else:
            kind = self.codec.malformed_kind if outcome is Outcome.MALFORMED else None
            self.dropped.count(OUTCOME_CAUSE[outcome], message, self.codec.malformed_cause, kind)


def _as_in(published: PublishedPosition, number: int) -> int:
    """A topic's continuity number in the numbering in which it was published."""
    if published.continuity == NOT_KNOWN:
        return number
    return renumbered(number, numberings_ahead(published.continuity, number))
