"""A whole book for joiners and after losses: what is held for it, for how long, and that what is handed out is the venue's book."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from k2workers import wire
from k2workers.continuity import renumbered
from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Level, Reset, Trade
from k2workers.sequencing.order_book import OrderBook
from k2workers.transport.book_reassembly import BookReassembly
from k2workers.transport.book_wait import ASK_NS, ASK_SLOWLY_NS
from k2workers.transport.deliveries import Lost, MessageBatch
from k2workers.transport.position import Position
from k2workers.transport.reassembly import ASK_AGAIN_NS, Reassembly
from k2workers.transport.ring import ReplayRing
from k2workers.venues.binance.streams import BOOK
from tests.support.batches import batch_of

T = "binance.depth.X"
PATIENCE = 2_000_000_000


def diff(first: int, last: int | None = None, *bids: Level) -> DepthUpdate:
    return DepthUpdate(first, last or first, list(bids), [], 0, 0)


def book(update_id: int, *bids: Level) -> BookSnapshot:
    return BookSnapshot(update_id, list(bids), [], 0)


def frame(sequence: int, *events: Event, epoch: int = 1, numbering: int = 0) -> bytes:
    batch = wire.batch_of(T, events, renumbered(BOOK.number, numbering))
    return wire.publication(batch, epoch=epoch, sequence=sequence, publish_ns=0)


def joiner(position: Position | None = None) -> BookReassembly:
    return BookReassembly(position, patience_ns=PATIENCE)


def without_books() -> Reassembly:
    return Reassembly(patience_ns=PATIENCE)


def handed(state: Reassembly) -> list[Event | Lost]:
    out: list[Event | Lost] = []
    while state.ready:
        item, _ = state.ready.popleft()
        out += [item] if isinstance(item, Lost) else item.events
    return out


def test_a_joiner_gets_a_book_first_and_the_changes_that_continue_it() -> None:
    state = joiner()
    state.take(frame(7, diff(70, 71)), 0)
    state.take(frame(8, diff(72)), 0)
    state.tick(0)
    assert handed(state) == []
    assert state.book_questions(0) == [T]
    assert state.book_questions(1) == [], "not again at once"
    state.book(frame(7, book(71)), 1)
    assert handed(state) == [book(71), diff(72)]
    state.take(frame(9, diff(73)), 2)
    assert handed(state) == [diff(73)]
    assert (state.book_questions(10**12), state.counters.books, state.waiting) == ([], 1, False)


def test_a_book_of_another_life_is_none() -> None:
    state = joiner()
    state.take(frame(7, diff(70, 71)), 0)
    assert not state.book(frame(7, book(71), epoch=2), 0)
    assert handed(state) == []
    assert state.book(frame(7, book(71)), 0)
    assert handed(state) == [book(71)]


def test_a_quiet_topic_gets_its_book_at_the_join() -> None:
    state = joiner()
    state.enter(1)
    state.book(frame(5, book(50)), 0)
    state.join("binance.", 1, {T: 5})
    assert handed(state) == [book(50)]
    state.take(frame(5, diff(49, 50)), 0)
    state.take(frame(6, diff(51)), 0)
    assert handed(state) == [diff(51)]


def test_a_book_that_is_behind_is_asked_for_again_and_one_that_is_ahead_covers_what_is_held_and_holes() -> None:
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    state.take(frame(9, diff(72)), 0)
    state.take(frame(11, diff(74)), 0)
    state.tick(0)
    state.book_questions(0)
    state.book(frame(5, book(68)), 1)
    assert handed(state) == []
    assert state.book_questions(ASK_NS - 1) == [T]
    state.book(frame(10, book(73)), 1)
    assert handed(state) == [book(73), diff(74)]
    assert not state.waiting


def test_without_an_answer_the_changes_go_on_without_a_book_and_it_is_asked_for_on() -> None:
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    state.take(frame(9, diff(72)), 0)
    state.tick(0)
    state.tick(PATIENCE - 1)
    assert handed(state) == []
    state.tick(PATIENCE)
    assert handed(state) == [diff(70)]
    assert list(state.questions(PATIENCE)) == [(T, 8)], "holes are the ring's again"
    state.replayed(T, 1, 1, 9, [frame(8, diff(71))], PATIENCE)
    assert handed(state) == [diff(71), diff(72)]
    assert state.book_questions(PATIENCE + ASK_SLOWLY_NS) == [T]


def bare() -> BookReassembly:
    """A program that was given changes up to sequence 7, id 70, without a book."""
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    state.tick(0)
    state.tick(PATIENCE)
    assert handed(state) == [diff(70)]
    return state


def test_a_late_book_follows_the_batch_at_its_own_place() -> None:
    state = bare()
    state.book(frame(7, book(70)), PATIENCE)
    assert handed(state) == [book(70)]
    state = bare()
    state.book(frame(9, book(72)), PATIENCE)
    state.take(frame(8, diff(71)), PATIENCE)
    state.take(frame(9, diff(72)), PATIENCE)
    state.take(frame(10, diff(73)), PATIENCE)
    assert handed(state) == [diff(71), diff(72), book(72), diff(73)]


def test_who_went_on_without_a_book_stands_still_once_more_when_there_is_somebody_to_ask() -> None:
    state = bare()
    state.take(frame(8, diff(71)), PATIENCE)
    state.book(frame(7, book(70)), PATIENCE)
    state.take(frame(9, diff(72)), PATIENCE)
    state.tick(PATIENCE)
    assert handed(state) == [diff(71)]
    assert state.book_questions(PATIENCE) == [T]
    state.take(frame(10, diff(73)), PATIENCE)
    state.book(frame(9, book(72)), PATIENCE)
    assert handed(state) == [diff(72), book(72), diff(73)], "nothing is left out for those who get every change"


def test_after_a_loss_comes_a_book() -> None:
    state = joiner()
    state.take(frame(1, book(10)), 0)
    state.take(frame(2, diff(11)), 0)
    state.take(frame(5, diff(14)), 0)
    state.replayed(T, 1, 5, 5, [], 0)
    state.take(frame(6, diff(15)), 0)
    assert handed(state) == [book(10), diff(11), Lost(T, 3, 4, 12, 13)]
    state.tick(0)
    assert state.book_questions(0) == [T]
    state.book(frame(5, book(14)), 0)
    assert handed(state) == [book(14), diff(15)]


def test_a_loss_between_lives_is_followed_by_a_book_too() -> None:
    state = joiner()
    state.take(frame(1, book(10)), 0)
    state.take(frame(1, diff(14), epoch=2), 0)
    state.take(frame(2, diff(15), epoch=2), 0)
    assert handed(state) == [book(10), Lost(T, 0, -1, 11, 13)]
    state.book(frame(1, book(14)), 0)
    assert handed(state) == [], "of the life that ended"
    state.book(frame(2, book(15), epoch=2), 0)
    assert handed(state) == [book(15)]


def test_a_published_book_is_as_good() -> None:
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    state.take(frame(8, book(70)), 0)
    state.take(frame(9, diff(71)), 0)
    assert handed(state) == [book(70), diff(71)]
    assert state.book_questions(10**12) == []


def test_what_is_missing_after_a_published_book_is_asked_of_the_ring() -> None:
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    state.take(frame(10, diff(72)), 0)
    state.take(frame(8, book(70)), 0)
    assert handed(state) == [book(70)]
    assert list(state.questions(0)) == [(T, 9)]


def test_a_book_of_the_next_numbering_waits_until_the_program_was_told_of_it() -> None:
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    reset, new = Reset(70, 1, 0), diff(1)
    state.book(frame(9, book(1), numbering=1), 0)
    assert handed(state) == [diff(70)]
    state.take(frame(8, reset, numbering=1), 0)
    state.take(frame(9, new, numbering=1), 0)
    state.tick(0)
    assert handed(state) == [reset, new]
    assert state.book_questions(ASK_SLOWLY_NS) == [T]
    state.book(frame(9, book(1), numbering=1), 0)
    assert handed(state) == [book(1)]


def test_after_a_gap_the_published_book_is_expected_and_nothing_is_held() -> None:
    state = joiner()
    state.take(frame(1, book(10)), 0)
    state.take(frame(2, Gap(11, 12, "", 0)), 0)
    state.take(frame(3, diff(13)), 0)
    assert handed(state) == [book(10), Gap(11, 12, "", 0), diff(13)]
    state.tick(0)
    assert state.book_questions(0) == []
    state.take(frame(4, book(13)), 0)
    assert handed(state) == [book(13)]


def test_a_topic_that_is_heard_from_its_first_batch_on_begins_with_the_venues_first_book() -> None:
    state = joiner()
    state.take(frame(1, diff(10)), 0)
    state.take(frame(2, diff(11)), 0)
    assert handed(state) == []
    state.take(frame(3, book(11)), 0)
    state.take(frame(4, diff(12)), 0)
    assert handed(state) == [book(11), diff(12)]


def test_topics_that_are_no_book_are_never_held_nor_asked_for() -> None:
    state = joiner()
    trade = Trade(9, "1", "1", True, 0, 0, 9)
    state.take(wire.publication(batch_of("b.trade.X", [trade]), epoch=1, sequence=9, publish_ns=0), 0)
    state.tick(0)
    assert (handed(state), state.book_questions(10**12)) == ([trade], [])
    at = wire.publication(batch_of("t", [diff(1)]), epoch=1, sequence=9, publish_ns=0)
    header = wire.read_header(at)
    assert header.continuity == BOOK.number
    for other in (without_books(),):
        other.take(frame(9, diff(90)), 0)
        assert handed(other) == [diff(90)]
    state.book(frame(9, diff(90)), 0)
    assert handed(state) == []


def test_a_position_knows_whether_there_is_a_book() -> None:
    state = joiner()
    state.take(frame(7, diff(70)), 0)
    held = Position.from_bytes(state.position(None, 0).to_bytes())
    assert not held.topics[T].whole
    state.book(frame(7, book(70)), 0)
    assert state.position(None, 0).topics[T].sequence == 6, "the book was not taken out yet"
    assert not state.position(None, 0).topics[T].whole
    handed(state)
    saved = Position.from_bytes(state.position(None, 0).to_bytes())
    assert (saved.topics[T].sequence, saved.topics[T].last_id, saved.topics[T].whole) == (7, 70, True)
    resumed = joiner(saved)
    resumed.take(frame(8, diff(71)), 0)
    assert handed(resumed) == [diff(71)], "it goes on without a new book"
    again = joiner(held)
    again.take(frame(7, diff(70)), 0)
    again.book(frame(7, book(70)), 0)
    assert handed(again) == [book(70)]


def test_who_goes_on_without_a_book_asks_for_one_at_once() -> None:
    resumed = joiner(Position.from_bytes(bare().position(None, 0).to_bytes()))
    resumed.take(frame(8, diff(71)), 0)
    resumed.tick(0)
    assert (handed(resumed), resumed.book_questions(0)) == ([], [T])
    resumed.book(frame(8, book(71)), 0)
    assert handed(resumed) == [diff(71), book(71)], "nothing is left out"


def test_a_book_that_waits_for_its_place_is_given_at_once_when_what_is_before_it_is_lost() -> None:
    state = bare()
    state.book(frame(10, book(73)), PATIENCE)
    state.take(frame(9, diff(72)), PATIENCE)
    state.replayed(T, 1, 9, 10, [], PATIENCE)
    assert handed(state) == [Lost(T, 8, 8, 71, 71)]
    state.tick(PATIENCE)
    assert handed(state) == [book(73)]


def test_topics_that_are_known_by_name_only_are_told() -> None:
    state = joiner()
    state.enter(1)
    state.join("d.", 1, {"d.quiet": 4, T: 6})
    state.take(frame(7, diff(70)), 0)
    assert state.unheard == ["d.quiet"]
    assert Position.from_bytes(state.position(None, 0).to_bytes()).topics["d.quiet"].sequence == 4


def test_a_place_is_that_of_what_was_given() -> None:
    state = without_books()
    assert state.place(T) is None
    state.take(frame(7, diff(70)), 0)
    place = state.place(T)
    assert place is not None
    assert place.sequence == 6
    handed(state)
    place = state.place(T)
    assert place is not None
    assert (place.epoch, place.sequence, place.last_id) == (1, 7, 70)
    state.take(frame(1, diff(70), epoch=2), 0)
    place = state.place(T)
    assert place is not None
    assert (place.epoch, place.sequence) == (2, 1), "a repeat counts as given"


def test_what_is_held_for_a_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k2workers.transport.book_reassembly.MAX_HELD_BYTES", 300)
    state = joiner()
    for number in range(7, 12):
        state.take(frame(number, diff(number * 10, number * 10 + 9)), 0)
    assert handed(state)[0] == diff(70, 79)
    assert state._held_bytes <= 300


# ── any course of events ────────────────────────────────────────────────────────────────────────────────────


class Reader:
    """What a program makes of what it is handed: checks every step against the truth."""

    def __init__(self) -> None:
        self.book = OrderBook()
        self.last_id: int | None = None
        self.books = 0

    def take(self, item: Event | Lost, truth: dict[int, list[list[Level]]]) -> None:
        if isinstance(item, Reset):
            self.book.lose()
            self.last_id = item.first_new_id - 1
            return
        if isinstance(item, Lost):
            self.book.lose()
            if item.last_id is not None:
                assert item.first_id == (self.last_id or 0) + 1, (item, self.last_id)
                self.last_id = item.last_id
            return
        if isinstance(item, BookSnapshot):
            assert self.last_id is None or item.last_id >= self.last_id
            self.books += 1
        else:
            assert self.last_id is None or item.first_id == self.last_id + 1, (item, self.last_id)
        self.last_id = item.last_id
        whole = self.book.whole
        self.book.take(item)
        if isinstance(item, DepthUpdate):
            assert self.book.whole is whole, "a change continues the book"
        if self.book.whole:
            assert self.book.snapshot().bids in truth[item.last_id], item


class Course:
    """One depth topic: published, lost on the way, given again by the ring, in several lives; a books process that lags or is not there."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.epoch = 1
        self.sequence = 0
        self.last_id = 100
        self.venue = OrderBook()
        self.venue.take(book(100, ("1", "1")))
        self.truth: dict[int, list[list[Level]]] = {100: [[("1", "1")]]}
        """By id; after the ids began anew an id may have had several."""
        self.numbering = 0
        self.now = 0
        self.broken = False
        self.recent: list[tuple[list[Event], int]] = []
        self.ring = ReplayRing(3_000, 10**18)
        self.way: list[bytes] = []
        self.books_way: list[bytes] = []
        self.books_feed, self.books_book = without_books(), OrderBook()
        self.books_alive = True
        self.reader = Reader()
        self.program = joiner()
        self.asked_book = False

    # the feed

    def publish(self, *events: Event, to_program: bool = True, numbering: int | None = None) -> None:
        self.sequence += 1
        numbering = self.numbering if numbering is None else numbering
        made = frame(self.sequence, *events, epoch=self.epoch, numbering=numbering)
        self.ring.put(T, self.sequence, made, 0)
        self.recent = [*self.recent[-3:], (list(events), numbering)]
        self.books_way.append(made)
        if to_program:
            self.way.append(made)

    def change(self, width: int, price: int, quantity: int) -> DepthUpdate:
        event = diff(self.last_id + 1, self.last_id + width, (str(price), str(quantity)))
        self.venue.take(event)
        self.last_id = event.last_id
        self.truth.setdefault(self.last_id, []).append(self.venue.snapshot().bids)
        return event

    def diff_comes(self) -> None:
        width, price, quantity, arrives = (
            self.rng.randint(1, 3),
            self.rng.randint(1, 4),
            self.rng.randint(0, 2),
            self.rng.random() < 0.9,
        )
        self.publish(self.change(width, price, quantity), to_program=arrives)

    def gap_comes(self) -> None:
        width, price, arrives = self.rng.randint(1, 3), self.rng.randint(1, 4), self.rng.random() < 0.8
        missed = self.change(width, price, 1)
        self.publish(Gap(missed.first_id, missed.last_id, "", 0), to_program=arrives)
        self.broken = True

    def book_is_published(self) -> None:
        arrives = self.rng.random() < 0.8
        self.publish(self.venue.snapshot(), to_program=arrives)
        self.broken = False

    def new_life(self) -> None:
        """The aggregator dies: some batches come again; or what it published last reached nobody but the program."""
        repeats, missed = self.rng.randint(0, 3), self.rng.random() < 0.3
        again = self.recent[len(self.recent) - repeats :] if repeats else []
        self.epoch, self.sequence = self.epoch + 1, 0
        self.ring = ReplayRing(3_000, 10**18)
        for events, numbering in again:
            self.publish(*events, numbering=numbering)
        if missed:
            gone = self.change(1, 2, 2)
            self.publish(Gap(gone.first_id, gone.last_id, "", 0))
            self.broken = True

    def ids_begin_anew(self) -> None:
        first = max(1, self.last_id - self.rng.randint(0, 40))
        reset = Reset(self.last_id, first, 0)
        self.numbering += 1
        self.last_id = self.venue.last_id = first - 1
        self.truth.setdefault(self.last_id, []).append(self.venue.snapshot().bids)
        self.publish(reset, to_program=self.rng.random() < 0.8)
        self.broken = True

    # the books process

    def books_hear(self, count: int = 0) -> None:
        count = count or self.rng.randint(1, 4)
        if not self.books_alive:
            self.books_way.clear()
            return
        heard, self.books_way = self.books_way[:count], self.books_way[count:]
        for at in heard:
            self.books_feed.take(at, self.now)
            self.books_take()

    def books_take(self) -> None:
        while self.books_feed.ready:
            item, _ = self.books_feed.ready.popleft()
            for event in item.events if isinstance(item, MessageBatch) else []:
                self.books_book.take(event)
            if isinstance(item, Lost):
                self.books_book.lose()

    def books_die(self) -> None:
        self.books_alive = False
        self.books_way.clear()

    def books_are_back(self) -> None:
        if self.books_alive:
            return
        self.books_alive = True
        self.books_feed, self.books_book = without_books(), OrderBook()
        self.books_way.clear()

    def answer_book(self) -> None:
        place = self.books_feed.place(T)
        if self.books_alive and self.books_book.whole and place is not None:
            batch = wire.batch_of(T, [self.books_book.snapshot()], place.continuity)
            at = wire.publication(batch, epoch=place.epoch, sequence=place.sequence, publish_ns=0)
            self.program.book(at, self.now)

    # the program

    def program_hears(self, count: int = 0) -> None:
        count = count or self.rng.randint(1, 5)
        heard, self.way = self.way[:count], self.way[count:]
        for at in heard:
            self.program.take(at, self.now)

    def time_passes(self) -> None:
        ms, answered = self.rng.choice([1, 150, 500, 2_500]), self.rng.random() < 0.6
        self.now += ms * 1_000_000
        self.program.tick(self.now)
        if answered and not self.way:
            self.answer_ring()
        if self.program.book_questions(self.now):
            self.asked_book = True

    def answer_ring(self) -> None:
        for topic, sequence in list(self.program.questions(self.now)):
            first, newest, frames = self.ring.since(topic, sequence, limit_bytes=600, limit_frames=3)
            self.program.replayed(topic, self.epoch, first, newest, frames, self.now)

    def book_is_answered(self) -> None:
        if self.asked_book:
            self.asked_book = False
            self.answer_book()

    def book_comes_unasked(self) -> None:
        """As at the join, when all books of a prefix are asked for."""
        if self.program.epoch is not None:
            self.answer_book()

    def program_reads(self, take_all: bool | None = None) -> None:
        take_all = self.rng.random() < 0.5 if take_all is None else take_all
        while self.program.ready:
            item, _ = self.program.ready.popleft()
            for one in [item] if isinstance(item, Lost) else item.events:
                self.reader.take(one, self.truth)
            if not take_all:
                break

    def program_restarts(self) -> None:
        lost = self.rng.random() < 0.5
        saved = Position.from_bytes(self.program.position(None, 0).to_bytes())
        self.program = joiner(saved)
        self.asked_book = False
        if lost:
            self.way.clear()

    def another_program_joins(self) -> None:
        self.program, self.reader, self.asked_book = joiner(), Reader(), False
        self.way.clear()

    def all_comes_to_rest(self) -> None:
        """Everybody lives and hears everything: then the program has the venue's book."""
        self.books_alive = True
        if not self.books_book.whole or self.broken:
            self.publish(self.venue.snapshot())
            self.broken = False
        self.publish(self.change(1, 3, 1))
        self.books_hear(10_000)
        self.program_hears(10_000)
        for _ in range(200):
            self.now += ASK_AGAIN_NS
            for feed in (self.books_feed, self.program):
                feed.behind(self.epoch, self.ring.newest(T), self.now)
                feed.tick(self.now)
                for topic, sequence in list(feed.questions(self.now)):
                    first, newest, frames = self.ring.since(topic, sequence, limit_bytes=10**6, limit_frames=1_000)
                    feed.replayed(topic, self.epoch, first, newest, frames, self.now)
            self.books_take()
            if not self.books_book.whole:
                self.publish(self.venue.snapshot())
                self.books_hear(10_000)
                self.program_hears(10_000)
            if self.program.book_questions(self.now):
                self.answer_book()
            self.program_reads(True)
        assert self.reader.book.whole
        assert self.reader.last_id == self.last_id
        assert self.program._bookless == {}
        assert self.program._held_bytes == 0

    def what_is_held_is_counted(self) -> None:
        states = self.program._topics.values()
        held = sum(len(at) for state in states for at in (*state.held.values(), *state.former, *state.doubted))
        assert self.program._held_bytes == held
        for topic, state in self.program._topics.items():
            assert not (state.holding and topic in self.program._waiting)

    STEPS = (
        (8, diff_comes), (1, gap_comes), (2, book_is_published), (2, new_life),(0.3, ids_begin_anew), (4, books_hear), (0.5, books_die), (3, books_are_back),
        (10, program_hears), (4, time_passes), (3, book_is_answered), (4, book_comes_unasked), (6, program_reads),
        (1, program_restarts), (2, another_program_joins), (0.4, all_comes_to_rest),
    )  # fmt: skip

    def run(self, steps: int) -> None:
        for step in self.rng.choices([step for _, step in self.STEPS], [weight for weight, _ in self.STEPS], k=steps):
            step(self)
            self.what_is_held_is_counted()
        self.all_comes_to_rest()


@settings(max_examples=300, deadline=None, phases=[Phase.generate])  # a seed does not become simpler
@given(st.integers(0, 2**32))
def test_whatever_happens_every_book_is_the_venues_and_nothing_is_left_out(seed: int) -> None:
    Course(seed).run(60)


def test_the_model_itself_sees_books() -> None:
    """A reader that is handed what was published has the venue's book."""
    reader = Reader()
    truth: dict[int, list[list[Level]]] = {1: [[("5", "1")]], 2: [[]]}
    events: Sequence[Event] = [book(1, ("5", "1")), diff(2, 2, ("5", "0"))]
    for event in events:
        reader.take(event, truth)
    with pytest.raises(AssertionError):
        reader.take(diff(4), truth)
