"""What a shard's topics lack, look by look, without requests."""

from __future__ import annotations

import itertools

import pytest

from k2workers import wire
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
from k2workers.feed.intake import Intake
from k2workers.feed.repairs import DIFFS_WITHIN_NS, NO_HISTORY, NOT_TO_BE_HAD, PROBE_AFTER_NS, Repairs
from k2workers.sequencing.backfill_planner import BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.book_lane import MAX_WAITING, BookLane
from k2workers.sequencing.coverage import HIGHEST_ID, PublishedPosition
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.venue import Fetched
from k2workers.wire import SendOutcome
from tests.support.numberings import begin_anew

POLICY = BackfillPolicy(patience_ns=(10,))
HOLD_NS = 1_000


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, number)


def diff(first: int, last: int) -> DepthUpdate:
    return DepthUpdate(first, last, [("1", str(last))], [], 0, 0)


class Shard:
    """One topic of a kind; events are handed in as a line's."""

    def __init__(self, kind: str, at: int | None = None) -> None:
        self.pushed: list[Event] = []
        self.outcome = SendOutcome.SENT
        venue = BinanceSpot()
        self.intake = Intake(
            venue.codec(venue.stream_specs([kind], ["AUSDT"])), hold_ns=HOLD_NS, push=self._push,
            on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
        )  # fmt: skip
        topic = self.intake.topics[0].topic
        self.intake.resume({topic: PublishedPosition(at, [], whole=True)} if at is not None else {})
        self.repairs = Repairs(self.intake, POLICY)
        self.confirmed: list[tuple[int, bool]] = []
        self.repairs.on_confirmed = lambda topic_index, newer: self.confirmed.append((topic_index, newer))

    def _push(self, bundle: list[wire.Batch]) -> SendOutcome:
        for batch in bundle if self.outcome is SendOutcome.SENT else []:
            self.pushed += wire.decode_batch(batch)
        return self.outcome

    def line(self, *events: Event, now_ns: int = 0) -> None:
        self.intake.add(0, events, now_ns)

    def asked(self, now_ns: int) -> BackfillRequest | None:
        self.repairs.look(now_ns)
        return self.repairs.next(now_ns)


def test_what_is_held_is_asked_for_and_what_never_existed_is_void_the_second_time() -> None:
    shard = Shard("trade", 1)
    shard.line(trade(5))
    request = shard.asked(0)
    assert request == BackfillRequest(0, 2, 4, Urgency.HELD, 0)
    assert shard.asked(0) is None
    assert shard.repairs.took_events(request, Fetched([trade(2), trade(4)], (2, 4)), 1, 7) == []
    assert shard.pushed == [trade(2)]
    again = next(request for at_ns in itertools.count(1) if (request := shard.asked(at_ns)))
    assert (again.first_id, again.last_id) == (3, 3)
    assert shard.repairs.took_events(again, Fetched([], (3, 3)), 2 * 10**9, 7) == [(3, 3)]
    assert shard.pushed == [trade(2), Void(3, 3, 7), trade(4), trade(5)]
    assert shard.asked(3 * 10**9) is None
    assert (shard.intake.incomplete, shard.repairs.planner.waiting) == (set(), 0)


def test_an_announced_gap_is_asked_for_until_it_is_filled() -> None:
    shard = Shard("trade", 1)
    shard.line(trade(3))
    shard.intake.expire(HOLD_NS)
    assert [type(event) for event in shard.pushed] == [Gap, Trade]
    request = shard.asked(HOLD_NS)
    assert request == BackfillRequest(0, 2, 2, Urgency.OPEN, 0)
    shard.repairs.failed(request, HOLD_NS)
    at_once = shard.asked(HOLD_NS)
    assert at_once is not None
    shard.repairs.failed(at_once, HOLD_NS)
    assert shard.asked(HOLD_NS) is None
    again = shard.asked(10**10)
    assert again is not None
    shard.repairs.took_events(again, Fetched([trade(2)], (2, 2)), 10**10, 7)
    assert shard.pushed[-1] == Backfilled(trade(2))


def test_a_new_hole_is_filled_in_order_while_a_large_one_of_its_topic_is_open() -> None:
    shard = Shard("trade", 1)
    shard.line(trade(9_001))
    shard.intake.expire(HOLD_NS)
    first = shard.asked(HOLD_NS)
    assert first == BackfillRequest(0, 2, 9_000, Urgency.OPEN, 0)
    shard.repairs.took_events(first, Fetched([trade(2)], (2, 2)), HOLD_NS, 7)
    shard.line(trade(9_003), now_ns=HOLD_NS)
    request = shard.asked(HOLD_NS)
    assert request == BackfillRequest(0, 9_002, 9_002, Urgency.HELD, 0)
    shard.repairs.took_events(request, Fetched([trade(9_002)], (9_002, 9_002)), HOLD_NS, 7)
    assert shard.pushed[-2:] == [trade(9_002), trade(9_003)]
    assert shard.asked(HOLD_NS) == BackfillRequest(0, 3, 9_000, Urgency.OPEN, 0)


def test_nothing_is_asked_for_while_nobody_would_take_it() -> None:
    shard = Shard("trade", 1)
    shard.outcome = SendOutcome.REFUSED
    shard.line(trade(2))
    assert shard.asked(0) is None
    shard.outcome = SendOutcome.SENT
    shard.intake.flush()
    assert shard.asked(0) == BackfillRequest(0, 2, 2, Urgency.OPEN, 0)


@pytest.mark.parametrize("newer", [True, False])
def test_the_tail_of_a_topic_that_stays_silent_after_an_outage_is_asked_for(newer: bool) -> None:
    shard = Shard("trade", 1)
    shard.repairs.probe(None, 0)
    assert shard.asked(PROBE_AFTER_NS - 1) is None
    request = shard.asked(PROBE_AFTER_NS)
    assert request == BackfillRequest(0, 2, HIGHEST_ID, Urgency.OPEN, 0, probe=True)
    found: list[Event] = [trade(2)] if newer else []
    assert shard.repairs.took_events(request, Fetched(found, None), PROBE_AFTER_NS, 7) == []
    assert (shard.pushed, shard.confirmed) == (found, [(0, newer)])
    assert shard.asked(2 * PROBE_AFTER_NS) is None


def test_a_topic_that_brought_nothing_yet_begins_after_the_trade_that_the_market_showed() -> None:
    shard = Shard("trade")
    shard.intake.begin_after(0, 7)
    shard.repairs.probe([0], 0)
    request = shard.asked(0)
    assert request is not None
    assert (request.first_id, request.probe) == (8, True)
    shard.line(trade(10))
    assert shard.pushed == []
    shard.repairs.took_events(request, Fetched([trade(8), trade(9), trade(10)], None), 0, 7)
    assert shard.pushed == [trade(8), trade(9), trade(10)]
    shard.intake.begin_after(0, 7)
    assert shard.intake.lanes[0].last_id == 10, "it has begun"


def test_a_topic_that_goes_on_by_itself_or_that_nothing_can_tell_of_is_not_probed() -> None:
    goes_on, unknown, latest = Shard("trade", 1), Shard("trade"), Shard("book_ticker", 1)
    for shard in (goes_on, unknown, latest):
        shard.repairs.probe([0], 0)
    goes_on.line(trade(2))
    latest.line(BookTicker(9, "1", "1", "2", "1", 1))
    assert [shard.asked(0) for shard in (goes_on, unknown, latest)] == [None, None, None]


def test_a_book_is_fetched_until_one_fits() -> None:
    shard = Shard("depth")
    assert shard.asked(0) is None, "not before a diff is at hand"
    shard.line(diff(8, 9))
    request = shard.asked(0)
    assert request == BackfillRequest(0, 0, 0, Urgency.FIRST_BOOK, 0, snapshot=True)
    assert not shard.repairs.took_book(request, BookSnapshot(6, [], [], 0), 0)
    again = shard.asked(10**10)
    assert again is not None
    assert shard.repairs.took_book(again, BookSnapshot(8, [], [], 0), 10**10)
    assert [type(event) for event in shard.pushed] == [DepthUpdate, BookSnapshot]
    shard.line(diff(12, 13))
    broken = shard.asked(10**10)
    assert broken is not None
    assert (broken.urgency, broken.snapshot) == (Urgency.BROKEN_BOOK, True)


def test_what_cannot_be_had_is_given_up_and_subscribers_are_told() -> None:
    shard = Shard("trade", at=1)
    shard.line(trade(4))
    shard.intake.expire(HOLD_NS)
    request = shard.asked(HOLD_NS)
    assert request is not None
    shard.repairs.failed(request, HOLD_NS)
    later_ns = HOLD_NS + POLICY.give_up_ns + 1
    assert shard.asked(later_ns) is None
    assert shard.repairs.give_up(later_ns) == [(0, (2, 3))]
    assert isinstance(shard.pushed[-1], GivenUp)
    assert (shard.pushed[-1].first_id, shard.pushed[-1].last_id, shard.pushed[-1].cause) == (2, 3, NOT_TO_BE_HAD)
    assert shard.asked(later_ns) is None
    assert (shard.intake.incomplete, shard.intake.gaps_open, shard.repairs.planner.waiting) == (set(), 0, 0)
    assert shard.repairs.give_up(later_ns) == []


def test_a_reply_that_was_asked_for_before_ids_began_anew_fills_no_new_hole() -> None:
    shard = Shard("trade", at=1)
    shard.line(trade(4))
    request = shard.asked(0)
    assert request is not None
    begin_anew(shard.intake, 0, 1)
    shard.line(trade(1), trade(4))
    before = len(shard.pushed)
    assert shard.repairs.took_events(request, Fetched([trade(2), trade(3)], (2, 3)), 0, 0) == []
    assert len(shard.pushed) == before
    assert shard.intake.lanes[0].wanted() == [(2, 3)]


def test_a_book_of_before_ids_began_anew_is_none() -> None:
    shard = Shard("depth")
    shard.line(diff(900, 905))
    request = shard.asked(0)
    assert request is not None
    begin_anew(shard.intake, 0, 1)
    shard.line(diff(1, 4))
    assert not shard.repairs.took_book(request, BookSnapshot(910, [], [], 0), 0)
    assert shard.asked(POLICY.backoff.cap_ns) is not None


def test_a_topic_that_only_released_what_it_had_held_is_probed() -> None:
    shard = Shard("trade", 1)
    shard.line(trade(3))
    shard.repairs.probe(None, 0)
    shard.intake.expire(HOLD_NS)
    assert shard.intake.lanes[0].last_id == 3
    gap = shard.asked(PROBE_AFTER_NS)
    assert gap is not None
    assert not gap.probe
    shard.repairs.took_events(gap, Fetched([trade(2)], (2, 2)), PROBE_AFTER_NS, 7)
    probe = shard.asked(PROBE_AFTER_NS)
    assert probe is not None
    assert (probe.probe, probe.first_id) == (True, 4), "the answer to the gap said nothing of what is newer"


@pytest.mark.parametrize("events", [POLICY.page, POLICY.page - 1, 1])
def test_a_full_answer_to_a_probe_is_followed_by_another_probe(events: int) -> None:
    """How many of its rows are newer depends on where it began."""
    for full in (True, False):
        shard = Shard("trade", 1)
        shard.repairs.probe([0], 0)
        request = shard.asked(0)
        assert request is not None
        newer: list[Event] = [trade(number) for number in range(2, 2 + events)]
        shard.repairs.took_events(request, Fetched(newer, None, full=full), 0, 7)
        again = shard.asked(0)
        assert (again is not None) is full
        assert again is None or (again.probe, again.first_id) == (True, 2 + events)


def test_a_full_answer_without_anything_newer_is_not_followed_by_the_same_probe() -> None:
    shard = Shard("trade", 1)
    shard.repairs.probe([0], 0)
    request = shard.asked(0)
    assert request is not None
    shard.repairs.took_events(request, Fetched([], None, full=True), 0, 7)
    assert shard.asked(0) is None


def test_a_book_that_somebody_lacks_is_fetched_and_published_anew_once() -> None:
    topic = "binance.depth.AUSDT"
    shard = Shard("depth", at=10)
    assert shard.asked(0) is None
    assert shard.intake.publish_books(("binance.depth.",), {topic}) == 0, "it is kept"
    assert shard.intake.publish_books(("binance.depth_1s.",), set()) == 0, "nobody keeps any of these"
    assert shard.intake.publish_books(("binance.depth.",), set()) == 1
    assert shard.intake.publish_books(("binance.depth.",), set()) == 0, "it is under way"
    request = shard.asked(0)
    assert request is not None
    assert (request.snapshot, request.urgency) == (True, Urgency.FIRST_BOOK)
    shard.repairs.took_book(request, BookSnapshot(10, [("1", "1")], [], 0), 0)
    assert shard.pushed == [BookSnapshot(10, [("1", "1")], [], 0)]
    assert shard.asked(1) is None
    other = Shard("trade", at=10)
    assert other.intake.publish_books(("binance.",), set()) == 0


def test_a_book_that_was_broken_and_is_whole_again_is_published_anew_without_hurry() -> None:
    shard = Shard("depth", at=10)
    shard.line(diff(12, 13))
    broken = shard.asked(0)
    assert broken is not None
    assert broken.urgency is Urgency.BROKEN_BOOK
    assert shard.repairs.took_book(broken, BookSnapshot(13, [], [], 0), 0)
    assert shard.intake.publish_books(("binance.depth.",), set()) == 1
    anew = shard.asked(10**10)
    assert anew is not None
    assert anew.urgency is Urgency.FIRST_BOOK
    shard.line(diff(15, 16))
    assert shard.repairs.took_book(anew, BookSnapshot(13, [], [], 0), 10**10) is False
    again = shard.asked(2 * 10**10)
    assert again is not None
    assert again.urgency is Urgency.BROKEN_BOOK


def test_few_diffs_are_kept_until_a_book_is_requested_and_many_while_it_is_under_way() -> None:
    shard = Shard("depth", at=0)
    lane = shard.intake.lanes[0]
    assert isinstance(lane, BookLane)
    assert shard.intake.publish_books(("binance.depth.",), set()) == 1
    shard.line(*(diff(number, number) for number in range(1, 101)))
    assert len(lane._buffer) == MAX_WAITING
    request = shard.asked(0)
    assert request is not None
    shard.line(*(diff(number, number) for number in range(101, 201)))
    assert len(lane._buffer) == MAX_WAITING + 100
    assert not shard.repairs.took_book(request, BookSnapshot(79, [], [], 0), 1)
    shard.line(diff(201, 201))
    assert len(lane._buffer) == MAX_WAITING + 101, "the next one may be as old"
    request = shard.asked(10**10)
    assert request is not None
    assert shard.repairs.took_book(request, BookSnapshot(90, [], [], 0), 10**10)
    assert shard.intake.publish_books(("binance.depth.",), set()) == 1
    request = shard.asked(2 * 10**10)
    assert request is not None
    shard.line(*(diff(number, number) for number in range(202, 301)))
    shard.repairs.failed(request, 2 * 10**10)
    shard.line(diff(301, 301))
    assert len(lane._buffer) == MAX_WAITING
    request = shard.asked(10**11)
    assert request is not None
    assert shard.repairs.took_book(request, BookSnapshot(305, [], [], 0), 10**11)
    shard.line(*(diff(number, number) for number in range(302, 305)))
    assert len(lane._buffer) == MAX_WAITING + 3, "it is at hand"
    shard.line(diff(305, 305))
    assert shard.pushed[-1] == BookSnapshot(305, [], [], 0)
    shard.line(*(diff(number, number) for number in range(307, 400)))
    assert len(lane._buffer) == MAX_WAITING, "before the next request"


def test_a_late_answer_to_an_earlier_probe_does_not_stand_for_the_lines() -> None:
    shard = Shard("trade", 1)
    shard.repairs.probe([0], 0)
    earlier = shard.asked(0)
    assert earlier is not None
    shard.repairs.probe(None, 0)
    shard.repairs.took_events(earlier, Fetched([trade(2)], None), 1, 7)
    request = shard.asked(PROBE_AFTER_NS)
    assert request is not None
    assert (request.probe, request.first_id) == (True, 3)


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("under_way", [False, True])
def test_a_topic_whose_ids_begin_anew_before_it_was_probed_is_probed_from_the_new_ids_on(
    looks: bool, under_way: bool
) -> None:
    shard = Shard("trade", 101)
    shard.repairs.probe(None, 0)
    if looks:
        shard.repairs.look(PROBE_AFTER_NS)
    old = shard.asked(PROBE_AFTER_NS) if under_way else None
    begin_anew(shard.intake, 0, 3)
    if old is not None:
        assert shard.repairs.took_events(old, Fetched([trade(102)], None), PROBE_AFTER_NS, 7) == []
    request = next(
        request for after_ns in range(1, 10**11, 10**8) if (request := shard.asked(PROBE_AFTER_NS + after_ns))
    )
    assert (request.probe, request.first_id, request.last_id) == (True, 3, HIGHEST_ID)
    shard.repairs.took_events(request, Fetched([trade(3), trade(4)], None), 10**10, 7)
    assert isinstance(shard.pushed[0], Reset)
    assert shard.pushed[1:] == [trade(3), trade(4)]
    assert (shard.asked(10**11), shard.repairs.planner.waiting) == (None, 0)


def test_a_topic_that_goes_on_after_its_ids_began_anew_is_not_probed() -> None:
    shard = Shard("trade", 101)
    shard.repairs.probe(None, 0)
    begin_anew(shard.intake, 0, 3)
    shard.line(trade(3))
    assert shard.asked(PROBE_AFTER_NS) is None


def test_an_outage_after_ids_began_anew_is_probed_from_where_the_topic_stood_then() -> None:
    shard = Shard("trade", 101)
    begin_anew(shard.intake, 0, 3)
    shard.line(trade(3))
    shard.repairs.probe(None, 0)
    request = shard.asked(PROBE_AFTER_NS)
    assert request is not None
    assert (request.probe, request.first_id) == (True, 4)


def test_one_reply_makes_nothing_void_after_ids_began_anew_whatever_replies_said_before() -> None:
    shard, at_ns = Shard("trade", 1), 10**9
    shard.line(trade(9))
    request = shard.asked(0)
    assert request is not None
    shard.repairs.took_events(request, Fetched([], (2, 8)), 1, 7)
    request = shard.asked(at_ns)
    assert request is not None
    begin_anew(shard.intake, 0, 1)
    shard.line(trade(1), trade(6), now_ns=at_ns)
    shard.repairs.look(at_ns)
    shard.repairs.took_events(request, Fetched([], (2, 8)), at_ns, 7)
    request = next(request for later_ns in range(at_ns, 100 * at_ns, at_ns) if (request := shard.asked(later_ns)))
    assert (request.first_id, request.last_id) == (2, 5)
    assert shard.repairs.took_events(request, Fetched([], (2, 5)), 60 * at_ns, 7) == []
    assert not any(isinstance(event, Void) for event in shard.pushed)


# ── bars that are behind, books without diffs ───────────────────────────────────────────────────────────────


def bar(minute: int, trades: int, *, final: bool = False) -> Kline:
    opens, ends = minute * 60 * 10**9, (minute + 1) * 60 * 10**9
    return Kline(opens, ends - 1_000, "", "", "", "", "", "", "", "", 0, 0, trades, final, opens + trades, opens)


def test_a_fetched_bar_behind_the_lines_counts_as_not_there_and_is_asked_for_until_it_has_come_up() -> None:
    shard = Shard("kline_1m")
    shard.line(bar(0, 90), bar(2, 5))
    request = shard.asked(0)
    assert request is not None
    stale = Fetched([bar(0, 50, final=True), bar(1, 8, final=True)], (request.first_id, request.last_id))
    at_ns = 0
    for _ in range(8):
        assert shard.repairs.took_events(request, stale, at_ns, 7) == [], "what we had a state of did exist"
        at_ns += 60 * 10**9
        again = shard.asked(at_ns)
        assert again is not None
        request = again
    assert shard.pushed == [bar(0, 90)]
    fresh = Fetched([bar(0, 91, final=True), bar(1, 8, final=True)], (request.first_id, request.last_id))
    shard.repairs.took_events(request, fresh, at_ns, 7)
    assert shard.pushed == [bar(0, 90), bar(0, 91, final=True), bar(1, 8, final=True), bar(2, 5)]


def test_of_a_reply_what_comes_before_a_bar_that_is_behind_counts() -> None:
    shard = Shard("kline_1m")
    shard.line(bar(0, 9), bar(1, 90), bar(2, 5))
    request = shard.asked(0)
    assert request is not None
    reply = Fetched([bar(0, 9, final=True), bar(1, 50, final=True)], (request.first_id, request.last_id))
    shard.repairs.took_events(request, reply, 0, 7)
    assert shard.pushed == [bar(0, 9), bar(0, 9, final=True), bar(1, 90)]
    assert shard.repairs._believed(request, Fetched([bar(1, 50, final=True)], None)).covered is None


def test_a_quiet_topic_s_book_is_asked_for_without_a_diff_once_lines_carry_it() -> None:
    shard = Shard("depth")
    assert (shard.asked(0), shard.asked(100 * DIFFS_WITHIN_NS)) == (None, None)
    shard.intake.primary = 1
    assert (shard.asked(100 * DIFFS_WITHIN_NS), shard.asked(101 * DIFFS_WITHIN_NS - 1)) == (None, None)
    request = shard.asked(101 * DIFFS_WITHIN_NS) or shard.asked(101 * DIFFS_WITHIN_NS)
    assert request is not None
    assert request.snapshot
    assert shard.repairs.took_book(request, BookSnapshot(9, [], [], 0), 0)
    assert shard.pushed == [BookSnapshot(9, [], [], 0)]
    assert shard.asked(200 * DIFFS_WITHIN_NS) is None
    shard.line(diff(10, 11))
    assert shard.pushed[-1] == diff(10, 11)


def test_a_topic_whose_diffs_come_is_not_quiet() -> None:
    shard = Shard("depth")
    shard.intake.primary = 1
    assert shard.asked(0) is None
    shard.line(diff(10, 11))
    request = shard.asked(2 * DIFFS_WITHIN_NS)
    assert request is not None
    assert not shard.repairs.took_book(request, BookSnapshot(8, [], [], 0), 0)


def test_a_gap_that_rest_denies_is_doubted_then_void_and_corrected_should_an_event_come_all_the_same() -> None:
    shard = Shard("trade", at=1)
    shard.line(trade(4), trade(6))
    shard.intake.expire(HOLD_NS)
    assert (shard.intake.gaps_open, shard.repairs.gaps_doubted) == (2, 0)
    request = shard.asked(0)
    assert request is not None
    assert shard.repairs.took_events(request, Fetched([], (2, 3)), 0, 7) == []
    assert (shard.intake.gaps_open, shard.repairs.gaps_doubted) == (2, 1)
    shard.repairs.look(0)
    other = shard.asked(0)
    assert other is not None
    assert (other.first_id, other.doubted) == (5, False)
    shard.repairs.took_events(other, Fetched([trade(5)], (5, 5)), 0, 7)
    again = shard.asked(10)
    assert again is not None
    assert again.doubted
    assert shard.repairs.took_events(again, Fetched([], (2, 3)), 10, 7) == [(2, 3)]
    assert (shard.intake.gaps_open, shard.repairs.gaps_doubted) == (0, 0)
    assert shard.pushed[-1:] == [Void(2, 3, 7)]
    shard.line(trade(3), now_ns=11)
    assert shard.pushed[-1] == Backfilled(trade(3))


def test_events_do_not_wait_for_ids_that_the_host_cannot_give_and_subscribers_are_told_why() -> None:
    shard = Shard("trade", at=1)
    shard.line(trade(9))
    request = shard.asked(0)
    assert request is not None
    assert request.urgency is Urgency.HELD
    reply = Fetched([trade(7), trade(8)], (7, 20), unavailable=[(2, 6)])
    assert shard.repairs.took_events(request, reply, 1, 7) == []
    assert shard.repairs.give_up(1) == [(0, (2, 6))]
    kinds = [type(event) for event in shard.pushed]
    assert kinds == [Gap, Trade, Trade, Trade, GivenUp]
    assert isinstance(shard.pushed[-1], GivenUp)
    assert shard.pushed[-1].cause == NO_HISTORY
    assert shard.asked(10**12) is None
    assert (shard.intake.gaps_open, shard.repairs.planner.waiting) == (0, 0)


def test_a_probe_of_what_the_host_cannot_tell_confirms_nothing() -> None:
    shard = Shard("trade", 1)
    shard.repairs.probe([0], 0)
    request = shard.asked(0)
    assert request is not None
    shard.repairs.took_events(request, Fetched([], None, unavailable=[(2, 1_001)]), 0, 7)
    assert shard.confirmed == []
    again = shard.asked(10**12)
    assert again is not None
    assert again.probe


def test_a_book_that_was_cut_is_published_and_followed_by_a_deeper_one_without_hurry() -> None:
    shard = Shard("depth")
    shard.line(diff(8, 9))
    first = shard.asked(0)
    assert first is not None
    assert (first.urgency, first.deep, shard.intake.books_missing(())) == (Urgency.FIRST_BOOK, False, 1)
    assert shard.repairs.took_book(first, BookSnapshot(9, [("1", "1")], [], 0), 0, cut=True)
    assert (type(shard.pushed[-1]), shard.intake.books_missing(())) == (BookSnapshot, 0)
    shard.repairs.look(0)
    assert shard.repairs.planner.wanted(lambda _: 50) == 0, "nobody lacks anything"
    deeper = shard.asked(1)
    assert deeper is not None
    assert (deeper.urgency, deeper.deep) == (Urgency.DEEPER_BOOK, True)
    shard.repairs.withdrawn(deeper)
    assert shard.intake.publish_books(("binance.depth.",), set()) == 1
    sooner = shard.asked(1)
    assert sooner is not None
    assert (sooner.urgency, sooner.deep) == (Urgency.FIRST_BOOK, True)
    shard.line(diff(10, 12))
    assert shard.repairs.took_book(sooner, BookSnapshot(11, [("1", "1"), ("2", "2")], [], 0), 1)
    assert shard.pushed[-1] == BookSnapshot(12, [("2", "2"), ("1", "12")], [], 0)
    assert shard.asked(10**12) is None


def test_after_an_outage_the_book_of_a_topic_that_stays_silent_is_checked_cheaply_and_kept_if_nothing_has_changed() -> (
    None
):
    shard = Shard("depth", at=10)
    shard.repairs.probe(None, 0)
    assert shard.asked(PROBE_AFTER_NS - 1) is None
    request = shard.asked(PROBE_AFTER_NS)
    assert request is not None
    assert (request.snapshot, request.deep, request.urgency) == (True, False, Urgency.FIRST_BOOK)
    assert shard.repairs.took_book(request, BookSnapshot(10, [("1", "1")], [], 0), PROBE_AFTER_NS, cut=True)
    assert (shard.pushed, shard.asked(10**12), shard.intake.books_missing(())) == ([], None, 0)


def test_after_an_outage_a_book_that_has_changed_is_published_and_the_old_one_is_told_to_be_wrong() -> None:
    shard = Shard("depth", at=10)
    shard.repairs.probe(None, 0)
    request = shard.asked(PROBE_AFTER_NS)
    assert request is not None
    behind = BookSnapshot(9, [("1", "1")], [], 0)
    assert not shard.repairs.took_book(request, behind, PROBE_AFTER_NS), "REST has not come so far"
    again = shard.asked(10**12)
    assert again is not None
    assert shard.repairs.took_book(again, BookSnapshot(12, [("1", "1")], [], 0), 10**12, cut=True)
    assert [type(event) for event in shard.pushed] == [Gap, BookSnapshot]
    shard.repairs.look(10**12)
    deeper = shard.asked(10**13)
    assert deeper is not None
    assert (deeper.urgency, deeper.deep) == (Urgency.DEEPER_BOOK, True)


@pytest.mark.parametrize("after_ns", [0, PROBE_AFTER_NS])
def test_after_an_outage_no_book_is_needed_of_a_topic_that_goes_on_by_itself(after_ns: int) -> None:
    shard = Shard("depth", at=10)
    shard.repairs.probe(None, 0)
    shard.repairs.look(after_ns)
    shard.line(diff(11, 12))
    assert (shard.asked(10**12), shard.pushed) == (None, [diff(11, 12)])
    assert shard.intake.incomplete == set()


def test_a_book_that_is_checked_is_published_all_the_same_to_those_who_lack_it() -> None:
    shard = Shard("depth", at=10)
    shard.repairs.probe([0], 0)
    shard.repairs.look(0)
    assert shard.intake.publish_books(("binance.depth.",), set()) == 1
    request = shard.asked(0)
    assert request is not None
    assert shard.repairs.took_book(request, BookSnapshot(10, [("1", "1")], [], 0), 0)
    assert shard.pushed == [BookSnapshot(10, [("1", "1")], [], 0)]


def test_gaps_that_are_owed_are_not_those_of_books_nor_denied_ones_nor_those_of_symbols_at_rest() -> None:
    book, trades = Shard("depth", at=10), Shard("trade", at=1)
    book.line(diff(15, 16))
    trades.line(trade(4), trade(6))
    trades.intake.expire(HOLD_NS)
    assert (book.intake.gaps_open, book.repairs.gaps_owed(()), book.intake.books_missing(())) == (1, 0, 1)
    assert (trades.repairs.gaps_owed(()), trades.repairs.gaps_owed({0})) == (2, 0)
    request = trades.asked(0)
    assert request is not None
    trades.repairs.took_events(request, Fetched([], (2, 3)), 0, 7)
    assert (trades.repairs.gaps_doubted, trades.repairs.gaps_owed(())) == (1, 1)
