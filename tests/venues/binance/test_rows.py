"""Rows of REST answers that cannot be are told from those that can."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from k2workers.events import AggTrade, ContinuousKline, Kline, Trade
from k2workers.futures_events import FundingRate, FuturesAggTrade, FuturesTrade, OpenInterest
from k2workers.venues.binance.rows import (
    AggTradeRow,
    ClockReply,
    FundingRow,
    KlineRow,
    OpenInterestRow,
    TradeRow,
    read_depth,
)

AT = 1_700_000_000_000
TRADE = {"id": 7, "price": "1.5", "qty": "2.0", "time": AT, "isBuyerMaker": True}
AGG = {"a": 7, "p": "1.5", "q": "2.0", "f": 5, "l": 6, "T": AT, "m": True}
BAR = [AT, "1.0", "2.0", "1.0", "1.5", "3.0", AT + 59_999, "4.0", 5, "1.0", "1.0"]


@pytest.mark.parametrize(("row", "shape"), [(TRADE, TradeRow), (AGG, AggTradeRow), (BAR, KlineRow)])
def test_a_row_as_the_venue_writes_it_is_read(row: Any, shape: type) -> None:
    assert isinstance(msgspec.convert(row, shape), shape)


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        (TRADE | {"price": "abc"}, TradeRow),
        (TRADE | {"time": 5}, TradeRow),
        (AGG | {"T": 0}, AggTradeRow),
        (AGG | {"f": 9}, AggTradeRow),
        ({"serverTime": 5}, ClockReply),
        ([AT + 60_000, *BAR[1:]], KlineRow),
    ],
)
def test_a_row_that_cannot_be_is_refused(row: Any, shape: type) -> None:
    with pytest.raises(ValueError, match=r".+"):
        msgspec.convert(row, shape)


def test_a_clock_is_read_in_whichever_unit_it_shows() -> None:
    assert [msgspec.convert({"serverTime": AT * unit}, ClockReply).at_ns for unit in (1, 1_000)] == [NS, NS]


def test_an_aggregate_that_the_venue_has_invalidated_needs_no_time() -> None:
    assert msgspec.convert(AGG | {"f": -1, "l": -1, "T": 0}, AggTradeRow).f == -1


@pytest.mark.parametrize("more", [[], [[]]])
def test_levels_of_a_book_may_be_longer_than_pairs(more: list[Any]) -> None:
    book = read_depth(json.dumps({"lastUpdateId": 5, "bids": [["1.5", "1", *more]], "asks": []}).encode())
    assert (book.lastUpdateId, book.bids, book.asks) == (5, [("1.5", "1")], [])


@pytest.mark.parametrize("odd", ["NaN", "", "-1"])
def test_a_book_with_a_level_that_is_no_decimal_is_none(odd: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_depth(json.dumps({"lastUpdateId": 5, "bids": [["1.5", odd]], "asks": []}).encode())


NS = AT * 1_000_000


def test_a_row_stands_for_the_event_that_its_market_would_have_sent() -> None:
    trade, aggregate = msgspec.convert(TRADE, TradeRow), msgspec.convert(AGG, AggTradeRow)
    assert trade.event(Trade, 9) == Trade(7, "1.5", "2.0", True, NS, NS, 9)
    assert trade.event(FuturesTrade, 9) == FuturesTrade(7, "1.5", "2.0", True, "MARKET", NS, NS, 9)
    assert aggregate.event(AggTrade, 9) == AggTrade(7, 5, 6, "1.5", "2.0", True, NS, NS, 9)
    assert aggregate.event(FuturesAggTrade, 9) == FuturesAggTrade(7, 5, 6, "1.5", "2.0", "", True, NS, NS, 9)
    told = msgspec.convert(AGG | {"nq": "1.0"}, AggTradeRow)
    assert told.event(FuturesAggTrade, 9) == FuturesAggTrade(7, 5, 6, "1.5", "2.0", "1.0", True, NS, NS, 9)


@pytest.mark.parametrize("made", [Kline, ContinuousKline])
def test_a_row_of_bars_is_a_final_one_whose_trades_nobody_tells(made: type[Kline]) -> None:
    bar = msgspec.convert(BAR, KlineRow).event(made, 9)
    assert type(bar) is made
    assert (bar.open_time_ns, bar.close_time_ns, bar.venue_time_ns) == (NS, NS + 59_999_000_000, NS + 59_999_000_000)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count) == (
        "1.0",
        "2.0",
        "1.0",
        "1.5",
        "3.0",
        5,
    )
    assert (bar.first_trade_id, bar.last_trade_id, bar.final, bar.received_ns) == (-1, -1, True, 9)


def test_what_is_asked_for_of_futures_is_read() -> None:
    interest = msgspec.convert({"symbol": "A", "openInterest": "10659.509", "time": AT}, OpenInterestRow)
    assert interest.event(9) == OpenInterest("10659.509", NS, 9)
    funding = {"symbol": "A", "fundingRate": "-0.0001", "fundingTime": AT}
    assert msgspec.convert(funding, FundingRow).event(9) == FundingRate("-0.0001", "", NS, 9)
    assert msgspec.convert(funding | {"markPrice": "1.5"}, FundingRow).event(9) == FundingRate("-0.0001", "1.5", NS, 9)
    with pytest.raises(ValueError, match=r".+"):
        msgspec.convert(funding | {"fundingRate": "--1"}, FundingRow)
