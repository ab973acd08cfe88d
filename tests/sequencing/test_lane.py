"""What all lanes share."""

from __future__ import annotations

import pytest

from k2workers.errors import StateError
from k2workers.events import BookTicker, Reset, Trade
from k2workers.sequencing.lane import Lane
from k2workers.sequencing.monotone_lane import MonotoneLane


def ticker(number: int) -> BookTicker:
    return BookTicker(number, "1", "1", "1", "1", 0)


TRADE = Trade(1, "", "", True, 0, 0, 0)


def test_the_base_lane_judges_nothing() -> None:
    with pytest.raises(StateError):
        Lane("t").offer(TRADE, 0, 0)
    with pytest.raises(StateError):
        Lane("t")._go_far([TRADE], 0, 0)
    assert not Lane("t").expire(0)
    assert Lane("t").deadline_ns is None


def test_a_lane_of_which_nothing_came_knows_and_wants_nothing() -> None:
    lane = Lane("t")
    assert (lane.newest_id, lane.newest_trade_id, lane.newest_top, lane.wanted()) == (None, None, None, [])
    assert not lane.fill([TRADE], 0)
    assert lane.believes(TRADE)


def test_where_the_next_value_makes_it_good_nothing_that_was_not_sent_is_announced_but_a_reset() -> None:
    lane = Lane("t")
    lane.passed = 1
    lane.take_back([TRADE, Reset(9, 1, 0)])
    assert (lane.pop_ready(), lane.passed) == ([[Reset(9, 1, 0)]], 0)


def test_a_lane_with_nothing_waiting_needs_only_the_next_id_and_goes_on_from_elsewhere() -> None:
    lane = Lane("t")
    assert not lane.only_next
    lane.last_id, lane.passed = 1, 1
    assert lane.only_next
    lane.went_on(4, TRADE, 3)
    assert (lane.last_id, lane.newest, lane.passed) == (4, TRADE, 4)
    lane.want_again(2, 3, 0)
    assert not lane.only_next
    lane.pop_ready()
    assert lane.only_next


def test_a_topic_is_in_doubt_while_events_behind_it_come_and_none_ahead() -> None:
    lane = MonotoneLane("t")
    lane.offer(ticker(5), 0, 0)
    assert not lane.doubting
    lane.offer(ticker(3), 1, 0)
    assert lane.doubting
    lane.offer(ticker(6), 2, 0)
    assert not lane.doubting
