"""What the chaos table takes from the venues' tables."""

from __future__ import annotations

import pytest

from tests.chaos.market import Market
from tests.chaos.table import TABLE, rows_for


def test_the_table_knows_spot_by_its_usual_streams_and_its_bars() -> None:
    market = Market("binance")
    assert market.kinds == ("trade", "agg_trade", "book_ticker", "depth", "kline_1s", "kline_1m")
    assert (market.trades, market.classes, market.unit_is_asked, market.aggregates_join) == ("trade", ("",), True, True)
    assert (market.suffix("depth"), market.topic_of("币安人生usdt@depth@100ms")) == (
        "@depth@100ms", "binance.depth.币安人生USDT",
    )  # fmt: skip


def test_futures_have_two_classes_no_bars_of_a_second_and_trades_beside_the_book() -> None:
    market = Market("binance_usdm")
    assert market.of_class() == {"market": ("agg_trade", "kline_1m"), "public": ("book_ticker", "depth")}
    assert (market.trades, market.unit_is_asked, market.aggregates_join) == ("agg_trade", False, False)
    assert [kind for kind in market.kinds if market.timed(kind)] == ["agg_trade", "book_ticker", "depth", "kline_1m"]
    assert Market("binance_usdm", ("trade",)).topic_of("btcusdt@trade") == "binance_usdm.trade.BTCUSDT"
    assert not Market("binance_coinm").has("trade")


def test_settings_are_called_after_the_market() -> None:
    market = Market("binance_usdm")
    assert market.flag("rest_url") == "--binance-usdm-rest-url"
    assert market.variable("connection_max_lifetime_hours") == "K2_BINANCE_USDM_CONNECTION_MAX_LIFETIME_HOURS"


FUTURES = {
    "one class reset",
    "one class acknowledged and mute",
    "one class stalled",
    "aggregates that do not join",
    "trades beside the book",
}
UNIT = {"milliseconds after a reconnect"}


@pytest.mark.parametrize(
    ("name", "left_out"),
    [("binance", FUTURES), ("binance_us", FUTURES | UNIT), ("binance_usdm", UNIT), ("binance_coinm", UNIT)],
)
def test_each_market_has_all_faults_but_those_that_make_no_sense_there(name: str, left_out: set[str]) -> None:
    market = Market(name)
    assert set(rows_for(market)) == TABLE.keys() - left_out
    assert all(TABLE[fault].senseless(market) for fault in left_out)
