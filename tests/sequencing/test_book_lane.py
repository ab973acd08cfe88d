"""The depth lane: a broken chain is announced, and the book published after it is the venue's own."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Level, Reset
from k2workers.sequencing.book_lane import MAX_BUFFERED, BookLane
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.lane import Verdict


def diff(first: int, last: int, *bids: Level) -> DepthUpdate:
    return DepthUpdate(first, last, list(bids), [], last, last)


def book(update_id: int, *bids: Level) -> BookSnapshot:
    return BookSnapshot(update_id, list(bids), [], 0)


def taken(lane: BookLane) -> list[Event]:
    return [event for run in lane.pop_ready() for event in run]


def test_a_new_topic_gets_a_book_as_soon_as_its_diffs_reach_the_snapshot() -> None:
    lane = BookLane("t")
    assert not lane.awaits_fetch, "step 1: first buffer"
    lane.offer(diff(10, 12, ("5", "1")), 0, 0)
    assert lane.awaits_fetch
    assert lane.offer_snapshot(book(15, ("5", "1"), ("4", "1"))), "step 3: not older than the buffer"
    assert not lane.awaits_fetch
    lane.offer(diff(13, 14, ("4", "2")), 0, 0)
    assert not any(isinstance(event, BookSnapshot) for event in taken(lane))
    lane.offer(diff(15, 17, ("3", "9"), ("5", "0.00")), 0, 0)
    assert taken(lane) == [diff(15, 17, ("3", "9"), ("5", "0.00")), book(17, ("4", "1"), ("3", "9"))]
    assert not lane.needs_snapshot


def test_a_snapshot_older_than_the_buffer_is_fetched_again() -> None:
    lane = BookLane("t")
    lane.offer(diff(10, 12), 0, 0)
    assert not lane.offer_snapshot(book(8))
    assert lane.awaits_fetch
    assert lane.offer_snapshot(book(9)), "its end is exactly where the buffer begins"
    assert taken(lane)[-1] == book(12)


def test_the_diffs_since_a_book_that_came_too_old_are_kept_for_the_next_one() -> None:
    lane = BookLane("t")
    for number in range(1, 501):
        lane.offer(diff(number, number), 0, 0)
        if number == 10:
            lane.requested = True
            assert not lane.offer_snapshot(book(-100)), "the venue's books are far behind its diffs"
            lane.requested = False
    lane.requested = True
    assert lane.offer_snapshot(book(10)), "one of long ago fits"
    lane.requested = False
    assert taken(lane)[-1] == book(500)
    lane.begin_anew(1, 0)
    for number in range(1, 500):
        lane.offer(diff(number, number), 0, 0)
    assert not lane.offer_snapshot(book(10)), "few are kept again"


def test_a_hole_is_announced_at_once_and_healed_by_a_snapshot() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")))
    taken(lane)
    assert lane.offer(diff(6, 7, ("4", "1")), 0, 1_000) is Verdict.ACCEPTED
    assert taken(lane) == [Gap(3, 5, "not received", 7), diff(6, 7, ("4", "1"))]
    assert lane.wanted() == [], "diffs cannot be fetched"
    assert lane.awaits_fetch
    assert lane.offer_snapshot(book(6, ("5", "2")))
    assert taken(lane) == [book(7, ("5", "2"), ("4", "1"))]
    assert (lane.open.ids, lane.repaired) == (0, 3)


def test_with_a_second_line_a_hole_may_wait_for_it() -> None:
    lane = BookLane("t")
    lane.patient = True
    lane.offer(diff(1, 2), 0, 1_000)
    assert lane.offer(diff(5, 6), 0, 1_000) is Verdict.HELD
    lane.offer(diff(3, 4), 0, 1_000)
    assert [event.last_id for event in taken(lane)] == [2, 4, 6]


def test_a_lane_that_resumes_before_the_first_book_was_published_still_needs_one() -> None:
    lane = BookLane("t")
    lane.resume(PublishedPosition(10, []))
    lane.offer(diff(11, 12), 0, 0)
    assert lane.awaits_fetch


def test_a_lane_that_resumes_with_an_open_gap_needs_a_book() -> None:
    lane = BookLane("t")
    lane.resume(PublishedPosition(10, [(3, 4)], whole=True))
    lane.offer(diff(11, 12), 0, 0)
    assert lane.awaits_fetch


def test_a_lane_that_resumes_after_a_book_and_without_open_gaps_needs_none() -> None:
    lane = BookLane("t")
    lane.resume(PublishedPosition(10, [], whole=True))
    lane.offer(diff(11, 12), 0, 0)
    assert not lane.awaits_fetch
    lane.reopen(11, 12, 0)
    lane.offer(diff(13, 13), 0, 0)
    assert lane.awaits_fetch


def test_the_buffer_is_bounded_and_then_asks_for_a_newer_book() -> None:
    lane = BookLane("t")
    lane.requested = True
    for number in range(1, MAX_BUFFERED + 12):
        lane.offer(diff(number, number), 0, 0)
    assert not lane.offer_snapshot(book(5))
    assert lane.offer_snapshot(book(11))


class FollowedBook(RuleBasedStateMachine):
    """A venue's book, diffs that get lost, snapshots of any age: a consumer follows what the lane publishes.

    Invariants: ids chain or a Gap says which are missing; a book is published exactly as the venue's was at its id;
    from then until the next Gap the consumer's book equals the venue's at every id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lane = BookLane("t")
        self.venue: dict[str, str] = {}
        self.at = 0
        self.history: dict[int, dict[str, str]] = {0: {}}
        self.book: dict[str, str] | None = None
        self.next_id: int | None = None

    @rule(
        changes=st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("0129")), min_size=1, max_size=3),
        lost=st.integers(0, 5).map(lambda n: n == 0),
    )
    def window(self, changes: list[tuple[str, str]], lost: bool) -> None:
        first = self.at + 1
        for price, quantity in changes:
            self.at += 1
            self.venue = {p: q for p, q in {**self.venue, price: quantity}.items() if q != "0"}
            self.history[self.at] = self.venue
        if not lost:
            self.lane.offer(DepthUpdate(first, self.at, list(dict(changes).items()), [], 0, 0), 0, 0)

    @precondition(lambda self: self.lane.awaits_fetch)
    @rule(data=st.data())
    def snapshot(self, data: st.DataObject) -> None:
        update_id = data.draw(st.integers(max(0, self.at - 8), self.at))
        self.lane.offer_snapshot(BookSnapshot(update_id, list(self.history[update_id].items()), [], 0))

    @invariant()
    def a_consumer_has_the_venues_book(self) -> None:
        for event in taken(self.lane):
            if isinstance(event, BookSnapshot):
                assert self.next_id == event.last_update_id + 1
                self.book = dict(event.bids)
            else:
                assert self.next_id in (None, event.first_id)
                self.next_id = event.last_id + 1
                if isinstance(event, Gap):
                    self.book = None
                elif self.book is not None and isinstance(event, DepthUpdate):
                    changed = {**self.book, **dict(event.bids)}
                    self.book = {p: q for p, q in changed.items() if q != "0"}
            if self.book is not None:
                assert self.book == self.history[event.last_id]
        assert self.lane.needs_snapshot == (self.book is None)


TestFollowedBook = FollowedBook.TestCase
TestFollowedBook.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_book_that_is_asked_for_is_published_anew_at_the_place_where_the_topic_stands() -> None:
    lane = BookLane("t")
    assert not lane.ask_book(), "nothing is known of the topic yet: its first book comes by itself"
    lane.offer(diff(1, 2), 0, 0)
    assert not lane.ask_book(), "one is under way"
    lane.offer_snapshot(book(2, ("5", "1")))
    taken(lane)
    assert lane.ask_book()
    assert lane.awaits_fetch, "a quiet topic has no diff to wait for"
    assert not lane.offer_snapshot(book(1)), "older than what was published"
    assert lane.awaits_fetch
    assert lane.offer_snapshot(book(2, ("5", "1")))
    assert taken(lane) == [book(2, ("5", "1"))]
    assert not lane.needs_snapshot


def test_a_book_takes_the_place_of_changes_that_were_withheld() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")))
    taken(lane)
    assert lane.ask_book(withheld=True)
    assert lane.offer_snapshot(book(9, ("6", "1")))
    assert taken(lane) == [Gap(3, 9, "not received", 0), book(9, ("6", "1"))]
    assert not lane.needs_snapshot
    assert len(lane.open) == 0
    assert lane.offer(diff(8, 11), 0, 0) is Verdict.ACCEPTED, "what was on its way goes on from there"
    assert lane.ask_book(withheld=True)
    assert lane.offer_snapshot(book(lane.last_id or 0))
    assert not any(isinstance(event, Gap) for event in taken(lane)), "nothing was withheld after all"


def test_diffs_that_wait_behind_a_hole_go_on_from_a_book_that_has_come_to_them() -> None:
    for first, goes_on in (
        (10, [diff(10, 11)]),
        (4, [diff(10, 11)]),
        (12, [Gap(10, 11, "not received", 13), diff(12, 13)]),
    ):
        lane = BookLane("t")
        lane.patient = True
        lane.offer(diff(1, 2), 0, 0)
        lane.offer_snapshot(book(2, ("5", "1")))
        lane.ask_book(withheld=True)
        taken(lane)
        assert lane.offer(diff(first, goes_on[-1].last_id), 0, 5) is Verdict.HELD
        assert lane.offer_snapshot(book(9, ("6", "1")))
        lane.expire(5)
        assert taken(lane) == [Gap(3, 9, "not received", 0), book(9, ("6", "1")), *goes_on]
    lane = BookLane("t")
    lane.patient = True
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")))
    lane.ask_book(withheld=True)
    taken(lane)
    lane.offer(diff(5, 7), 0, 5)
    lane.offer_snapshot(book(9, ("6", "1")))
    lane.expire(5)
    assert taken(lane) == [Gap(3, 9, "not received", 0), book(9, ("6", "1"))], "the book holds what waited"


def test_what_cannot_be_read_voids_the_book_that_it_is_in_and_nothing_else() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2, ("5", "1")), 0, 0)
    assert not lane.offer_snapshot(book(2, ("5", "")))
    assert lane.awaits_fetch
    lane.offer(diff(3, 4, ("abc", "1")), 0, 0)
    assert not lane.offer_snapshot(book(2, ("5", "1")))
    assert not lane.offer_snapshot(book(3, ("5", "1"))), "the diff is not in it"
    assert lane.awaits_fetch
    assert lane.offer_snapshot(book(5, ("5", "1")))
    lane.offer(diff(5, 6, ("6", "x")), 0, 0)
    assert lane.awaits_fetch, "a diff that reached the snapshot may be the bad one too"
    lane.offer(diff(7, 8, ("7", "1")), 0, 0)
    assert lane.offer_snapshot(book(6, ("5", "1")))
    assert taken(lane)[-1] == book(8, ("7", "1"), ("5", "1"))
    assert not lane.needs_snapshot


def test_a_book_that_is_asked_for_may_be_ahead_of_the_topic() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")))
    taken(lane)
    lane.ask_book()
    assert lane.offer_snapshot(book(4, ("6", "1")))
    assert (taken(lane), lane.needs_snapshot) == ([], True)
    lane.offer(diff(3, 5, ("7", "1")), 0, 0)
    assert taken(lane) == [diff(3, 5, ("7", "1")), book(5, ("7", "1"), ("6", "1"))]


def test_a_hole_after_a_book_was_asked_for_wants_one_that_is_newer() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")))
    lane.ask_book()
    lane.offer_snapshot(book(8, ("6", "1")))
    lane.offer(diff(10, 11), 0, 0)
    assert lane.awaits_fetch
    assert not lane.offer_snapshot(book(8)), "between it and the next diff is a hole"


def test_a_hole_of_which_a_lane_is_told_again_does_not_put_off_the_book_that_heals_it() -> None:
    lane = BookLane("t")
    lane.resume(PublishedPosition(10, [], whole=True))
    lane.offer(diff(11, 12), 0, 0)
    lane.reopen(11, 12, 0)
    lane.offer(diff(13, 14), 0, 0)
    for _ in range(3):
        lane.reopen(11, 12, 0)
    assert lane.awaits_fetch
    assert lane.offer_snapshot(BookSnapshot(14, [], [], 0))
    assert not lane.open


def test_a_quiet_topic_gets_a_book_without_a_diff_and_the_next_diff_continues_it() -> None:
    lane = BookLane("t")
    assert (lane.lacks_diffs, lane.awaits_fetch) == (True, False)
    assert not lane.offer_snapshot(book(20))
    lane.do_without_diffs()
    assert (lane.lacks_diffs, lane.awaits_fetch) == (False, True)
    assert lane.offer_snapshot(book(20, ("5", "1")), cut=True)
    assert taken(lane) == [book(20, ("5", "1"))]
    assert (lane.has_book, lane.broken, lane.awaits_fetch, lane.urgent) == (True, False, True, False)
    assert lane.offer(diff(17, 20), 0, 0) is Verdict.DUPLICATE, "it is in the book"
    lane.offer(diff(19, 23, ("5", "2")), 0, 0)
    assert taken(lane) == [diff(21, 23, ("5", "2"))]


def test_a_diff_that_does_not_continue_a_quiet_topic_s_book_breaks_it() -> None:
    lane = BookLane("t")
    lane.do_without_diffs()
    lane.offer_snapshot(book(20))
    lane.offer(diff(24, 25), 0, 0)
    assert taken(lane) == [book(20), Gap(21, 23, "not received", 25), diff(24, 25)]
    assert lane.awaits_fetch


def test_once_a_diff_has_come_the_book_waits_for_it_as_ever() -> None:
    lane = BookLane("t")
    lane.do_without_diffs()
    lane.offer(diff(10, 12), 0, 0)
    assert not lane.offer_snapshot(book(8))
    assert lane.offer_snapshot(book(13))
    assert taken(lane) == [diff(10, 12)]


def test_a_topic_that_fell_quiet_while_its_book_was_broken_gets_one_with_what_it_missed_announced() -> None:
    lane = BookLane("t")
    lane.resume(PublishedPosition(10, [(7, 8)]))
    assert lane.lacks_diffs
    lane.do_without_diffs()
    assert not lane.offer_snapshot(book(9)), "older than what was published"
    assert not lane.offer_snapshot(book(10, ("no price", "1")))
    assert not lane.offer_snapshot(book(10**12))
    assert lane.offer_snapshot(book(12))
    assert taken(lane) == [Gap(11, 12, "not received", 0), book(12)]
    assert (lane.open.ids, lane.needs_snapshot) == (0, False)


def test_a_book_that_waits_for_diffs_which_do_not_come_is_published_as_it_is() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2))
    lane.ask_book()
    assert lane.offer_snapshot(book(5))
    assert lane.lacks_diffs
    taken(lane)
    lane.do_without_diffs()
    assert taken(lane) == [Gap(3, 5, "not received", 0), book(5)]


def test_a_book_below_all_diffs_confirms_that_their_ids_have_begun_anew() -> None:
    second = 10**9

    def made(number: int, at_s: int) -> DepthUpdate:
        return DepthUpdate(number, number, [], [], at_s * second, at_s * second)

    lane = BookLane("t")
    lane.offer(made(100, 0), 0, 0)
    lane.offer_snapshot(book(100))
    taken(lane)
    assert lane.offer(made(5, 9), 0, 0) is Verdict.HELD
    assert lane.awaits_fetch
    assert not lane.offer_snapshot(book(4)), "it does not have the diff"
    assert not lane.offer_snapshot(book(100)), "it has the old ids"
    assert lane.offer_snapshot(book(5))
    assert taken(lane) == [Reset(100, 5, 9 * second), made(5, 9), book(5)]


def with_book() -> BookLane:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")))
    taken(lane)
    return lane


def test_changes_that_could_not_be_sent_leave_no_book_until_the_next_one() -> None:
    lane = with_book()
    lane.offer(diff(3, 4), 0, 0)
    lane.take_back(taken(lane))
    assert taken(lane) == [Gap(3, 4, "not sent", 4)]
    lane.offer(diff(5, 6), 0, 0)
    assert lane.awaits_fetch
    lane.requested = True
    assert lane.requested
    assert lane.offer_snapshot(book(4, ("5", "2")))
    assert taken(lane) == [diff(5, 6), book(6, ("5", "2"))]
    assert (lane.repaired, len(lane.open)) == (2, 0)


def test_whoever_lacks_a_book_gets_one_whatever_a_check_shows() -> None:
    lane = with_book()
    assert lane.ask_book(withheld=True)
    assert lane.ask_book()
    assert lane.offer_snapshot(book(2, ("5", "1")))
    assert taken(lane) == [book(2, ("5", "1"))]


def test_a_diff_that_continues_shows_that_nothing_was_withheld() -> None:
    lane = with_book()
    assert lane.ask_book(withheld=True)
    lane.offer(diff(3, 4), 0, 0)
    assert not lane.needs_snapshot
    assert taken(lane) == [diff(3, 4)]


def test_a_book_that_is_asked_for_while_the_larger_one_is_awaited_comes_sooner() -> None:
    lane = BookLane("t")
    lane.offer(diff(1, 2), 0, 0)
    lane.offer_snapshot(book(2, ("5", "1")), cut=True)
    assert (lane.needs_snapshot, lane.urgent) == (True, False)
    assert lane.ask_book()
    assert lane.urgent


def test_the_next_id_decides_once_subscribers_have_a_book() -> None:
    lane = BookLane("t")
    lane.offer(DepthUpdate(1, 2, [], [], 0, 0), 0, 0)
    lane.pop_ready()
    assert not lane.only_next
    lane.offer_snapshot(BookSnapshot(2, [], [], 0))
    assert not lane.only_next, "the book waits"
    lane.pop_ready()
    assert lane.only_next
    lane.ask_book(withheld=True)
    assert not lane.only_next


@pytest.mark.parametrize(("levels", "part"), [(100, True), (50, True), (101, False), (0, False)])
def test_of_a_book_that_may_be_a_part_no_level_is_published_that_others_may_lie_before(levels: int, part: bool) -> None:
    lane = BookLane("t")
    lane.offer(diff(10, 10, ("2", "1"), ("450", "1")), 0, 0)
    bids = [(str(price), "1") for price in range(400, 300, -1)]
    assert lane.offer_snapshot(book(9, *bids), levels=levels)
    (published,) = [event for event in lane.ready if isinstance(event, BookSnapshot)]
    assert published.bids == [("450", "1"), *bids, *([] if part else [("2", "1")])]
