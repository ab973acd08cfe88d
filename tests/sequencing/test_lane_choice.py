"""Every kind of stream, from its lane through the sequencer to a subscriber, with something missing at each of the three."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from k2workers import wire
from k2workers.continuity import RECORDS, Continuity, Guarantee, Identity, Link, Proof, Repair, renumbered
from k2workers.errors import StateError
from k2workers.events import (
    ROW_OF,
    TABLE,
    Backfilled,
    BookSnapshot,
    DepthUpdate,
    Event,
    EventRow,
    Gap,
    Kline,
    Part,
    Reset,
    covered_ids,
)
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.lane import Lane
from k2workers.sequencing.lane_choice import lane_of
from k2workers.sequencing.sequencer import BETWEEN_WORKERS, Sequencer
from k2workers.transport.deliveries import Lost
from k2workers.transport.reassembly import Reassembly
from k2workers.venues.binance.streams import BOOK, KINDS, StreamKind
from tests.support.samples import sample

T = "binance.kind.X"
HOLD_NS = 10

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
proven = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS.values() if kind.continuity.proof is not Proof.NONE],
    ids=lambda kind: kind.kind,
)


class Pipeline:
    """One topic from its lane to what a subscriber is given."""

    def __init__(self, continuity: Continuity) -> None:
        self.number = continuity.number
        self.lane = lane_of(T, continuity)
        self.sequencer = Sequencer(1)
        self.subscriber = Reassembly()

    def receive(self, *events: Event) -> None:
        """A line brings these, each for itself."""
        for event in events:
            self.lane.offer_run([event], 0, HOLD_NS)

    def publish(self) -> list[bytes]:
        """What the lane lets go, as it is published."""
        if self.lane.ready:
            batches = [wire.batch_of(T, run, self.number) for run in self.lane.pop_ready()]
            for batch in wire.decode_bundle(wire.encode_bundle(batches)):
                self.sequencer.take(batch, 9)
        return [frame for _, _, frame in self.sequencer.publish(9)]

    def deliver(self, frames: Sequence[bytes] | None = None) -> list[Event | Lost]:
        """What the program is given of these frames, or of all that can be published now."""
        for frame in self.publish() if frames is None else frames:
            self.subscriber.take(frame, 0)
        self.subscriber.tick(2**62)
        given: list[Event | Lost] = []
        while self.subscriber.ready:
            item, _ = self.subscriber.ready.popleft()
            if isinstance(item, Lost):
                given.append(item)
            else:
                assert item.continuity.number == self.number
                given += item.events
        return given


def events_of(kind: StreamKind, *numbers: int) -> list[Event]:
    return [sample(ROW_OF[kind.event_type], number) for number in numbers]


def missing_ids(kind: StreamKind, number: int) -> tuple[int, int]:
    return covered_ids(*events_of(kind, number))


@each_kind
def test_each_event_goes_through_once_and_in_order_whatever_comes_twice(kind: StreamKind) -> None:
    pipeline = Pipeline(kind.continuity)
    first, second, third = events_of(kind, 1, 2, 3)
    pipeline.receive(first, second, second, third, first)
    assert [event for event in pipeline.deliver() if not isinstance(event, BookSnapshot)] == [first, second, third]
    again = wire.batch_of(T, [second, third], pipeline.number)
    pipeline.sequencer.take(again, 9)
    assert pipeline.deliver() == []
    assert pipeline.sequencer.old_events == 2 or kind.continuity.guarantee is Guarantee.FINAL


@proven
def test_what_no_line_brings_is_announced_in_its_place_and_made_good(kind: StreamKind) -> None:
    pipeline = Pipeline(kind.continuity)
    before, lost, after = events_of(kind, 1, 2, 3)
    pipeline.receive(before, after)
    pipeline.lane.expire(HOLD_NS)
    first, last = missing_ids(kind, 2)
    given = pipeline.deliver()
    assert [(type(event), event.first_id) for event in given if isinstance(event, Event)] == [
        (type(before), before.first_id), (Gap, first), (type(after), after.first_id),
    ]  # fmt: skip
    assert isinstance(given[1], Gap)
    assert given[1].last_id == last
    assert pipeline.sequencer.gaps == 1
    assert list(pipeline.sequencer.positions()[T].open) == [(first, last)]
    if isinstance(pipeline.lane, BookLane):
        assert pipeline.lane.offer_snapshot(BookSnapshot(after.last_id, [], [], 1))
        assert pipeline.deliver() == [BookSnapshot(after.last_id, [], [], 1)]
    else:
        assert pipeline.lane.wanted() == [(first, last)]
        pipeline.lane.fill([lost], 0)
        assert pipeline.deliver() == [Backfilled(lost)]
    assert pipeline.sequencer.gaps_open == 0
    assert pipeline.sequencer.repaired_ids == (1 if isinstance(lost, Kline) else last - first + 1)
    assert pipeline.subscriber.position(None, 0).topics[T].open == []


@each_kind
def test_what_a_worker_loses_is_announced_where_ids_prove_it(kind: StreamKind) -> None:
    pipeline = Pipeline(kind.continuity)
    before, lost, after = events_of(kind, 1, 2, 3)
    pipeline.receive(before)
    pipeline.deliver()
    pipeline.receive(lost)
    pipeline.lane.pop_ready()
    pipeline.receive(after)
    given = pipeline.deliver()
    if kind.continuity.chained:
        assert given == [Gap(*missing_ids(kind, 2), BETWEEN_WORKERS, 9), after]
        assert pipeline.sequencer.found_holes == {T: (pipeline.number, [missing_ids(kind, 2)])}
    else:
        assert given == [after]
        assert pipeline.sequencer.found_holes == {}


def linked(kind: StreamKind) -> bool:
    """Whether the ids show what is missing between two events."""
    return kind.continuity.chained or kind.continuity.link is Link.NEXT_BAR


@each_kind
def test_what_a_subscriber_misses_is_lost_with_its_ids_where_they_are_known(kind: StreamKind) -> None:
    pipeline = Pipeline(kind.continuity)
    before, lost, after = events_of(kind, 1, 2, 3)
    pipeline.receive(before)
    pipeline.deliver()
    pipeline.receive(lost)
    assert len(pipeline.publish()) == 1
    pipeline.receive(after)
    ids = missing_ids(kind, 2) if linked(kind) else (None, None)
    assert pipeline.deliver() == [Lost(T, 2, 2, *ids), after]


@each_kind
def test_between_two_lives_of_the_aggregator_the_link_of_ids_tells_what_is_lost(kind: StreamKind) -> None:
    pipeline = Pipeline(kind.continuity)
    before, _, after = events_of(kind, 1, 2, 3)
    pipeline.receive(before)
    pipeline.deliver()
    second_life = Sequencer(2)
    second_life.take(wire.batch_of(T, [after], pipeline.number), 9)
    given = pipeline.deliver([frame for _, _, frame in second_life.publish(9)])
    lost = [Lost(T, 0, -1, *missing_ids(kind, 2))] if linked(kind) else []
    assert given == [*lost, after]


@pytest.mark.parametrize(
    "continuity",
    [
        Continuity(identity=Identity.TEXT, repair=Repair.NEWEST),
        Continuity(identity=Identity.RANGE, link=Link.PREDECESSOR, proof=Proof.SEQUENCE, repair=Repair.RESUBSCRIBE),
        Continuity(identity=Identity.NONE, proof=Proof.CHECKSUM, repair=Repair.RESUBSCRIBE),
    ],
    ids=str,
)
def test_a_topic_that_no_lane_can_serve_is_refused_and_named(continuity: Continuity) -> None:
    with pytest.raises(StateError, match=r"binance\.kind\.X: no lane serves"):
        lane_of(T, continuity)


def test_a_lane_that_judges_nothing_says_so() -> None:
    with pytest.raises(StateError):
        Lane(T).offer(events_of(KINDS["trade"], 1)[0], 0, 0)


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.part not in {Part.DATA, Part.MADE}], ids=lambda row: row.type.__name__
)
def test_what_is_told_about_a_topic_is_told_once_and_records_as_often_as_they_come(row: EventRow) -> None:
    pipeline, event = Pipeline(BOOK), sample(row, 2)
    pipeline.number = (RECORDS if row.part is Part.RECORD else BOOK).number
    stands_at = {Part.SNAPSHOT: event.last_id, Part.RESET: event.first_id}.get(row.part, event.first_id - 1)
    begins = DepthUpdate(stands_at, stands_at, [], [], 0, 0)
    given: list[Event | Lost] = []
    for told in (begins, event, event):
        at = renumbered(pipeline.number) if isinstance(told, Reset) else pipeline.number
        pipeline.sequencer.take(wire.batch_of(T, [told], at), 9)
        given += pipeline.deliver()
    again = row.part in {Part.RECORD, Part.SNAPSHOT}  # a snapshot of where the topic stands is right, however often
    assert given == [begins, *([event, event] if again else [event])]


@each_kind
def test_the_same_type_of_events_proves_nothing_on_a_market_that_says_so(kind: StreamKind) -> None:
    pipeline = Pipeline(Continuity(identity=kind.continuity.identity))
    before, lost, after = events_of(kind, 1, 2, 3)
    pipeline.receive(before)
    pipeline.deliver()
    pipeline.receive(lost)
    pipeline.lane.pop_ready()
    pipeline.receive(after)
    assert pipeline.deliver() == [after]
    assert pipeline.sequencer.gaps == 0
