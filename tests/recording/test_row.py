from __future__ import annotations

from k2workers import Lost
from k2workers.events import Backfilled, Gap, Void
from k2workers.recording.row import Loss, Restart, Row
from tests.recording.support import trade


def test_a_loss_is_what_the_subscriber_was_told() -> None:
    assert Loss.of(Lost("t", 1, 2, 3, 4), 5) == Loss(1, 2, 3, 4, 5)
    assert Loss.of(Lost("t", 0, -1), 5) == Loss(0, -1, None, None, 5)


def test_a_row_tells_when_we_learned_of_it_and_whether_it_is_late() -> None:
    assert [
        Row(1, 2, of).taken_ns for of in (trade(1, 9), Gap(1, 2, "x", 8), Loss(1, 2, 3, 4, 5), Restart("feed", 6))
    ] == [9, 8, 5, 6]
    late = Row(1, 2, Backfilled(trade(1, 9)))
    assert (late.late, late.event, late.taken_ns) == (True, trade(1, 9), 9)
    assert not Row(1, 2, trade(1)).late


def test_what_was_fetched_after_the_recording_came_in_no_batch() -> None:
    late = Backfilled(trade(1, 9))
    assert Row(None, None, late).fetched
    assert Row(None, None, Void(1, 2, 3)).fetched
    assert not Row(1, 2, late).fetched
    assert not Row(None, None, Restart("feed", 6)).fetched


def test_what_was_fetched_and_what_the_recorder_says_for_itself_has_no_time_among_the_others() -> None:
    late = Backfilled(trade(1, 9))
    assert [Row(1, 2, of).timed for of in (trade(1), Gap(1, 2, "x", 8), late)] == [True, True, True]
    assert [Row(None, None, of).timed for of in (late, Loss(1, 2, 3, 4, 5), Restart("feed", 6))] == [False] * 3
