"""What is told of books: best prices when they change, best levels at a pace, stale at once; never a broken book as a whole one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from k2workers import wire
from k2workers.book_events import BookLevels, BookTop
from k2workers.continuity import MADE
from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Level
from k2workers.sequencing.book_topics import BookTopics
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.order_book import OrderBook

X = "v.depth.X"
PACE_NS = 100


class Told:
    """Books, and what was told of them."""

    def __init__(self, *kinds: str) -> None:
        self.topics = BookTopics(kinds or ("book_top", "book_2"), ["v.depth.", "w.depth_1s."], PACE_NS)
        self.books: dict[str, OrderBook] = {}
        self.now_ns = 0
        self.last: dict[str, Event] = {}

    def take(self, *events: Event, topic: str = X) -> None:
        book = self.books.setdefault(topic, OrderBook())
        for event in events:
            book.take(event)
        self.topics.changed(topic, book)

    def news(self) -> list[tuple[str, Event]]:
        found = []
        for batches in self.topics.news(self.now_ns, 1_000 + self.now_ns).values():
            for batch in batches:
                assert batch.continuity == MADE.number
                (event,) = wire.decode_batch(batch)
                found.append((batch.topic, event))
                self.last[batch.topic] = event
        return found


def snapshot(number: int, bids: list[Level], asks: list[Level]) -> BookSnapshot:
    return BookSnapshot(number, bids, asks, 7)


def diff(number: int, *bids: Level) -> DepthUpdate:
    return DepthUpdate(number, number, list(bids), [], 5, 8)


def test_a_topic_begins_with_the_first_whole_book_and_is_told_again_only_if_it_changes() -> None:
    told = Told()
    told.take(diff(1, ("1", "1")))
    assert told.news() == []
    told.take(snapshot(9, [("1", "1"), ("3", "3"), ("2", "2")], [("4", "4")]))
    levels = [("3", "3"), ("2", "2")], [("4", "4")]
    assert told.news() == [
        ("v.book_top.X", BookTop(9, "3", "3", "4", "4", "whole", 0, 7, 1_000)),
        ("v.book_2.X", BookLevels(9, *levels, "whole", 0, 7, 1_000)),
    ]
    told.now_ns = PACE_NS
    told.take(diff(10, ("1", "9")))
    assert told.news() == [], "beyond what is told"
    told.take(diff(11, ("3", "9")))
    levels = [("3", "9"), ("2", "2")], [("4", "4")]
    assert told.news() == [
        ("v.book_top.X", BookTop(11, "3", "9", "4", "4", "whole", 5, 8, 1_100)),
        ("v.book_2.X", BookLevels(11, *levels, "whole", 5, 8, 1_100)),
    ]
    assert told.topics.next_ns is None


def test_levels_come_at_their_pace_and_then_as_they_are_by_then() -> None:
    told = Told()
    told.take(snapshot(9, [("3", "3")], []))
    assert [topic for topic, _ in told.news()] == ["v.book_top.X", "v.book_2.X"]
    for number in (10, 11):
        told.now_ns += 1
        told.take(diff(number, ("2", str(number))))
        assert (told.news(), told.topics.next_ns) == ([], PACE_NS)
    told.now_ns = PACE_NS
    assert told.news() == [("v.book_2.X", BookLevels(11, [("3", "3"), ("2", "11")], [], "whole", 5, 8, 1_100))]
    assert told.topics.next_ns is None
    told.now_ns += 1
    told.take(diff(12, ("2", "12")))
    told.take(diff(13, ("2", "11")))
    told.news()
    told.now_ns += PACE_NS
    assert told.news() == [], "it is as it was"


def test_a_side_without_a_level_is_empty() -> None:
    told = Told()
    told.take(snapshot(9, [], []))
    (_, top), (_, levels) = told.news()
    assert top == BookTop(9, "", "", "", "", "whole", 0, 7, 1_000)
    assert levels == BookLevels(9, [], [], "whole", 0, 7, 1_000)


def test_a_book_that_breaks_is_stale_at_once_whatever_the_pace_and_empty_until_it_is_whole() -> None:
    told = Told()
    told.take(snapshot(9, [("3", "3")], [("4", "4")]))
    told.news()
    told.take(Gap(10, 11, "", 0))
    assert told.news() == [
        ("v.book_top.X", BookTop(9, "", "", "", "", "stale", 0, 7, 1_000)),
        ("v.book_2.X", BookLevels(9, [], [], "stale", 0, 7, 1_000)),
    ]
    told.take(diff(12, ("3", "4")))
    assert told.news() == []
    told.take(snapshot(12, [("3", "3")], [("4", "4")]))
    assert [(topic, event.last_id) for topic, event in told.news()] == [("v.book_top.X", 12), ("v.book_2.X", 12)]


def test_each_venue_has_one_kind_of_changes_that_its_topics_are_made_of() -> None:
    told = Told("book_top")
    for topic in ("v.depth_1s.X", "w.depth_1s.a.b", "u.depth.X", "v.depth.X"):
        told.take(snapshot(9, [("3", "3")], []), topic=topic)
    assert [topic for topic, _ in told.news()] == ["w.book_top.a.b", "v.book_top.X"]


def test_what_may_not_have_come_is_told_again_as_it_is() -> None:
    told = Told()
    told.take(snapshot(9, [("3", "3")], []))
    before = told.news()
    told.topics.not_told([X, "v.depth.unknown"], told.books)
    assert told.news() == before
    told.take(Gap(10, 11, "", 0))
    assert [event.state for _, event in told.news() if isinstance(event, BookTop | BookLevels)] == ["stale", "stale"]
    told.topics.not_told([X], told.books)
    assert len(told.news()) == 2, "stale too"
    told.take(diff(1), topic="v.depth.Y")
    told.topics.not_told(["v.depth.Y"], told.books)
    assert told.news() == [], "but not what never was whole"


def test_a_new_life_tells_that_what_earlier_ones_told_is_stale_until_it_has_the_book() -> None:
    told = Told("book_top")
    told.take(snapshot(9, [("3", "3")], []))
    told.take(diff(1), topic="v.depth.Y")
    told.news()
    earlier = PublishedPosition(77, [], MADE.number)
    positions = dict.fromkeys(
        ("v.book_top.X", "v.book_top.Y", "v.book_top.Z", "v.book_9.Z", "u.book_top.Z", "v.depth.X", "heartbeat"),
        earlier,
    )
    told.topics.begin_anew(positions, told.books)
    assert {topic: (event.last_id, event.state) for topic, event in told.news() if isinstance(event, BookTop)} == {
        "v.book_top.X": (9, "whole"),
        "v.book_top.Y": (-2, "stale"),
        "v.book_top.Z": (77, "stale"),
    }
    told.take(snapshot(80, [("3", "3")], []), topic="v.depth.Z")
    assert [(topic, event.last_id) for topic, event in told.news()] == [("v.book_top.Z", 80)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("diff"), st.integers(1, 6), st.integers(0, 2)),
        st.tuples(st.sampled_from(["gap", "book", "refused", "anew", "news"]), st.integers(0, 60), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
@settings(max_examples=150, deadline=None)
def test_what_was_told_last_is_the_book_or_stale_whenever_nothing_waits(steps: list[tuple[str, int, int]]) -> None:
    told, number = Told(), 1
    for word, value, quantity in steps:
        number += 1
        told.now_ns += value if word == "news" else 0
        if word == "diff":
            told.take(diff(number, (str(value), str(quantity))))
        elif word == "gap":
            told.take(Gap(number, number, "", 0))
        elif word == "book":
            told.take(snapshot(number, [(str(value % 6 + 1), "1")], [("9", "1")]))
        elif word == "refused":
            told.topics.not_told([X], told.books)
        elif word == "anew":
            told.topics.begin_anew({topic: PublishedPosition(1, []) for topic in told.last}, told.books)
        told.news()
        check(told)
    told.now_ns += PACE_NS
    told.news()
    check(told, settled=True)


def check(told: Told, *, settled: bool = False) -> None:
    book = told.books.get(X, OrderBook())
    top, levels = told.last.get("v.book_top.X"), told.last.get("v.book_2.X")
    assert (top is None) == (levels is None)
    if not isinstance(top, BookTop) or not isinstance(levels, BookLevels):
        assert not book.whole
        return
    assert top.state == levels.state == ("whole" if book.whole else "stale")
    bids, asks = book.bid_side.nearest(2), book.ask_side.nearest(2)
    assert [(top.bid_price, top.bid_quantity)] == (bids[:1] or [("", "")])
    assert [(top.ask_price, top.ask_quantity)] == (asks[:1] or [("", "")])
    if settled or not book.whole:
        assert (levels.bids, levels.asks) == (bids, asks)
