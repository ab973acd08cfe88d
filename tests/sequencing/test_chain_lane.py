"""Chained topics: any interleaving of lossy copies gives each id once, in order, and says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from k2workers.events import AggTrade, Backfilled, BookTicker, DepthUpdate, Event, Gap, GivenUp, Reset, Trade, Void
from k2workers.sequencing.chain_lane import MAX_HELD, MAX_LINKS, ChainLane
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.lane import MAX_OPEN, NOT_RECEIVED, NOT_SENT, TOO_MANY, Lane, Verdict
from k2workers.sequencing.monotone_lane import MonotoneLane

HOLD = 1_000


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, number, number, number)


def aggregate(number: int, first_trade_id: int, last_trade_id: int) -> AggTrade:
    return AggTrade(number, first_trade_id, last_trade_id, "1", "1", True, number, number, number)


def depth(first: int, last: int) -> DepthUpdate:
    return DepthUpdate(first, last, [("1", "2")], [], last, last)


def taken(lane: Lane) -> list[Event]:
    return [event for run in lane.pop_ready() for event in run]


def ids(events: list[Event]) -> list[int]:
    return [number for e in events if not isinstance(e, Gap) for number in range(e.first_id, e.last_id + 1)]


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)), st.data())
def test_two_lossy_copies_give_each_id_once_in_order(one: set[int], two: set[int], data: st.DataObject) -> None:
    lane, lines = ChainLane("t"), [sorted(one), sorted(two)]
    lane.offer(trade(0), 0, HOLD)
    while any(lines):
        line = data.draw(st.sampled_from([line for line in lines if line]))
        lane.offer(trade(line.pop(0)), 0, HOLD)
    lane.expire(HOLD)
    events = taken(lane)
    had = one | two
    assert ids(events) == [0, *sorted(had)]
    announced = {n for e in events if isinstance(e, Gap) for n in range(e.first_missing_id, e.last_missing_id + 1)}
    assert announced == (set(range(1, max(had, default=0) + 1)) - had)
    assert lane.missing == len(announced)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=20),
    st.lists(st.integers(1, 5), min_size=1, max_size=20),
    st.data(),
)
def test_depth_windows_cut_differently_on_two_lines_still_chain(
    one: list[int], two: list[int], data: st.DataObject
) -> None:
    lines: list[list[DepthUpdate]] = []
    for sizes in (one, two):
        first, windows = 1, []
        for size in sizes:
            windows.append(depth(first, first + size - 1))
            first += size
        lines.append(windows)
    end = max(sum(one), sum(two))
    lane = ChainLane("t")
    while any(lines):
        line = data.draw(st.sampled_from([line for line in lines if line]))
        lane.offer(line.pop(0), 0, HOLD)
    assert ids(taken(lane)) == list(range(1, end + 1))
    assert lane.gaps == 0


def ticker(number: int) -> BookTicker:
    return BookTicker(number, "1", "1", "2", "2", number)


@given(
    st.sampled_from([(ChainLane, trade), (MonotoneLane, ticker)]),
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6) | st.builds(range, st.integers(0, 9), st.just(12))),
)
def test_a_run_is_judged_as_its_events_one_by_one(
    case: tuple[type[Lane], Callable[[int], Event]], runs: list[Sequence[int]]
) -> None:
    kind, make = case
    at_once, singly = kind("t"), kind("t")
    for number, run in enumerate(runs):
        events = [make(n) for n in run]
        if not events:
            continue
        held = at_once.offer_run(events, number, HOLD)
        assert held == (Verdict.HELD in [singly.offer(event, number, HOLD) for event in events])
        assert (at_once.last_id, at_once.wanted(), at_once.deadline_ns) == (
            singly.last_id, singly.wanted(), singly.deadline_ns,
        )  # fmt: skip
    assert (at_once.ready, at_once.duplicates) == (singly.ready, singly.duplicates)


def test_without_a_hold_time_a_hole_is_announced_at_once() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, 0)
    assert lane.offer(trade(5), 0, 0) is Verdict.ACCEPTED
    assert lane.pop_ready() == [[trade(1)], [Gap(2, 4, "not received", 5)], [trade(5)]]
    assert lane.deadline_ns is None


def test_late_copy_from_the_old_line_is_dropped() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    lane.offer(trade(2), 0, HOLD)
    assert lane.offer(trade(1), 0, HOLD) is Verdict.DUPLICATE
    assert (lane.duplicates, ids(taken(lane))) == (1, [1, 2])


def test_a_held_copy_is_not_held_twice() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    assert lane.offer(trade(3), 0, HOLD) is Verdict.HELD
    assert lane.offer(trade(3), 0, HOLD) is Verdict.DUPLICATE


def test_held_events_that_the_missing_one_covers_are_dropped() -> None:
    lane = ChainLane("t")
    lane.offer(depth(1, 2), 0, HOLD)
    lane.offer(depth(4, 5), 0, HOLD)
    lane.offer(depth(3, 6), 0, HOLD)
    assert ids(taken(lane)) == [1, 2, 3, 4, 5, 6]
    assert lane.duplicates == 1


def test_each_hole_has_a_time_of_its_own() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    lane.offer(trade(3), 0, HOLD)
    lane.offer(trade(5), 0, HOLD)
    assert not lane.expire(HOLD - 1)
    lane.offer(trade(2), 500, HOLD)
    assert lane.deadline_ns == 500 + HOLD
    assert lane.expire(500 + HOLD)
    assert ids(taken(lane)) == [1, 2, 3, 5]
    assert not lane.expire(10 * HOLD)


def test_what_is_held_is_bounded() -> None:
    lane = ChainLane("t")
    lane.offer(trade(0), 0, HOLD)
    for number in range(2, MAX_HELD + 3):
        lane.offer(trade(number), 0, HOLD)
    assert lane.gaps == 1
    assert lane.deadline_ns is None


def test_a_late_copy_of_an_announced_id_fills_the_gap() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, 0)
    lane.offer(trade(3), 0, 0)
    assert lane.offer(trade(2), 0, 0) is Verdict.ACCEPTED
    assert lane.offer(trade(2), 0, 0) is Verdict.DUPLICATE
    assert taken(lane) == [trade(1), Gap(2, 2, "not received", 3), trade(3), Backfilled(trade(2))]
    assert (lane.repaired, lane.open.ids) == (1, 0)


def test_a_backfill_in_time_keeps_the_order_and_no_gap_is_announced() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    lane.offer(trade(5), 0, HOLD)
    assert lane.wanted() == [(2, 4)]
    assert lane.fill([trade(2), trade(3), trade(4), trade(6)], 10)
    assert taken(lane) == [trade(n) for n in range(1, 6)]
    assert (lane.gaps, lane.wanted(), lane.deadline_ns) == (0, [], None)


def test_a_partial_backfill_leaves_the_deadline_of_what_is_still_missing() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    lane.offer(trade(5), 0, HOLD)
    lane.fill([trade(3)], 10)
    assert lane.wanted() == [(2, 2), (4, 4)]
    assert lane.deadline_ns == HOLD
    lane.expire(HOLD)
    assert lane.wanted() == [(2, 2), (4, 4)]


def test_a_void_in_time_stands_in_for_ids_that_never_were() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    lane.offer(trade(5), 0, HOLD)
    lane.fill([Void(0, 3, 7), trade(4)], 10)
    assert lane.pop_ready() == [[trade(1)], [Void(2, 3, 7)], [trade(4), trade(5)]]
    assert (lane.gaps, lane.voids) == (0, 2)


def test_a_resumed_lane_continues_after_what_was_published() -> None:
    lane = ChainLane("t")
    lane.resume(PublishedPosition(10, [(3, 4)]))
    assert lane.offer(trade(9), 0, HOLD) is Verdict.DUPLICATE
    assert lane.offer(trade(13), 0, HOLD) is Verdict.HELD
    assert lane.wanted() == [(3, 4), (11, 12)]
    lane.fill([trade(3), trade(11), trade(12)], 0)
    assert taken(lane) == [Backfilled(trade(3)), trade(11), trade(12), trade(13)]
    lane.reopen(12, 12, 0)
    assert lane.wanted() == [(4, 4), (12, 12)]


def test_hopeless_gaps_are_bounded() -> None:
    lane = ChainLane("t")
    for number in range(0, 2 * MAX_OPEN + 10, 2):
        lane.offer(trade(number), 0, 0)
    assert len(lane.open) == MAX_OPEN
    assert lane.wanted()[-1] == (2 * MAX_OPEN + 7, 2 * MAX_OPEN + 7)
    given_up = [event for event in taken(lane) if isinstance(event, GivenUp)]
    assert given_up == [GivenUp(number, number, TOO_MANY, 2 * MAX_OPEN + 1 + number) for number in (1, 3, 5, 7)]


def test_an_event_for_a_void_id_corrects_it_and_one_for_an_id_that_was_given_up_still_counts() -> None:
    lane = ChainLane("t")
    for number in (1, 4, 6, 8):
        lane.offer(trade(number), 0, 0)
    lane.fill([Void(2, 3, 0)], 0)
    lane.give_up(0, 6, "why", 9)
    assert (lane.wanted(), list(lane.open), list(lane.closed)) == ([(7, 7)], [(7, 7)], [(2, 3), (5, 5)])
    taken(lane)
    verdicts = [lane.offer(trade(number), 0, 0) for number in (2, 2, 5, 5, 4)]
    assert verdicts == [Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.DUPLICATE]
    lane.fill([Void(3, 3, 0), trade(3)], 0)
    assert taken(lane) == [Backfilled(trade(2)), Backfilled(trade(5)), Backfilled(trade(3))]
    assert list(lane.closed) == []


def test_ids_that_begin_anew_are_told_after_what_was_held_and_of_the_old_ones_nothing_is_wanted() -> None:
    lane = ChainLane("t")
    lane.begin_anew(50, 0)
    for number in (50, 52, 53, 60):
        lane.offer(trade(number), 0, HOLD)
    lane.begin_anew(1, 9)
    assert taken(lane) == [
        trade(50), Gap(51, 51, NOT_RECEIVED, 52), trade(52), trade(53), Gap(54, 59, NOT_RECEIVED, 60), trade(60), Reset(60, 1, 9)
    ]  # fmt: skip
    assert (lane.wanted(), lane.deadline_ns) == ([], None)
    assert lane.offer(trade(1), 0, HOLD) is Verdict.ACCEPTED
    assert lane.offer(trade(60), 0, HOLD) is Verdict.HELD, "60 of the new numbering"
    lane.begin_anew(7, 9)
    lane.begin_anew(3, 9)
    assert taken(lane)[-2:] == [trade(60), Reset(60, 3, 9)], "nothing came between the two"


class LossyLinesAndBackfill(RuleBasedStateMachine):
    """Two lines that lose and repeat, a backfill that brings any part of what is wanted, ids that never existed, giving up, time.

    Invariants: published, announced and void ids are consecutive apart from what fills a gap late; no event is published
    twice; one that comes late was announced, or was told to be void or given up; what is wanted is exactly what is missing
    and not given up; nothing waits longer than its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lane = ChainLane("t")
        self.now_ns = 0
        self.at = [0, 0]
        self.next_id = 0
        self.had: set[int] = set()
        self.closed: set[int] = set()
        """Void or given up, and no event has come."""
        self.announced: set[int] = set()
        self.lane.offer(trade(0), 0, HOLD)

    @rule(line=st.integers(0, 1), skip=st.integers(0, 3))
    def deliver(self, line: int, skip: int) -> None:
        self.at[line] += 1 + skip
        self.lane.offer(trade(self.at[line]), self.now_ns, HOLD)

    @rule(line=st.integers(0, 1), back=st.integers(0, 5))
    def repeat(self, line: int, back: int) -> None:
        self.lane.offer(trade(max(0, self.at[line] - back)), self.now_ns, HOLD)

    @rule(passed=st.integers(0, 2 * HOLD))
    def time_passes(self, passed: int) -> None:
        self.now_ns += passed
        self.lane.expire(self.now_ns)

    @rule(data=st.data(), void=st.booleans())
    def backfill(self, data: st.DataObject, void: bool) -> None:
        missing = [number for first, last in self.lane.wanted() for number in range(first, last + 1)]
        brought = sorted(data.draw(st.sets(st.sampled_from(missing), max_size=4))) if missing else [0]
        self.lane.fill([Void(n, n, 0) if void else trade(n) for n in brought], self.now_ns)

    @rule(first=st.integers(0, 40), length=st.integers(0, 5))
    def give_up(self, first: int, length: int) -> None:
        self.lane.give_up(first, first + length, "", 0)

    @invariant()
    def what_is_published_is_consecutive_and_never_repeated(self) -> None:
        for event in taken(self.lane):
            span = set(range(event.first_id, event.last_id + 1))
            if isinstance(event, Gap):
                self.announced |= span
            elif isinstance(event, Backfilled):
                assert span <= (self.announced | self.closed) - self.had
                self.closed -= span
                self.had |= span
                continue
            elif isinstance(event, GivenUp) or event.last_id < self.next_id:
                assert span <= self.announced - self.had - self.closed
                self.closed |= span
                continue
            elif isinstance(event, Void):
                assert not span & (self.had | self.closed)
                self.closed |= span
            else:
                assert not span & (self.had | self.closed)
                self.had |= span
            assert event.first_id == self.next_id
            self.next_id = event.last_id + 1
        assert self.lane.open.ids == len(self.announced - self.had - self.closed)
        assert self.lane.closed.ids == len(self.closed)

    @invariant()
    def what_is_wanted_is_what_is_missing(self) -> None:
        wanted = {n for first, last in self.lane.wanted() for n in range(first, last + 1)}
        assert self.announced - self.had - self.closed <= wanted
        assert not wanted & (self.had | self.closed)
        assert all(n >= self.next_id for n in wanted - self.announced)

    @invariant()
    def nothing_waits_longer_than_its_time(self) -> None:
        deadline_ns = self.lane.deadline_ns
        assert deadline_ns is None or deadline_ns <= self.now_ns + HOLD


TestLossyLinesAndBackfill = LossyLinesAndBackfill.TestCase
TestLossyLinesAndBackfill.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_resumed_lane_still_takes_events_for_ids_that_were_told_to_be_none() -> None:
    lane = ChainLane("t")
    lane.resume(PublishedPosition(10, [], closed=[(3, 4)]))
    late = Trade(4, "1", "1", True, 0, 0, 4)
    assert [lane.offer(late, 0, 0) for _ in range(2)] == [Verdict.ACCEPTED, Verdict.DUPLICATE]
    assert lane.pop_ready() == [[Backfilled(late)]]


def test_the_newest_trade_is_known_from_trades_and_aggregates_also_from_those_held() -> None:
    trades, aggregates, diffs = ChainLane("t"), ChainLane("t"), ChainLane("t")
    assert trades.newest_trade_id is None
    trades.offer_run([trade(4), trade(5)], 0, HOLD)
    assert trades.newest_trade_id == 5
    trades.offer(trade(9), 0, HOLD)
    assert trades.newest_trade_id == 9
    aggregates.offer(aggregate(1, 11, 13), 0, HOLD)
    assert aggregates.newest_trade_id == 13
    aggregates.offer_run([aggregate(2, 14, 14), aggregate(3, 15, 19)], 0, HOLD)
    aggregates.fill([Void(4, 4, 0)], 0)
    assert aggregates.newest_trade_id == 19
    diffs.offer(depth(1, 2), 0, HOLD)
    assert diffs.newest_trade_id is None


def test_aggregates_that_do_not_join_are_noted_and_nothing_is_missing() -> None:
    lane = ChainLane("t")
    lane.offer_run([aggregate(1, 10, 12), aggregate(2, 13, 13), aggregate(3, 15, 15)], 0, HOLD)
    lane.offer_run([aggregate(4, 16, 16)], 0, HOLD)
    lane.offer(aggregate(5, 16, 17), 0, HOLD)
    lane.offer(aggregate(9, 30, 30), 0, HOLD)
    lane.expire(HOLD)
    assert (lane.links_broken, [link.ids for link in lane.broken_links]) == (2, [(2, 3), (4, 5)])
    assert (lane.gaps, list(lane.open)) == (1, [(6, 8)])
    lane.begin_anew(1, 0)
    lane.offer_run([aggregate(1, 1, 1)], 0, HOLD)
    assert lane.links_broken == 2, "with other ids nothing joins"


def test_broken_links_that_wait_to_be_asked_about_are_bounded_and_all_are_counted() -> None:
    lane = ChainLane("t")
    lane.offer_run([aggregate(number, 2 * number, 2 * number) for number in range(MAX_LINKS + 10)], 0, HOLD)
    assert (lane.links_broken, len(lane.broken_links)) == (MAX_LINKS + 9, MAX_LINKS)


def test_aggregates_that_join_although_ids_are_missing_between_them_show_that_these_never_existed() -> None:
    lane = ChainLane("t")
    lane.offer(aggregate(1, 10, 12), 0, HOLD)
    assert lane.offer(aggregate(5, 13, 13), 0, HOLD) is Verdict.ACCEPTED
    assert taken(lane) == [aggregate(1, 10, 12), Void(2, 4, 5), aggregate(5, 13, 13)]
    assert (lane.voids, lane.gaps, lane.deadline_ns, lane.wanted()) == (3, 0, None, [])
    assert lane.offer(aggregate(8, 16, 16), 0, HOLD) is Verdict.HELD, "trades were between"
    assert lane.offer(aggregate(11, 17, 17), 0, HOLD) is Verdict.HELD
    lane.fill([aggregate(6, 14, 14), aggregate(7, 15, 15)], 0)
    assert taken(lane) == [
        aggregate(6, 14, 14), aggregate(7, 15, 15), aggregate(8, 16, 16), Void(9, 10, 11), aggregate(11, 17, 17)
    ]  # fmt: skip
    assert lane.deadline_ns is None
    lane.offer(aggregate(13, 19, 19), 0, 0)
    assert isinstance(taken(lane)[0], Gap)


def test_after_a_gap_the_aggregate_before_it_says_nothing_of_the_next_one() -> None:
    lane = ChainLane("t")
    lane.resume(PublishedPosition(4, []))
    assert lane.offer(aggregate(7, 13, 13), 0, HOLD) is Verdict.HELD, "nothing is known of the one before"


def test_what_was_made_after_that_which_follows_its_ids_is_not_believed() -> None:
    second = 10**9

    def made(number: int, at_s: int) -> Trade:
        return Trade(number, "1", "1", True, at_s * second, at_s * second, at_s * second)

    lane = ChainLane("t")
    assert lane.believes(made(7, 50)), "nothing follows it"
    for event in (made(1, 0), made(5, 10)):
        lane.offer(event, 0, HOLD)
    assert [lane.believes(made(3, at_s)) for at_s in (10, 12)] == [True, False]
    lane.expire(HOLD)
    assert [lane.believes(made(3, at_s)) for at_s in (10, 12)] == [True, False]
    assert lane.believes(made(6, 12))


def test_a_run_of_copies_that_fills_a_gap_is_not_dropped() -> None:
    lane = ChainLane("t")
    lane.offer_run([trade(1), trade(5), trade(6)], 0, 0)
    lane.offer_run([trade(4), trade(5)], 0, HOLD)
    lane.offer_run([trade(5), trade(6)], 0, HOLD)
    assert taken(lane)[-1] == Backfilled(trade(4))
    assert (list(lane.open), lane.duplicates) == ([(2, 3)], 3)


def test_the_newest_id_is_that_of_what_is_held_back() -> None:
    assert ChainLane("t").newest_id is None
    lane = ChainLane("t")
    lane.offer(trade(1), 0, HOLD)
    lane.offer(trade(7), 0, HOLD)
    assert (lane.last_id, lane.newest_id) == (1, 7)
    lane.offer(trade(2), 0, HOLD)
    assert (lane.last_id, lane.newest_id) == (2, 7)


def test_what_could_not_be_sent_is_announced_once_and_what_was_announced_already_not_as_missing() -> None:
    lane = ChainLane("t")
    for number in (1, 3):
        lane.offer(trade(number), 0, 0)
    taken(lane)
    lane.fill([Void(2, 2, 0)], 0)
    lane.offer(trade(4), 0, 0)
    assert (lane.gaps, lane.missing, lane.voids, lane.passed) == (1, 1, 1, 2)
    lane.take_back(taken(lane))
    assert taken(lane) == [Gap(2, 2, NOT_SENT, 4), Gap(4, 4, NOT_SENT, 4)]
    assert (list(lane.open), lane.gaps, lane.missing, lane.voids, lane.passed) == ([(2, 2), (4, 4)], 1, 2, 0, 2)
    lane.fill([trade(4)], 0)
    assert lane.repaired == 1
    lane.take_back(taken(lane))
    assert (taken(lane), lane.repaired) == ([Gap(4, 4, NOT_SENT, 4)], 0)


def test_of_ids_that_have_begun_anew_since_what_could_not_be_sent_is_announced_and_not_wanted() -> None:
    lane = ChainLane("t")
    for number in (8, 9):
        lane.offer(trade(number), 0, 0)
    lane.begin_anew(1, 5)
    lane.offer(trade(1), 0, 0)
    lane.take_back(taken(lane))
    assert taken(lane) == [Gap(8, 9, NOT_SENT, 9), Reset(9, 1, 5), Gap(1, 1, NOT_SENT, 1)]
    assert list(lane.open) == [(1, 1)]


def test_behind_a_hole_the_next_id_does_not_decide() -> None:
    lane = ChainLane("t")
    lane.offer(trade(1), 0, 10)
    lane.pop_ready()
    assert lane.only_next
    lane.offer(trade(3), 0, 10)
    assert not lane.only_next
    lane.fill([trade(2)], 0)
    lane.pop_ready()
    assert lane.only_next
