"""The judge of books: it finds each kind of mistake that it is there for."""

from __future__ import annotations

from typing import Any

import pytest

from k2workers import Lost, Message
from k2workers.book_events import BookTop
from k2workers.continuity import MADE
from k2workers.events import BookSnapshot, DepthUpdate, Event, Gap, Level
from k2workers.simulator.binance.book import Side
from k2workers.simulator.binance.book_sums import BookSums
from k2workers.simulator.binance.payloads import decimal
from tests.chaos.book_judge import BookJudge, wrong_in

ONE, MS = 10**8, 1_000_000
ASK: Level = (decimal(9 * ONE), decimal(ONE))


class Venue:
    """A book of one symbol whose state is logged at each change, and a judge of what is told of it."""

    def __init__(self) -> None:
        self.bids, self.asks = Side(1), Side(-1)
        self.asks.set(9 * ONE, ONE)
        self._sums = BookSums(self.bids, self.asks, lambda price, quantity: (decimal(price), decimal(quantity)))
        self._lines: list[str] = []
        self.judge = BookJudge(self._more)

    def _more(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def set(self, number: int, price: int, quantity: int) -> DepthUpdate:
        """The change that a level makes, at this id."""
        self.bids.set(price * ONE, quantity * ONE)
        self._lines.append(self._sums.line("X", number))
        return DepthUpdate(number, number, [(decimal(price * ONE), decimal(quantity * ONE))], [], 0, 0)

    def give(self, kind: str, *events: Event, at_ms: int = 0) -> None:
        """These are published."""
        for event in events:
            self.judge.take(Message(f"v.{kind}.X", 1, at_ms * MS, event, MADE))

    def top(self, number: int, price: int, state: str = "whole", *, at_ms: int = 0) -> None:
        """The best prices are told."""
        bid = (decimal(price * ONE), decimal(ONE)) if state == "whole" else ("", "")
        ask = ASK if state == "whole" else ("", "")
        self.give("book_top", BookTop(number, *bid, *ask, state, 0, 0, 0), at_ms=at_ms)

    def wrong(self, now_ms: int = 10_000) -> tuple[dict[str, Any], str]:
        """Figures, and what is wrong."""
        figures = self.judge.figures(now_ms * MS)
        return figures, " ".join(wrong_in(figures))


@pytest.fixture
def venue() -> Venue:
    made = Venue()
    first = made.set(1, 5, 1)
    made.give("depth", BookSnapshot(1, first.bids, [ASK], 0), made.set(2, 6, 1))
    made.top(2, 6)
    return made


def test_what_is_as_the_exchange_has_it_is_equal(venue: Venue) -> None:
    venue.judge.compare_kept(
        "X", "whole", 2, [(decimal(6 * ONE), decimal(ONE)), (decimal(5 * ONE), decimal(ONE))], [ASK]
    )
    figures, wrong = venue.wrong()
    assert (figures["checks"], figures["changes_equal"], figures["told_equal"], figures["kept_equal"], wrong) == (
        3, 2, 1, 1, "",
    )  # fmt: skip


def test_a_change_that_was_not_given_a_wrong_quantity_and_a_wrong_best_price_are_found(venue: Venue) -> None:
    venue.set(3, 6, 2)
    venue.give("depth", venue.set(4, 5, 3))
    assert "changes_different 1" in venue.wrong()[1] and "chain_broken 1" in venue.wrong()[1]
    venue.top(4, 5)
    assert "told_different 1" in venue.wrong()[1]
    venue.judge.compare_kept("X", "stale", 4, [], [])
    assert "kept_different 1" in venue.wrong()[1]


def test_how_long_a_break_was_not_told_is_measured(venue: Venue) -> None:
    venue.give("depth", Gap(3, 4, "", 0), at_ms=5_000)
    venue.top(2, 0, "stale", at_ms=5_030)
    figures, wrong = venue.wrong()
    assert (figures["stale_ms"]["max"], wrong) == (30, "")


def test_a_break_that_is_never_told_and_a_whole_book_after_it_are_found(venue: Venue) -> None:
    venue.give("depth", Gap(3, 4, "", 0), at_ms=1_000)
    assert "never told" in venue.wrong()[1]
    venue.top(2, 6, at_ms=1_200)
    venue.give("depth", BookSnapshot(4, venue.set(4, 7, 1).bids, [ASK], 0), at_ms=1_400)
    assert "whole_while_broken 1" in venue.wrong()[1]


@pytest.mark.parametrize(("told_ms", "found"), [(1_041, ""), (1_150, "whole_while_broken 1")])
def test_what_was_told_before_the_healing_and_comes_after_it_is_judged_by_its_time(
    venue: Venue, told_ms: int, found: str
) -> None:
    venue.give("depth", Gap(3, 4, "", 0), at_ms=1_000)
    venue.give("depth", BookSnapshot(4, venue.set(4, 7, 1).bids, [ASK], 0), at_ms=1_200)
    venue.top(2, 6, at_ms=told_ms)
    assert found in venue.wrong()[1]
    assert bool(found) == ("whole_while_broken" in venue.wrong()[1])


def test_a_break_that_is_healed_at_once_need_not_be_told(venue: Venue) -> None:
    venue.give("depth", Gap(3, 3, "", 0), at_ms=1_000)
    levels = [*venue.set(4, 7, 1).bids, (decimal(6 * ONE), decimal(ONE)), (decimal(5 * ONE), decimal(ONE))]
    venue.give("depth", BookSnapshot(4, levels, [ASK], 0), at_ms=1_010)
    venue.top(4, 7, at_ms=1_012)
    figures, wrong = venue.wrong()
    assert (figures["healed_at_once_ms"]["max"], wrong) == (10, "")


def test_after_a_loss_nothing_is_compared_until_a_whole_book_comes(venue: Venue) -> None:
    venue.judge.take(Lost("v.depth.X", 1, 1, 3, 3))
    venue.set(3, 4, 4)
    venue.give("depth", venue.set(4, 6, 2))
    assert venue.wrong()[0]["changes_equal"] == 2 and not venue.wrong()[1]
