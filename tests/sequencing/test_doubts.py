"""What does not fit its topic's position: copies, glitches and new lives of the ids, for every kind of lane."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2workers.events import (
    AggTrade,
    BlockTrade,
    BookSnapshot,
    BookTicker,
    DepthUpdate,
    Event,
    Gap,
    GivenUp,
    Kline,
    MiniTicker,
    Reset,
    Trade,
)
from k2workers.sequencing.bar_lane import BarLane
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.chain_lane import ChainLane
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.doubts import EXPECTED_RUN_NS, FAR_IDS, LONG_RUN, LONG_RUN_NS, MAX_RUN, made_field, made_ns
from k2workers.sequencing.lane import TOO_FAR, Lane, Verdict
from k2workers.sequencing.monotone_lane import MonotoneLane, TimeLane

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
YEAR = 365 * 86_400 * SECOND
HOLD = SECOND
WALL = 1_800_000_000 * SECOND
"""When all this happens, by the venue's clock and ours."""


def trade(number: int, at_s: float) -> Trade:
    at_ns = WALL + int(at_s * SECOND)
    return Trade(number, "1", "1", True, at_ns, at_ns, at_ns)


def aggregate(number: int, at_s: float) -> AggTrade:
    at_ns = WALL + int(at_s * SECOND)
    return AggTrade(number, number, number, "1", "1", True, at_ns, at_ns, at_ns)


def block(number: int, at_s: float) -> BlockTrade:
    at_ns = WALL + int(at_s * SECOND)
    return BlockTrade(number, "1", "1", True, at_ns, at_ns, at_ns)


def diff(number: int, at_s: float) -> DepthUpdate:
    at_ns = WALL + int(at_s * SECOND)
    return DepthUpdate(number, number, [("1", "1")], [], at_ns, at_ns)


def top(number: int, at_s: float) -> BookTicker:
    return BookTicker(number, "1", "1", "2", "1", WALL + int(at_s * SECOND))


def ticker(venue_s: float, at_s: float) -> MiniTicker:
    return MiniTicker("1", "1", "1", "1", "1", "1", WALL + int(venue_s * SECOND), WALL + int(at_s * SECOND))


def bar(minute: int, at_s: float, *, final: bool = False) -> Kline:
    opens, at_ns = WALL + minute * MINUTE, WALL + int(at_s * SECOND)
    return Kline(opens, opens + MINUTE - 1_000, "", "", "", "", "", "", "", "", 0, 0, 0, final, at_ns, at_ns)


def offer(lane: Lane, *events: Event) -> list[Event]:
    """Each at the time at which it was received; what the lane gives out."""
    given: list[Event] = []
    for event in events:
        now_ns = event.received_ns - WALL  # type: ignore[attr-defined]
        lane.offer_run([event], now_ns, HOLD)
        lane.expire(now_ns)
        given += [each for run in lane.pop_ready() for each in run]
    return given


Make = Callable[[int, float], Event]
NUMBERED: dict[str, tuple[Callable[[str], Lane], Make]] = {
    "trade": (ChainLane, trade),
    "agg_trade": (ChainLane, aggregate),
    "depth": (BookLane, diff),
    "block_trade": (MonotoneLane, block),
    "book_ticker": (MonotoneLane, top),
}

numbered = pytest.mark.parametrize(("make_lane", "make"), NUMBERED.values(), ids=NUMBERED)


# ── backwards ───────────────────────────────────────────────────────────────────────────────────────────────


@numbered
def test_ids_that_begin_anew_are_told_and_none_of_the_new_ones_is_lost(
    make_lane: Callable[[str], Lane], make: Make
) -> None:
    lane = make_lane("t")
    old = [make(900_000 + number, number / 10) for number in range(5)]
    new = [make(number, 10 + number / 10) for number in range(1, 101)]
    given = offer(lane, *old, *new)
    reset = given[5]
    assert given[:5] == old
    assert isinstance(reset, Reset)
    assert (reset.last_old_id, reset.first_new_id) == (900_004, 1)
    assert given[6:] == new
    assert lane.outliers == 0


def test_by_its_time_a_quiet_topic_s_second_event_is_enough_and_the_first_is_held() -> None:
    lane = ChainLane("t")
    assert offer(lane, trade(50, 0), trade(3, 600)) == [trade(50, 0)]
    assert lane.deadline_ns == 0
    reset = Reset(50, 3, trade(4, 1200).received_ns)
    assert offer(lane, trade(4, 1200)) == [reset, trade(3, 600), trade(4, 1200)]
    assert lane.deadline_ns is None


def test_what_came_at_once_after_the_old_ids_is_part_of_the_new_life() -> None:
    lane = ChainLane("t")
    new = [trade(number, 0.3 * number) for number in range(1, 9)]
    given = offer(lane, trade(50, 0), *new)
    assert [event for event in given if isinstance(event, Trade)] == [trade(50, 0), *new]


def test_one_event_behind_is_a_glitch_once_the_topic_goes_on() -> None:
    lane = ChainLane("t")
    given = offer(lane, trade(50, 0), trade(3, 5), trade(51, 6), trade(52, 7))
    assert given == [trade(50, 0), trade(51, 6), trade(52, 7)]
    assert (lane.outliers, lane.outlier, lane.duplicates) == (1, trade(3, 5), 0)


def test_two_events_behind_that_do_not_follow_each_other_are_no_run() -> None:
    lane = ChainLane("t")
    assert offer(lane, trade(50, 0), trade(3, 5), trade(9, 6), trade(2, 7), trade(7, 8)) == [trade(50, 0)]
    assert offer(lane, trade(51, 9)) == [trade(51, 9)]
    assert lane.outliers == 4


def test_a_run_may_have_holes_once_two_agree_and_what_two_lines_bring_of_it_counts_once() -> None:
    lane = ChainLane("t")
    lane.offer(trade(50, 0), 0, HOLD)
    for event in (trade(1, 0.1), trade(2, 0.2), trade(1, 0.1), trade(4, 0.4), trade(2, 0.2), trade(5, 2)):
        lane.offer(event, 0, HOLD)
    assert lane.wanted() == [(3, 3)]
    assert offer(lane, trade(3, 2)) == [
        trade(50, 0), Reset(50, 1, trade(5, 2).received_ns), *[trade(n, at_s) for n, at_s in ((1, 0.1), (2, 0.2), (3, 2), (4, 0.4), (5, 2))],
    ]  # fmt: skip


def test_a_late_event_fills_its_gap_but_one_of_a_new_life_does_not() -> None:
    lane = ChainLane("t")
    offer(lane, trade(1, 0), trade(5, 0), trade(6, 2))
    assert [type(event).__name__ for event in offer(lane, trade(2, 0))] == ["Backfilled"]
    assert offer(lane, trade(3, 9)) == []
    assert [type(event).__name__ for event in offer(lane, trade(4, 10))] == ["Reset", "Trade", "Trade"]


def test_what_was_held_as_a_new_life_and_was_only_late_fills_its_gap() -> None:
    lane = ChainLane("t")
    offer(lane, trade(1, 0), trade(5, 0), trade(6, 2), trade(3, 9))
    assert [type(event).__name__ for event in offer(lane, trade(7, 10))] == ["Trade", "Backfilled"]
    assert (lane.outliers, list(lane.open)) == (0, [(2, 2), (4, 4)])


def test_copies_are_never_a_new_life_however_many_come_after_the_other_line_has_ended() -> None:
    for make_lane, make in NUMBERED.values():
        lane = make_lane("t")
        had = [make(number, number / 100) for number in range(1, 2_000)]
        offer(lane, *had)
        for late_s, event in enumerate(had):  # the line is 20 s late, and then as fast as ever
            assert lane.offer(event, (20 * SECOND) + late_s * SECOND // 100, HOLD) is Verdict.DUPLICATE
        assert (lane.last_id, lane.ready, lane.duplicates) == (1_999, [], 1_999)


@numbered
def test_a_line_with_other_ids_beside_one_that_goes_on_changes_nothing(
    make_lane: Callable[[str], Lane], make: Make
) -> None:
    lane = make_lane("t")
    true = [make(10**9 + number, 3 * number) for number in range(30)]
    pairs = [(event, make(number, 3 * number + 1.5)) for number, event in enumerate(true)]
    for event in (event for pair in pairs for event in pair):
        lane.offer_run([event], event.received_ns - WALL, HOLD)  # type: ignore[attr-defined]
    assert lane.ready == true


def test_without_times_a_run_must_be_longer_than_any_lag_explains() -> None:
    lane = MonotoneLane("t")
    offer(lane, top(100_000, 0))
    for number in range(LONG_RUN - 1):
        assert lane.offer(top(number, 0), number * LONG_RUN_NS, HOLD) is Verdict.DUPLICATE
    assert lane.offer(top(LONG_RUN, 0), LONG_RUN * LONG_RUN_NS, HOLD) is Verdict.ACCEPTED
    fast = MonotoneLane("t")
    offer(fast, top(100_000, 0))
    for number in range(LONG_RUN * 10):
        assert fast.offer(top(number, 0), LONG_RUN_NS - 1, HOLD) is Verdict.DUPLICATE


def test_without_times_a_run_near_the_position_is_a_new_life_when_no_line_lags_so_long() -> None:
    lane = MonotoneLane("t")
    offer(lane, top(130, 0))
    verdicts = [lane.offer(top(number, 0), number * SECOND // 2, HOLD) for number in range(1, 200)]
    assert verdicts.index(Verdict.ACCEPTED) == 121
    assert lane.last_id == 199


def test_without_times_two_events_are_enough_where_other_ids_of_the_symbol_have_begun_anew() -> None:
    lane = MonotoneLane("t")
    offer(lane, top(100, 0))
    lane.expect_anew()
    assert lane.offer(top(7, 1), SECOND, HOLD) is Verdict.DUPLICATE
    assert lane.offer(top(8, 1), SECOND + EXPECTED_RUN_NS - 1, HOLD) is Verdict.DUPLICATE
    assert lane.offer(top(9, 1), SECOND + EXPECTED_RUN_NS, HOLD) is Verdict.ACCEPTED
    going_on = MonotoneLane("t")
    offer(going_on, top(100, 0))
    going_on.expect_anew()
    offer(going_on, top(101, 1))
    for number in (7, 8, 9):
        assert going_on.offer(top(number, 1), number * LONG_RUN_NS, HOLD) is Verdict.DUPLICATE


def test_without_times_two_events_below_where_the_topic_stood_a_minute_ago_are_a_new_life() -> None:
    for below, verdict in ((98, Verdict.ACCEPTED), (99, Verdict.DUPLICATE)):
        lane = MonotoneLane("t")
        offer(lane, top(100, 0))
        lane.pass_lag()
        offer(lane, top(1_000_000, 1))
        lane.pass_lag()
        lane.offer(top(below, 2), 2 * SECOND, HOLD)
        assert lane.offer(top(below + 1, 2), 4 * SECOND - 1, HOLD) is Verdict.DUPLICATE
        lane.offer(top(below - 1, 2), 2 * SECOND, HOLD)
        assert lane.offer(top(below + 1, 2), 4 * SECOND, HOLD) is verdict
        # Where it is known that a late line may bring them, the pace of the run proves nothing.
        near = [lane.offer(top(200 + n, 2), (10 + n) * SECOND, HOLD) for n in range(50)]
        assert (set(near) == {Verdict.DUPLICATE}) is (verdict is Verdict.DUPLICATE)


@pytest.mark.parametrize("wrong_s", [0.0, YEAR / SECOND])
def test_a_first_event_far_above_the_truth_is_no_yardstick(wrong_s: float) -> None:
    for make_lane, make in NUMBERED.values():
        lane = make_lane("t")
        offer(lane, msgspec.structs.replace(make(10**12, wrong_s), received_ns=WALL))
        true = [make(number, number / 10) for number in range(1, 31)]
        assert [event for event in offer(lane, *true) if isinstance(event, type(true[0]))] == true


@numbered
def test_after_a_restart_at_a_position_that_is_dead_the_new_ids_go_on(
    make_lane: Callable[[str], Lane], make: Make
) -> None:
    lane = make_lane("t")
    lane.resume(PublishedPosition(900_000, []))
    new = [make(number, number / 10) for number in range(1, 40)]
    reset, *given = offer(lane, *new)
    assert isinstance(reset, Reset)
    assert (reset.last_old_id, reset.first_new_id, given) == (900_000, 1, new)


@pytest.mark.parametrize("behind_s", [61, 300, 590])
def test_after_a_restart_copies_are_no_new_life_however_far_our_clock_is_behind(behind_s: int) -> None:
    for first in (995, 700):  # the line lags by half a second, or by half a minute
        lane = ChainLane("t")
        lane.resume(PublishedPosition(1_000, []))
        late_s = (1_000 - first) / 10
        sent = [
            msgspec.structs.replace(event, received_ns=event.received_ns + int((late_s - behind_s) * SECOND))
            for event in (trade(number, number / 10) for number in range(first, 1_004))
        ]
        for event in sent:
            lane.offer(event, event.received_ns - WALL, HOLD)
        assert lane.ready == sent[-3:]
        assert lane.outliers == 0


def test_after_a_restart_a_quiet_topic_s_second_event_is_enough_once_a_minute_has_passed() -> None:
    lane = ChainLane("t")
    lane.resume(PublishedPosition(100, []))
    assert offer(lane, trade(1, 0)) == []
    assert [event.last_id for event in offer(lane, trade(2, 61))] == [1, 1, 2]


def test_of_a_run_without_end_only_the_newest_are_kept_and_the_others_are_missing() -> None:
    lane = ChainLane("t")
    lane.resume(PublishedPosition(10 * MAX_RUN, []))
    for number in range(1, MAX_RUN + 2):
        lane.offer(trade(number, 0), 0, HOLD)
    lane.offer(trade(MAX_RUN + 2, 100), 0, HOLD)
    assert isinstance(lane.ready[0], Reset)
    assert lane.ready[0].first_new_id == 1
    assert lane.wanted() == [(1, MAX_RUN // 2)]


def test_the_venue_confirms_a_single_event_of_a_quiet_topic() -> None:
    lane = ChainLane("t")
    assert not lane.confirm([trade(3, 600)], 3, 0, HOLD)
    offer(lane, trade(50, 0))
    assert lane.doubted is None
    offer(lane, trade(3, 600))
    assert lane.doubted == trade(3, 600)
    assert not lane.confirm([trade(3, -600)], 3, 0, HOLD), "an old one of this id"
    assert not lane.confirm([trade(4, 600)], 4, 0, HOLD)
    assert lane.confirm([trade(2, 500), trade(3, 600)], None, 0, HOLD)
    assert [event.last_id for event in offer(lane, trade(4, 601))] == [3, 3, 4]
    assert not lane.confirm([trade(4, 601)], 4, 0, HOLD)


def test_what_the_venue_says_counts_only_while_the_topic_has_not_gone_on() -> None:
    lane = ChainLane("t")
    offer(lane, trade(50, 0), trade(3, 600))
    lane.offer(trade(51, 601), 0, HOLD)
    assert not lane.confirm([trade(3, 600)], 3, 0, HOLD)


def test_a_book_shows_no_new_life_of_a_run_that_is_over() -> None:
    lane = BookLane("t")
    offer(lane, diff(50, 0))
    assert lane.offer(diff(3, 600), 0, HOLD) is Verdict.HELD
    assert lane.doubted == diff(3, 600)
    lane.offer(diff(51, 601), 0, HOLD)
    assert lane.doubted is None
    assert not lane.offer_snapshot(BookSnapshot(10, [], [], 0)), "it is older than the diffs"
    assert (lane.last_id, [type(event) for event in lane.ready]) == (51, [DepthUpdate])


def test_after_a_restart_the_venue_confirms_a_run_if_it_has_nothing_as_new_as_the_position() -> None:
    lane = ChainLane("t")
    lane.resume(PublishedPosition(100, []))
    offer(lane, trade(1, 0), trade(2, 0.5))
    assert (lane.doubted, lane.last_id) == (None, 100), "too early to ask"
    offer(lane, trade(3, 1))
    assert (lane.doubted, lane.deadline_ns) == (trade(1, 0), 0)
    for newest_id in (100, 5_000, None):
        assert not lane.confirm([trade(1, 0)], newest_id, 0, HOLD)
    assert lane.confirm([trade(1, 0)], 3, 0, HOLD)
    assert [event.last_id for event in lane.ready] == [1, 1, 2, 3]
    late = ChainLane("t")
    late.resume(PublishedPosition(100, []))
    offer(late, trade(98, 0), trade(99, 2), trade(100, 3), trade(101, 4))
    assert (late.doubted, late.deadline_ns, late.outliers, late.duplicates) == (None, None, 0, 3)


# ── forwards ────────────────────────────────────────────────────────────────────────────────────────────────


@numbered
def test_one_event_far_ahead_is_a_glitch_and_the_topic_goes_on(make_lane: Callable[[str], Lane], make: Make) -> None:
    lane = make_lane("t")
    true = [make(number, number / 10) for number in range(1, 11)]
    given = offer(lane, *true[:5], make(10**12, 0.55), make(10**12, 0.56), *true[5:])
    assert given == true
    assert (lane.outliers, lane.gaps, lane.deadline_ns) == (1, 0, None)


def test_two_that_agree_far_ahead_are_the_truth_and_the_hole_is_told_but_not_asked_for() -> None:
    lane = ChainLane("t")
    far = 10**12
    given = offer(lane, trade(1, 0), trade(far, 1), trade(far + 1, 2))
    noticed_ns = trade(far, 1).received_ns
    hole = 2, far - 1
    assert given == [
        trade(1, 0), Gap(*hole, "not received", noticed_ns), GivenUp(*hole, TOO_FAR, noticed_ns), trade(far, 1), trade(far + 1, 2),
    ]  # fmt: skip
    assert (lane.wanted(), lane.outliers) == ([], 0)


def test_one_far_ahead_on_two_lines_is_one() -> None:
    lane = MonotoneLane("t")
    assert offer(lane, top(1, 0), top(10**12, 1), top(10**12, 2), top(2, 3)) == [top(1, 0), top(2, 3)]
    assert lane.outliers == 1


def test_a_glitch_that_a_late_line_brings_after_the_topic_has_gone_on_is_not_held_again() -> None:
    lane = ChainLane("t")
    assert offer(lane, trade(1, 0), trade(10**12, 1), trade(2, 2), trade(10**12, 1)) == [trade(1, 0), trade(2, 2)]
    assert (lane.deadline_ns, lane.outliers) == (None, 1)


@numbered
def test_glitches_that_a_late_line_brings_one_after_the_other_do_not_agree(
    make_lane: Callable[[str], Lane], make: Make
) -> None:
    lane = make_lane("t")
    glitches = [make(10**12 + number, number) for number in (1, 3, 5)]
    offer(lane, make(1, 0), glitches[0], make(2, 2), glitches[1], make(3, 4), glitches[2], make(4, 6))
    given = offer(lane, glitches[0], make(2, 2), glitches[1], make(3, 4), glitches[2], make(5, 7))
    assert given == [make(5, 7)]
    assert lane.outliers == 3


def test_two_far_ahead_that_do_not_agree_are_two_glitches() -> None:
    lane = ChainLane("t")
    given = offer(lane, trade(1, 0), trade(10**12, 1), trade(10**13, 2), trade(2, 3))
    assert given == [trade(1, 0), trade(2, 3)]
    assert lane.outliers == 2


def test_a_hole_as_wide_as_those_that_are_known_is_none_of_this() -> None:
    lane = ChainLane("t")
    offer(lane, trade(1, 0))
    assert lane.offer(trade(1 + FAR_IDS, 1), 0, HOLD) is Verdict.HELD
    assert lane.wanted() == [(2, FAR_IDS)]


def test_a_book_goes_on_far_ahead_and_waits_for_the_venue_s() -> None:
    lane = BookLane("t")
    given = offer(lane, diff(1, 0), diff(10**12, 1), diff(10**12 + 1, 2))
    assert given == [
        diff(1, 0), Gap(2, 10**12 - 1, "not received", diff(1, 1).received_ns), diff(10**12, 1), diff(10**12 + 1, 2),
    ]  # fmt: skip
    assert lane.awaits_fetch


def test_a_fetched_book_far_ahead_of_the_diffs_is_not_waited_for() -> None:
    lane = BookLane("t")
    offer(lane, diff(7, 0))
    assert not lane.offer_snapshot(BookSnapshot(10**12, [], [], 0))
    assert lane.awaits_fetch
    assert lane.offer_snapshot(BookSnapshot(7, [], [], 0))


def test_latest_values_follow_far_ahead_with_the_second() -> None:
    lane = MonotoneLane("t")
    assert offer(lane, top(1, 0), top(10**12, 1)) == [top(1, 0)]
    assert offer(lane, top(10**12 + 5, 2)) == [top(10**12, 1), top(10**12 + 5, 2)]


# ── times ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_ticker_a_year_ahead_is_a_glitch_also_as_the_first_one() -> None:
    lane = TimeLane("t")
    wrong, true = ticker(YEAR / SECOND, 0), [ticker(at_s, at_s) for at_s in (1, 2, 1_000, 9_000)]
    assert offer(lane, wrong, *true[:2], wrong, *true[2:]) == true
    assert lane.outliers == 1


def test_with_our_own_clock_wrong_by_a_day_tickers_follow_each_other() -> None:
    lane = TimeLane("t")
    true = [ticker(86_400 + at_s, at_s) for at_s in (1, 2, 3, 500)]
    assert offer(lane, *true) == true


@pytest.mark.parametrize("every_s", [2, 700])
def test_with_our_clock_behind_by_an_hour_no_event_of_a_topic_is_lost_however_seldom_they_come(every_s: int) -> None:
    behind_s = 3_600
    at = [40_000 + every_s * number for number in range(20)]
    tickers = [ticker(at_s, at_s - behind_s) for at_s in at]
    days = [
        msgspec.structs.replace(bar(0, at_s), close_time_ns=WALL + 86_400 * SECOND - 1, received_ns=WALL + (at_s - behind_s) * SECOND)
        for at_s in at
    ]  # fmt: skip
    for lane, sent in ((TimeLane("t"), tickers), (BarLane("t"), days)):
        assert offer(lane, *sent[:2]) == sent[:2], "the first waits for the second"
        for event in sent[2:]:
            assert offer(lane, event) == [event]
        assert lane.outliers == 0


def test_a_clock_that_is_set_back_by_an_hour_costs_a_ticker_the_time_until_the_next() -> None:
    lane = TimeLane("t")
    right, wrong = (
        [ticker(at_s, at_s) for at_s in (0, 700)],
        [ticker(at_s, at_s - 3_600) for at_s in (5_000, 5_700, 6_400)],
    )
    assert offer(lane, *right) == right
    assert [offer(lane, event) for event in wrong] == [[], wrong[:2], wrong[2:]]


def test_two_tickers_a_year_ahead_that_do_not_go_on_as_time_does_are_two_glitches() -> None:
    lane = TimeLane("t")
    true = [ticker(at_s, at_s) for at_s in (1, 700, 1_400)]
    wrong = [ticker(YEAR / SECOND + after_s, at_s) for after_s, at_s in ((0, 2), (1, 1_000))]
    assert offer(lane, true[0], wrong[0], true[1], wrong[1], true[2]) == true
    lane = TimeLane("t")
    assert offer(lane, *wrong, *true[2:]) == true[2:]
    assert lane.outliers == 2


def test_by_times_that_our_clock_does_not_believe_two_events_of_a_new_life_are_enough_too() -> None:
    lane = ChainLane("t")
    behind = [
        msgspec.structs.replace(trade(number, at_s), received_ns=WALL + (at_s - 3_600) * SECOND)
        for number, at_s in ((50, 0), (3, 600), (4, 1_200))
    ]
    given = offer(lane, *behind)
    assert [type(event).__name__ for event in given] == ["Trade", "Reset", "Trade", "Trade"]


def test_a_ticker_that_was_wrong_and_published_does_not_silence_those_after_it() -> None:
    lane = TimeLane("t")
    wrong, true = ticker(500, 0), [ticker(at_s, at_s) for at_s in (1, 2, 3, 4)]
    given = offer(lane, wrong, *true)
    assert given == [wrong, Reset(wrong.venue_time_ns, true[0].venue_time_ns, true[2].received_ns), *true]


def test_a_bar_a_year_ahead_is_a_glitch_whichever_of_its_times_is_wrong() -> None:
    year = YEAR // MINUTE
    for wrong in (bar(year, 5), bar(0, YEAR / SECOND), bar(0, 5, final=True)):
        lane = BarLane("t")
        if wrong.final:
            late = {"close_time_ns": wrong.close_time_ns + YEAR}
        elif wrong.venue_time_ns > wrong.open_time_ns + MINUTE:
            late = {"received_ns": WALL + 5 * SECOND}
        else:
            late = {}
        wrong = msgspec.structs.replace(wrong, **late)
        true = [bar(0, 1), bar(0, 9), bar(0, 60, final=True), bar(1, 61)]
        assert offer(lane, wrong, true[0], wrong, *true[1:]) == true
        assert lane.outliers == 1


def test_two_bars_far_ahead_that_agree_are_the_truth() -> None:
    lane = BarLane("t")
    day = 1440
    ahead = [bar(day, 1), bar(day, 2), bar(day, 3), bar(day, 60, final=True), bar(day + 1, 61)]
    given = offer(lane, bar(0, 0, final=True), *ahead)
    hole = bar(1, 0).open_time_ns, bar(day, 0).open_time_ns - 1
    assert given == [
        bar(0, 0, final=True), Gap(*hole, "not received", WALL + SECOND), GivenUp(*hole, TOO_FAR, WALL + SECOND), *ahead,
    ]  # fmt: skip
    assert lane.wanted() == []
    first = BarLane("t")
    assert offer(first, bar(day, 1), bar(day + 1, 2), bar(day, 70, final=True)) == [
        bar(day, 1), bar(day, 70, final=True), bar(day + 1, 2),
    ]  # fmt: skip
    same = BarLane("t")
    finals = bar(day, 1, final=True), bar(day, 2, final=True)
    assert offer(same, *finals) == [finals[0]]


def test_a_wrong_bar_that_was_published_does_not_silence_those_after_it() -> None:
    lane = BarLane("t")
    wrong, true = bar(5, 10), [bar(0, 20), bar(0, 30), bar(0, 60, final=True), bar(1, 61)]
    given = offer(lane, bar(0, 0), wrong, *true)
    reset = next(event for event in given if isinstance(event, Reset))
    assert (reset.last_old_id, reset.first_new_id) == (wrong.open_time_ns, true[1].open_time_ns)
    assert given[given.index(reset) + 1 :] == true[1:]
    assert lane.newest_trade_id == 0


def test_a_bar_s_final_state_that_looked_like_a_new_life_and_was_only_late_fills_its_gap() -> None:
    lane = BarLane("t")
    offer(lane, bar(0, 1), bar(2, 121), bar(2, 123))
    assert [type(event).__name__ for event in offer(lane, bar(0, 125, final=True), bar(2, 126))] == [
        "Kline",
        "Backfilled",
    ]
    assert offer(lane, bar(1, 128), bar(2, 129)) == [bar(2, 129)]
    assert lane.outliers == 1


def test_late_states_of_old_bars_are_copies() -> None:
    lane = BarLane("t")
    offer(lane, bar(0, 60, final=True), bar(1, 65))
    for late in (bar(0, 30), bar(0, 40), bar(0, 60, final=True)):
        assert lane.offer(late, 70 * SECOND, HOLD) is Verdict.DUPLICATE
    resumed = BarLane("t")
    resumed.resume(PublishedPosition(bar(5, 0).open_time_ns, [], next_id=bar(6, 0).open_time_ns))
    for second in range(60):
        assert resumed.offer(bar(4, second), second * SECOND, HOLD) is Verdict.DUPLICATE
    assert resumed.offer(bar(5, 301), 0, HOLD) is Verdict.DUPLICATE


# ── properties ──────────────────────────────────────────────────────────────────────────────────────────────


@numbered
@settings(max_examples=60)
@given(data=st.data())
def test_no_interleaving_of_the_copies_of_two_lines_is_taken_for_a_new_life(
    make_lane: Callable[[str], Lane], make: Make, data: st.DataObject
) -> None:
    count = data.draw(st.integers(10, 120))
    pace_s = data.draw(st.sampled_from([0.01, 0.1, 0.5]))
    sent = [make(1_000 + number, number * pace_s) for number in range(count)]
    lags = [[data.draw(st.floats(0, 50)) for _ in range(3)] for _ in range(2)]
    arrivals = []
    for lag in lags:  # each line's lag changes at times, and may even reorder what it brings
        for place, event in enumerate(sent):
            arrivals.append((place * pace_s + lag[place * 3 // count], event))
    lane = make_lane("t")
    for at_s, event in sorted(arrivals, key=lambda arrival: arrival[0]):
        lane.offer(event, int(at_s * SECOND), HOLD)
        lane.expire(int(at_s * SECOND))
    lane.expire(2**62)
    assert not any(isinstance(event, Reset) for event in lane.ready)
    assert lane.outliers == 0


@pytest.mark.parametrize("kind", [*NUMBERED, "mini_ticker"])
@settings(max_examples=80)
@given(data=st.data())
def test_a_run_that_is_judged_together_is_what_its_events_are_one_by_one(kind: str, data: st.DataObject) -> None:
    make_lane, make = NUMBERED.get(kind, (TimeLane, lambda number, at_s: ticker(number - 1_000, at_s)))
    together, singly = make_lane("t"), make_lane("t")
    runs = data.draw(
        st.lists(
            st.tuples(st.sampled_from([900, 990, 1_000, 1_005]), st.integers(0, 12), st.integers(1, 6), st.booleans()),
            min_size=2,
            max_size=12,
        )
    )
    waits = False
    for turn, (base, offset, count, skips) in enumerate(runs):
        # Ids below 950 are a new life, made later; the others are made in their order.
        numbers = [base + offset + n * (2 if skips else 1) for n in range(count)]
        sent = [
            make(number, turn * 3 + n / 100 if number < 950 else (number - 1_100) / 10)
            for n, number in enumerate(numbers)
        ]
        now_ns = turn * 3 * SECOND
        waits = together.offer_run(list(sent), now_ns, HOLD) or waits
        for event in sent:
            singly.offer(event, now_ns, HOLD)
        assert waits or together.deadline_ns is None
        for lane in (together, singly):
            lane.expire(now_ns)
        # When a new life is found out differs: with the last event of a run, or with the second.
        given = [
            [msgspec.structs.replace(event, at_ns=0) if isinstance(event, Reset) else event for event in lane.ready]
            for lane in (together, singly)
        ]
        assert given[0] == given[1]
        assert (together.last_id, together.outliers) == (singly.last_id, singly.outliers)
        assert together.doubted == singly.doubted


@numbered
@settings(max_examples=60)
@given(place=st.integers(0, 39), number=st.one_of(st.integers(0, 500), st.integers(10**9, 10**13)))
def test_no_single_outlier_silences_a_topic(
    make_lane: Callable[[str], Lane], make: Make, place: int, number: int
) -> None:
    lane = make_lane("t")
    true = [make(1_000 + n, 0.5 * n) for n in range(100)]
    given = offer(lane, *true[:place], make(number, 0.5 * place), *true[place:])
    assert [event for event in given if event in true] == true


def test_when_an_event_was_made_is_told_unless_our_clock_contradicts() -> None:
    assert made_ns(Trade(1, "1", "1", True, WALL, WALL + 1, WALL)) == WALL
    assert made_ns(Trade(1, "1", "1", True, WALL + YEAR, WALL, WALL)) == -1
    assert made_ns(BookTicker(1, "1", "1", "1", "1", WALL)) == -1
    assert [made_field(kind) for kind in (Trade, DepthUpdate, BookTicker, MiniTicker)] == [
        "trade_time_ns",
        "venue_time_ns",
        "",
        "",
    ]


def test_a_run_behind_a_topic_is_over_with_what_comes_ahead_of_it() -> None:
    lane = MonotoneLane("t")
    for number, doubting in ((5, False), (3, True), (4, True), (6, False)):
        lane.offer(BookTicker(number, "1", "1", "1", "1", WALL + number), number, HOLD)
        assert lane.doubting == doubting
