"""What the aggregator does with bundles, moment by moment, without sockets and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k2workers import wire
from k2workers.continuity import renumbered
from k2workers.events import LATE, Reset, Void
from k2workers.sequencing.coverage import Holes, PublishedPosition
from k2workers.sequencing.tally import Tally
from k2workers.transport.bundle_protocol import WorkerHello
from k2workers.transport.relay import KEEP_NS, MOMENTS, Relay, begun
from k2workers.transport.ring import ReplayRing
from k2workers.venues.binance.streams import CHAIN
from tests.support.batches import batch_of
from tests.transport.support import trades

T = "binance.trade.BTCUSDT"
W = b"worker-0#1"


class Around:
    """A relay, its links and what writes its checkpoints: ``written`` says when a write is over."""

    def __init__(self) -> None:
        self.number = 0
        self.acknowledged: list[int] = []
        self.holes: list[Holes] = []
        self.saved: list[tuple[int, Callable[[], None]]] = []
        self.busy = False
        self.sent: list[bytes] = []
        self.ring = ReplayRing(10_000, 10**18)
        self.sequencer = begun(4, {}, 0, 0)
        self.relay = Relay(self.sequencer, self.ring, self, self, self.sent.append)

    def taken(self) -> dict[bytes, int]:
        return {W: self.number}

    def acknowledge(self, numbers: Mapping[bytes, int]) -> None:
        self.acknowledged.append(numbers[W])

    def tell_holes(self, worker: bytes, holes: Holes) -> None:
        assert worker == W
        self.holes.append(holes)

    def save(
        self,
        epoch: int,
        positions: dict[str, PublishedPosition],
        _tally: Tally,
        on_saved: Callable[[], None] = lambda: None,
    ) -> None:
        assert epoch == self.sequencer.epoch
        self.busy = True
        self.saved.append((positions[T].last_id, on_saved))

    def take(self, *ids: int) -> None:
        self.number += 1
        self.relay.take(W, [trades(*ids)], 0)


def test_a_new_life_counts_on_from_the_checkpoint() -> None:
    assert begun(4, {}, 0, 0, Tally(events=7)).tally().events == 7


def test_numbering_begins_anew_later_than_before_whatever_the_clock_says() -> None:
    assert [begun(9, {}, 4, salt).epoch for salt in (0, 7)] == [10, 17], "no two lives with one epoch"
    sequencer = begun(9, {T: PublishedPosition(5, [(2, 3)])}, 40, 7)
    assert (sequencer.epoch, sequencer.gaps_open) == (40, 1)


def test_what_was_taken_is_published_and_remembered_and_holes_are_told() -> None:
    around = Around()
    around.take(1, 2)
    around.take(5)
    around.relay.publish(7, 8)
    assert [wire.read_header(frame).last_id for frame in around.sent] == [2, 4, 5]
    assert (around.relay.batches, around.relay.bytes) == (3, sum(map(len, around.sent)))
    assert around.ring.newest(T) == {T: 3}
    assert around.holes == [{T: (CHAIN.number, [(3, 4)])}]
    around.take(6)
    assert len(around.holes) == 1


def test_a_batch_that_cannot_be_read_does_not_keep_the_others_back() -> None:
    around = Around()
    around.take(1)
    around.relay.take(W, [wire.Batch(T, LATE + 1, 1, 7, 7, CHAIN.number, b"no events"), trades(2)], 0)
    assert (around.relay.unreadable, around.sequencer.topics[T].last_id) == (1, 2)
    assert "damaged events" in around.relay.cause


def test_a_hello_is_answered_with_where_topics_stand_after_it() -> None:
    around = Around()
    welcome = around.relay.hello(WorkerHello(1, {T: (CHAIN.number, 8)}, {}, {T: (CHAIN.number, [(2, 3)])}))
    assert welcome.epoch == around.sequencer.epoch
    assert (welcome.positions[T].last_id, welcome.positions[T].open) == (8, [(2, 3)])


def test_a_checkpoint_holds_what_had_time_to_reach_subscribers() -> None:
    around = Around()
    for number in range(1, 10):
        around.take(number)
        around.relay.checkpoint(number)
    assert around.saved == []
    around.relay.checkpoint(KEEP_NS + 10 - MOMENTS + 1)
    assert [last_id for last_id, _ in around.saved] == [10 - MOMENTS + 1], "the newest of those that were old enough"


def test_acknowledged_is_what_a_written_checkpoint_covers() -> None:
    around = Around()
    around.take(1)
    around.relay.checkpoint(0)
    around.take(2)
    around.relay.checkpoint(KEEP_NS)
    assert around.acknowledged == []
    around.take(3)
    around.relay.checkpoint(2 * KEEP_NS)
    assert len(around.saved) == 1, "one write at a time"
    around.busy = False
    around.saved[0][1]()
    assert around.acknowledged == [1]
    around.relay.checkpoint(3 * KEEP_NS)
    assert [last_id for last_id, _ in around.saved] == [1, 3]
    assert around.acknowledged == [1], "not written yet"


def test_moments_that_wait_for_a_slow_disk_are_bounded() -> None:
    around = Around()
    around.busy = True
    for number in range(1, 20 * MOMENTS):
        around.take(number)
        around.relay.checkpoint(number * KEEP_NS)
    assert len(around.relay._moments) == MOMENTS


def test_holes_are_told_again_until_they_are_not_open_any_longer() -> None:
    around = Around()
    for number in (2, 5, 9):
        around.take(number)
    around.holes.clear()
    around.relay.checkpoint(1)
    assert around.holes == [{T: (CHAIN.number, [(3, 4), (6, 8)])}]
    around.relay.take(W, [batch_of(T, [Void(3, 4, 0), Void(7, 7, 0)])], 1)
    around.relay.checkpoint(2)
    assert around.holes[1:] == [{T: (CHAIN.number, [(6, 6), (8, 8)])}]
    around.relay.take(W, [wire.batch_of(T, [Reset(9, 1, 0)], renumbered(CHAIN.number))], 1)
    around.relay.checkpoint(3)
    assert len(around.holes) == 2


def test_a_moment_in_which_nothing_came_publishes_nothing() -> None:
    around = Around()
    around.relay.publish(1, 1)
    assert (around.sent, around.relay.batches, around.relay.bytes, len(around.ring)) == ([], 0, 0, 0)
