"""One whole book: what a snapshot and the diffs after it make, what makes it void, and its bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2workers.events import BookSnapshot, DepthUpdate, Gap, Level, Status
from k2workers.sequencing.order_book import OrderBook


def snapshot(last_id: int, *bids: Level) -> BookSnapshot:
    return BookSnapshot(last_id, list(bids), [("9", "1")], 5)


def diff(first: int, last: int, *bids: Level) -> DepthUpdate:
    return DepthUpdate(first, last, list(bids), [], last, last)


def test_there_is_no_book_before_the_first_snapshot() -> None:
    book = OrderBook()
    book.take(diff(1, 2, ("5", "1")))
    assert not book.whole


def test_diffs_continue_a_snapshot_best_levels_first() -> None:
    book = OrderBook()
    book.take(snapshot(10, ("5", "1"), ("4", "2")))
    book.take(diff(11, 12, ("10", "3"), ("4", "0.000")))
    book.take(diff(13, 13, ("5.5", "1")))
    assert book.whole
    assert book.snapshot() == BookSnapshot(13, [("10", "3"), ("5.5", "1"), ("5", "1")], [("9", "1")], 13)


def test_what_the_snapshot_holds_already_changes_nothing_and_what_spans_its_end_is_applied_whole() -> None:
    book = OrderBook()
    book.take(snapshot(10, ("5", "1")))
    book.take(diff(8, 10, ("5", "7")))
    assert book.snapshot().bids == [("5", "1")]
    book.take(diff(9, 12, ("5", "2")))
    assert (book.last_id, book.snapshot().bids) == (12, [("5", "2")])


def test_missing_ids_a_gap_or_a_loss_leave_no_book_until_the_next_snapshot() -> None:
    for harm in (diff(12, 13), Gap(11, 12, "", 0), None):
        book = OrderBook()
        book.take(snapshot(10, ("5", "1")))
        if harm is None:
            book.lose()
        else:
            book.take(harm)
        assert not book.whole
        book.take(diff(14, 14, ("6", "1")))
        assert not book.whole
        book.take(snapshot(20, ("7", "1")))
        assert (book.whole, book.snapshot().bids) == (True, [("7", "1")])


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), max_size=200))
def test_past_the_bound_the_farthest_levels_go(changes: list[tuple[int, int]]) -> None:
    book, whole = OrderBook(max_levels=10), OrderBook()
    for made in (book, whole):
        made.take(BookSnapshot(0, [], [], 0))
        for number, (price, quantity) in enumerate(changes, 1):
            made.take(
                DepthUpdate(number, number, [(str(price), str(quantity))], [(str(price + 100), str(quantity))], 0, 0)
            )
    kept, all_of_it = book.snapshot(), whole.snapshot()
    assert len(kept.bids) <= 20
    assert len(kept.asks) <= 20
    assert set(kept.bids) <= set(all_of_it.bids)


def test_the_nearest_levels_of_both_sides_stay() -> None:
    book = OrderBook(max_levels=2)
    book.take(BookSnapshot(1, [(str(n), "1") for n in range(5)], [(str(n + 10), "1") for n in range(5)], 0))
    assert len(book.bids) == 5, "a snapshot is the venue's, and not cut before the next diff"
    book.take(diff(2, 2))
    assert (book.snapshot().bids, book.snapshot().asks) == ([("4", "1"), ("3", "1")], [("10", "1"), ("11", "1")])


BAD: list[Level] = [("1", ""), ("1", "abc"), ("abc", "1"), ("abc", "0")]


@pytest.mark.parametrize("level", BAD)
def test_a_level_that_is_no_price_and_quantity_leaves_no_book_until_the_next_snapshot(level: Level) -> None:
    book = OrderBook()
    book.take(snapshot(5, ("2", "1")))
    book.take(diff(6, 6, ("3", "1"), level))
    assert (book.whole, book.bids, book.unreadable) == (False, {}, 1)
    book.take(diff(7, 7, level))
    book.take(snapshot(8, ("2", "1"), level))
    assert (book.whole, book.bids, book.unreadable) == (False, {}, 2)
    book.take(snapshot(9, ("2", "1")))
    assert book.snapshot() == snapshot(9, ("2", "1"))


def test_an_event_that_is_no_part_of_a_book_changes_nothing() -> None:
    book = OrderBook()
    book.take(snapshot(5, ("2", "1")))
    book.take(Status("", {}, 0))
    assert book.snapshot() == snapshot(5, ("2", "1"))


def test_it_knows_the_time_of_its_newest_change_which_a_snapshot_has_not() -> None:
    book = OrderBook()
    book.take(snapshot(10, ("5", "1")))
    assert (book.received_ns, book.venue_time_ns) == (5, 0)
    book.take(diff(11, 12, ("6", "3")))
    assert (book.received_ns, book.venue_time_ns) == (12, 12)
    book.take(snapshot(12, ("6", "3")))
    assert book.venue_time_ns == 0


def test_a_book_is_crossed_if_its_best_bid_is_not_below_its_best_ask() -> None:
    book = OrderBook()
    assert not book.crossed
    book.take(BookSnapshot(1, [("8", "1")], [], 0))
    assert not book.crossed, "nobody sells"
    book.take(BookSnapshot(1, [("8", "1"), ("10", "0.1")], [("9", "1")], 0))
    assert book.crossed
    book.take(diff(2, 2, ("10", "0")))
    assert not book.crossed
    book.take(diff(3, 3, ("9.0", "1")))
    assert book.crossed


def test_it_is_compared_with_a_book_of_the_same_moment_in_the_levels_that_both_must_know() -> None:
    book = OrderBook()
    assert book.agrees_with(snapshot(0), 2) is None, "there is none"
    book.take(snapshot(10, ("5", "1"), ("4", "1"), ("3", "1")))
    assert book.agrees_with(snapshot(11, ("5", "1")), 2) is None, "of another moment"
    assert book.agrees_with(snapshot(10, ("4", "1"), ("5", "1"), ("2", "1")), 2) is True
    assert book.agrees_with(snapshot(10, ("5", "1"), ("4", "2")), 2) is False
    assert book.agrees_with(snapshot(10, ("5", "1"), ("4", "1")), 3) is False


def deep(last_id: int, first: int, last: int) -> BookSnapshot:
    """Bids at all whole prices from ``first`` down to ``last``, and one ask."""
    return BookSnapshot(last_id, [(str(price), "1") for price in range(first, last - 1, -1)], [("500", "1")], 5)


def test_a_book_tells_nothing_beyond_the_levels_that_it_began_with_and_knows_when_they_become_few() -> None:
    book = OrderBook(is_part=lambda count: count >= 100)
    book.take(deep(10, 400, 301))
    book.take(diff(11, 11, ("250", "7")))
    assert ("250", "7") in book.snapshot().bids and ("250", "7") not in book.snapshot(known=True).bids
    assert not book.runs_short(50)
    book.take(diff(12, 12, *((str(price), "0") for price in range(349, 401))))
    assert book.bid_side.nearest(60) == [(str(price), "1") for price in range(348, 300, -1)]
    assert book.runs_short(50) and not book.runs_short(48)
    assert book.agrees_with(deep(12, 348, 250), 60), "it knows fewer, and those are the same"
    assert not book.agrees_with(deep(12, 347, 250), 60)
    book.take(diff(13, 13, *((str(price), "0") for price in range(301, 349))))
    assert not book.whole, "the level at 250 need not be the best bid"
    assert not book.runs_short(50)
    book.take(deep(14, 260, 240))
    assert book.whole and not book.runs_short(50), "these are all there are"


def test_a_book_that_was_cut_back_tells_nothing_beyond_what_is_left() -> None:
    book = OrderBook(max_levels=30)
    book.take(BookSnapshot(1, [], [("500", "1")], 0))
    book.take(diff(2, 2, *((str(price), "1") for price in range(100, 170))))
    assert book.bid_side.nearest(50) == [(str(price), "1") for price in range(169, 139, -1)]
    book.take(diff(3, 3, ("110", "2"), *((str(price), "0") for price in range(150, 170))))
    assert book.bid_side.nearest(50) == [(str(price), "1") for price in range(149, 139, -1)]
    assert book.runs_short(50)
