"""What a topic's rows prove: each id here once, or named, or stood for by a book."""

from __future__ import annotations

from typing import Any

import msgspec

from k2workers.book_events import STALE, WHOLE, BookTop
from k2workers.continuity import Continuity
from k2workers.events import Backfilled, BookSnapshot, BookTicker, Gap, GivenUp, Kline, Reset, Status, Void
from k2workers.recording.id_audit import IdAudit
from k2workers.recording.row import Loss, Restart, Row
from tests.recording.support import BARS, CHANGES, LATEST, TRADES, change, row, trade

MINUTE_NS = 60 * 10**9


def found(continuity: Continuity | None, *things: Any) -> dict[str, int]:
    """What is not 0 of the figures of one day."""
    audit = IdAudit(continuity)
    for thing in things:
        audit.take(thing if isinstance(thing, Row) else row(thing), "day")
    ((_, figures),) = audit.days()
    counts = msgspec.structs.asdict(figures)
    return {name: count for name, count in counts.items() if count and name != "rows"}


def test_a_chain_that_continues_is_whole() -> None:
    assert found(TRADES, *map(trade, range(5, 9))) == {"expected": 4, "present": 4}


def test_ids_that_nobody_told_of_are_missing_and_what_comes_again_is_there_twice() -> None:
    assert found(TRADES, trade(1), trade(4), trade(4), trade(3)) == {
        "expected": 4,
        "present": 2,
        "missing": 2,
        "twice": 2,
    }
    assert found(CHANGES, change(1, 5), change(4, 9)) == {"expected": 9, "present": 9, "twice": 2}


def test_a_gap_names_what_is_missing_until_it_comes_late() -> None:
    gap = Gap(2, 4, "x", 1)
    assert found(TRADES, trade(1), gap, trade(5)) == {"expected": 5, "present": 2, "named": 3, "gaps": 1}
    late = [Backfilled(trade(number)) for number in (2, 4)]
    assert found(TRADES, trade(1), gap, trade(5), *late) == {
        "expected": 5,
        "present": 4,
        "named": 1,
        "gaps": 1,
        "late": 2,
    }
    assert found(TRADES, trade(1), gap, trade(5), *late, late[0])["twice"] == 1


def test_a_gap_that_begins_later_than_the_chain_leaves_a_hole_that_nobody_told_of() -> None:
    assert found(TRADES, trade(1), Gap(4, 4, "x", 1), trade(5)) == {
        "expected": 5,
        "present": 2,
        "missing": 2,
        "named": 1,
        "gaps": 1,
    }
    assert found(TRADES, Gap(4, 5, "x", 1), trade(6)) == {"expected": 3, "present": 1, "named": 2, "gaps": 1}


def test_given_up_ids_stay_named_and_void_ones_never_existed() -> None:
    assert found(TRADES, trade(1), Gap(2, 4, "x", 1), GivenUp(2, 2, "x", 1), Void(3, 4, 1), trade(5)) == {
        "expected": 5, "present": 2, "named": 1, "void": 2, "gaps": 1,
    }  # fmt: skip
    assert found(TRADES, trade(1), Void(2, 3, 1), GivenUp(4, 4, "x", 1), trade(5)) == {
        "expected": 5,
        "present": 2,
        "void": 2,
        "named": 1,
    }
    corrected = found(TRADES, trade(1), Void(2, 3, 1), trade(4), Backfilled(trade(2)))
    assert corrected == {"expected": 4, "present": 3, "void": 1, "late": 1}


def test_a_loss_names_its_ids_where_they_are_known() -> None:
    assert found(TRADES, trade(1), Loss(3, 4, 2, 6, 1), trade(7)) == {
        "expected": 7,
        "present": 2,
        "named": 5,
        "losses": 1,
    }
    assert found(TRADES, trade(1), Loss(3, 4, None, None, 1), trade(7)) == {
        "expected": 7,
        "present": 2,
        "missing": 5,
        "losses": 1,
    }


def test_a_reset_begins_anew_and_what_was_missing_stays_so() -> None:
    things = [trade(8), Gap(9, 9, "x", 1), Void(10, 10, 1), Reset(10, 1, 1), trade(1), trade(2)]
    assert found(TRADES, *things) == {"expected": 5, "present": 3, "named": 1, "void": 1, "gaps": 1, "resets": 1}


def test_what_comes_late_of_a_life_that_was_not_heard_is_new() -> None:
    assert found(TRADES, trade(1), Backfilled(trade(2)), trade(3)) == {"expected": 3, "present": 3, "late": 1}
    assert found(TRADES, Backfilled(trade(2))) == {"late": 1, "twice": 1}


def test_a_book_stands_for_all_ids_up_to_its_own() -> None:
    book = BookSnapshot(9, [], [], 1)
    things = [row(book), change(10, 12), Gap(13, 15, "x", 1), row(BookSnapshot(17, [], [], 1)), change(18, 18)]
    assert found(CHANGES, *things) == {"expected": 9, "present": 4, "replaced": 5, "gaps": 1}
    at_the_head = Row(None, None, BookSnapshot(12, [], [], 1))
    assert found(CHANGES, row(book), change(10, 12), at_the_head, change(13, 13)) == {"expected": 4, "present": 4}


def bar(minute: int, *, final: bool = True) -> Kline:
    opens = minute * MINUTE_NS
    return Kline(opens, opens + MINUTE_NS - 1_000_000, "1", "1", "1", "1", "1", "1", "1", "1", -1, -1, 0, final, 1, 1)


def test_final_bars_are_counted() -> None:
    assert found(BARS, bar(0, final=False), bar(0), bar(1, final=False), bar(1)) == {"expected": 2, "present": 2}
    assert found(BARS, bar(0), bar(3), bar(3), bar(2, final=False)) == {
        "expected": 4,
        "present": 2,
        "missing": 2,
        "twice": 2,
    }
    gap = Gap(MINUTE_NS, 3 * MINUTE_NS - 1, "x", 1)
    assert found(BARS, bar(0), gap, bar(3)) == {"expected": 4, "present": 2, "named": 2, "gaps": 1}
    late = [Backfilled(bar(1)), Backfilled(bar(2)), Backfilled(bar(2))]
    assert found(BARS, bar(0), gap, bar(3), *late) == {"expected": 4, "present": 4, "gaps": 1, "late": 3, "twice": 1}
    assert found(BARS, trade(1)) == {}


def test_of_other_topics_only_what_goes_back_or_repeats_shows() -> None:
    def best(number: int) -> BookTicker:
        return BookTicker(number, "1", "1", "2", "1", 7)

    assert found(LATEST, best(1), best(5), Gap(6, 8, "x", 1), best(9), best(9), best(8)) == {
        "expected": 5, "present": 5, "twice": 2, "gaps": 1,
    }  # fmt: skip
    assert found(LATEST, best(1), Void(3, 4, 1)) == {"expected": 1, "present": 1}


def test_restarts_and_records_are_no_ids() -> None:
    assert found(None, Restart("feed", 1), Status("x", {}, 1), trade(5)) == {"restarts": 1}


def test_what_comes_late_on_another_day_counts_where_it_was_missing() -> None:
    audit = IdAudit(TRADES)
    for day, thing in (
        ("a", trade(1)),
        ("a", Gap(2, 3, "x", 1)),
        ("a", trade(4)),
        ("b", Backfilled(trade(2))),
        ("b", trade(5)),
    ):
        audit.take(row(thing), day)
    days = dict(audit.days())
    assert (days["a"].present, days["a"].named, days["a"].expected) == (3, 1, 4)
    assert (days["b"].present, days["b"].named, days["b"].late) == (1, 0, 1)


def test_what_is_missing_without_a_word_may_come_late_too() -> None:
    assert found(TRADES, trade(1), trade(4), Backfilled(trade(2)), Void(3, 3, 1)) == {
        "expected": 4, "present": 3, "void": 1, "late": 1,
    }  # fmt: skip
    assert found(BARS, bar(0), bar(2), Backfilled(bar(1))) == {"expected": 3, "present": 3, "late": 1}
    assert found(TRADES, trade(8), trade(10), Reset(10, 1, 1), trade(1)) == {
        "expected": 4, "present": 3, "missing": 1, "resets": 1,
    }  # fmt: skip


def test_what_is_lacking_is_told_by_day() -> None:
    audit = IdAudit(TRADES)
    things = [
        ("a", trade(1)),
        ("a", Gap(2, 3, "x", 1)),
        ("b", trade(6)),
        ("b", Void(3, 3, 1)),
        ("c", Backfilled(trade(5))),
    ]
    for day, thing in things:
        audit.take(row(thing), day)
    assert [(day, [*ids]) for day, ids in audit.lacking()] == [("a", [(2, 2)]), ("b", [(4, 4)]), ("c", [])]


def test_that_a_book_is_stale_repeats_nothing_however_old_the_book_is_that_it_is_said_of() -> None:
    def top(update_id: int, state: str) -> BookTop:
        return BookTop(update_id, "", "", "", "", state, 0, 7, 7)

    killed = Restart("feed", 8)
    assert found(LATEST, top(5, WHOLE), killed, top(3, STALE), top(6, WHOLE)) == {"expected": 3, "present": 3, "restarts": 1}  # fmt: skip
    assert found(LATEST, top(5, WHOLE), top(3, STALE), top(4, WHOLE))["twice"] == 1
