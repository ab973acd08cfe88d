"""What kept bundles tell about where topics stood before them."""

from __future__ import annotations

from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Event, Gap, Trade, Void
from k2workers.sequencing.ranges import IdRanges
from k2workers.transport.kept_bundles import BeforeKept, GivenUp, before_kept
from k2workers.wire import encode_bundle
from tests.support.batches import batch_of
from tests.transport.support import batch, trades

T = "binance.trade.BTCUSDT"


def late(*numbers: int) -> list[Event]:
    return [Backfilled(Trade(number, "1", "1", True, 0, 0, number)) for number in numbers]


def of(*batches: list[Event], last_id: int, open_gaps: dict[str, list[tuple[int, int]]] | None = None) -> BeforeKept:
    bundles = [memoryview(encode_bundle([batch_of(T, events)])) for events in batches]
    return before_kept(bundles, {T: last_id}, open_gaps or {})


def opened(found: BeforeKept) -> dict[str, list[tuple[int, int]]]:
    return {topic: list(ranges) for topic, ranges in found.open.items()}


def test_nothing_kept_is_where_topics_stand_now() -> None:
    found = of(last_id=9, open_gaps={T: [(3, 4)]})
    assert (found.last_ids, opened(found)) == ({T: 9}, {T: [(3, 4)]})


def test_ids_before_the_oldest_event_or_gap_that_is_kept() -> None:
    assert of([Gap(5, 6, "", 0)], [Trade(7, "1", "1", True, 0, 0, 0)], last_id=7).last_ids == {T: 4}


def test_what_was_pushed_last_may_have_been_refused() -> None:
    assert of([Trade(7, "1", "1", True, 0, 0, 0)], last_id=99).last_ids == {T: 6}


def test_a_void_counts_if_its_topic_continues_with_it() -> None:
    found = of([Void(5, 6, 0)], [Void(2, 3, 0)], [Trade(7, "1", "1", True, 0, 0, 0)], last_id=7)
    assert (found.last_ids, opened(found)) == ({T: 4}, {T: [(2, 3)]})


def test_late_events_are_of_ids_that_were_open_and_a_book_tells_nothing() -> None:
    found = of(late(3, 8), [BookSnapshot(9, [], [], 0)], [DepthUpdate(10, 12, [], [], 0, 0)], last_id=12)
    assert (found.last_ids, opened(found)) == ({T: 9}, {T: [(3, 3), (8, 8)]})


def test_a_topic_without_a_chain_has_no_place() -> None:
    bundles = [memoryview(encode_bundle([trades(5, topic="other")]))]
    assert before_kept(bundles, {T: 1}, {}).last_ids == {T: 1}


def test_what_an_aggregator_lacks_and_nobody_will_send() -> None:
    found = BeforeKept({T: 10, "quiet": 5}, {T: IdRanges([(3, 4)])})
    announced = {T: [(2, 4), (8, 20)], "quiet": [], "of another worker": [(1, 1)]}
    assert found.unknown_to_us(announced) == {T: [(2, 2), (8, 10)]}


def test_what_was_given_up_counts_until_later_ids_are_acknowledged() -> None:
    given_up = GivenUp()
    assert not given_up
    given_up.add([trades(5), batch_of(T, late(2)), trades(8)])
    assert (given_up.before(T), given_up.before("other")) == (4, None)
    given_up.forgive([trades(6), trades(1, topic="other"), batch_of(T, late(9))])
    assert given_up.before(T) == 7
    given_up.forgive([trades(9)])
    assert (bool(given_up), given_up.before(T)) == (False, None)


def test_what_was_given_up_of_a_topic_without_a_chain_is_not_remembered() -> None:
    given_up = GivenUp()
    given_up.add([batch(3), batch(7)])
    assert not given_up
