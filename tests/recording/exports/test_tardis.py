"""Lines of CSV as Tardis.dev documents them, with the venue's own digits."""

from __future__ import annotations

import pytest

from k2workers import futures_events as futures
from k2workers.book_events import BookLevels, BookTop
from k2workers.events import AggTrade, BookSnapshot, BookTicker, DepthUpdate, Event, PartialDepth, Ticker, Trade
from k2workers.recording.exports import sources
from k2workers.recording.exports.book_steps import Step
from k2workers.recording.exports.tardis import TardisLines, header, is_off_book

V, L = 1_700_000_000_123_456_789, 1_700_000_000_130_000_999
"""The venue's time, and ours, in ns."""
TIMES = "1700000000123456,1700000000130000"


def lines(holds: str, *events: Event, symbol: str = "ABC", followed: bool = True) -> list[str]:
    made = TardisLines("binance", symbol, holds)
    return [made.lines(Step(L, V, event, followed)) for event in events]


def test_headers_are_those_of_the_format() -> None:
    assert header(sources.TRADES) == "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    assert header("book_snapshot_2") == (
        "exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,"
        "asks[1].price,asks[1].amount,bids[1].price,bids[1].amount\n"
    )


def test_the_side_of_a_trade_is_who_took() -> None:
    assert lines(
        sources.TRADES, Trade(7, "1.50000000", "0.001", False, V, V + 1, L), AggTrade(8, 1, 2, "2", "3", True, V, V, L)
    ) == [f"binance,ABC,{TIMES},7,buy,1.50000000,0.001\n", f"binance,ABC,{TIMES},8,sell,2,3\n"]


@pytest.mark.parametrize(("origin", "off"), [("MARKET", False), ("", False), ("INSURANCE_FUND", True), ("NA", True)])
def test_trades_beside_the_order_book_are_told_apart(origin: str, off: bool) -> None:
    trade = futures.FuturesTrade(7, "1", "2", False, origin, V, V, L)
    assert is_off_book(trade) is off
    assert lines(sources.TRADES, trade) == ["" if off else f"binance,ABC,{TIMES},7,buy,1,2\n"]


def test_a_whole_book_is_a_snapshot_and_a_change_has_the_amounts_that_are_there_now() -> None:
    whole = BookSnapshot(9, [("1.0", "5")], [("1.1", "6")], L)
    change = DepthUpdate(10, 10, [("1.0", "0")], [], V, L)
    assert lines(sources.BOOK_CHANGES, whole, change) == [
        f"binance,ABC,{TIMES},true,bid,1.0,5\nbinance,ABC,{TIMES},true,ask,1.1,6\n",
        f"binance,ABC,{TIMES},false,bid,1.0,0\n",
    ]
    assert lines(sources.BOOK_CHANGES, whole, followed=False) == [""]
    assert TardisLines("x", "y", sources.BOOK_CHANGES).lines(Step(L, V, None)) == ""


def test_of_a_change_with_two_times_the_one_at_which_it_was_sent_is_told() -> None:
    change = futures.LinkedDepthUpdate(1, 2, 1, [("1", "2")], [], V, V + 5_000, L)
    assert lines(sources.BOOK_CHANGES, change) == ["binance,ABC,1700000000123461,1700000000130000,false,bid,1,2\n"]


def test_best_prices_and_levels() -> None:
    top = BookTop(1, "1.0", "5", "1.1", "6", "whole", V, L, L)
    assert lines(sources.BOOK_TICKER, BookTicker(1, "1.0", "5", "1.1", "6", L)) == [
        f"binance,ABC,{TIMES},6,1.1,1.0,5\n"
    ]
    assert lines(sources.QUOTES, top, BookTop(1, "", "", "", "", "stale", 0, L, L)) == [
        f"binance,ABC,{TIMES},6,1.1,1.0,5\n", f"binance,ABC,{TIMES},,,,\n",
    ]  # fmt: skip
    bids, asks = [("1.0", "5"), ("0.9", "4")], [("1.1", "6")]
    expected = [f"binance,ABC,{TIMES},1.1,6,1.0,5,,,0.9,4\n"]
    assert lines("book_snapshot_2", PartialDepth(1, bids, asks, L)) == expected
    assert lines("book_snapshot_2", BookLevels(1, bids, asks, "whole", V, L, L)) == expected


def test_a_derivative_ticker_gathers_what_several_topics_tell_and_has_a_line_for_each_change() -> None:
    def mark(price: str, rate: str = "0.0001", funding_ns: int = V) -> futures.MarkPrice:
        return futures.MarkPrice(price, "9.9", "", "", rate, funding_ns, V, L)

    ticker = Ticker("", "", "", "", "", "", "10.1", "", "", "", "", "", "", "", "", 0, 0, 0, 0, 0, V, L)
    assert lines(
        sources.DERIVATIVE_TICKER, mark("10", "", 0), mark("10"), mark("10"), futures.OpenInterest("77", V, L), ticker, mark("11", "")
    ) == [
        f"binance,ABC,{TIMES},,,,,,9.9,10\n",
        f"binance,ABC,{TIMES},1700000000123456,0.0001,,,,9.9,10\n",
        "",
        f"binance,ABC,{TIMES},1700000000123456,0.0001,,77,,9.9,10\n",
        f"binance,ABC,{TIMES},1700000000123456,0.0001,,77,10.1,9.9,10\n",
        f"binance,ABC,{TIMES},1700000000123456,0.0001,,77,10.1,9.9,11\n",
    ]  # fmt: skip


def test_a_liquidation_is_told_once_it_is_filled() -> None:
    def order(status: str) -> futures.Liquidation:
        return futures.Liquidation("SELL", "LIMIT", "IOC", "3", "9", "8.5", status, "1", "2.5", V, V, L)

    assert lines(sources.LIQUIDATIONS, order("NEW"), order("FILLED")) == ["", f"binance,ABC,{TIMES},,sell,8.5,2.5\n"]


def test_a_name_that_would_break_a_line_is_quoted() -> None:
    trade = Trade(7, "1", "2", False, V, V, L)
    assert lines(sources.TRADES, trade, symbol='A,"B') == [f'binance,"A,""B",{TIMES},7,buy,1,2\n']
