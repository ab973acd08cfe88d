"""What a feed would publish for rows of a recording."""

from __future__ import annotations

import pytest

from k2workers.events import BookSnapshot, Gap
from k2workers.recording.played_events import LOST, by_book, published
from k2workers.recording.row import Kept, Loss, Restart
from k2workers.recording.timeline import Run
from k2workers.sequencing.coverage import NOT_KNOWN
from tests.recording.support import BARS, BOOK, CHANGES, TOPIC, TRADES, trade

BOOK_OF_9 = BookSnapshot(9, [("1.00", "5")], [], 3)


@pytest.mark.parametrize(
    ("own", "rows", "expected"),
    [
        (False, [trade(1), trade(2)], [trade(1), trade(2)]),
        (True, [Loss(3, 4, 11, 12, 5), Loss(5, 5, None, None, 6)], [Gap(11, 12, LOST, 5)]),
        (True, [Restart("feed", 5)], []),
        (True, [BOOK_OF_9], []),
        (False, [BOOK_OF_9], [BOOK_OF_9]),
    ],
)
def test_events_are_published_and_losses_as_gaps_and_nothing_that_only_a_recorder_needs(
    own: bool, rows: list[Kept], expected: list[Kept]
) -> None:
    assert published(Run(0, TOPIC, TRADES.number, own, rows)) == expected


def test_of_a_topic_whose_ids_say_nothing_yet_a_loss_is_no_gap() -> None:
    assert published(Run(0, BOOK, NOT_KNOWN, True, [Loss(3, 4, 11, 12, 5)])) == []


def test_changes_of_a_book_are_known_by_their_continuity() -> None:
    assert [by_book(each.number) for each in (CHANGES, TRADES, BARS)] == [True, False, False]
    assert not by_book(NOT_KNOWN)
