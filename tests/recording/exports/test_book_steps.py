"""What a row is for a reader of a book, and when the venue had it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Event, Gap, Reset, Status, Trade, Void
from k2workers.futures_events import LinkedDepthUpdate
from k2workers.recording.exports.book_steps import DAY_NS, Step, book_steps, plain_steps, venue_ns
from k2workers.recording.row import Kept, Loss, Restart, Row

BIDS = [("1.0", "5")]


def snapshot(last_id: int, at_ns: int = 100) -> BookSnapshot:
    return BookSnapshot(last_id, BIDS, [], at_ns)


def change(first_id: int, last_id: int, venue_time_ns: int = 50) -> DepthUpdate:
    return DepthUpdate(first_id, last_id, [("1.1", "2")], [], venue_time_ns, 0)


def rows(*things: tuple[int, Kept]) -> list[tuple[int, Row]]:
    return [(at_ns, Row(None if isinstance(of, Loss | Restart) else 1, 1, of)) for at_ns, of in things]


def steps(timed: Sequence[tuple[int, Row]], from_ns: int = 0) -> list[Step]:
    return list(book_steps(timed, from_ns, Counter()))


def shapes(found: Sequence[Step]) -> list[Any]:
    return [type(step.event).__name__ if step.event is not None else "lost" for step in found]


def test_a_change_that_the_book_holds_already_or_that_does_not_continue_it_is_no_step() -> None:
    found = steps(
        rows(
            (100, snapshot(9)), (101, change(5, 9)), (102, change(9, 11)), (103, change(12, 12)), (104, change(12, 12))
        )
    )
    assert [step.event.last_id for step in found if step.event is not None] == [9, 11, 12]


def test_a_whole_book_stands_where_we_learned_of_it_but_not_behind_the_change_that_continues_it() -> None:
    found = steps(rows((100, snapshot(9)), (101, change(10, 10, venue_time_ns=80))))
    assert [(step.at_ns, step.venue_ns) for step in found] == [(100, 80), (101, 80)]
    found = steps(rows((100, snapshot(9)), (150, change(10, 10, venue_time_ns=130))))
    assert [(step.at_ns, step.venue_ns) for step in found] == [(100, 100), (150, 130)]


def test_the_venues_time_never_goes_back_within_a_book() -> None:
    found = steps(
        rows(
            (100, snapshot(9)),
            (101, change(10, 10, 90)),
            (102, change(11, 11, 85)),
            (103, snapshot(20)),
            (104, change(21, 21, 70)),
        )
    )
    assert [step.venue_ns for step in found] == [90, 90, 90, 90, 90]


def test_after_a_hole_the_book_is_lost_until_the_next_whole_one() -> None:
    for hole in (Gap(11, 15, "x", 0), Loss(1, 2, None, None, 0), Reset(10, 1, 0), change(15, 15)):
        found = steps(
            rows(
                (100, snapshot(9)),
                (101, change(10, 10, 60)),
                (102, hole),
                (103, change(16, 16)),
                (104, snapshot(20)),
                (105, change(21, 21, 99)),
            )
        )
        assert shapes(found) == ["BookSnapshot", "DepthUpdate", "lost", "BookSnapshot", "DepthUpdate"]
        assert (found[2].at_ns, found[2].venue_ns) == (102, 60)


def test_changes_without_a_whole_book_are_counted_by_day() -> None:
    unused: Counter[int] = Counter()
    timed = rows(
        (100, change(1, 1)), (DAY_NS + 1, change(2, 2)), (DAY_NS + 2, Void(3, 3, 0)), (DAY_NS + 3, change(3, 3))
    )
    assert list(book_steps(timed, 50, unused)) == []
    assert +unused == {0: 1, 1: 2}
    unused.clear()
    assert list(book_steps(timed, DAY_NS + 2, unused)) == []
    assert +unused == {1: 1}


def test_the_book_at_the_head_of_a_file_is_a_step_only_where_there_is_none() -> None:
    head = Row(None, None, snapshot(10))
    timed = [*rows((100, snapshot(9)), (101, change(10, 10))), (102, head), *rows((103, change(11, 11)))]
    assert shapes(steps(timed)) == ["BookSnapshot", "DepthUpdate", "DepthUpdate"]
    timed = [*rows((100, Loss(1, 1, None, None, 0))), (102, head), *rows((103, change(11, 11)))]
    assert shapes(steps(timed)) == ["BookSnapshot", "DepthUpdate"]


def test_each_day_begins_with_the_whole_book_of_its_first_change() -> None:
    timed = rows((100, snapshot(9)), (DAY_NS + 5, change(10, 10, DAY_NS + 1)), (DAY_NS + 6, change(11, 11, DAY_NS + 2)))
    found = steps(timed)
    assert shapes(found) == ["BookSnapshot", "BookSnapshot", "DepthUpdate", "DepthUpdate"]
    assert [(step.at_ns, step.venue_ns) for step in found[:2]] == [(100, 100), (DAY_NS + 5, DAY_NS + 1)]
    assert found[1].event == snapshot(9)
    assert [step.followed for step in found[:2]] == [True, True]


def test_a_day_that_begins_with_a_whole_book_or_a_hole_begins_with_no_other() -> None:
    assert shapes(steps(rows((100, snapshot(9)), (DAY_NS + 5, snapshot(20)), (DAY_NS + 6, change(21, 21))))) == [
        "BookSnapshot", "BookSnapshot", "DepthUpdate",
    ]  # fmt: skip
    assert shapes(steps(rows((100, snapshot(9)), (DAY_NS + 5, Gap(10, 10, "x", 0))))) == ["BookSnapshot", "lost"]


def test_from_a_time_on_it_begins_with_the_whole_book() -> None:
    timed = rows((100, snapshot(9)), (101, change(10, 10)), (102, Restart("feed", 0)), (103, change(11, 11)))
    found = steps(timed, from_ns=102)
    assert shapes(found) == ["BookSnapshot", "DepthUpdate"]
    assert found[0].event == BookSnapshot(10, [("1.1", "2"), ("1.0", "5")], [], 0)
    (lost,) = steps(rows((100, snapshot(9)), (105, Gap(10, 10, "x", 0))), from_ns=102)
    assert (lost.event, lost.venue_ns) == (None, 105)


def test_of_whole_books_with_no_change_between_all_but_the_last_are_not_followed() -> None:
    found = steps(rows((100, snapshot(9)), (101, snapshot(12)), (102, change(13, 13)), (103, snapshot(15))))
    assert [step.followed for step in found] == [False, True, False, True]


def test_events_of_other_topics_are_steps_whenever_they_came() -> None:
    trade = Trade(1, "1", "1", False, 40, 45, 0)
    timed = rows(
        (90, trade),
        (100, Backfilled(trade)),
        (101, Gap(1, 1, "x", 0)),
        (102, Restart("feed", 0)),
        (103, Status("a", {}, 0)),
    )
    assert list(plain_steps(timed, 100)) == [Step(100, 40, trade)]


def test_the_matching_engines_time_is_taken_where_the_venue_tells_it() -> None:
    told: list[Event] = [
        LinkedDepthUpdate(1, 2, 1, [], [], 70, 75, 80), change(1, 2, 50), snapshot(1),
    ]  # fmt: skip
    assert [venue_ns(event) for event in told] == [70, 50, 0]
    assert [step.venue_ns for step in steps(rows((100, snapshot(9)), (101, change(10, 10, 0))))] == [100, 101]
