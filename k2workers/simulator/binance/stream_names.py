"""Owns the names of streams: which are well formed, and what kind each is. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from k2workers.simulator.binance.bars import INTERVALS

_WINDOWS = ("1h", "4h", "1d")
_KLINE = "|".join(INTERVALS)
_SYMBOL_STREAM = re.compile(
    r"[^\s@!/,]+@(?P<suffix>trade|aggTrade|bookTicker|miniTicker|ticker(_(1h|4h|1d))?|avgPrice|referencePrice"
    r"|blockTrade|depth(5|10|20)?(@100ms|@1000ms)?|kline_(" + _KLINE + r")(@\+08:00)?)"
)
_ALL_MARKET = re.compile(r"!(miniTicker|ticker|ticker_(1h|4h|1d))@arr(@(1000|3000)ms)?")
"""The speeds are in no document of the venue; its own pages ask for them, and so do clients that copied the name."""

_KINDS = {
    "trade": "trade",
    "aggTrade": "agg_trade",
    "bookTicker": "book_ticker",
    "miniTicker": "mini_ticker",
    "avgPrice": "avg_price",
    "referencePrice": "reference_price",
    "blockTrade": "block_trade",
}

CONTIGUOUS = frozenset({"trade", "agg_trade", "depth", "depth_1s"})
"""Kinds whose ids form an unbroken chain on each stream."""


def is_valid(name: str) -> bool:
    """Whether the venue would accept the name; it accepts unknown symbols and then stays silent."""
    return bool(_SYMBOL_STREAM.fullmatch(name) or _ALL_MARKET.fullmatch(name))


def kind_of(name: str) -> str:
    """The kind of a well-formed stream name, in k2workers' words (``btcusdt@depth`` → ``depth_1s``)."""
    if name.startswith("!"):
        suffix = name[1:].partition("@")[0]
        return _KINDS.get(suffix, suffix) + "_all"
    suffix = name.partition("@")[2]
    if suffix.startswith("depth"):
        levels, _, speed = suffix.removeprefix("depth").partition("@")
        slow = "" if speed == "100ms" else "_1s"
        return f"partial_depth_{levels}{slow}" if levels else f"depth{slow}"
    if suffix.startswith("kline_"):
        interval, _, shifted = suffix.partition("@")
        return interval + ("_utc8" if shifted else "")
    return _KINDS.get(suffix, suffix)


class AllMarketStream(NamedTuple):
    """An ``!…@arr`` stream: ``window`` of the rolling tickers, empty for miniTicker, and seconds between two pushes."""

    name: str
    window: str
    every_s: int


ALL_MARKET = tuple(
    AllMarketStream(f"!{kind}@arr{speed}", window, every_s)
    for kind, window in (("miniTicker", ""), *((f"ticker_{window}", window) for window in _WINDOWS))
    for speed, every_s in (("", 1), ("@1000ms", 1), ("@3000ms", 3))
)
"""Those that deliver. ``!ticker@arr`` is accepted and silent: the venue has retired it."""


class KlineStream(NamedTuple):
    name: str
    interval: str
    shifted: bool


class SymbolStreams:
    """The names of one symbol's streams, made once so that the market never builds strings per event."""

    def __init__(self, symbol: str) -> None:
        base = symbol.lower() + "@"
        self.trade = base + "trade"
        self.agg_trade = base + "aggTrade"
        self.book_ticker = base + "bookTicker"
        self.block_trade = base + "blockTrade"
        self.fast_depth = (base + "depth@100ms",)
        self.slow_depth = (base + "depth", base + "depth@1000ms")
        self.fast_partial = tuple((base + f"depth{n}@100ms", n) for n in (5, 10, 20))
        self.slow_partial = tuple((base + f"depth{n}{speed}", n) for n in (5, 10, 20) for speed in ("", "@1000ms"))
        self.mini_ticker = base + "miniTicker"
        self.ticker = base + "ticker"
        self.windows = tuple((base + "ticker_" + window, window) for window in _WINDOWS)
        self.avg_price = base + "avgPrice"
        self.reference_price = base + "referencePrice"
        self.kline_base = base + "kline_"
        self.klines = tuple(
            KlineStream(f"{self.kline_base}{interval}{tail}", interval, bool(tail))
            for interval in INTERVALS
            for tail in ("", "@+08:00")
        )
