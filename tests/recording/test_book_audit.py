from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from k2workers.events import BookSnapshot, Gap, Reset, Void
from k2workers.recording.book_audit import BookAudit
from k2workers.recording.row import Loss, Restart, Row
from tests.recording.support import change, row

BOOK = BookSnapshot(9, [("1.00", "5")], [], 7)


def found(*files: Sequence[Any]) -> dict[str, int]:
    audit = BookAudit()
    for file in files:
        audit.begin_file()
        for thing in file:
            audit.take(thing if isinstance(thing, Row) else row(thing))
    return {name: count for name, count in msgspec.structs.asdict(audit.figures).items() if count}


def head(book: BookSnapshot) -> Row:
    return Row(None, None, book)


def test_changes_continue_the_book_of_the_file_before() -> None:
    after = BookSnapshot(10, [("1.10", "2"), ("1.00", "5")], [], 7)
    files: list[list[Any]] = [[BOOK, change(10, 10, ("1.10", "2"))], [head(after), Void(1, 1, 1), change(11, 11)]]
    assert found(*files) == {"books": 2, "changes": 2}


def test_a_book_that_is_not_what_the_last_file_ended_with_differs() -> None:
    files: list[list[Any]] = [
        [BOOK, change(10, 10, ("1.10", "2"))],
        [head(BookSnapshot(10, [("1.00", "5")], [], 7)), change(11, 11)],
    ]
    assert found(*files)["differing"] == 1


def test_a_change_that_does_not_continue_is_broken_unless_rows_say_why() -> None:
    assert found([BOOK, change(10, 10), change(12, 12), change(13, 13)]) == {
        "books": 1,
        "changes": 1,
        "broken": 1,
        "without": 1,
    }
    for told in (Gap(10, 11, "x", 1), Loss(1, 2, None, None, 1), Reset(9, 1, 1)):
        assert found([BOOK, told, change(12, 12), BookSnapshot(12, [], [], 1), change(13, 13)]) == {
            "books": 2,
            "changes": 1,
            "without": 1,
        }


def test_a_file_that_begins_without_a_book_is_counted() -> None:
    assert found([Restart("recorder", 1), change(10, 10)]) == {"without": 1, "files_without": 1}
