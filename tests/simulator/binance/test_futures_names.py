"""The names of futures streams: which there are, of which kind, and on which route each comes."""

from __future__ import annotations

import pytest

from k2workers.simulator.binance.futures_names import (
    CONTIGUOUS,
    INTERVALS,
    MARKET,
    PUBLIC,
    FuturesStreams,
    is_valid,
    kind_of,
    route_of,
)
from k2workers.venues.binance import futures_streams
from k2workers.venues.binance.streams import stream_specs


@pytest.mark.parametrize(
    ("route", "names"),
    [
        (
            PUBLIC,
            ("btcusdt@trade btcusdt@bookTicker btcusdt@depth btcusdt@depth@0ms btcusdt@depth@100ms btcusdt@depth@500ms btcusdt@depth5"
            " btcusdt@depth10@100ms btcusdt@depth20@500ms btcusdt@rpiDepth@500ms !bookTicker 币安人生usdt@depth"),
        ),
        (
            MARKET,
            ("btcusdt@aggTrade btcusdt@markPrice btcusdt@markPrice@1s btcusdt@kline_1M btcusdt_perpetual@continuousKline_1m"
            " btcusdt@miniTicker btcusdt@ticker btcusdt@forceOrder defiusdt@compositeIndex btcusd@assetIndex tradingSession !contractInfo"
            " !miniTicker@arr !ticker@arr !markPrice@arr !markPrice@arr@1s !forceOrder@arr !assetIndex@arr"),
        ),
        (
            "",
            ("btcusdt btcusdt@kline_1s btcusdt@depth@250ms btcusdt@depth@1000ms btcusdt@depth5@0ms btcusdt@avgPrice btcusdt@ticker_1h"
            " !bookTicker@arr !ticker_1h@arr btcusdt@blockTrade btcusdt@kline_1d@+08:00 @trade"),
        ),
    ],
)  # fmt: skip
def test_each_stream_is_on_the_route_of_the_venues_table(route: str, names: str) -> None:
    found = names.split()
    assert {name: route_of(name) for name in found} == dict.fromkeys(found, route)
    assert {is_valid(name) for name in found} == {bool(route)}


def test_kinds_tell_speeds_apart() -> None:
    kinds = {
        "btcusdt@aggTrade": "agg_trade", "btcusdt@depth": "depth_250ms", "btcusdt@depth@100ms": "depth", "btcusdt@depth@0ms": "depth_0ms",
        "btcusdt@depth5": "partial_depth_5_250ms", "btcusdt@depth20@100ms": "partial_depth_20", "btcusdt@kline_1m": "kline_1m",
        "btcusdt_perpetual@continuousKline_1h": "continuous_kline_1h", "btcusdt@markPrice@1s": "mark_price",
        "!markPrice@arr": "mark_price_3s_all", "!bookTicker": "book_ticker_all", "!forceOrder@arr": "liquidation_all",
        "!contractInfo": "contract_info_all", "tradingSession": "trading_session",
    }  # fmt: skip
    assert {name: kind_of(name) for name in kinds} == kinds


def test_what_the_exchange_takes_for_a_chain_is_what_the_feed_takes_for_one() -> None:
    assert {name for name, kind in futures_streams.FUTURES_KINDS.items() if kind.continuity.chained} == CONTIGUOUS


def test_every_stream_that_the_feed_can_ask_for_exists_and_is_of_the_same_kind_and_route() -> None:
    kinds = {name: kind for name, kind in futures_streams.FUTURES_KINDS.items() if name not in futures_streams.ASKED}
    names = {kind: stream_specs([kind], ["BTCUSDT"], kinds)[0].name for kind in kinds}
    assert {kind: kind_of(name) for kind, name in names.items()} == {kind: kind for kind in kinds}
    for route, those in futures_streams.KINDS_OF_CLASS.items():
        if route == futures_streams.POLLED:
            continue
        assert {route_of(names[kind]) for kind in those} == {route}


def test_bars_have_the_same_intervals() -> None:
    assert tuple(INTERVALS) == futures_streams.FUTURES_INTERVALS


def test_every_name_that_the_market_pushes_is_one_of_the_venues() -> None:
    streams = FuturesStreams("BTCUSD_PERP", "BTCUSD", "BTCUSD")
    speeds = streams.at_once, streams.every_100ms, streams.every_250ms, streams.every_500ms
    names = [name for speed in speeds for name in (*speed.changes, *(name for name, _ in speed.partial))]
    names += [name for name, _, _ in (*streams.klines, *streams.continuous_klines)]
    names += [value for value in vars(streams).values() if isinstance(value, str) and not value.endswith("_")]
    assert len(names) > 50 and all(map(is_valid, names))
