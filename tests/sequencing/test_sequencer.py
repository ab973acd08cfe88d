"""Our own numbers: consecutive for each topic, and the last guard of the venue's ids."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Trade,
    Void,
)
from k2workers.sequencing.coverage import MAX_CLOSED, NO_ID, PublishedPosition
from k2workers.sequencing.sequencer import Sequencer
from k2workers.venues.binance.futures_streams import NEWEST_TRADES
from k2workers.venues.binance.streams import BAR, BOOK, CHAIN, KINDS
from tests.support.batches import batch_of


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, number, number, number)


def published(sequencer: Sequencer, now_ns: int = 9) -> list[tuple[wire.Header, list[Event]]]:
    """What is published of all that was taken."""
    frames = [frame for _, _, frame in sequencer.publish(now_ns)]
    return [(header, wire.decode_events(frame, header)) for frame in frames for header in [wire.read_header(frame)]]


def stamped(
    sequencer: Sequencer, *events: Event, topic: str = "t", continuity: Continuity | None = None
) -> list[Event]:
    """What is published of one batch."""
    sequencer.take(batch_of(topic, events, continuity), 9)
    return [event for _, batch in published(sequencer) for event in batch]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.booleans()), max_size=40))
def test_published_ids_never_go_back_and_every_hole_is_announced_once(batches: list[tuple[int, int, bool]]) -> None:
    sequencer, events, late, sequences = Sequencer(1), list[Event](), list[Event](), list[int]()
    for first, count, publishes in [*batches, (60, 1, True)]:
        sequencer.take(batch_of("t", [trade(number) for number in range(first, first + count)]), 9)
        for header, batch in published(sequencer) if publishes else []:
            sequences.append(header.sequence)
            (late if isinstance(batch[0], Backfilled) else events).extend(batch)
            assert (header.count, header.first_id, header.last_id) == (len(batch), batch[0].first_id, batch[-1].last_id)
    assert sequences == list(range(1, len(sequences) + 1))
    assert all(later.first_id == earlier.last_id + 1 for earlier, later in itertools.pairwise(events))
    missing = {
        number for event in events if isinstance(event, Gap) for number in range(event.first_id, event.last_id + 1)
    }
    filled = [event.first_id for event in late]
    assert len(set(filled)) == len(filled)
    assert missing.issuperset(filled)
    assert sequencer.gaps == sum(isinstance(event, Gap) for event in events)
    assert sequencer.events + sequencer.old_events == sum(count for _, count, _ in batches) + 1


def test_what_was_taken_between_two_publications_goes_out_as_one_batch_of_each_type() -> None:
    sequencer = Sequencer(1)
    for first in (1, 5, 20):
        sequencer.take(batch_of("t", [trade(number) for number in range(first, first + 4)]), 9)
    sequencer.take(batch_of("u", [trade(1)]), 9)
    out = published(sequencer)
    assert [(header.topic, header.sequence, header.count) for header, _ in out] == [
        ("t", 1, 8), ("t", 2, 1), ("t", 3, 4), ("u", 1, 1),
    ]  # fmt: skip
    assert out[0][1] == [trade(number) for number in range(1, 9)]
    assert out[1][1] == [Gap(9, 19, "between workers", 9)]
    assert published(sequencer) == []


def test_a_new_worker_that_begins_later_is_announced() -> None:
    sequencer = Sequencer(7)
    stamped(sequencer, trade(1), trade(2))
    sequencer.take(batch_of("t", [trade(6)]), 11)
    (gap_header, gap), (header, events) = published(sequencer, 12)
    assert gap == [Gap(3, 5, "between workers", 11)]
    assert (gap_header.sequence, header.sequence, header.epoch, header.publish_ns) == (2, 3, 7, 12)
    assert events == [trade(6)]
    assert sequencer.topics["t"].open.ids == 3


def test_a_batch_that_was_published_before_is_dropped() -> None:
    sequencer = Sequencer(1)
    assert stamped(sequencer, trade(1), trade(2)) == [trade(1), trade(2)]
    assert stamped(sequencer, trade(1), trade(2)) == []
    assert sequencer.old_events == 2


def test_depth_that_overlaps_is_trimmed_to_what_is_new() -> None:
    sequencer = Sequencer(1)
    stamped(sequencer, DepthUpdate(1, 5, [], [], 0, 0))
    again = [
        DepthUpdate(1, 5, [], [], 0, 0),
        DepthUpdate(4, 8, [("1", "2")], [], 0, 0),
        DepthUpdate(9, 9, [], [], 0, 0),
    ]
    sequencer.take(batch_of("t", again), 0)
    ((header, events),) = published(sequencer)
    assert [(event.first_id, event.last_id) for event in events] == [(6, 8), (9, 9)]
    assert (header.first_id, header.last_id, header.count) == (6, 9, 2)


def test_ids_that_may_jump_are_left_alone() -> None:
    sequencer = Sequencer(1)
    for update_id in (5, 100):
        assert len(stamped(sequencer, BookTicker(update_id, "", "", "", "", 0))) == 1
    assert sequencer.gaps == 0


def test_a_gap_announced_by_a_worker_counts_and_continues_the_chain() -> None:
    sequencer = Sequencer(1)
    stamped(sequencer, trade(1))
    stamped(sequencer, Gap(2, 4, "not received", 0))
    assert stamped(sequencer, trade(5)) == [trade(5)]
    assert (sequencer.gaps, sequencer.topics["t"].open.ids, sequencer.topics["t"].count) == (1, 3, 2)


def test_a_gap_of_a_worker_stays_open_until_it_is_filled_or_void() -> None:
    sequencer = Sequencer(1)
    stamped(sequencer, trade(1))
    assert stamped(sequencer, Gap(2, 5, "", 0)) == [Gap(2, 5, "", 0)]
    assert stamped(sequencer, trade(6)) == [trade(6)]
    assert sequencer.positions() == {"t": PublishedPosition(6, [(2, 5)], CHAIN.number)}
    late = [Backfilled(trade(2)), Backfilled(trade(3)), Backfilled(trade(9))]
    assert stamped(sequencer, *late) == late[:2]
    assert stamped(sequencer, *late) == []
    assert stamped(sequencer, Void(4, 5, 0)) == [Void(4, 5, 0)]
    assert stamped(sequencer, Void(4, 5, 0)) == []
    assert (sequencer.gaps, sequencer.gaps_open, sequencer.repaired_ids, sequencer.void_ids) == (1, 0, 2, 2)


def test_a_gap_or_void_that_was_told_before_is_trimmed_or_dropped() -> None:
    sequencer = Sequencer(1)
    stamped(sequencer, trade(5))
    assert stamped(sequencer, Gap(3, 5, "", 0)) == []
    assert stamped(sequencer, Gap(4, 8, "", 0)) == [Gap(6, 8, "", 0)]
    assert stamped(sequencer, Void(9, 9, 0)) == [Void(9, 9, 0)]
    assert stamped(sequencer, Gap(12, 12, "", 0)) == [Gap(10, 11, "between workers", 9), Gap(12, 12, "", 0)]
    assert sequencer.found_holes == {"t": (CHAIN.number, [(10, 11)])}, "the worker does not know of this one"


def test_a_book_heals_its_topic_unless_it_is_older_than_what_was_published() -> None:
    sequencer = Sequencer(1)
    for event in (DepthUpdate(1, 3, [], [], 0, 0), Gap(4, 6, "", 0), DepthUpdate(7, 9, [], [], 0, 0)):
        stamped(sequencer, event)
    assert stamped(sequencer, BookSnapshot(8, [], [], 0)) == []
    assert sequencer.gaps_open == 1
    assert stamped(sequencer, BookSnapshot(9, [], [], 0)) == [BookSnapshot(9, [], [], 0)]
    assert (sequencer.gaps_open, sequencer.topics["t"].count) == (0, 2)


def test_topics_with_open_gaps_are_named_with_what_is_missing_but_only_so_many() -> None:
    sequencer = Sequencer(1)
    for topic, gaps in (("a", [(2, 4), (6, 6)]), ("whole", []), ("b", [(2, 2)])):
        stamped(sequencer, trade(1), topic=topic)
        for first, last in gaps:
            stamped(sequencer, Gap(first, last, "", 0), topic=topic)
            stamped(sequencer, trade(last + 1), topic=topic)
    assert (sequencer.missing(9), sequencer.missing(1)) == ({"a": 4, "b": 1}, {"a": 4})


def test_latest_values_that_come_again_are_trimmed() -> None:
    sequencer = Sequencer(1)
    tickers = [BookTicker(number, "", "", "", "", 0) for number in (3, 5, 8)]
    assert stamped(sequencer, *tickers[:2]) == tickers[:2]
    assert stamped(sequencer, *tickers) == tickers[2:]
    assert stamped(sequencer, *tickers) == []


def test_states_of_a_bar_may_come_as_often_as_the_venue_sends_them() -> None:
    sequencer = Sequencer(1)
    bar = Kline(60, 119, "", "", "", "", "", "", "", "", 0, 0, 0, False, 1, 0)
    assert stamped(sequencer, bar) == stamped(sequencer, bar) == [bar]
    assert stamped(sequencer, Gap(60, 999_999, "", 0), continuity=BAR) == [Gap(60, 999_999, "", 0)]
    assert stamped(sequencer, Backfilled(bar)) == [Backfilled(bar)]
    assert sequencer.gaps_open == 0


def test_a_restored_sequencer_continues_and_a_worker_may_send_from_earlier() -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"t": PublishedPosition(10, [(4, 5)]), "u": PublishedPosition(7, [])})
    sequencer.rewind({"t": (CHAIN.number, 8), "new": (CHAIN.number, 3)}, {}, {}, {})
    assert stamped(sequencer, trade(9), trade(10), trade(11)) == [trade(9), trade(10), trade(11)]
    sequencer.rewind({"t": (CHAIN.number, 2)}, {}, {}, {})
    assert stamped(sequencer, trade(9)) == [], "this life has published it"
    assert stamped(sequencer, trade(7), topic="u") == []
    assert stamped(sequencer, trade(5), topic="new") == [Gap(4, 4, "between workers", 9), trade(5)]
    assert sequencer.positions()["t"] == PublishedPosition(11, [(4, 5)], CHAIN.number)


def test_between_the_voids_of_a_batch_lie_ids_that_are_none() -> None:
    sequencer = Sequencer(1)
    stamped(sequencer, trade(1))
    stamped(sequencer, Gap(2, 9, "", 0))
    assert stamped(sequencer, trade(10)) == [trade(10)]
    assert stamped(sequencer, Void(5, 5, 0), Void(9, 9, 0)) == [Void(5, 5, 0), Void(9, 9, 0)]
    assert stamped(sequencer, Void(5, 5, 0), Void(8, 8, 0), Void(11, 11, 0)) == [Void(8, 8, 0), Void(11, 11, 0)]
    assert (sequencer.void_ids, sequencer.old_events) == (4, 1)
    assert sequencer.positions() == {
        "t": PublishedPosition(11, [(2, 4), (6, 7)], CHAIN.number, closed=[(5, 5), (8, 9), (11, 11)])
    }


def test_a_topic_that_is_to_begin_with_its_id_0_misses_what_comes_before_a_later_one() -> None:
    sequencer = Sequencer(1)
    sequencer.rewind({"t": (CHAIN.number, -1)}, {}, {}, {})
    assert stamped(sequencer, trade(4)) == [Gap(0, 3, "between workers", 9), trade(4)]


def test_a_restored_topic_knows_how_its_ids_continue_before_anything_comes() -> None:
    first, second = Sequencer(1), Sequencer(2)
    stamped(first, trade(1))
    second.restore(first.positions() | {"newer": PublishedPosition(5, [], 5)})
    assert second.topics["t"].chained
    assert not second.topics["newer"].chained
    assert stamped(second, Void(4, 5, 0)) == [Gap(2, 3, "between workers", 9), Void(4, 5, 0)]


@pytest.mark.parametrize("announced", [Void(151, 152, 0), Gap(151, 152, "", 0)], ids=["Void", "Gap"])
@pytest.mark.parametrize("restored", [False, True])
def test_neither_a_void_nor_a_gap_jumps_over_ids(announced: Event, *, restored: bool) -> None:
    sequencer = Sequencer(1)
    assert stamped(sequencer, trade(100)) == [trade(100)]
    if restored:
        earlier, sequencer = sequencer, Sequencer(2)
        sequencer.restore(earlier.positions())
    assert stamped(sequencer, announced) == [Gap(101, 150, "between workers", 9), announced]
    assert stamped(sequencer, trade(153)) == [trade(153)]
    assert sequencer.found_holes == {"t": (CHAIN.number, [(101, 150)])}


def test_a_worker_that_had_to_give_something_up_says_from_where_and_it_counts_if_nothing_better_is_known() -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"known": PublishedPosition(9, [])})
    at = CHAIN.number, 4
    sequencer.rewind({}, {"known": at, "new": at}, {"new": (CHAIN.number, [(2, 3), (6, 6)])}, {})
    assert stamped(sequencer, trade(11), topic="known") == [Gap(10, 10, "between workers", 9), trade(11)]
    assert stamped(sequencer, trade(7), topic="new") == [Gap(5, 6, "between workers", 9), trade(7)]
    assert sequencer.positions()["new"].open == [(2, 3), (5, 6)]


def test_ids_that_a_worker_will_still_send_are_open_in_a_new_life_and_only_there() -> None:
    sequencer = Sequencer(2)
    sequencer.rewind(
        {"t": (CHAIN.number, 8)}, {}, {"t": (CHAIN.number, [(3, 4), (8, 11)]), "bars": (BAR.number, [(0, 59)])}, {}
    )
    assert stamped(sequencer, Backfilled(trade(4)), Backfilled(trade(9))) == [Backfilled(trade(4))]
    sequencer.rewind({"t": (CHAIN.number, 8)}, {}, {"t": (CHAIN.number, [(1, 2)])}, {})
    assert list(sequencer.topics["t"].open) == [(3, 3), (8, 8)]
    assert list(sequencer.topics["bars"].open) == [(0, 59)]


def test_a_position_tells_whether_the_topic_has_had_a_book_in_any_life() -> None:
    first, second = Sequencer(1), Sequencer(2)
    stamped(first, DepthUpdate(1, 3, [], [], 0, 0))
    assert not first.positions()["t"].whole
    stamped(first, BookSnapshot(3, [], [], 0))
    second.restore(first.positions())
    stamped(second, DepthUpdate(4, 6, [], [], 0, 0))
    assert first.positions()["t"].whole
    assert second.positions()["t"].whole


def test_a_position_among_bars_tells_which_bar_is_next() -> None:
    def bar(opens: int, *, final: bool) -> Kline:
        return Kline(opens, opens + 59_000_000, "", "", "", "", "", "", "", "", 0, 0, 0, final, opens + 1, 0)

    minute = 60_000_000
    sequencer = Sequencer(1)

    def following(*events: Event) -> int:
        """The next id of a position after these, and that of one that was restored from it."""
        stamped(sequencer, *events, continuity=BAR)
        positions = sequencer.positions()
        restored = Sequencer(2)
        restored.restore(positions)
        assert restored.positions() == positions
        return positions["t"].next_id

    assert following(bar(0, final=False)) == 0
    assert following(bar(0, final=True), bar(minute, final=True)) == 2 * minute
    assert following(bar(0, final=True)) == 2 * minute, "it came again"
    assert following(Gap(2 * minute, 4 * minute - 1, "", 0)) == 4 * minute
    sequencer.take(wire.Batch("t", 7, 1, 4 * minute, 4 * minute, BAR.number, b"no events"), 9)
    assert sequencer.positions()["t"].last_id == 4 * minute


# ── ids that begin anew, and ids that are given up ──────────────────────────────────────────────────────────

OLD, NEW = CHAIN.number, renumbered(CHAIN.number)


def taken(sequencer: Sequencer, number: int, *events: Event) -> list[Event]:
    """What is published of one batch with this continuity number."""
    sequencer.take(wire.batch_of("t", events, number), 9)
    return [event for _, batch in published(sequencer) for event in batch]


def test_ids_that_begin_anew_are_not_old_and_those_before_are() -> None:
    sequencer = Sequencer(1)
    taken(sequencer, OLD, trade(7), trade(8))
    taken(sequencer, OLD, Gap(9, 10, "", 0))
    assert taken(sequencer, NEW, Reset(10, 1, 5)) == [Reset(10, 1, 5)]
    assert taken(sequencer, NEW, trade(1), trade(2)) == [trade(1), trade(2)]
    assert taken(sequencer, OLD, trade(11)) == taken(sequencer, NEW, Reset(10, 1, 5)) == []
    assert (sequencer.resets, sequencer.old_events, sequencer.gaps_open) == (1, 2, 0)
    assert sequencer.positions()["t"] == PublishedPosition(2, [], NEW)
    assert (sequencer.topics["t"].first_id, sequencer.topics["t"].count) == (1, 2)


def test_old_ids_that_never_came_are_announced_before_the_reset_and_no_worker_is_asked_for_them() -> None:
    sequencer = Sequencer(1)
    taken(sequencer, OLD, trade(7))
    assert taken(sequencer, NEW, Reset(10, 1, 5)) == [Gap(8, 10, "between workers", 9), Reset(10, 1, 5)]
    assert (sequencer.found_holes, sequencer.gaps, sequencer.gaps_open) == ({}, 1, 0)


@pytest.mark.parametrize(("begun", "first"), [({}, 4), ({"t": (NEW, 1)}, 1), ({"t": (OLD, 1)}, 4)])
def test_a_reset_that_was_lost_is_told_all_the_same_and_what_the_worker_lacks_is_named(
    begun: dict[str, tuple[int, int]], first: int
) -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"t": PublishedPosition(7, [], OLD)})
    sequencer.rewind({}, {"t": (OLD, 5)}, {}, begun)
    missing = [Gap(1, 3, "between workers", 9)] if first == 1 else []
    assert taken(sequencer, NEW, trade(4)) == [Reset(7, first, 9), *missing, trade(4)]
    assert sequencer.found_holes == ({"t": (NEW, [(1, 3)])} if missing else {})


def test_a_worker_may_send_again_what_was_before_its_ids_began_anew() -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"t": PublishedPosition(2, [(1, 1)], NEW)})
    sequencer.rewind({"t": (OLD, 9)}, {}, {"t": (OLD, [(3, 3)])}, {"t": (NEW, 1)})
    assert taken(sequencer, OLD, Backfilled(trade(3)), Backfilled(trade(1))) == [Backfilled(trade(3))]
    assert taken(sequencer, OLD, trade(10)) == [trade(10)]
    assert taken(sequencer, NEW, Reset(10, 1, 5)) == [Reset(10, 1, 5)]
    assert taken(sequencer, NEW, trade(1)) == [trade(1)]


def test_the_latest_value_may_come_with_a_lower_id_once_ids_began_anew() -> None:
    sequencer, ticker = Sequencer(1), BookTicker(3, "", "", "", "", 0)
    latest = KINDS["book_ticker"].continuity.number
    taken(sequencer, latest, BookTicker(900, "", "", "", "", 0))
    assert taken(sequencer, latest, ticker) == []
    assert taken(sequencer, renumbered(latest), ticker) == [Reset(900, 3, 9), ticker]


def test_ids_that_may_never_have_existed_are_counted_apart_when_they_are_given_up() -> None:
    sequencer, number = Sequencer(1), NEWEST_TRADES.number
    taken(sequencer, number, trade(1))
    taken(sequencer, number, Gap(2, 9, "", 0))
    taken(sequencer, number, GivenUp(2, 9, "", 0))
    assert (sequencer.tally().gaps_given_up, sequencer.tally().unproven_gaps_given_up) == (1, 1)


def test_ids_that_are_given_up_are_missing_no_longer_and_still_come_late() -> None:
    sequencer = Sequencer(1)
    taken(sequencer, OLD, trade(1))
    taken(sequencer, OLD, Gap(2, 9, "", 0))
    given_up = GivenUp(4, 9, "", 0)
    assert taken(sequencer, OLD, given_up) == [given_up]
    assert taken(sequencer, OLD, given_up) == []
    assert (sequencer.gaps_given_up, list(sequencer.topics["t"].open)) == (1, [(2, 3)])
    assert (sequencer.tally().gaps_given_up, sequencer.tally().unproven_gaps_given_up) == (1, 0)
    second = Sequencer(2)
    second.restore(sequencer.positions())
    assert taken(second, OLD, Backfilled(trade(5))) == [Backfilled(trade(5))]
    assert taken(second, OLD, Backfilled(trade(5))) == []
    assert second.positions()["t"].closed == [(4, 4), (6, 9)]


def test_a_void_that_proves_wrong_is_corrected_and_what_is_remembered_of_voids_is_bounded() -> None:
    sequencer = Sequencer(1)
    taken(sequencer, OLD, trade(1))
    for number in range(2, 4 * MAX_CLOSED, 2):
        taken(sequencer, OLD, Void(number, number, 0))
        taken(sequencer, OLD, trade(number + 1))
    newest, forgotten = 4 * MAX_CLOSED - 2, 2
    assert len(sequencer.positions()["t"].closed) == MAX_CLOSED
    assert taken(sequencer, OLD, Backfilled(trade(newest))) == [Backfilled(trade(newest))]
    assert taken(sequencer, OLD, Backfilled(trade(newest))) == taken(sequencer, OLD, Backfilled(trade(forgotten))) == []


def test_a_void_never_jumps_over_ids_that_will_come_again() -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"t": PublishedPosition(100, [(50, 60)], OLD, closed=[(70, 70)])})
    sequencer.rewind({"t": (OLD, 40)}, {}, {}, {})
    assert taken(sequencer, OLD, Void(55, 55, 0)) == [Gap(41, 54, "between workers", 9), Void(55, 55, 0)]
    assert taken(sequencer, OLD, trade(56)) == [trade(56)]
    assert sequencer.positions()["t"] == PublishedPosition(56, [(41, 54)], OLD, closed=[(55, 55)])


def test_late_events_do_not_show_how_far_their_topic_is() -> None:
    sequencer = Sequencer(1)
    late = Kline(60_000_000, 119_000_000, "", "", "", "", "", "", "", "", 0, 0, 0, True, 1, 0)
    sequencer.rewind({}, {}, {"t": (BAR.number, [(60_000_000, 119_999_999)])}, {})
    assert stamped(sequencer, Backfilled(late)) == [Backfilled(late)]
    assert sequencer.topics["t"].last_id == NO_ID
    assert sequencer.repaired_ids == 1, "a bar counts as one, not the ns in it"


def test_a_void_among_bars_counts_as_one() -> None:
    sequencer = Sequencer(1)
    late = Kline(60_000_000, 119_000_000, "", "", "", "", "", "", "", "", 0, 0, 0, True, 1, 0)
    stamped(sequencer, late)
    void = Void(120_000_000, 179_999_999, 0)
    assert taken(sequencer, BAR.number, void) == [void]
    assert sequencer.void_ids == 1


def test_of_a_numbering_that_nobody_here_knew_it_is_not_said_where_it_ended() -> None:
    sequencer = Sequencer(1)
    taken(sequencer, OLD, trade(7))
    assert taken(sequencer, renumbered(OLD, 2), trade(1)) == [Reset(NO_ID, 1, 9), trade(1)]


def test_holes_of_ids_before_they_began_anew_are_told_to_nobody() -> None:
    sequencer = Sequencer(1)
    sequencer.take(wire.batch_of("t", [trade(7)], OLD), 9)
    sequencer.take(wire.batch_of("t", [trade(9)], OLD), 9)
    assert sequencer.found_holes == {"t": (OLD, [(8, 8)])}
    sequencer.take(wire.batch_of("t", [Reset(9, 1, 0)], NEW), 9)
    assert sequencer.found_holes == {}
    sequencer.take(wire.batch_of("t", [trade(2)], NEW), 9)
    assert sequencer.found_holes == {"t": (NEW, [(1, 1)])}


def test_what_a_worker_still_hopes_for_of_other_ids_is_not_open_here() -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"t": PublishedPosition(100, [], OLD)})
    sequencer.rewind({}, {"t": (OLD, 100)}, {"t": (NEW, [(1, 1)])}, {"t": (NEW, 1)})
    assert sequencer.positions()["t"].open == []


@pytest.mark.parametrize(("claimed", "begins"), [((OLD, 8), 9), ((OLD, 14), 11), ((NEW, 3), 11)])
def test_a_worker_may_send_from_earlier_but_its_word_leaves_out_no_id(claimed: tuple[int, int], begins: int) -> None:
    sequencer = Sequencer(2)
    sequencer.restore({"t": PublishedPosition(10, [], OLD)})
    sequencer.rewind({"t": claimed}, {}, {}, {})
    assert sequencer.positions()["t"].last_id + 1 == begins


def test_a_topic_whose_ids_began_anew_has_had_no_book_of_the_new_ones() -> None:
    sequencer, book = Sequencer(1), wire.batch_of("t", [BookSnapshot(9, [], [], 0)], BOOK.number)
    sequencer.take(book, 0)
    assert sequencer.positions()["t"].whole
    sequencer.take(wire.batch_of("t", [Reset(9, 1, 0)], renumbered(BOOK.number)), 0)
    assert not sequencer.positions()["t"].whole


def test_what_a_checkpoint_does_not_reach_is_missing_also_if_a_worker_knows_that_it_was_published() -> None:
    sequencer = Sequencer(1)
    sequencer.restore({"t": PublishedPosition(5, [], CHAIN.number)})
    sequencer.rewind({"t": (CHAIN.number, 9)}, {}, {}, {})
    sequencer.take(batch_of("t", [Trade(10, "1", "1", True, 0, 0, 10)]), 0)
    assert sequencer.positions()["t"].open == sequencer.found_holes["t"][1] == [(6, 9)]


def test_a_batch_of_bars_that_was_published_before_does_not_pass_again() -> None:
    def bar(opens: int, *, final: bool) -> Kline:
        return Kline(opens, opens + 59_000_000, "", "", "", "", "", "", "", "", 0, 0, 0, final, opens + 1, 0)

    sequencer = Sequencer(2)
    first, second = bar(0, final=True), bar(60_000_000, final=False)
    sequencer.restore({"t": PublishedPosition(60_000_000, [], BAR.number, next_id=60_000_000)})
    assert stamped(sequencer, first) == []
    assert sequencer.old_events == 1
    assert stamped(sequencer, second) == [second], "whether this state is new only the subscriber can tell"


def test_gaps_that_a_worker_knew_of_are_told_to_the_next_one_although_nothing_else_is_known() -> None:
    sequencer = Sequencer(2)
    sequencer.rewind({}, {}, {"t": (BAR.number, [(60, 119)])}, {})
    assert sequencer.positions()["t"] == PublishedPosition(NO_ID, [(60, 119)], BAR.number)


def test_bars_that_a_worker_passes_over_that_did_not_know_where_they_stood_are_announced() -> None:
    def bar(opens: int) -> Kline:
        return Kline(opens, opens + 59_000_000, "", "", "", "", "", "", "", "", 0, 0, 0, True, opens + 1, 0)

    for next_id, missing in ((60_000_000, (60_000_000, 179_999_999)), (0, (0, 179_999_999)), (180_000_000, None)):
        sequencer = Sequencer(2)
        sequencer.restore({"t": PublishedPosition(0, [], BAR.number, next_id=next_id)})
        found = stamped(sequencer, bar(180_000_000))
        assert [(event.first_id, event.last_id) for event in found if isinstance(event, Gap)] == (
            [missing] if missing else []
        )
        assert sequencer.found_holes == ({"t": (BAR.number, [missing])} if missing else {})
        assert found[-1] == bar(180_000_000)
        assert stamped(sequencer, bar(360_000_000)) == [bar(360_000_000)], "a worker tells of its own holes"


def test_a_later_life_counts_on_from_what_the_checkpoint_holds_and_counts_nothing_twice() -> None:
    first = Sequencer(1)
    stamped(first, *(trade(number) for number in (5, 6)))
    stamped(first, trade(9), topic="u")
    positions, tally = first.positions(), first.tally()
    assert (tally.events, tally.topics) == (3, {"t": (5, 2), "u": (9, 1)})
    stamped(first, trade(7))  # after the checkpoint: it comes again
    second = Sequencer(2)
    second.restore(positions)
    second.count_on(msgspec.structs.replace(tally, topics={**tally.topics, "gone": (1, 1)}))
    stamped(second, trade(7))
    stamped(second, trade(10))  # 8 and 9 are lacking
    found = second.tally()
    assert (found.events, found.gaps, found.topics) == (5, 1, {"t": (5, 4), "u": (9, 1)})
    assert second.events == 2, "the metrics count this life"


def test_a_continuity_that_only_a_newer_version_knows_is_named_with_its_topic() -> None:
    batch = msgspec.structs.replace(batch_of("t", [trade(1)]), continuity=2**15 - 1)
    with pytest.raises(wire.WireError, match="topic t: continuity"):
        Sequencer(1).take(batch, 9)


def test_the_sequencer_in_python_takes_no_bundle_by_its_bytes() -> None:
    assert not Sequencer(1).take_plain(b"\x90", 0)
