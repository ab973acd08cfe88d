"""Klines: the latest state wins, and no final state is skipped, unless a Gap says so."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from k2workers.events import Backfilled, Event, Gap, Kline, Void, covered_ids
from k2workers.sequencing.bar_lane import MAX_HELD_BARS, BarLane
from k2workers.sequencing.coverage import NO_ID, PublishedPosition
from k2workers.sequencing.lane import Verdict

MS = 1_000_000
HOLD = 1_000


def bar(opens: int, at: int, *, final: bool = False) -> Kline:
    """A bar of 60 ms; times in ms."""
    return Kline(opens * MS, (opens + 59) * MS, "", "", "", "", "", "", "", "", 0, 0, 0, final, at * MS, 0)


def taken(lane: BarLane) -> list[Event]:
    return [event for run in lane.pop_ready() for event in run]


def offered(*bars: Kline) -> tuple[BarLane, list[Verdict]]:
    lane = BarLane("t")
    return lane, [lane.offer(each, 0, HOLD) for each in bars]


def test_states_of_a_bar_only_move_on() -> None:
    lane, verdicts = offered(
        bar(0, 10), bar(0, 10), bar(0, 20), bar(0, 60, final=True), bar(0, 60, final=True), bar(60, 61)
    )
    accepted, duplicate = Verdict.ACCEPTED, Verdict.DUPLICATE
    assert verdicts == [accepted, duplicate, accepted, accepted, duplicate, accepted]
    assert [event.first_id // MS for event in taken(lane)] == [0, 0, 0, 60]


def test_a_final_state_follows_the_last_update_though_it_has_the_same_time() -> None:
    lane, verdicts = offered(bar(0, 60), bar(0, 60, final=True))
    assert verdicts == [Verdict.ACCEPTED, Verdict.ACCEPTED]
    assert taken(lane) == [bar(0, 60), bar(0, 60, final=True)]


def test_the_next_bar_waits_for_the_final_state_of_the_one_before() -> None:
    lane, verdicts = offered(bar(0, 10), bar(60, 70), bar(60, 80), bar(60, 75))
    assert verdicts[1:] == [Verdict.HELD, Verdict.HELD, Verdict.DUPLICATE]
    assert lane.wanted() == [(0, 60 * MS - 1)]
    assert lane.fill([bar(0, 60, final=True)], 0)
    assert taken(lane) == [bar(0, 10), bar(0, 60, final=True), bar(60, 80)]
    assert lane.deadline_ns is None


def test_a_final_state_that_does_not_come_is_announced_and_filled_late() -> None:
    lane, _ = offered(bar(0, 10), bar(120, 130))
    assert not lane.expire(HOLD - 1)
    assert lane.expire(HOLD)
    assert taken(lane) == [bar(0, 10), Gap(0, 120 * MS - 1, "not received", 0), bar(120, 130)]
    assert lane.fill([bar(0, 60, final=True), bar(60, 120, final=True)], 0)
    assert taken(lane) == [Backfilled(bar(0, 60, final=True)), Backfilled(bar(60, 120, final=True))]
    assert lane.wanted() == []
    assert lane.offer(bar(60, 120, final=True), 0, HOLD) is Verdict.DUPLICATE
    assert (lane.gaps, lane.missing, lane.repaired) == (1, 2, 2), "bars are counted, not the ns in them"


def test_bars_that_could_not_be_sent_count_as_bars() -> None:
    lane, _ = offered(bar(0, 60, final=True), bar(60, 120, final=True))
    lane.take_back(taken(lane))
    assert (lane.gaps, lane.missing) == (1, 2)


def test_a_bar_that_never_was_is_void() -> None:
    lane, _ = offered(bar(0, 60, final=True), bar(120, 130))
    assert lane.wanted() == [(60 * MS, 120 * MS - 1)]
    lane.fill([Void(60 * MS, 120 * MS - 1, 5)], 0)
    assert taken(lane) == [bar(0, 60, final=True), Void(60 * MS, 120 * MS - 1, 5), bar(120, 130)]
    late, _ = offered(bar(0, 60, final=True), bar(120, 130))
    late.expire(HOLD)
    late.fill([Void(0, 500 * MS, 5)], 0)
    assert taken(late)[-1] == Void(60 * MS, 120 * MS - 1, 5)


def test_a_line_that_is_late_still_fills_the_gap() -> None:
    lane, _ = offered(bar(0, 10), bar(60, 70))
    lane.expire(HOLD)
    assert lane.offer(bar(0, 60, final=True), 0, HOLD) is Verdict.ACCEPTED
    assert taken(lane)[-1] == Backfilled(bar(0, 60, final=True))


def test_a_resumed_lane_asks_for_the_bar_that_may_not_have_ended() -> None:
    lane = BarLane("t")
    lane.resume(PublishedPosition(0, []))
    lane.offer(bar(60, 70), 0, HOLD)
    assert lane.wanted() == [(0, 60 * MS - 1)]


def test_a_resumed_lane_does_not_ask_for_a_bar_whose_final_state_was_published() -> None:
    lane = BarLane("t")
    lane.resume(PublishedPosition(0, [], next_id=60 * MS))
    assert lane.offer(bar(0, 60, final=True), 0, HOLD) is Verdict.DUPLICATE
    assert lane.offer(bar(60, 70), 0, HOLD) is Verdict.ACCEPTED
    assert lane.wanted() == []


def test_what_is_held_is_bounded() -> None:
    lane = BarLane("t")
    lane.offer(bar(0, 10), 0, HOLD)
    for number in range(1, MAX_HELD_BARS + 2):
        lane.offer(bar(number * 60, number * 60 + 59, final=True), 0, HOLD)
    assert lane.gaps == 1
    assert lane.deadline_ns is None


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 60), st.booleans()), max_size=40), st.integers(0, 1))
def test_final_bars_are_published_in_order_or_announced(steps: list[tuple[int, int, bool]], hold: int) -> None:
    lane = BarLane("t")
    for number, at, final in steps:
        lane.offer(bar(number * 60, number * 60 + (60 if final else at % 60), final=final), 0, hold * HOLD)
    lane.expire(HOLD)
    reached, known = None, set()
    for event in taken(lane):
        if isinstance(event, Gap):
            assert event.first_id == reached
            reached = event.last_id + 1
        elif isinstance(event, Kline):
            assert reached is None or event.first_id == reached
            reached = event.next_open_ns if event.final else event.first_id
        elif isinstance(event, Backfilled):
            assert event.first_id not in known
            known.add(event.first_id)


def test_a_bar_stands_for_all_times_until_the_next_one_opens() -> None:
    assert covered_ids(bar(60, 61)) == (60 * MS, 120 * MS - 1)
    assert covered_ids(Void(3, 4, 0)) == (3, 4)


def test_of_a_topic_of_which_only_the_gaps_are_known_these_are_filled() -> None:
    lane = BarLane("t")
    lane.resume(PublishedPosition(NO_ID, [(0, 60 * MS - 1)]))
    assert lane.wanted() == [(0, 60 * MS - 1)]
    lane.offer(bar(180, 190), 0, HOLD)
    lane.fill([bar(0, 60, final=True)], 0)
    assert taken(lane) == [bar(180, 190), Backfilled(bar(0, 60, final=True))]


def test_the_newest_trade_is_known_from_the_newest_state_that_tells_also_of_one_held() -> None:
    def traded(opens: int, at: int, last_trade_id: int, *, final: bool = False) -> Kline:
        return msgspec.structs.replace(bar(opens, at, final=final), last_trade_id=last_trade_id)

    lane = BarLane("t")
    assert lane.newest_trade_id is None
    lane.offer(traded(0, 10, 7), 0, HOLD)
    lane.offer(traded(0, 60, -1, final=True), 0, HOLD)
    assert lane.newest_trade_id == 7
    lane.offer(traded(120, 130, 9), 0, HOLD)
    lane.offer(traded(180, 181, -1), 0, HOLD)
    assert lane.newest_trade_id == 9
    lane.expire(HOLD)
    assert lane.newest_trade_id == 9


def test_a_fetched_bar_with_fewer_trades_than_were_seen_of_it_is_not_believed() -> None:
    def traded(opens: int, at: int, trades: int, *, final: bool = False) -> Kline:
        return msgspec.structs.replace(bar(opens, at, final=final), trade_count=trades)

    lane, _ = offered(traded(0, 10, 90), traded(60, 70, 40), traded(120, 130, 7))
    assert [lane.believes(traded(*each, final=True)) for each in ((0, 60, 89), (0, 60, 90))] == [False, True]
    assert [lane.believes(traded(*each, final=True)) for each in ((60, 120, 39), (60, 120, 40))] == [False, True]
    lane.expire(HOLD)
    assert list(lane.open) == [(0, 120 * MS - 1)]
    assert [lane.believes(traded(*each, final=True)) for each in ((0, 60, 89), (0, 60, 90))] == [False, True]
    assert [lane.believes(traded(*each, final=True)) for each in ((60, 120, 39), (60, 120, 40))] == [False, True]
    assert not lane.believes(traded(120, 180, 6, final=True))
    assert lane.believes(traded(180, 240, 0, final=True))
    assert lane.believes(Void(0, 1, 0))
    lane.fill([traded(0, 60, 90, final=True), traded(60, 120, 40, final=True)], 0)
    lane.offer(traded(240, 250, 1), 0, 0)
    assert not lane.believes(traded(120, 180, 6, final=True))
    assert lane.believes(traded(0, 60, 1, final=True)), "what is filled is forgotten"


def test_a_held_bar_inside_of_one_that_goes_on_is_dropped() -> None:
    lane, _ = offered(bar(0, 10), bar(60, 120, final=True), bar(90, 95))
    lane.offer(bar(0, 60, final=True), 0, HOLD)
    assert taken(lane) == [bar(0, 10), bar(0, 60, final=True), bar(60, 120, final=True)]
    assert (lane.duplicates, lane.deadline_ns, lane.wanted()) == (1, None, [])


def test_what_a_backfill_brings_between_held_bars_waits_for_what_is_before_it() -> None:
    lane, _ = offered(bar(0, 10), bar(60, 120, final=True), bar(120, 180, final=True), bar(240, 250))
    holes = [(0, 60 * MS - 1), (180 * MS, 240 * MS - 1)]
    taken(lane)
    for early in (Void(180 * MS, 240 * MS - 1, 5), bar(180, 240, final=True), bar(120, 180, final=True)):
        assert not lane.fill([early], 0)
        assert (taken(lane), lane.wanted()) == ([], holes)


def test_a_bar_is_never_judged_by_its_id_alone() -> None:
    lane, _ = offered(bar(0, 10))
    taken(lane)
    assert not lane.only_next
