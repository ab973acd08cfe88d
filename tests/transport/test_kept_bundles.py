"""What kept bundles tell about where topics stood before them."""

from __future__ import annotations

import pytest

from k2workers import wire
from k2workers.continuity import renumbered
from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Event, Gap, GivenUp, Reset, Trade, Void
from k2workers.sequencing.coverage import NO_ID, PublishedPosition, is_before
from k2workers.sequencing.ranges import IdRanges
from k2workers.transport.kept_bundles import BeforeKept, DroppedIds, before_kept
from k2workers.venues.binance.streams import BAR, BOOK, CHAIN
from k2workers.wire import encode_bundle
from tests.support.batches import batch_of
from tests.transport.support import batch, trades

T = "binance.trade.BTCUSDT"


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, number)


def late(*numbers: int) -> list[Event]:
    return [Backfilled(trade(number)) for number in numbers]


def of(*batches: list[Event], last_id: int, open_gaps: list[tuple[int, int]] | None = None) -> BeforeKept:
    bundles = [memoryview(encode_bundle([batch_of(T, events)])) for events in batches]
    return before_kept(bundles, {T: (CHAIN.number, last_id)}, {T: (CHAIN.number, open_gaps)} if open_gaps else {})


def opened(found: BeforeKept) -> dict[str, list[tuple[int, int]]]:
    return {topic: list(ranges) for topic, (_, ranges) in found.open.items()}


def test_nothing_kept_is_where_topics_stand_now() -> None:
    found = of(last_id=9, open_gaps=[(3, 4)])
    assert (found.reached, opened(found)) == ({T: (CHAIN.number, 9)}, {T: [(3, 4)]})


def test_ids_before_the_oldest_event_or_gap_that_is_kept() -> None:
    assert of([Gap(5, 6, "", 0)], [Trade(7, "1", "1", True, 0, 0, 0)], last_id=7).reached == {T: (CHAIN.number, 4)}


def test_what_was_pushed_last_may_have_been_refused() -> None:
    assert of([Trade(7, "1", "1", True, 0, 0, 0)], last_id=99).reached == {T: (CHAIN.number, 6)}


def test_a_void_counts_if_its_topic_continues_with_it() -> None:
    found = of([Void(5, 6, 0)], [Void(2, 3, 0)], [Trade(7, "1", "1", True, 0, 0, 0)], last_id=7)
    assert (found.reached, opened(found)) == ({T: (CHAIN.number, 4)}, {T: [(2, 3)]})


def test_late_events_are_of_ids_that_were_open_and_a_book_tells_nothing() -> None:
    found = of(late(3, 8), [BookSnapshot(9, [], [], 0)], [DepthUpdate(10, 12, [], [], 0, 0)], last_id=12)
    assert (found.reached, opened(found)) == ({T: (BOOK.number, 9)}, {T: [(3, 3), (8, 8)]})


def test_a_topic_without_a_chain_has_no_place() -> None:
    bundles = [memoryview(encode_bundle([trades(5, topic="other")]))]
    assert before_kept(bundles, {T: (CHAIN.number, 1)}, {}).reached == {T: (CHAIN.number, 1)}


def test_what_an_aggregator_lacks_and_nobody_will_send() -> None:
    found = BeforeKept({T: (CHAIN.number, 10), "quiet": (CHAIN.number, 5)}, {T: (CHAIN.number, IdRanges([(3, 4)]))})
    published = {
        T: PublishedPosition(20, [(2, 4), (8, 20)], CHAIN.number),
        "quiet": PublishedPosition(5, [], CHAIN.number),
        "of another worker": PublishedPosition(5, [(1, 1)], CHAIN.number),
    }
    assert found.unknown_to_us(published) == {T: (CHAIN.number, [(2, 2), (8, 10)])}


def test_what_an_aggregator_lacks_of_ids_before_they_began_anew_is_nobody_s_to_send() -> None:
    published = {T: PublishedPosition(20, [(2, 4)], CHAIN.number)}
    later = renumbered(CHAIN.number)
    assert BeforeKept({T: (later, 10)}, {}).unknown_to_us(published) == {}


def test_ids_that_began_anew_in_what_is_kept() -> None:
    old, new = CHAIN.number, renumbered(CHAIN.number)
    bundles = [
        [wire.batch_of(T, [trade(8)], old)],
        [wire.batch_of(T, [Reset(8, 1, 0)], new), wire.batch_of(T, [trade(1)], new), wire.batch_of(T, late(3), new)],
        [wire.batch_of(T, [trade(2)], new)],
    ]
    encoded = [memoryview(encode_bundle(bundle)) for bundle in bundles]
    found = before_kept(encoded, {T: (new, 2)}, {T: (new, [(7, 7)])})
    assert (found.reached, opened(found)) == ({T: (old, 7)}, {})
    found = before_kept(encoded[1:], {T: (new, 2)}, {})
    assert found.reached == {T: (old, 8)}


def test_what_was_dropped_of_two_numberings_is_known_by_its_first_and_forgiven_by_its_last() -> None:
    old, new = CHAIN.number, renumbered(CHAIN.number)
    dropped = DroppedIds()
    dropped.add([wire.batch_of(T, [Reset(8, 1, 0)], new), wire.batch_of(T, [trade(1)], new)])
    assert dropped.before(T) == (old, 8)
    dropped.forgive([wire.batch_of(T, [trade(9)], old)])
    assert dropped.before(T) == (new, 0)
    dropped.forgive([wire.batch_of(T, [trade(2)], new)])
    assert not dropped
    assert is_before((old, 9), (new, 1))
    assert not is_before((new, 1), (old, 9))


def test_what_was_dropped_counts_until_later_ids_are_acknowledged() -> None:
    dropped = DroppedIds()
    assert not dropped
    dropped.add([trades(5), batch_of(T, late(2)), trades(8)])
    assert (dropped.before(T), dropped.before("other")) == ((CHAIN.number, 4), None)
    dropped.forgive([trades(6), trades(1, topic="other"), batch_of(T, late(9))])
    assert dropped.before(T) == (CHAIN.number, 7)
    dropped.forgive([trades(9)])
    assert (bool(dropped), dropped.before(T)) == (False, None)


def test_what_was_dropped_of_a_topic_without_a_chain_is_not_remembered() -> None:
    dropped = DroppedIds()
    dropped.add([batch(3), batch(7)])
    assert not dropped


def test_gaps_of_topics_without_a_chain_are_as_unknown_as_others() -> None:
    known = BeforeKept({}, {"bars": (BAR.number, IdRanges([(5, 6)]))})
    published = {
        "bars": PublishedPosition(20, [(3, 9)], BAR.number),
        "nothing else": PublishedPosition(NO_ID, [(3, 9)], BAR.number),
        "whole": PublishedPosition(20, [], BAR.number),
        "of another shard": PublishedPosition(20, [(3, 9)], CHAIN.number),
        "not known": PublishedPosition(20, [(3, 9)]),
    }
    assert known.unknown_to_us(published) == {
        "bars": (BAR.number, [(3, 4), (7, 9)]),
        "nothing else": (BAR.number, [(3, 9)]),
    }
    assert known.forgotten(published, {}) == {}


def test_a_gap_that_is_announced_again_does_not_move_a_topic_back() -> None:
    bundles = [memoryview(encode_bundle([batch_of(T, [Gap(5, 7, "not sent", 0)])]))]
    kept = before_kept(bundles, {T: (CHAIN.number, 9)}, {T: (CHAIN.number, [(5, 7)])})
    assert kept.reached == {T: (CHAIN.number, 9)}
    assert opened(kept) == {T: [(5, 7)]}
    ahead = before_kept(bundles, {T: (CHAIN.number, 7)}, {})
    assert ahead.reached == {T: (CHAIN.number, 4)}


def test_what_is_forgotten_after_something_newer_was_refused_comes_before_it() -> None:
    dropped = DroppedIds()
    for first, last in ((9, 12), (1, 4), (5, 6)):
        dropped.add([batch_of(T, [Gap(first, last, "", 0)])])
    assert dropped.before(T) == (CHAIN.number, 0)
    dropped.forgive([batch_of(T, [Gap(6, 6, "", 0)])])
    assert dropped.before(T) == (CHAIN.number, 8)


@pytest.mark.parametrize(
    "announced", [[Void(3, 4, 0), Void(10, 12, 0)], [GivenUp(3, 4, "", 0), GivenUp(10, 12, "", 0)]]
)
def test_of_several_announcements_in_a_batch_only_the_last_may_continue_the_topic(announced: list[Event]) -> None:
    found = of(announced, last_id=12)
    assert (found.reached, opened(found)) == ({T: (CHAIN.number, 9)}, {T: [(3, 4)]})


def test_ids_that_were_filled_after_they_began_anew_are_not_open_before() -> None:
    old, new = CHAIN.number, renumbered(CHAIN.number)
    bundles = [memoryview(encode_bundle([wire.batch_of(T, late(5), old)]))]  # and a ``Reset`` that was dropped
    found = before_kept(bundles, {T: (new, 3)}, {T: (new, [(1, 2)])})
    assert opened(found) == {T: [(5, 5)]}
    assert found.open[T][0] == old
    published = {T: PublishedPosition(8, [(1, 2)], new)}
    assert found.unknown_to_us(published) == {T: (new, [(1, 2)])}


def test_of_a_numbering_that_an_aggregator_does_not_know_all_ids_are_forgotten() -> None:
    old, new = CHAIN.number, renumbered(CHAIN.number)
    before = BeforeKept({T: (new, 3)}, {})
    published = {T: PublishedPosition(102, [], old)}
    assert before.forgotten(published, {T: (new, 1)}) == {T: (new, [(1, 3)])}
    assert before.forgotten(published, {}) == {}
    assert before.forgotten({T: PublishedPosition(3, [], new)}, {T: (new, 1)}) == {}
    assert BeforeKept({T: (old, 102)}, {}).forgotten(published, {T: (new, 1)}) == {}, "its bundles will come"


def test_a_reset_of_a_topic_that_stands_nowhere_tells_no_place() -> None:
    bundles = [memoryview(encode_bundle([wire.batch_of(T, [Reset(9, 1, 0)], renumbered(CHAIN.number))]))]
    assert before_kept(bundles, {}, {}) == BeforeKept({}, {})
