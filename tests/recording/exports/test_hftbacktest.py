"""What a step is among hftbacktest's events."""

from __future__ import annotations

from k2workers.events import AggTrade, BookSnapshot, BookTicker, DepthUpdate, Trade
from k2workers.futures_events import FuturesTrade
from k2workers.recording.exports.book_steps import Step
from k2workers.recording.exports.hftbacktest import BUY, CLEAR, DEPTH, SELL, SNAPSHOT, TRADE, Told, told


def test_a_trade_has_the_side_that_took() -> None:
    assert told(Step(9, 5, Trade(1, "1.5", "2", False, 5, 6, 9))) == Told(5, 9, True, [(TRADE | BUY, 1.5, 2.0)])
    assert told(Step(9, 5, AggTrade(1, 1, 1, "1.5", "2", True, 5, 6, 9))) == Told(
        5, 9, True, [(TRADE | SELL, 1.5, 2.0)]
    )


def test_a_whole_book_clears_what_was_there_and_a_change_does_not() -> None:
    bids, asks = [("1.0", "5")], [("1.1", "0")]
    assert told(Step(9, 5, BookSnapshot(1, bids, asks, 9))) == Told(
        5, 9, False, [(CLEAR, 0.0, 0.0), (SNAPSHOT | BUY, 1.0, 5.0), (SNAPSHOT | SELL, 1.1, 0.0)]
    )
    assert told(Step(9, 5, DepthUpdate(1, 2, bids, asks, 5, 9))) == Told(
        5, 9, False, [(DEPTH | BUY, 1.0, 5.0), (DEPTH | SELL, 1.1, 0.0)]
    )


def test_a_lost_book_is_cleared() -> None:
    assert told(Step(9, 5, None)) == Told(5, 9, False, [(CLEAR, 0.0, 0.0)])


def test_what_was_traded_beside_the_book_and_other_events_are_nothing() -> None:
    assert told(Step(9, 5, FuturesTrade(1, "1", "2", False, "INSURANCE_FUND", 5, 6, 9))) is None
    assert told(Step(9, 5, BookTicker(1, "1", "2", "3", "4", 9))) is None
