"""Where one topic stands, and which ids are missing before what comes next."""

from __future__ import annotations

import pytest

from k2workers import wire
from k2workers.continuity import Continuity, renumbered
from k2workers.events import (
    Backfilled,
    BookSnapshot,
    BookTicker,
    DepthUpdate,
    Event,
    Gap,
    GivenUp,
    Kline,
    Reset,
    Status,
    Trade,
    Void,
)
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN
from k2workers.sequencing.ranges import Range
from k2workers.transport.book_wait import BookWait
from k2workers.transport.position import TopicPosition
from k2workers.transport.standing import Standing, after
from k2workers.venues.binance.streams import BAR, BOOK, CHAIN, KINDS
from tests.support.batches import batch_of

T = "binance.depth.X"
MS = 1_000_000


def diff(first: int, last: int) -> DepthUpdate:
    return DepthUpdate(first, last, [], [], 0, 0)


def standing(last_id: int, continuity: Continuity = BOOK, *, renewed: bool = False) -> Standing:
    return Standing.at(TopicPosition(1, 5, last_id, NO_ID, continuity.number, [], renewed))


def header(event: Event) -> wire.Header:
    return wire.read_header(wire.publication(batch_of(T, [event], BOOK), epoch=1, sequence=6, publish_ns=0))


@pytest.mark.parametrize(
    ("event", "missing"),
    [
        (diff(11, 12), None),
        (diff(9, 12), None),
        (diff(13, 14), (11, 12)),
        (Gap(13, 14, "", 0), (11, 12)),
        (Void(13, 14, 0), (11, 12)),
        (Void(4, 5, 0), None),
        (BookSnapshot(10, [], [], 0), None),
        (BookSnapshot(13, [], [], 0), (11, 13)),
        (Backfilled(diff(13, 13)), None),
    ],
)
def test_what_is_missing_before_a_batch_after_id_10(event: Event, missing: Range | None) -> None:
    assert standing(10).missing_before(header(event)) == missing
    assert standing(10).missing_before_event(event) == missing
    assert standing(NO_ID).missing_before_event(event) is None, "its start"


def test_ids_show_nothing_missing_where_they_are_no_chain() -> None:
    ticker = BookTicker(20, "", "", "", "", 0)
    assert standing(10, KINDS["book_ticker"].continuity).missing_before_event(ticker) is None
    assert standing(10).missing_before(header(Status("", {}, 0))) is None


def test_late_events_ahead_are_new_only_while_a_new_life_has_not_shown_how_far_it_is() -> None:
    late = Backfilled(Trade(13, "", "", True, 0, 0, 0))
    assert standing(10, CHAIN).admit(late) is None
    renewed = standing(10, CHAIN, renewed=True)
    assert renewed.missing_before_event(late) == (11, 12)
    assert renewed.admit(late) == late
    assert renewed.last_id == 13
    assert standing(NO_ID, CHAIN, renewed=True).admit(late) is None


def test_a_void_is_no_start() -> None:
    topic = standing(NO_ID)
    assert topic.admit(Void(3, 4, 0)) is None
    assert topic.last_id == NO_ID


def test_a_topic_was_heard_when_a_batch_of_it_is_held_or_told_its_continuity() -> None:
    topic = Standing.at(TopicPosition(1, 5, NO_ID, NO_ID, NOT_KNOWN, []))
    assert not topic.heard
    topic.held[7] = b""
    assert topic.heard
    assert standing(NO_ID).heard


def test_a_place_in_the_middle_of_a_batch() -> None:
    before = TopicPosition(1, 5, 10, NO_ID, BOOK.number, [])
    assert after(before, [diff(11, 12), Gap(13, 15, "", 0)]) == TopicPosition(1, 5, 15, NO_ID, BOOK.number, [(13, 15)])


def bar(opens: int, *, final: bool = False) -> Kline:
    """A bar of 60 ms; times in ms."""
    ends = opens + 59
    return Kline(opens * MS, ends * MS, "", "", "", "", "", "", "", "", 0, 0, 0, final, ends * MS, 0)


def batch(*events: Event, number: int) -> bytes:
    return wire.publication(wire.batch_of(T, events, number), epoch=1, sequence=6, publish_ns=0)


def test_ids_of_another_numbering_cannot_be_compared_and_come_later() -> None:
    topic, anew = standing(10), renumbered(BOOK.number)
    later = wire.read_header(batch(diff(500, 501), number=anew))
    assert not topic.same_numbering(later)
    assert topic.missing_before(later) is None
    frames = [
        batch(diff(3, 4), number=anew), batch(Reset(12, 1, 0), number=anew), batch(diff(12, 13), number=BOOK.number),
        batch(diff(11, 11), number=BOOK.number),
    ]  # fmt: skip
    assert sorted(frames, key=topic.place_of) == [frames[3], frames[2], frames[1], frames[0]]


def test_ids_that_begin_anew_need_another_book() -> None:
    topic = standing(10)
    topic.whole = True
    topic.begin_anew(renumbered(BOOK.number), 1)
    assert (topic.whole, topic.last_id) == (False, 0)


def test_a_book_is_whole_from_its_snapshot_until_a_gap() -> None:
    topic = standing(10)
    assert topic.by_book
    assert not topic.holding
    seen = []
    for event in (BookSnapshot(12, [], [], 0), diff(13, 13), Gap(14, 15, "", 0), Gap(14, 15, "", 0)):
        topic.admit(event)
        seen.append(topic.whole)
    assert seen == [True, True, False, False]
    topic.wait = BookWait(holding=True)
    assert topic.holding


def test_bars_whose_final_state_nothing_has_told_of_are_missing_by_their_times() -> None:
    def missing(topic: Standing, *events: Event) -> Range | None:
        return topic.missing_bars(wire.read_header(batch(*events, number=BAR.number)), list(events))

    topic = standing(NO_ID, BAR)
    assert missing(topic, bar(60)) is None, "its start"
    topic.admit(bar(60))
    assert missing(topic, bar(60)) is None
    assert missing(topic, bar(180)) == (60 * MS, 180 * MS - 1)
    topic.admit(bar(60, final=True))
    assert missing(topic, bar(120)) is None
    assert missing(topic, bar(180)) == (120 * MS, 180 * MS - 1)
    assert missing(topic, Backfilled(bar(0))) is None
    assert standing(10).missing_bars(header(diff(13, 13)), [diff(13, 13)]) is None


def test_the_next_bar_may_come_late_in_a_new_life() -> None:
    topic = standing(NO_ID, BAR)
    topic.admit(bar(0, final=True))
    late = Backfilled(bar(60, final=True))
    assert topic.admit(late) is None
    topic.renewed = True
    assert topic.admit(late) == late
    assert topic.next_bar_ns == 120 * MS


def test_nothing_of_what_was_before_a_reset_is_missing_before_it() -> None:
    assert standing(10).missing_before_event(Reset(500, 1, 0)) is None


@pytest.mark.parametrize("kind", [Void, GivenUp])
def test_places_tell_of_ids_that_are_closed(kind: type[Void | GivenUp]) -> None:
    before = TopicPosition(1, 5, 15, NO_ID, CHAIN.number, [(11, 13)])
    given = Void(12, 12, 0) if kind is Void else GivenUp(12, 12, "", 0)
    place = after(before, [given])
    shut = after(TopicPosition(1, 5, 15, NO_ID, CHAIN.number, [], closed=[(3, 3)]), [])
    assert (shut.open, shut.closed) == ([], [(3, 3)])
    assert (place.open, place.closed) == ([(11, 11), (13, 13)], [(12, 12)])
