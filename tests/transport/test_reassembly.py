"""Each event once and in order, repaired from the ring or named as lost, across lives of the aggregator."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers import wire
from k2workers.continuity import NUMBERINGS, Continuity, renumbered
from k2workers.errors import ConfigError
from k2workers.events import (
    Backfilled,
    BookSnapshot,
    BookTicker,
    DepthUpdate,
    Event,
    Gap,
    GivenUp,
    Heartbeat,
    Kline,
    Reset,
    Trade,
    Void,
)
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN
from k2workers.sequencing.ranges import IdRanges, Range
from k2workers.transport import lives as lives_module
from k2workers.transport import reassembly as reassembly_module
from k2workers.transport.deliveries import Lost, MessageBatch
from k2workers.transport.position import Position, TopicPosition
from k2workers.transport.reassembly import DOUBT, MAX_EPOCHS_LEFT, PATIENCE_NS, Reassembly
from k2workers.transport.ring import ReplayRing
from k2workers.venues.binance.streams import BAR, BOOK, CHAIN
from tests.support.batches import batch_of

T = "binance.trade.X"
PATIENCE = 1_000
MS = 1_000_000
FIRST_OF_NUMBERING = 3
"""The first id of each later numbering in the model."""


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, number)


def frame(sequence: int, *events: Event, epoch: int = 1, topic: str = T, continuity: Continuity | None = None) -> bytes:
    return wire.publication(batch_of(topic, events, continuity), epoch=epoch, sequence=sequence, publish_ns=0)


def trades(sequence: int, *numbers: int, epoch: int = 1) -> bytes:
    return frame(sequence, *(trade(number) for number in numbers), epoch=epoch)


def reassembly(position: Position | None = None) -> Reassembly:
    return Reassembly(position, patience_ns=PATIENCE)


def delivered(state: Reassembly) -> list[Event | Lost]:
    out: list[Event | Lost] = []
    while state.ready:
        item, _ = state.ready.popleft()
        out += [item] if isinstance(item, Lost) else item.events
    return out


def numbers(items: Sequence[Event | Lost]) -> list[int]:
    return [item.first_id for item in items if isinstance(item, Trade)]


def test_the_first_batch_of_a_topic_is_its_start() -> None:
    state = reassembly()
    state.take(trades(7, 70, 71), 0)
    assert numbers(delivered(state)) == [70, 71]
    assert not state.waiting


def test_a_hole_is_asked_of_the_ring_and_other_topics_go_on() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(trades(4, 4), 0)
    state.take(frame(1, BookTicker(5, "", "", "", "", 0), topic="other"), 0)
    assert [type(event) for event in delivered(state)] == [Trade, BookTicker]
    assert list(state.questions(0)) == [(T, 2)]
    assert list(state.questions(1)) == [], "not again at once"
    state.replayed(T, 1, 1, 4, [trades(2, 2), trades(3, 3)], 1)
    assert numbers(delivered(state)) == [2, 3, 4]
    assert (state.waiting, state.counters.repaired_batches) == (False, 3)


def test_a_ring_that_gives_a_part_is_asked_on() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(trades(9, 9), 0)
    state.replayed(T, 1, 1, 9, [trades(2, 2)], 0)
    assert dict(state.questions(10**9)) == {T: 3}


def test_what_the_ring_has_no_longer_is_named_with_its_ids() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(trades(9, 9), 0)
    state.replayed(T, 1, 5, 9, [trades(n, n) for n in (5, 6, 7, 8)], 0)
    items = delivered(state)
    assert items[1] == Lost(T, 2, 4, 2, 4)
    assert items[1].count == 3
    assert numbers(items) == [1, 5, 6, 7, 8, 9]


def test_without_an_answer_the_hole_is_named_when_its_time_is_up() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(trades(4, 40), 0)
    state.take(trades(7, 70), 0)
    state.tick(PATIENCE - 1)
    assert numbers(delivered(state)) == [1]
    state.tick(PATIENCE)
    assert delivered(state) == [Lost(T, 2, 3, 2, 39), trade(40)]
    state.tick(2 * PATIENCE)
    assert delivered(state) == [Lost(T, 5, 6, 41, 69), trade(70)]
    assert (state.waiting, state.counters.lost_batches) == (False, 4)


def test_a_new_life_may_repeat_and_nothing_is_given_twice() -> None:
    state = reassembly()
    state.take(trades(5, 10, 11, 12), 0)
    state.take(trades(1, 11, 12, 13, epoch=2), 0)
    state.take(trades(2, 12, epoch=2), 0)
    state.take(trades(6, 14), 0)
    assert numbers(delivered(state)) == [10, 11, 12, 13]
    assert (state.counters.duplicates_dropped, state.counters.refused_batches) == (3, 1)


def test_a_new_life_that_begins_beyond_is_a_loss_known_by_ids() -> None:
    state = reassembly()
    state.take(trades(5, 10), 0)
    state.take(trades(1, 14, epoch=2), 0)
    assert delivered(state) == [trade(10), Lost(T, 0, -1, 11, 13), trade(14)]


def test_the_beginning_of_a_new_life_is_asked_of_the_ring() -> None:
    state = reassembly()
    state.take(trades(5, 10), 0)
    state.take(trades(3, 13, epoch=2), 0)
    assert list(state.questions(0)) == [(T, 1)]
    state.replayed(T, 2, 1, 3, [trades(1, 11, epoch=2), trades(2, 12, epoch=2)], 0)
    assert numbers(delivered(state)) == [10, 11, 12, 13]


def test_a_topic_that_went_on_unheard_is_asked_for() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.behind(1, {T: 1, "new": 2}, 0)
    assert dict(state.questions(0)) == {"new": 1}
    state.behind(1, {T: 3}, 0)
    assert dict(state.questions(10**9)) == {T: 2, "new": 1}
    state.replayed("new", 1, 1, 2, [frame(1, trade(1), topic="new"), frame(2, trade(2), topic="new")], 0)
    assert numbers(delivered(state)) == [1, 1, 2]
    state.tick(PATIENCE)
    assert not state.waiting


def test_gaps_voids_and_what_fills_them_late() -> None:
    state = reassembly()
    events: list[Event] = [
        trade(1), Gap(2, 5, "", 0), trade(6), Backfilled(trade(3)), Void(4, 4, 0), Backfilled(trade(9)), Backfilled(trade(3)),
    ]  # fmt: skip
    for sequence, event in enumerate(events, 1):
        state.take(frame(sequence, event), 0)
    assert delivered(state) == events[:5], "nothing fills a gap that nobody told of, or that is filled"
    for sequence, event in enumerate(events, 1):
        state.take(frame(sequence, event, epoch=2), 0)
    assert delivered(state) == [], "the next life repeats all of it"
    state.take(frame(len(events) + 1, Backfilled(trade(2)), epoch=2), 0)
    assert delivered(state) == [Backfilled(trade(2))]


def test_books_of_a_new_life_chain_on() -> None:
    diff, book = DepthUpdate(5, 9, [], [], 0, 0), BookSnapshot(9, [], [], 0)
    state = reassembly()
    state.take(frame(1, diff), 0)
    state.take(frame(2, book), 0)
    state.take(frame(1, DepthUpdate(3, 12, [], [], 0, 0), epoch=2), 0)
    state.take(frame(2, BookSnapshot(8, [], [], 0), epoch=2), 0)
    assert delivered(state) == [diff, book, DepthUpdate(10, 12, [], [], 0, 0)]


SECOND_NS = 1_000_000_000


def bar(second: int, at: int, *, final: bool = False) -> Kline:
    opens_ns = second * SECOND_NS
    return Kline(opens_ns, opens_ns + SECOND_NS - 1_000, "", "", "", "", "", "", "", "", 0, 0, 0, final, at, 0)


def lost_bars(first_second: int, end_second: int) -> Lost:
    return Lost(T, 0, -1, first_second * SECOND_NS, end_second * SECOND_NS - 1)


def test_bars_move_on_by_the_venues_time() -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1), bar(0, 2)), 0)
    state.take(frame(1, bar(0, 2), bar(0, 3, final=True), bar(1, 4), epoch=2), 0)
    assert delivered(state) == [bar(0, 1), bar(0, 2), bar(0, 3, final=True), bar(1, 4)]


def test_final_bars_that_a_new_life_does_not_bring_are_lost_by_their_times() -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1, final=True), bar(1, 2, final=True)), 0)
    state.take(frame(1, bar(4, 5, final=True), epoch=2), 0)
    state.take(frame(2, bar(5, 6), epoch=2), 0)
    state.take(frame(1, bar(7, 8), epoch=3), 0)
    kept = [bar(0, 1, final=True), bar(1, 2, final=True), lost_bars(2, 4), bar(4, 5, final=True), bar(5, 6)]
    assert delivered(state) == [*kept, lost_bars(5, 7), bar(7, 8)]


def test_what_fills_a_gap_does_not_show_how_far_a_life_is_among_bars() -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1, final=True), bar(1, 2)), 0)
    state.take(frame(1, Backfilled(bar(1, 3, final=True)), epoch=2, continuity=BAR), 0)
    state.take(frame(2, Backfilled(bar(1, 3, final=True)), epoch=2, continuity=BAR), 0)
    state.take(frame(3, bar(3, 4), epoch=2), 0)
    late = Backfilled(bar(1, 3, final=True))
    assert delivered(state) == [bar(0, 1, final=True), bar(1, 2), late, lost_bars(2, 3), bar(3, 4)]


def seconds(kind: type[Void | GivenUp], first: int, end: int) -> Event:
    ids = first * SECOND_NS, end * SECOND_NS - 1
    return Void(*ids, 0) if kind is Void else GivenUp(*ids, "", 0)


@pytest.mark.parametrize("kind", [Void, GivenUp])
def test_a_closed_gap_does_not_show_how_far_a_life_is_among_bars(kind: type[Void | GivenUp]) -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1, final=True), bar(1, 2)), 0)
    for sequence, closed in ((1, seconds(kind, 1, 2)), (2, seconds(kind, 4, 5))):
        state.take(frame(sequence, closed, epoch=2, continuity=BAR), 0)
    state.take(frame(3, bar(6, 4), epoch=2), 0)
    before = [bar(0, 1, final=True), bar(1, 2), seconds(kind, 1, 2)]
    assert delivered(state) == [*before, lost_bars(2, 4), seconds(kind, 4, 5), lost_bars(5, 6), bar(6, 4)]


def test_a_position_knows_how_long_its_bars_are() -> None:
    before = reassembly()
    before.take(frame(1, bar(0, 1, final=True)), 0)
    delivered(before)
    state = reassembly(Position.from_bytes(before.position(None, 0).to_bytes()))
    gap = Gap(3 * SECOND_NS, 4 * SECOND_NS - 1, "test", 0)
    state.take(frame(1, gap, epoch=2, continuity=BAR), 0)
    state.take(frame(2, bar(4, 5), epoch=2), 0)
    assert delivered(state) == [lost_bars(1, 3), gap, bar(4, 5)]


def test_bars_lost_in_a_hole_of_sequences_are_told_once_with_their_times() -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1, final=True)), 0)
    state.take(frame(4, bar(3, 4, final=True)), 0)
    state.tick(PATIENCE)
    lost = Lost(T, 2, 3, 1 * SECOND_NS, 3 * SECOND_NS - 1)
    assert delivered(state) == [bar(0, 1, final=True), lost, bar(3, 4, final=True)]


@pytest.mark.parametrize("saved", [False, True], ids=["", "from a position"])
@pytest.mark.parametrize(("second", "missing"), [(3, [lost_bars(1, 3)]), (1, [])])
def test_bars_lost_before_anything_follows_are_told_when_something_does(
    saved: bool, second: int, missing: list[Lost]
) -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1, final=True)), 0)
    state.behind(1, {T: 3}, 0)
    assert list(state.questions(0)) == [(T, 2)]
    state.replayed(T, 1, 4, 3, [], 0)
    assert delivered(state) == [bar(0, 1, final=True), Lost(T, 2, 3)]
    if saved:
        state = reassembly(Position.from_bytes(state.position(None, 0).to_bytes()))
    following = bar(second, 4, final=True), bar(second + 1, 5, final=True)
    for sequence, each in enumerate(following, 4):
        state.take(frame(sequence, each), 0)
    assert delivered(state) == [*missing, *following]


def test_a_bar_of_a_month_that_follows_a_shorter_or_longer_one_is_no_loss() -> None:
    day_ns = 86_400 * SECOND_NS

    def month(first_day: int, days: int) -> Kline:
        opens_ns = first_day * day_ns
        return Kline(
            opens_ns, opens_ns + days * day_ns - 1_000, "", "", "", "", "", "", "", "", 0, 0, 0, True, opens_ns, 0
        )

    state = reassembly()
    bars = [month(0, 31), month(31, 28), month(59, 31), month(90, 30), month(120, 31)]
    state.take(frame(1, *bars), 0)
    assert delivered(state) == bars


def test_records_of_the_feed_itself_have_no_venue_id() -> None:
    state = reassembly()
    state.take(frame(1, Heartbeat(5), topic="heartbeat"), 0)
    state.take(frame(2, Heartbeat(5), topic="heartbeat"), 0)
    assert len(delivered(state)) == 2


def test_a_position_is_what_was_given_and_survives_being_saved() -> None:
    state = reassembly()
    state.take(trades(1, 1, 2, 3), 0)
    state.take(trades(2, 4), 0)
    begun = state.ready.popleft()
    for given, expected in ((1, [2, 3, 4, 5]), (3, [4, 5])):
        saved = Position.from_bytes(state.position(begun, given).to_bytes())
        resumed = reassembly(saved)
        resumed.behind(1, {T: 3}, 0)
        resumed.replayed(T, 1, 1, 3, [trades(1, 1, 2, 3), trades(2, 4), trades(3, 5)], 0)
        assert numbers(delivered(resumed)) == expected
    with pytest.raises(ConfigError, match="no position saved by this version"):
        Position.from_bytes(b"nonsense")


class ManyLives(RuleBasedStateMachine):
    """A publisher that loses frames on the way, a ring that forgets, an aggregator that dies and goes on from an earlier place in
    an epoch of any number, with records of any kind first; an old publisher that still speaks; a program that restarts
    from its saved position.

    Invariants: no id is given twice; ids only rise; what comes late was named before, or is ahead; a Lost names no id that was given;
    every id up to the newest is given or named; at the end that holds for all that was ever published.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = reassembly()
        self.now_ns = 0
        self.epoch, self.epochs = 50, {50}
        self.sequence = 0
        self.numbering = self.head = 0
        self.ends: list[int] = []
        """The last id of each numbering that is over."""
        self.open = IdRanges()
        self.voids: dict[tuple[int, int], bool] = {}
        """Whether an id of a numbering that was published never existed; it stays so in each life."""
        self.places: list[tuple[int, int, list[Range]]] = []
        """Where the aggregator stood: it may go on from any of them."""
        self.ring = ReplayRing(4_000, 10**18)
        self.frames: list[tuple[int, bytes]] = []
        self.resets = 0
        self._read_anew(0)
        self.publish("data", 1, arrives=True)

    def _read_anew(self, reached: int) -> None:
        self.seen: set[int] = set()
        self.void: set[int] = set()
        self.named: set[int] = set()
        self.reached = reached
        self.unsure = False
        """Something was lost of which no ids are known."""

    # ── the aggregator ──────────────────────────────────────────────────────────────────────────────────────

    @rule(
        kind=st.sampled_from(["data", "data", "void", "gap", "book", "late"]),
        count=st.integers(1, 3),
        arrives=st.booleans(),
    )
    def publish(self, kind: str, count: int, arrives: bool) -> None:
        first, last = self.head + 1, self.head + count
        if self.numbering < len(self.ends):
            last = min(last, self.ends[self.numbering])
        if kind == "late":
            self._send(self._late(count), arrives)
            return
        if kind in {"data", "void"}:  # as far as that is what these ids are
            others = (n for n in range(first, last + 1) if self._is_void(n, kind == "void") != (kind == "void"))
            last = next(others, last + 1) - 1
        event: Event = {
            "data": DepthUpdate(first, last, [], [], 0, 0),
            "void": Void(first, last, 0),
            "gap": Gap(first, last, "", 0),
            "book": BookSnapshot(self.head, [], [], 0),
        }[kind]
        if kind == "book":
            self.open = IdRanges()
        elif last >= first:
            self.head = last
            if kind == "gap":
                self.open.add(first, last)
            else:
                self.voids |= dict.fromkeys(((self.numbering, n) for n in range(first, last + 1)), kind == "void")
        if kind == "book" or last >= first:
            self._send([event], arrives)

    def _newest(self) -> int:
        """The newest id of this numbering in any life."""
        return max((head for numbering, head, _ in self.places if numbering == self.numbering), default=self.head)

    def _late(self, count: int) -> list[Event]:
        """What fills open gaps: the first of each, all of one type."""
        found: list[Event] = []
        firsts = [low for low, _ in self.open][:count]
        for number in firsts:
            is_void = self.voids.setdefault((self.numbering, number), number % 3 == 0)
            if is_void == self._is_void(firsts[0]):
                self.open.remove(number, number)
                diff = DepthUpdate(number, number, [], [], 0, 0)
                found.append(Void(number, number, 0) if is_void else Backfilled(diff))
        return found

    def _is_void(self, number: int, otherwise: bool = False) -> bool:
        return self.voids.get((self.numbering, number), otherwise)

    @rule(arrives=st.booleans())
    def begin_anew(self, arrives: bool) -> None:
        """In each life at the same ids; so seldom that no reader misses half of all numberings."""
        if self.head < self._newest() or (self.numbering == len(self.ends) == NUMBERINGS // 2 - 1):
            return
        if self.numbering == len(self.ends):
            self.ends.append(self.head)
        last_old_id, self.numbering, self.head, self.open = (
            self.head,
            self.numbering + 1,
            FIRST_OF_NUMBERING - 1,
            IdRanges(),
        )
        self._send([Reset(last_old_id, FIRST_OF_NUMBERING, 0)], arrives)

    def _send(self, events: list[Event], arrives: bool) -> None:
        if not events:
            return
        self.sequence += 1
        batch = wire.batch_of(T, events, renumbered(BOOK.number, self.numbering))
        made = wire.publication(batch, epoch=self.epoch, sequence=self.sequence, publish_ns=0)
        self.ring.put(T, self.sequence, made, 0)
        self.frames.append((self.epoch, made))
        self.places.append((self.numbering, self.head, list(self.open)))
        if arrives:
            self.state.take(made, self.now_ns)

    @rule(epoch=st.integers(1, 100), back=st.integers(1, 6))
    def aggregator_restarts(self, epoch: int, back: int) -> None:
        if epoch in self.epochs:
            return
        self.epochs.add(epoch)
        self.epoch, self.sequence = epoch, 0
        self.ring = ReplayRing(4_000, 10**18)
        self.numbering, self.head, gaps = self.places[max(0, len(self.places) - back)]
        self.open = IdRanges(gaps)

    @rule(which=st.integers(1, 40))
    def an_old_publisher_speaks(self, which: int) -> None:
        epoch, old = self.frames[max(0, len(self.frames) - which)]
        if epoch in self.state.position(None, 0).left:
            before = len(self.state.ready), self.state.counters.refused_batches
            self.state.take(old, self.now_ns)
            assert (len(self.state.ready), self.state.counters.refused_batches) == (before[0], before[1] + 1)

    # ── the subscriber ──────────────────────────────────────────────────────────────────────────────────────

    @rule()
    def ask(self) -> None:
        self.now_ns += 10**9
        for topic, sequence in list(self.state.questions(self.now_ns)):
            first, _, frames = self.ring.since(topic, sequence, limit_bytes=300, limit_frames=3)
            self.state.replayed(topic, self.epoch, first, self.sequence, frames, self.now_ns)

    @rule()
    def heartbeat(self) -> None:
        assert self.state.enter(self.epoch)
        self.state.behind(self.epoch, self.ring.newest(T), self.now_ns)

    @rule()
    def patience_ends(self) -> None:
        self.now_ns += PATIENCE
        for state in self.state._doubtful.values():  # a life that repeats comes to what is new before doubts end
            state.doubted_until_ns = NO_ID
        self.state.tick(self.now_ns)

    @rule(given=st.integers(0, 3))
    def program_restarts(self, given: int) -> None:
        begun = None
        if self.state.ready and isinstance(self.state.ready[0][0], MessageBatch):
            begun = self.state.ready.popleft()
            batch, _ = begun
            assert isinstance(batch, MessageBatch)
            given = min(given, len(batch.events))
            self._count(batch.events[:given])
        saved = self.state.position(begun, given)
        self.state = reassembly(Position.from_bytes(saved.to_bytes()))

    @rule()
    def read(self) -> None:
        self._count(delivered(self.state))

    def _count(self, items: Sequence[Event | Lost]) -> None:
        for item in items:
            if isinstance(item, Lost) and item.last_id is None:
                self.unsure = True
                continue
            if isinstance(item, Reset):
                self._count_reset(item)
                continue
            assert item.first_id is not None
            assert item.last_id is not None
            ids = set(range(item.first_id, item.last_id + 1))
            assert ids, "nothing"
            if isinstance(item, BookSnapshot):
                assert item.last_id >= self.reached, "goes back"
            elif isinstance(item, Void):
                assert not ids & self.seen, "given and void"
                assert ids - self.void, "given twice"
                self.void |= ids
            else:
                assert not ids & (self.seen | self.void), "given twice"
                if isinstance(item, Backfilled):
                    assert ids <= self.named or item.first_id > self.reached
                else:
                    assert item.first_id > self.reached, "goes back"
                if isinstance(item, Gap | Lost):
                    self.named |= ids
                else:
                    self.seen |= ids
            self.reached = max(self.reached, item.last_id)

    def _count_reset(self, reset: Reset) -> None:
        if reset.last_old_id != self.reached and not self.unsure:
            assert not self.seen | self.void | self.named, "ids before it are not named"
        self.resets += 1
        assert self.resets <= len(self.ends), "told twice"
        assert reset.first_new_id >= FIRST_OF_NUMBERING
        self._read_anew(reset.first_new_id - 1)

    @invariant()
    def every_id_is_given_or_named(self) -> None:
        known = self.seen | self.void | self.named
        assert not known or set(range(min(known), self.reached + 1)) <= known

    def teardown(self) -> None:
        """At last everything arrives."""
        while self.numbering < len(self.ends):
            self.publish("gap", 3, arrives=True)
            self.begin_anew(arrives=True)
        newest = self._newest()
        while self.head <= newest:
            self.publish("gap", 3, arrives=True)
        for _ in range(len(self.frames)):
            self.ask()
        self.patience_ends()
        assert not self.state.waiting
        assert self.state._held_bytes == 0
        self.read()
        self.every_id_is_given_or_named()
        assert self.reached == self.head


TestManyLives = ManyLives.TestCase
TestManyLives.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("reset_arrives", [True, False])
def test_numberings_that_were_missed_between_held_batches_are_a_loss_when_their_life_ends(reset_arrives: bool) -> None:
    lives = ManyLives()
    for _ in range(2):
        lives.begin_anew(arrives=False)
        lives.publish("data", 1, arrives=True)
        lives.publish("data", 1, arrives=False)
    if reset_arrives:
        lives.begin_anew(arrives=False)
        lives.begin_anew(arrives=True)
    lives.aggregator_restarts(back=1, epoch=1)
    lives.publish("gap", 1, arrives=True)
    told = [type(item).__name__ for item in delivered(lives.state)]
    then = ["Lost", "Reset"] if reset_arrives else ["Lost"]
    assert told == ["DepthUpdate", *["Lost", "Reset", "DepthUpdate"] * 2, *then, "Gap"]
    lives.teardown()


def test_a_schema_of_a_newer_feed_is_named_and_the_topic_goes_on() -> None:
    unknown = wire.publication(
        msgspec.structs.replace(batch_of(T, [trade(3)]), schema=77), epoch=1, sequence=2, publish_ns=0
    )
    for waiting in (False, True):
        state = reassembly()
        arriving = [(1, trades(1, 1, 2)), (2, unknown), (3, trades(3, 3))]
        for sequence, published in arriving if not waiting else [arriving[0], arriving[2], arriving[1]]:
            state.take(published, sequence)
        assert delivered(state) == [trade(1), trade(2), Lost(T, 2, 2), trade(3)]
        assert "unknown schema 77" in state.unreadable
        assert not state.waiting


def test_a_damaged_batch_is_lost_with_its_ids() -> None:
    state = reassembly()
    damaged = trades(2, 3, 4)[:-3]
    for published in (trades(1, 1, 2), damaged, trades(3, 5)):
        state.take(published, 0)
    assert delivered(state) == [trade(1), trade(2), Lost(T, 2, 2, 3, 4), trade(5)]


# ── lives ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("epoch", [2, 9], ids=["lower", "higher"])
def test_another_epoch_is_a_new_life_whatever_its_number(epoch: int) -> None:
    state = reassembly()
    state.take(trades(5, 10, 11, epoch=5), 0)
    state.take(trades(1, 11, 12, epoch=epoch), 0)
    state.take(trades(2, 14, epoch=epoch), 0)
    assert delivered(state) == [trade(10), trade(11), trade(12), Lost(T, 0, -1, 13, 13), trade(14)]


@pytest.mark.parametrize("restarts", [False, True])
def test_an_epoch_that_was_left_is_never_taken_again(restarts: bool) -> None:
    state = reassembly()
    state.take(frame(1, trade(1), topic="quiet"), 0)
    state.take(trades(5, 10), 0)
    state.take(trades(1, 11, epoch=2), 0)
    assert numbers(delivered(state)) == [1, 10, 11]
    if restarts:
        state = reassembly(Position.from_bytes(state.position(None, 0).to_bytes()))
    state.take(trades(6, 12), 0)
    state.take(frame(2, trade(2), topic="quiet"), 0)
    state.take(frame(1, trade(1), topic="new"), 0)
    assert not state.enter(1)
    state.behind(1, {T: 7, "new": 3}, 0)
    state.replayed(T, 1, 1, 7, [trades(7, 13)], 0)
    assert delivered(state) == []
    assert not state.waiting
    assert (state.counters.refused_batches, state.refused_epoch) == (4, 1)
    state.take(trades(2, 12, epoch=2), 0)
    assert numbers(delivered(state)) == [12]


def test_the_epochs_left_are_bounded() -> None:
    state = reassembly()
    for epoch in range(1, 3 * MAX_EPOCHS_LEFT):
        state.take(trades(1, epoch, epoch=epoch), 0)
    saved = state.position(None, 0).left
    assert saved == list(range(2 * MAX_EPOCHS_LEFT - 1, 3 * MAX_EPOCHS_LEFT - 1))


def test_a_position_of_a_higher_epoch_goes_on_by_ids() -> None:
    first = reassembly()
    first.take(trades(7, 10, epoch=9), 0)
    delivered(first)
    state = reassembly(first.position(None, 0))
    assert state.enter(3)
    state.behind(3, {T: 2}, 0)
    assert list(state.questions(0)) == [(T, 1)]
    state.replayed(T, 3, 1, 2, [trades(1, 9, 10, epoch=3), trades(2, 13, epoch=3)], 0)
    assert delivered(state) == [Lost(T, 0, -1, 11, 12), trade(13)]
    assert not state.waiting


def late(number: int) -> Backfilled:
    return Backfilled(trade(number))


def lost(first_id: int, last_id: int) -> Lost:
    return Lost(T, 0, -1, first_id, last_id)


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[Void(36, 38, 0)]], [lost(35, 35), Void(36, 38, 0), lost(39, 81)]),
        ([[Void(20, 22, 0)]], [lost(35, 81)]),
        ([[Void(30, 36, 0)]], [Void(35, 36, 0), lost(37, 81)]),
        ([[Void(36, 38, 0), Void(50, 50, 0)]], [lost(35, 35), Void(36, 38, 0), lost(39, 49), Void(50, 50, 0), lost(51, 81)]),
        ([[Gap(60, 70, "", 0)]], [lost(35, 59), Gap(60, 70, "", 0), lost(71, 81)]),
        ([[Gap(20, 40, "", 0)]], [Gap(35, 40, "", 0), lost(41, 81)]),
        ([[late(36), late(37)]], [lost(35, 35), late(36), late(37), lost(38, 81)]),
        ([[late(20)]], [lost(35, 81)]),
        ([[late(20)], [Void(36, 38, 0)]], [lost(35, 35), Void(36, 38, 0), lost(39, 81)]),
        ([[trade(33)], [trade(40)]], [lost(35, 39), trade(40), lost(41, 81)]),
        ([], [lost(35, 81)]),
    ],
)  # fmt: skip
def test_whatever_a_life_begins_with_every_missing_id_is_named(
    batches: list[list[Event]], expected: list[Event | Lost]
) -> None:
    state = reassembly()
    state.take(trades(5, 34), 0)
    end: list[Event] = [trade(82)]
    for sequence, events in enumerate([*batches, end], 1):
        state.take(frame(sequence, *events, epoch=2), 0)
    assert delivered(state) == [trade(34), *expected, trade(82)]


@pytest.mark.parametrize(("at", "missing"), [(9, None), (10, (10, 10)), (20, (10, 20))])
def test_a_book_that_a_life_begins_with_names_the_diffs_it_stands_for(at: int, missing: tuple[int, int] | None) -> None:
    state = reassembly()
    book, then = BookSnapshot(at, [], [], 0), DepthUpdate(at + 1, at + 4, [], [], 0, 0)
    state.take(frame(1, DepthUpdate(5, 9, [], [], 0, 0)), 0)
    state.take(frame(1, book, epoch=2), 0)
    state.take(frame(2, then, epoch=2), 0)
    assert delivered(state)[1:] == [*([lost(*missing)] if missing else []), book, then]


def test_what_was_lost_while_a_life_repeats_is_no_loss() -> None:
    state = reassembly()
    state.take(trades(9, 30, 31, 32, 33, 34), 0)
    state.take(trades(1, 30, epoch=2), 0)
    state.take(trades(4, 35, epoch=2), 0)
    state.replayed(T, 2, 4, 4, [], 0)
    assert numbers(delivered(state)) == [30, 31, 32, 33, 34, 35]
    assert state.counters.lost_batches == 0


def test_a_position_in_the_middle_of_a_topics_first_batch_knows_that_it_is_chained() -> None:
    for given in (1, 2):
        first = reassembly()
        first.take(trades(1, 1, 2, 3), 0)
        begun = first.ready.popleft()
        state = reassembly(Position.from_bytes(first.position(begun, given).to_bytes()))
        state.take(trades(1, 6, epoch=2), 0)
        assert delivered(state) == [lost(given + 1, 5), trade(6)]


def test_a_position_between_the_events_of_a_batch_with_losses_goes_on_there() -> None:
    voids = frame(1, Void(36, 38, 0), Void(50, 50, 0), epoch=2)
    everything = [lost(35, 35), Void(36, 38, 0), lost(39, 49), Void(50, 50, 0)]
    for given in range(len(everything) + 1):
        first = reassembly()
        first.take(trades(5, 34), 0)
        first.take(voids, 0)
        begun = first.ready.popleft()
        for _ in range(given):
            begun = first.ready.popleft()
        state = reassembly(Position.from_bytes(first.position(begun, 1).to_bytes()))
        state.replayed(T, 2, 1, 2, [voids, trades(2, 51, epoch=2)], 0)
        assert delivered(state) == [*everything[given:], trade(51)]


# ── exactly what was lost ───────────────────────────────────────────────────────────────────────────────────


def test_a_joiner_counts_a_topic_from_its_newest_batch() -> None:
    state = reassembly()
    state.join("binance.", 1, {T: 1_000, "binance.trade.Y": 5})
    state.behind(1, {T: 1_000, "binance.trade.Y": 5}, 0)
    assert (state.waiting, state.knows(T), state.has_joined("binance.")) == (False, False, True)
    state.behind(1, {T: 1_001, "binance.trade.Y": 5, "binance.trade.Z": 2}, 0)
    assert dict(state.questions(0)) == {T: 1_001, "binance.trade.Z": 1}
    state.replayed(T, 1, 1_001, 1_001, [trades(1_001, 7)], 0)
    assert delivered(state) == [trade(7)]
    resumed = reassembly(Position.from_bytes(state.position(None, 0).to_bytes()))
    assert resumed.has_joined("binance.")
    resumed.behind(1, {"binance.trade.Y": 6, "binance.trade.Z": 2}, 0)
    assert dict(resumed.questions(0)) == {"binance.trade.Y": 6, "binance.trade.Z": 1}


@pytest.mark.parametrize("wanted", ["binance.", T])
def test_a_topic_that_begins_after_joining_counts_from_its_first_batch(wanted: str) -> None:
    state = reassembly()
    state.join("another", 1, {})
    state.join(wanted, 1, {})
    state.take(trades(3, 3), 0)
    state.take(frame(3, trade(3), topic="elsewhere"), 0)
    assert list(state.questions(0)) == [(T, 1)]
    state.tick(PATIENCE)
    assert delivered(state) == [trade(3), Lost(T, 1, 2), trade(3)]


def test_an_answer_of_a_life_that_was_left_tells_a_joiner_nothing() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    assert state.enter(2)
    state.join("binance.", 1, {T: 7})
    assert not state.has_joined("binance.")
    state.replayed(T, 1, 1, 1, [trades(1, 1)], 0)
    assert (state.counters.refused_batches, state.refused_epoch) == (0, None), "it was only late"


def test_what_a_joiner_has_still_to_read_is_not_passed_over() -> None:
    state = reassembly()
    state.join(T, 1, {T: 8})
    state.take(trades(7, 70), 0)
    state.take(trades(8, 71), 0)
    state.take(trades(7, 70), 0)
    assert numbers(delivered(state)) == [70, 71]
    state.join(T, 1, {T: 9})
    state.take(trades(9, 72), 0)
    assert numbers(delivered(state)) == [72]


@pytest.mark.parametrize("first", [Void(36, 38, 0), late(36)])
def test_what_belongs_before_a_joiners_start_is_not_its_start(first: Event) -> None:
    state = reassembly()
    state.take(frame(5, first), 0)
    state.take(trades(6, 82), 0)
    assert delivered(state) == [trade(82)]


@pytest.mark.parametrize(
    ("follows", "ids", "rest"),
    [
        (trade(7), (None, None), [trade(7)]),
        (trade(9), (7, 8), [trade(9)]),
        (Gap(9, 9, "", 0), (7, 8), [Gap(9, 9, "", 0)]),
        (Void(3, 3, 0), (None, None), [Void(3, 3, 0)]),
        (Void(9, 9, 0), (7, 8), [Void(9, 9, 0)]),
        (late(4), (None, None), [late(4)]),
    ],
)
def test_a_loss_names_ids_only_where_they_are_known(
    follows: Event, ids: tuple[int | None, int | None], rest: list[Event]
) -> None:
    """What was lost may have been late events of the gap, of which nothing tells."""
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(frame(2, Gap(2, 5, "", 0)), 0)
    state.take(trades(3, 6), 0)
    state.take(frame(5, follows), 0)
    state.tick(PATIENCE)
    assert delivered(state)[3:] == [Lost(T, 4, 4, *ids), *rest]


def test_a_damaged_batch_of_what_was_given_is_no_loss_and_ids_are_named_once() -> None:
    state = reassembly()
    state.take(trades(1, 1, 2), 0)
    state.take(trades(1, 1, 2, epoch=2)[:-3], 0)
    state.take(trades(2, 2, 3, epoch=2)[:-3], 0)
    state.take(trades(3, 6, epoch=2)[:-3], 0)
    state.take(trades(4, 7, epoch=2), 0)
    assert delivered(state) == [
        trade(1), trade(2), Lost(T, 2, 2, 3, 3), lost(4, 5), Lost(T, 3, 3, 6, 6), trade(7),
    ]  # fmt: skip


def with_a_hole() -> Reassembly:
    """50 was given, 51 to 59 are missing, 60 is held; then the life ends."""
    state = reassembly()
    state.take(trades(5, 50), 0)
    state.take(trades(9, 60), 0)
    assert delivered(state) == [trade(50)]
    assert state.enter(2)
    return state


def test_a_hole_that_the_next_life_fills_is_no_loss() -> None:
    state = with_a_hole()
    state.take(frame(1, Void(20, 20, 0), epoch=2), 0)
    state.take(trades(2, 49, 50, 51, epoch=2), 0)
    state.take(trades(3, *range(52, 62), epoch=2), 0)
    assert numbers(items := delivered(state)) == list(range(51, 62))
    assert len(items) == 11
    assert (state.waiting, state.counters.lost_batches, state._held_bytes) == (False, 0, 0)


@pytest.mark.parametrize("first", [trade(63), Void(63, 63, 0)])
def test_what_was_held_when_a_life_ended_is_given_if_the_next_begins_beyond(first: Event) -> None:
    state = with_a_hole()
    state.take(frame(1, first, epoch=2), 0)
    assert delivered(state) == [lost(51, 59), trade(60), lost(61, 62), first]
    assert not state.waiting


def test_what_was_held_when_a_life_ended_is_given_when_its_time_is_up() -> None:
    state = with_a_hole()
    state.replayed(T, 2, 1, 0, [], 0)
    assert state.waiting
    state.tick(PATIENCE)
    assert delivered(state) == [lost(51, 59), trade(60)]
    assert not state.waiting
    state.take(trades(1, 50, 51, 60, 61, epoch=2), 0)
    assert delivered(state) == [late(51), trade(61)]


def test_what_was_held_over_two_lives_is_given_in_the_order_of_ids() -> None:
    state = with_a_hole()
    state.take(trades(4, 55, epoch=2), 0)
    state.take(trades(6, 60, epoch=2)[:-3], 0)
    state.take(trades(1, 61, epoch=3), 0)
    assert delivered(state) == [lost(51, 54), trade(55), lost(56, 59), trade(60), trade(61)]
    assert "trade.X" in state.unreadable


def test_a_life_is_left_whether_or_not_a_topic_was_heard_in_it() -> None:
    state = reassembly()
    assert [state.enter(epoch) for epoch in (1, 2, 1)] == [True, True, False]
    state = reassembly(Position({T: TopicPosition(5, 1, 1, -1, NOT_KNOWN, [])}))
    assert [state.enter(epoch) for epoch in (3, 5, 3)] == [True, False, True]


def test_what_is_held_behind_holes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(trades(1, 1))
    monkeypatch.setattr(reassembly_module, "MAX_HELD_BYTES", 10 * size)
    state = reassembly()
    state.take(trades(1, 1), 0)
    for sequence in range(3, 13):
        state.take(trades(sequence, sequence), 0)
    assert delivered(state) == [trade(1)]
    state.take(trades(13, 13), 0)
    assert delivered(state) == [Lost(T, 2, 2, 2, 2), *(trade(number) for number in range(3, 14))]
    assert state._held_bytes == 0


# ── ids that begin anew, and ids that are closed ────────────────────────────────────────────────────────────


def anew(sequence: int, *events: Event, epoch: int = 1, numbering: int = 1) -> bytes:
    """A batch after the ids began anew."""
    batch = wire.batch_of(T, events, renumbered(CHAIN.number, numbering))
    return wire.publication(batch, epoch=epoch, sequence=sequence, publish_ns=7)


def test_ids_that_begin_anew_are_given_and_what_a_new_life_repeats_of_the_old_ones_is_not() -> None:
    state = reassembly()
    state.take(trades(1, 7, 8), 0)
    state.take(anew(2, Reset(8, 1, 5)), 0)
    state.take(anew(3, trade(1)), 0)
    repeated = [trades(1, 8, 9, epoch=2), anew(2, Reset(9, 1, 5), epoch=2), anew(3, trade(1), trade(2), epoch=2)]
    for again in repeated:
        state.take(again, 0)
    assert delivered(state) == [trade(7), trade(8), Reset(8, 1, 5), trade(1), trade(2)]
    assert (state.counters.lost_batches, state.counters.duplicates_dropped) == (0, 4)


@pytest.mark.parametrize("saved", [False, True])
def test_whatever_was_missed_around_a_reset_is_named_or_said_to_be_unknown(*, saved: bool) -> None:
    def before() -> Reassembly:
        state = reassembly()
        state.take(trades(1, 7), 0)
        assert delivered(state) == [trade(7)]
        return reassembly(Position.from_bytes(state.position(None, 0).to_bytes())) if saved else state

    state = before()
    state.take(anew(1, Reset(9, 1, 5), epoch=2), 0)
    state.take(anew(2, trade(2), epoch=2), 0)
    assert delivered(state) == [lost(8, 9), Reset(9, 1, 5), lost(1, 1), trade(2)]
    state = before()
    state.take(anew(1, trade(2), epoch=2), 0)
    assert delivered(state) == [Lost(T, 0, -1), Reset(7, 2, 7), trade(2)]
    state = before()
    state.take(anew(1, Reset(3, 1, 5), epoch=2, numbering=2), 0)
    assert delivered(state) == [Lost(T, 0, -1), Reset(3, 1, 5)]
    state = before()
    state.take(anew(3, trade(2)), 0)
    state.tick(2 * PATIENCE)
    assert delivered(state) == [Lost(T, 2, 2), Reset(7, 2, 7), trade(2)]


def test_a_reset_of_which_nobody_knows_what_was_before_says_so_to_whoever_was_there() -> None:
    for epoch in (1, 2):
        state = reassembly()
        state.take(trades(1, 7), 0)
        state.take(anew(2 if epoch == 1 else 1, Reset(NO_ID, 1, 5), epoch=epoch), 0)
        assert delivered(state) == [trade(7), Lost(T, 0, -1), Reset(NO_ID, 1, 5)]
    state = reassembly()
    state.take(anew(1, Reset(NO_ID, 1, 5)), 0)
    assert delivered(state) == [Reset(NO_ID, 1, 5)]


def test_a_joiner_may_begin_with_a_reset() -> None:
    state = reassembly()
    state.take(anew(5, Reset(9, 1, 5)), 0)
    state.take(anew(6, trade(2)), 0)
    assert delivered(state) == [Reset(9, 1, 5), lost(1, 1), trade(2)]


def test_a_position_between_a_reset_and_its_first_event_goes_on_there() -> None:
    first = reassembly()
    first.take(trades(1, 7), 0)
    first.take(anew(2, Reset(7, 1, 5)), 0)
    first.take(anew(3, trade(1)), 0)
    for taken in range(4):
        state = reassembly(Position.from_bytes(first.position(None, 0).to_bytes()))
        state.replayed(T, 1, 1, 3, [trades(1, 7), anew(2, Reset(7, 1, 5)), anew(3, trade(1))], 0)
        assert delivered(state) == [trade(7), Reset(7, 1, 5), trade(1)][taken:]
        if first.ready:
            first.ready.popleft()


def test_a_batch_of_the_new_ids_that_cannot_be_read_names_none_of_the_old() -> None:
    state = reassembly()
    state.take(trades(1, 7), 0)
    state.take(anew(2, trade(900))[:-3], 0)
    state.take(anew(3, trade(901)), 0)
    assert delivered(state) == [trade(7), Lost(T, 2, 2), Reset(7, 901, 7), trade(901)]


def test_what_was_held_when_a_life_ended_is_given_before_the_ids_begin_anew() -> None:
    state = with_a_hole()
    state.take(anew(1, Reset(60, 1, 5), epoch=2), 0)
    assert delivered(state) == [lost(51, 59), trade(60), Reset(60, 1, 5)]
    assert (state.waiting, state._held_bytes) == (False, 0)


def test_what_was_held_over_a_reset_when_a_life_ended_is_given_in_the_order_of_numberings() -> None:
    state = reassembly()
    state.take(trades(1, 100), 0)
    state.take(trades(3, 102, 103), 0)
    state.take(anew(4, Reset(103, 1, 5)), 0)
    state.take(anew(5, trade(1), trade(2)), 0)
    state.take(anew(1, trade(3), epoch=2), 0)
    old = [trade(100), lost(101, 101), trade(102), trade(103)]
    assert delivered(state) == [*old, Reset(103, 1, 5), trade(1), trade(2), trade(3)]
    assert state.counters.duplicates_dropped == 0


def test_an_event_still_comes_for_an_id_that_was_void_given_up_or_lost() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(frame(2, Gap(2, 5, "", 0)), 0)
    state.take(frame(3, Void(2, 3, 0)), 0)
    state.take(frame(4, GivenUp(5, 5, "", 0)), 0)
    state.take(trades(5, 6), 0)
    state.take(trades(6, 8), 0)
    first = delivered(state)
    assert first[-3:] == [trade(6), lost(7, 7), trade(8)]
    for sequence, number in ((7, 2), (9, 5), (11, 7)):
        state = reassembly(Position.from_bytes(state.position(None, 0).to_bytes()))
        again = [frame(sequence, late(number)), frame(sequence + 1, late(number))]
        state.replayed(T, 1, 1, sequence + 1, again, 0)
        assert delivered(state) == [late(number)]
    assert state.position(None, 0).topics[T].closed == [(3, 3)]
    assert state.position(None, 0).topics[T].open == [(4, 4)]


@pytest.mark.parametrize("first", [Void(36, 38, 0), GivenUp(36, 38, "", 0)])
def test_ids_that_are_closed_by_a_life_that_begins_with_it_are_told(first: Event) -> None:
    state = reassembly()
    state.take(trades(5, 34), 0)
    state.take(frame(1, first, epoch=2), 0)
    assert delivered(state) == [trade(34), lost(35, 35), first]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("opens", [0, 60, 120, 180])
def test_a_bar_that_a_new_life_passes_over_is_named(*, opens: int, final: bool, restarts: bool) -> None:
    def bar(opens: int, *, final: bool = False) -> Kline:
        return Kline(
            opens * MS, (opens + 60) * MS - 1, "", "", "", "", "", "", "", "", 0, 0, 0, final, opens * MS + 1, 0
        )

    topic = "binance.kline_1m.X"
    state = reassembly()
    state.take(frame(1, bar(0, final=True), bar(60, final=final), topic=topic), 0)
    before = delivered(state)
    assert len(before) == 2
    if restarts:
        state = reassembly(Position.from_bytes(state.position(None, 0).to_bytes()))
        assert state.enter(2)
        state.behind(2, {topic: 1}, 0)
    begins = [bar(0, final=True), bar(60, final=True), bar(120)] if opens == 0 else [bar(opens)]
    state.take(frame(1, *begins, epoch=2, topic=topic), 0)
    found = delivered(state)
    missing = {(120, False): (60, 119), (180, False): (60, 179), (180, True): (120, 179)}.get((opens, final))
    if missing is None:
        assert not [item for item in found if isinstance(item, Lost)]
        return
    assert found == [Lost(topic, 0, -1, missing[0] * MS, (missing[1] + 1) * MS - 1), bar(opens)]
    state.take(frame(2, Backfilled(bar(missing[0], final=True)), epoch=2, topic=topic), 0)
    assert delivered(state) == [Backfilled(bar(missing[0], final=True))]


def test_bars_that_were_announced_as_missing_are_not_missed_again() -> None:
    topic = "binance.kline_1m.X"
    bar = Kline(0, 60 * MS - 1, "", "", "", "", "", "", "", "", 0, 0, 0, False, 1, 0)
    state = reassembly()
    state.take(frame(1, bar, topic=topic), 0)
    gap = wire.batch_of(topic, [Gap(0, 120 * MS - 1, "", 0)], BAR.number)
    state.take(wire.publication(gap, epoch=1, sequence=2, publish_ns=0), 0)
    later = msgspec.structs.replace(bar, open_time_ns=120 * MS, close_time_ns=180 * MS - 1)
    state.take(frame(1, later, epoch=2, topic=topic), 0)
    assert delivered(state) == [bar, Gap(0, 120 * MS - 1, "", 0), later]


def test_what_a_new_life_brings_of_ids_before_those_that_were_held_is_old() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(anew(4, Reset(3, 1, 5)), 0)
    state.take(trades(1, 3, epoch=2), 0)
    state.take(anew(2, Reset(3, 1, 5), epoch=2), 0)
    state.take(anew(3, trade(1), epoch=2), 0)
    assert delivered(state) == [trade(1), lost(2, 3), Reset(3, 1, 5), trade(1)]


def test_what_was_held_when_a_life_ended_does_not_show_how_far_the_next_is() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    state.take(anew(3, trade(3)), 0)
    state.take(anew(1, Reset(5, 1, 5), epoch=2, numbering=3), 0)
    found = delivered(state)
    assert found == [trade(1), Lost(T, 0, -1), Reset(1, 3, 7), trade(3), Lost(T, 0, -1), Reset(5, 1, 5)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_feed_that_remembers_no_reset_is_believed_after_a_while(*, restarts: bool) -> None:
    state = reassembly()
    state.take(anew(1, trade(5)), 0)
    delivered(state)
    if restarts:
        state = reassembly(Position.from_bytes(state.position(None, 0).to_bytes()))
    for sequence, number in enumerate((6, 7, 9), 1):
        state.take(trades(sequence, number, epoch=2), 0)
    state.tick(10)
    state.tick(10 + DOUBT * PATIENCE - 1)
    assert delivered(state) == []
    state.tick(10 + DOUBT * PATIENCE)
    state.take(trades(4, 10, epoch=2), 0)
    found = delivered(state)
    assert found == [Lost(T, 0, -1), Reset(5, 6, 0), trade(6), trade(7), lost(8, 8), trade(9), trade(10)]
    assert (state._held_bytes, state.counters.duplicates_dropped) == (0, 0)
    state.take(anew(5, trade(6), epoch=2), 0)
    assert delivered(state)[0] == Reset(10, 6, 7), "its own numberings count from there"


def test_a_subscriber_without_patience_waits_all_the_same_for_a_life_that_only_repeats() -> None:
    state = Reassembly(patience_ns=0)
    state.take(anew(1, trade(5)), 0)
    state.take(trades(1, 800, epoch=2), 0)
    state.tick(0)
    state.tick(DOUBT * PATIENCE_NS - 1)
    assert delivered(state) == [trade(5)]
    state.tick(DOUBT * PATIENCE_NS)
    assert delivered(state) == [Lost(T, 0, -1), Reset(5, 800, 0), trade(800)]


def test_what_only_repeats_the_numbering_before_is_dropped_however_late() -> None:
    state = reassembly()
    state.take(anew(1, trade(5)), 0)
    state.take(trades(1, 800, epoch=2), 0)
    state.tick(0)
    state.take(anew(2, Reset(800, 1, 5), epoch=2), DOUBT * PATIENCE)
    state.tick(2 * DOUBT * PATIENCE)
    state.take(anew(3, trade(6), epoch=2), 2 * DOUBT * PATIENCE)
    assert delivered(state) == [trade(5), trade(6)]
    assert (state._held_bytes, state.counters.duplicates_dropped, state.counters.lost_batches) == (0, 2, 0)


def test_the_bar_that_follows_is_given_though_it_comes_late_in_a_new_life() -> None:
    state = reassembly()
    state.take(frame(1, bar(0, 1, final=True)), 0)
    state.take(frame(1, Backfilled(bar(1, 2, final=True)), epoch=2), 0)
    state.take(frame(2, bar(2, 3), epoch=2), 0)
    assert delivered(state) == [bar(0, 1, final=True), Backfilled(bar(1, 2, final=True)), bar(2, 3)]


def test_a_feed_that_remembers_no_reset_and_speaks_of_what_only_a_newer_version_knows_ends_nothing() -> None:
    state = reassembly()
    state.take(anew(1, trade(5)), 0)
    unknown = wire.batch_of(T, [trade(6)], 5)
    state.take(wire.publication(unknown, epoch=2, sequence=1, publish_ns=0), 0)
    state.take(trades(2, 7, epoch=2), 0)
    state.tick(0)
    state.tick(DOUBT * PATIENCE)
    found = delivered(state)
    assert "is no continuity" in state.unreadable or "is not a valid" in state.unreadable
    assert found[-1] == trade(7)
    assert (state._held_bytes, state._doubtful) == (0, {})


def test_a_batch_that_is_held_already_is_not_held_twice() -> None:
    state = reassembly()
    state.take(trades(1, 1), 0)
    for _ in range(2):
        state.take(trades(3, 3), 0)
    assert state.counters.duplicates_dropped == 1
    state.take(trades(2, 2), 0)
    assert numbers(delivered(state)) == [1, 2, 3]


def test_where_ids_show_nothing_what_was_held_when_a_life_ended_is_given_after_its_loss() -> None:
    topic = "binance.book_ticker.X"
    tops = [BookTicker(number, "", "", "", "", 0) for number in (5, 7, 9)]
    state = reassembly()
    state.take(frame(1, tops[0], topic=topic), 0)
    state.take(frame(3, tops[1], topic=topic), 0)
    state.take(frame(1, tops[2], topic=topic, epoch=2), 0)
    assert delivered(state) == [tops[0], Lost(topic, 2, 2), tops[1], tops[2]]


def test_a_hole_before_bars_that_cannot_be_read_is_lost_without_times() -> None:
    topic = "binance.kline_1m.X"
    kline = Kline(0, 59 * MS, "", "", "", "", "", "", "", "", 0, 0, 0, False, 10 * MS, 0)
    later = msgspec.structs.replace(kline, open_time_ns=600 * MS, close_time_ns=659 * MS, venue_time_ns=610 * MS)
    state = reassembly()
    state.take(frame(1, kline, topic=topic), 0)
    state.take(frame(3, later, topic=topic)[:-3], 0)
    state.tick(PATIENCE)
    assert delivered(state)[:2] == [kline, Lost(topic, 2, 2)]


def test_what_one_life_repeats_of_an_earlier_numbering_is_dropped() -> None:
    state = reassembly()
    state.take(anew(1, trade(5)), 0)
    state.take(trades(2, 900, 901), 0)
    state.take(anew(3, trade(6)), 0)
    assert numbers(delivered(state)) == [5, 6]
    assert state.counters.duplicates_dropped == 2


def test_so_much_of_an_earlier_numbering_is_no_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives_module, "MAX_HELD_BYTES", 2 * len(trades(1, 1)))
    state = reassembly()
    state.take(anew(1, trade(5)), 0)
    for number in (1, 2):
        state.take(trades(number, number, epoch=2), 0)
    assert numbers(delivered(state)) == [5]
    state.take(trades(3, 3, epoch=2), 0)
    assert numbers(delivered(state)) == [1, 2, 3]
