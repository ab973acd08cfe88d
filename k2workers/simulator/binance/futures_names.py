"""Owns the names of the futures markets' streams: which are well formed, of which kind and on which route each is. Pure.

Which route serves a stream is the venue's table (documents of 2026): a stream that is subscribed on another one, is acknowledged and stays
silent; without a route the streams of ``public`` come, and no others. ``@trade`` is in no document; users got it on ``public`` (reports of
April and September 2026). ``@depth@0ms`` is in none either, but in a recording of 2024, some 20 times a second.
"""

from __future__ import annotations

import re

from k2workers.simulator.binance.bars import INTERVALS as SPOT_INTERVALS
from k2workers.simulator.binance.stream_names import KlineStream

INTERVALS = {name: length for name, length in SPOT_INTERVALS.items() if name != "1s"}
"""Interval of bars → length; the same as spot's, but for the shortest."""

PUBLIC, MARKET, PRIVATE = "public", "market", "private"
ROUTES = (PUBLIC, MARKET, PRIVATE)
UNROUTED = PUBLIC
"""What an address without a route brings."""

_KLINE = "|".join(INTERVALS)
_ON_PUBLIC = re.compile(
    r"[^\s@!/,]+@(trade|bookTicker|depth(@(0|100|500)ms)?|depth(5|10|20)(@(100|500)ms)?|rpiDepth@500ms)|!bookTicker"
)
_ON_MARKET = re.compile(
    r"[^\s@!/,]+@(aggTrade|markPrice(@1s)?|miniTicker|ticker|forceOrder|compositeIndex|assetIndex|kline_(" + _KLINE + r")"
    r"|continuousKline_(" + _KLINE + r"))|!(miniTicker|ticker|forceOrder|assetIndex|markPrice)@arr|!markPrice@arr@1s|!contractInfo"
    r"|tradingSession"
)  # fmt: skip

_KINDS = {
    "aggTrade": "agg_trade",
    "bookTicker": "book_ticker",
    "miniTicker": "mini_ticker",
    "markPrice": "mark_price_3s",
    "markPrice@1s": "mark_price",
    "forceOrder": "liquidation",
    "compositeIndex": "composite_index",
    "assetIndex": "asset_index",
    "contractInfo": "contract_info",
    "rpiDepth@500ms": "rpi_depth",
    "tradingSession": "trading_session",
}
_SPEEDS = {"": "_250ms", "100ms": "", "500ms": "_500ms", "0ms": "_0ms"}

CONTIGUOUS = frozenset({"trade", "agg_trade", "rpi_depth", *(f"depth{speed}" for speed in _SPEEDS.values())})
"""Kinds whose ids form a chain on each stream: that of trades lacks ids that never come, changes of a book are chained by the id before them."""


def route_of(name: str) -> str:
    """The route that brings a stream; empty for a name that is none."""
    return PUBLIC if _ON_PUBLIC.fullmatch(name) else MARKET if _ON_MARKET.fullmatch(name) else ""


def is_valid(name: str) -> bool:
    """Whether the venue would accept the name; it accepts unknown symbols and other routes' streams, and then stays silent."""
    return bool(route_of(name))


def kind_of(name: str) -> str:
    """The kind of a well-formed stream name, in k2workers' words (``btcusdt@depth`` → ``depth_250ms``)."""
    if name.startswith("!"):
        suffix = name[1:].replace("@arr", "")
        return _KINDS.get(suffix, suffix) + "_all"
    suffix = name.partition("@")[2] or name
    if suffix.startswith("depth"):
        levels, _, speed = suffix.removeprefix("depth").partition("@")
        return f"partial_depth_{levels}{_SPEEDS[speed]}" if levels else f"depth{_SPEEDS[speed]}"
    if suffix.startswith("continuousKline_"):
        return "continuous_kline_" + suffix.removeprefix("continuousKline_")
    return _KINDS.get(suffix, suffix)


class DepthStreams:
    """What is pushed of a book at one speed: changes, and its best levels."""

    def __init__(self, base: str, tail: str, *more: str) -> None:
        self.changes = (f"{base}depth{tail}", *more)
        self.partial = tuple((f"{base}depth{count}{tail}", count) for count in (5, 10, 20) if tail != "@0ms")


class FuturesStreams:
    """The names of one contract's streams, made once so that the market never builds strings per event."""

    def __init__(self, symbol: str, pair: str, asset: str) -> None:
        base = symbol.lower() + "@"
        self.trade = base + "trade"
        self.agg_trade = base + "aggTrade"
        self.book_ticker = base + "bookTicker"
        self.at_once = DepthStreams(base, "@0ms")
        self.every_100ms = DepthStreams(base, "@100ms")
        self.every_250ms = DepthStreams(base, "")
        self.every_500ms = DepthStreams(base, "@500ms", base + "rpiDepth@500ms")
        self.mark_price = base + "markPrice"
        self.mark_price_1s = base + "markPrice@1s"
        self.mini_ticker = base + "miniTicker"
        self.ticker = base + "ticker"
        self.force_order = base + "forceOrder"
        self.composite_index = base + "compositeIndex"
        self.asset_index = asset.lower() + "@assetIndex"
        self.kline_base = base + "kline_"
        self.continuous_kline_base = f"{pair.lower()}_perpetual@continuousKline_"
        self.klines, self.continuous_klines = (
            tuple(KlineStream(begin + interval, interval, False) for interval in INTERVALS)
            for begin in (self.kline_base, self.continuous_kline_base)
        )
