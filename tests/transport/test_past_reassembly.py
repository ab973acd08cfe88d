"""What was published while a subscriber was away: each event once and in order, through all lives, and what is missing named."""

from __future__ import annotations

import pytest

from k2workers import wire
from k2workers.events import BookSnapshot, DepthUpdate, Event
from k2workers.transport.book_reassembly import BookReassembly
from k2workers.transport.deliveries import Lost
from k2workers.transport.past_reassembly import PastReassembly
from k2workers.transport.position import Position
from k2workers.transport.reassembly import PATIENCE_NS
from k2workers.venues.binance.streams import BOOK
from tests.support.batches import batch_of
from tests.transport.support import published

A, B = "binance.trade.A", "binance.trade.B"
DEPTH = "binance.depth.A"


def ids(state: PastReassembly) -> list[int | tuple[int | None, int | None]]:
    """Of all that is ready: trade ids, and of losses their ids."""
    out: list[int | tuple[int | None, int | None]] = []
    while state.ready:
        item, _ = state.ready.popleft()
        out += [(item.first_id, item.last_id)] if isinstance(item, Lost) else [event.first_id for event in item.events]
    return out


def saved(*frames: bytes, joined: tuple[str, ...] = ("binance.",)) -> Position:
    """The position of a program that was given these, live."""
    state = PastReassembly()
    for frame in frames:
        state.take(frame, 0)
    for name in joined:
        state.join(name, state.epoch or 0, {})
    state.ready.clear()
    return Position.from_bytes(state.position(None, 0).to_bytes())


def trade(sequence: int, number: int, topic: str = A, epoch: int = 1) -> bytes:
    return published(sequence, number, topic=topic, epoch=epoch)


def test_it_goes_on_through_the_lives_that_have_ended_and_then_live() -> None:
    state = PastReassembly(saved(trade(1, 100), trade(1, 500, B)))
    assert state.sequences() == {1: {A: 1, B: 1}}
    state.begin_past([1, 3, 2], 0)
    for frame in (
        trade(1, 100), trade(2, 101), trade(2, 501, B),
        trade(1, 101, epoch=3), trade(2, 102, epoch=3), trade(1, 501, B, epoch=3),
        trade(1, 103, epoch=2), trade(1, 502, B, epoch=2), trade(1, 900, "binance.trade.NEW", epoch=2),
    ):  # fmt: skip
        state.take_past(frame, 0)
    assert ids(state) == [101, 501, 102, 103, 502, 900]
    state.end_past(0)
    state.take(trade(2, 104, epoch=2), 0)
    state.take(trade(3, 102, epoch=3), 0)
    assert (ids(state), state.counters.refused_batches) == ([104], 1), "what was left stays left"


def test_what_even_the_past_lacks_is_lost_at_once_with_its_ids() -> None:
    state = PastReassembly(saved(trade(1, 100)))
    state.begin_past([1, 2], 0)
    for frame in (trade(5, 107), trade(6, 108), trade(9, 120, epoch=2)):
        state.take_past(frame, 0)
    assert ids(state) == [(101, 106), 107, 108, (109, 119), 120]
    assert not state.waiting


def test_what_was_published_lately_in_the_life_that_goes_on_the_memory_ring_is_asked_for() -> None:
    state = PastReassembly(saved(trade(1, 100), trade(1, 500, B)))
    state.begin_past([1, 2], 0, recent_ns=50)
    for sequence, number, publish_ns in ((5, 107, 60), (6, 108, 61)):
        state.take_past(published(sequence, number, topic=A, publish_ns=publish_ns), 0)
    assert ids(state) == [(101, 106), 107, 108], "the life has ended: nobody has them"
    for sequence, number, publish_ns in ((2, 110, 48), (4, 112, 49), (7, 115, 50), (8, 116, 51)):
        state.take_past(published(sequence, number, topic=A, epoch=2, publish_ns=publish_ns), 0)
    state.take_past(published(1, 501, topic=B, epoch=2, publish_ns=52), 0)
    assert ids(state) == [(109, 109), 110, (111, 111), 112, 501], "what was published long ago it has no longer"
    state.end_past(0)
    assert list(state.questions(0)) == [(A, 5)]
    state.replayed(A, 2, 6, 8, [published(6, 114, topic=A, epoch=2)], 0)
    assert ids(state) == [(113, 113), 114, 115, 116], "and what neither has is lost with its ids"
    assert not state.waiting


def test_topics_that_were_given_in_a_later_life_already_are_not_given_again() -> None:
    live = PastReassembly(saved(trade(1, 100), trade(1, 500, B)))
    for frame in (trade(2, 101), trade(1, 501, B, epoch=2), trade(2, 502, B, epoch=2)):
        live.take(frame, 0)
    assert [item.topic for item, _ in live.ready] == [A, B, B]
    begun = live.ready.popleft(), live.ready.popleft(), live.ready.popleft()
    live.ready.appendleft(begun[0])
    position = live.position(None, 0)  # A's batch of the first life was not given, B's of the second were
    assert (position.topics[A].epoch, position.topics[B].epoch, position.left) == (1, 2, [1])
    state = PastReassembly(position)
    state.begin_past([1, 2], 0)
    for frame in (
        trade(2, 101), trade(2, 499, B), trade(1, 101, epoch=2), trade(1, 501, B, epoch=2), trade(2, 502, B, epoch=2),
        trade(3, 503, B, epoch=2), trade(2, 102, epoch=2), trade(3, 102),
    ):  # fmt: skip
        state.take_past(frame, 0)
    assert ids(state) == [101, 503, 102]


def test_nearly_all_of_it_is_taken_as_quickly_as_live() -> None:
    state = PastReassembly(saved(trade(1, 100)))
    state.begin_past([1], 0)
    state.take_past(trade(2, 101), 0)
    taken: list[bool] = []
    plain = state.take_plain

    def take_plain(frame: bytes) -> bool:
        taken.append(plain(frame))
        return taken[-1]

    state.take_plain = take_plain  # type: ignore[method-assign]
    state.take_past(trade(3, 102), 0)
    assert (taken, ids(state)) == ([True], [101, 102])


def test_a_program_that_joins_at_a_time_counts_from_there() -> None:
    state = PastReassembly()
    state.begin_past([1], 0)
    state.join_at(("binance.",), 1, {A: 4})
    state.take_past(trade(4, 103), 0)
    state.pass_by(trade(5, 104))
    state.pass_by(trade(1, 500, B))
    for frame in (trade(6, 105), trade(2, 501, B), trade(1, 900, "binance.trade.NEW")):
        state.take_past(frame, 0)
    assert ids(state) == [105, 501, 900]
    assert (state.stands_at(A), state.stands_at("x")) == (6, 0)
    state.enter(2)
    state.pass_by(trade(9, 109))
    assert state.stands_at(A) == 0, "of a life that was left"


def test_what_was_held_when_it_began_is_given_at_its_place_and_what_is_missing_after_it_waits_again() -> None:
    state = PastReassembly()
    for frame in (trade(1, 100), trade(5, 104)):
        state.take(frame, 0)
    state.begin_past([1], 0)
    for sequence in (2, 3):
        state.take_past(trade(sequence, 99 + sequence), 0)
    state.end_past(10 * PATIENCE_NS)
    state.tick(10 * PATIENCE_NS)
    assert ids(state) == [100, 101, 102]
    assert list(state.questions(10 * PATIENCE_NS)) == [(A, 4)]
    state.take(trade(4, 103), 0)
    assert ids(state) == [103, 104]


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(wire.WireError):
        PastReassembly().take_past(b"x", 0)
    with pytest.raises(wire.WireError):
        PastReassembly().pass_by(b"x")


# ── books ───────────────────────────────────────────────────────────────────────────────────────────────────


def change(sequence: int, event: Event, epoch: int = 1) -> bytes:
    return wire.publication(batch_of(DEPTH, [event], BOOK), epoch=epoch, sequence=sequence, publish_ns=1)


def diff(number: int) -> DepthUpdate:
    return DepthUpdate(number, number, [("1", "2")], [], 3, 4)


def handed(state: PastReassembly) -> list[Event | Lost]:
    out: list[Event | Lost] = []
    while state.ready:
        item, _ = state.ready.popleft()
        out += [item] if isinstance(item, Lost) else item.events
    return out


def with_book() -> Position:
    state = BookReassembly()
    state.book(change(1, BookSnapshot(10, [], [], 1)), 0) if state.enter(1) else None
    state.ready.clear()
    return Position.from_bytes(state.position(None, 0).to_bytes())


def test_a_book_is_continued_by_the_changes_that_were_published_meanwhile() -> None:
    state = BookReassembly(with_book())
    state.begin_past([1], 0)
    for sequence in (2, 3):
        state.take_past(change(sequence, diff(9 + sequence)), 0)
    assert handed(state) == [diff(11), diff(12)]
    assert state.book_questions(10**12) == []


def test_changes_without_a_book_are_not_held_for_one_of_a_later_time() -> None:
    state = BookReassembly(with_book())
    state.begin_past([1], 0)
    state.take_past(change(5, diff(20)), 0)
    state.take_past(change(6, diff(21)), 0)
    assert handed(state) == [Lost(DEPTH, 2, 4, 11, 19), diff(20), diff(21)]
    state.take_past(change(9, diff(30)), 0)
    assert handed(state) == [Lost(DEPTH, 7, 8, 22, 29), diff(30)]
    state.end_past(0)
    state.tick(1)
    state.tick(10**10)
    assert state.book_questions(10**10) == [DEPTH]
    state.book(change(9, BookSnapshot(30, [], [], 1)), 10**10)
    assert handed(state) == [BookSnapshot(30, [], [], 1)]


def test_a_book_that_was_asked_for_before_takes_the_place_of_nothing_that_is_still_to_come() -> None:
    state = BookReassembly(with_book())
    state.begin_past([1], 0)
    state.take_past(change(5, diff(20)), 0)
    assert not state.book(change(9, BookSnapshot(30, [], [], 1)), 0), "it is asked for again"
    state.take_past(change(6, diff(21)), 0)
    assert handed(state) == [Lost(DEPTH, 2, 4, 11, 19), diff(20), diff(21)]
    state.end_past(0)
    assert state.book(change(9, BookSnapshot(30, [], [], 1)), 10**10)


def test_a_topic_of_changes_that_is_first_heard_in_the_past_comes_at_once_too() -> None:
    state = BookReassembly()
    state.begin_past([1], 0)
    for sequence in (4, 5):
        state.take_past(change(sequence, diff(10 + sequence)), 0)
    assert handed(state) == [diff(14), diff(15)]


def test_who_waits_for_a_book_when_it_begins_waits_no_longer() -> None:
    state = BookReassembly()
    for sequence in (4, 5):
        state.take(change(sequence, diff(10 + sequence)), 0)
    assert handed(state) == []
    state.begin_past([1], 0)
    assert handed(state) == [diff(14), diff(15)]


def test_who_goes_on_without_a_book_already_goes_on_so() -> None:
    state = BookReassembly(with_book())
    state.begin_past([1], 0)
    state.take_past(change(5, diff(20)), 0)
    state.end_past(0)
    state.begin_past([1], 0)
    state.take_past(change(6, diff(21)), 0)
    assert handed(state) == [Lost(DEPTH, 2, 4, 11, 19), diff(20), diff(21)]


def test_a_book_whose_place_was_passed_by_is_not_given_behind_it() -> None:
    state = BookReassembly(with_book())
    state.begin_past([1], 0)
    state.take_past(change(5, diff(20)), 0)
    state.end_past(0)
    state.book(change(7, BookSnapshot(22, [], [], 1)), 0)
    state.begin_past([1], 0)
    state.take_past(change(9, diff(24)), 0)
    assert handed(state) == [Lost(DEPTH, 2, 4, 11, 19), diff(20), Lost(DEPTH, 6, 8, 21, 23), diff(24)]
