"""The books that a program has kept for it: as of what it was given, whole or stale, by topic or by venue and symbol."""

from __future__ import annotations

import pytest

from k2workers.continuity import Continuity
from k2workers.errors import ConfigError
from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Trade
from k2workers.transport.columns import StandardArrays, columns_of
from k2workers.transport.deliveries import Lost, MessageBatch
from k2workers.transport.kept_books import Book, KeptBooks
from k2workers.transport.position import Position
from k2workers.venues.binance.streams import BOOK, CHAIN

T = "v.depth.X"
WHOLE = BookSnapshot(9, [("1", "1"), ("2", "2")], [("4", "4"), ("3", "3")], 7)
CHANGE = DepthUpdate(10, 10, [("2", "0")], [("5", "5")], 100, 1_000_000_000)


def batch(*events: Event, topic: str = T, continuity: Continuity = BOOK) -> MessageBatch:
    return MessageBatch(topic, 1, 1, list(events), continuity)


def test_a_book_is_stale_until_it_is_there_and_has_an_age() -> None:
    books = KeptBooks([T])
    assert books.book("v.X", None, 10) == Book("v.X", "stale", -2, [], [], 0, 0, 0.0)
    books.take(batch(CHANGE))
    assert books.book("v.X", None, 10) == Book(T, "stale", -2, [], [], 0, 0, 0.0)
    books.take(batch(WHOLE))
    assert books.book(T, None, 10) == Book(
        T, "whole", 9, [("2", "2"), ("1", "1")], [("3", "3"), ("4", "4")], 0, 7, 3e-9
    )
    books.take(batch(CHANGE))
    assert books.book("v.X", 2, 3_000_000_000) == Book(
        T, "whole", 10, [("1", "1")], [("3", "3"), ("4", "4")], 100, 1_000_000_000, 2.0
    )


@pytest.mark.parametrize("harm", [batch(Gap(11, 11, "", 0)), Lost(T, 2, 2)])
def test_a_gap_or_a_loss_leaves_no_level(harm: MessageBatch | Lost) -> None:
    books = KeptBooks(["v."])
    books.take(Lost(T, 1, 1))
    books.take(batch(WHOLE))
    books.take(harm)
    assert (books.book("v.X", 5, 10).state, books.book("v.X", 5, 10).bids) == ("stale", [])
    books.take_event(T, WHOLE, BOOK)
    assert books.book("v.X", 5, 10).state == "whole"


def test_what_is_no_change_of_a_book_is_none_of_its_concern_and_columns_count_as_their_events() -> None:
    books = KeptBooks(["v."])
    trade = Trade(1, "1", "1", True, 0, 0, 0)
    books.take(batch(trade, topic="v.trade.X", continuity=CHAIN))
    books.take_event("v.trade.X", trade, CHAIN)
    assert books._books == {}
    books.take(batch(WHOLE))
    columns = columns_of(batch(CHANGE), StandardArrays())
    assert columns is not None
    books.take(columns)
    assert books.book("v.X", 1, 10).update_id == 10


def test_a_symbol_is_found_by_its_venue_whatever_the_kind_and_a_topic_by_its_name() -> None:
    books = KeptBooks(["v.depth.", "v.depth_1s.", "w.depth.X"])
    for number, topic in enumerate(("v.depth_1s.Y", "v.depth.X", "v.depth_1s.X", "w.depth.X"), 1):
        books.take(batch(BookSnapshot(number, [], [], 0), topic=topic))
    found = {name: books.book(name, 1, 0).update_id for name in ("v.X", "v.Y", "w.X", "v.depth_1s.X")}
    assert found == {"v.X": 2, "v.Y": 1, "w.X": 4, "v.depth_1s.X": 3}


@pytest.mark.parametrize(
    ("topics", "name"),
    [
        (["v.depth."], "v.X"), (["v.depth.X"], "v.X"), (["v.depth.X"], "v.depth.X"), (["v."], "v.depth.X"), (["v."], "v.X"),
        (["v.trade.", "v.depth."], "v.depth.X"),
    ],
)  # fmt: skip
def test_what_may_still_come_is_stale(topics: list[str], name: str) -> None:
    assert KeptBooks(topics).book(name, 1, 0).state == "stale"


@pytest.mark.parametrize(
    ("topics", "name"),
    [(["v.depth.X"], "v.Y"), (["v.depth."], "w.X"), (["v.depth.X"], "w.X"), (["v.depth."], "v.trade.X"), (["status."], "v.X")],
)  # fmt: skip
def test_what_cannot_come_is_a_mistake(topics: list[str], name: str) -> None:
    with pytest.raises(ConfigError, match=rf"book '{name}': allowed .* subscribed are {topics[0]}"):
        KeptBooks(topics).book(name, 1, 0)


def test_there_is_no_book_to_go_on_with_from_a_position() -> None:
    with pytest.raises(ConfigError, match="keep_books = True: allowed only without a position"):
        KeptBooks([T], Position())
