"""What ``book`` shows: the same on a terminal, however the book changes, as in lines."""

from __future__ import annotations

import pytest

from k2workers.processes.book_view import ladder, line, spread, topic_of_book
from k2workers.transport.kept_books import Book

NAME = "v.X"
WHOLE = Book(
    "v.depth.X", "whole", 7, [("99.5", "1"), ("9.5", "22")], [("100.5", "3")], 0, 1_795_519_155_123_456_000, 1.26
)
STALE = Book("v.depth.X", "stale", 7, [], [], 0, 1_795_519_155_123_456_000, 3.0)
NEVER = Book("v.X", "stale", -2, [], [], 0, 0, 0.0)


@pytest.mark.parametrize(
    ("name", "topic"),
    [("v.X", "v.depth.X"), ("v.depth_1s.X", "v.depth_1s.X"), ("v_w.币安USDT", "v_w.depth.币安USDT")],
)
def test_a_symbol_of_a_venue_stands_for_its_usual_changes(name: str, topic: str) -> None:
    assert topic_of_book(name) == topic


def test_a_line_has_the_best_prices_or_that_there_are_none() -> None:
    assert line(NAME, WHOLE) == "11:19:15.123456 v.X 1 99.5 | 100.5 3  spread 1.0 (100.00 bp)  id 7"
    assert line(NAME, STALE) == "11:19:15.123456 v.X stale"
    one_sided = Book("v.depth.X", "whole", 7, [("99.5", "1")], [], 0, 0, 0.0)
    assert line(NAME, one_sided) == "00:00:00.000000 v.X 1 99.5 | - -  spread -  id 7"


def test_a_ladder_always_has_as_many_lines_with_the_spread_in_its_middle() -> None:
    assert ladder(NAME, WHOLE, 3, "whole") == [
        "v.X  whole  age 1.3 s  id 7",
        "",
        "",
        " ask 100.5      3",
        "     spread 1.0 (100.00 bp)",
        " bid  99.5      1",
        " bid   9.5     22",
        "",
    ]
    assert ladder(NAME, STALE, 2, "no feed")[0] == "v.X  no feed  age 3.0 s"
    assert ladder(NAME, NEVER, 2, "stale") == ["v.X  stale", "", "", "     spread -", "", ""]


def test_a_spread_between_prices_that_are_nothing_has_no_percentage() -> None:
    assert spread(Book("", "whole", 1, [("0", "1")], [("0", "1")], 0, 0, 0.0)) == "spread 0"
    assert spread(Book("", "whole", 1, [("0.00000001", "1")], [("0.00000002", "1")], 0, 0, 0.0)).startswith(
        "spread 0.00000001 ("
    )
