"""Where one topic stands, and which ids are missing before what comes next."""

from __future__ import annotations

import pytest

from k2workers import wire
from k2workers.continuity import Continuity
from k2workers.events import Backfilled, BookSnapshot, BookTicker, DepthUpdate, Event, Gap, Status, Trade, Void
from k2workers.sequencing.coverage import NO_ID, NOT_KNOWN
from k2workers.sequencing.ranges import Range
from k2workers.transport.position import TopicPosition
from k2workers.transport.standing import Standing, after
from k2workers.venues.binance.streams import BOOK, CHAIN, KINDS
from tests.support.batches import batch_of

T = "binance.depth.X"


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
