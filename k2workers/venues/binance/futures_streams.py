"""Owns the streams of Binance's futures markets: the table of kinds, and the class of each, which says on which connection it must be.

Since 2026-04-23 a connection carries one class; a stream of another is acknowledged there and stays silent. Of each class, names and speeds are
those of "Websocket Market Streams" of the USD-M documents (but for ``tradingSession``, whose fields they do not say); not sure: ``trade``, which is in no document and came on the public connection in reports of
2026-04 and 2026-09; ``depth_0ms``, which only a recording of 2024 shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from k2workers.continuity import Continuity, Identity, Link, Proof, Repair
from k2workers.events import ContinuousKline, Kline, MiniTicker, Ticker
from k2workers.futures_events import (
    AssetIndex,
    CompositeIndex,
    ContractInfo,
    FundingRate,
    FuturesAggTrade,
    FuturesTrade,
    LinkedDepthUpdate,
    Liquidation,
    MarkPrice,
    OpenInterest,
    TimedBookTicker,
    TimedPartialDepth,
)
from k2workers.venues.binance.streams import BAR, CHAIN, INTERVALS, LATEST, LATEST_BY_TIME, StreamKind
from k2workers.venues.topics import topic_of
from k2workers.venues.venue import Poll, StreamSpec, Topic

PUBLIC, MARKET = CLASSES = ("public", "market")
"""Both classes of market data: what follows the books at once, and what is made of them."""

LINKED_BOOK = Continuity(identity=Identity.RANGE, link=Link.PREDECESSOR, proof=Proof.SEQUENCE, repair=Repair.BOOK)
"""Each difference names the last id before it."""

NEWEST_TRADES = Continuity(identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.NEWEST)
"""Ids that REST tells only of the newest thousand without a key. Some never existed: a hole in them is no proof that anything was lost."""

UNPROVEN_BY_TIME = Continuity(identity=Identity.TIME)
"""Each event counts, and nothing shows whether one is missing."""

FUTURES_INTERVALS = INTERVALS[1:]
"""No bars of a second."""


def _public() -> dict[str, StreamKind]:
    kinds = {
        "trade": StreamKind("@trade", "trade", FuturesTrade, NEWEST_TRADES),
        "book_ticker": StreamKind("@bookTicker", "book_ticker", TimedBookTicker, LATEST),
        "book_ticker_all": StreamKind("!bookTicker", "book_ticker", TimedBookTicker, LATEST, all_market=True),
        "depth": StreamKind("@depth@100ms", "depth", LinkedDepthUpdate, LINKED_BOOK),
        "depth_250ms": StreamKind("@depth", "depth_250ms", LinkedDepthUpdate, LINKED_BOOK),
        "depth_500ms": StreamKind("@depth@500ms", "depth_500ms", LinkedDepthUpdate, LINKED_BOOK),
        "rpi_depth": StreamKind("@rpiDepth@500ms", "rpi_depth", LinkedDepthUpdate, LINKED_BOOK),
        "depth_0ms": StreamKind("@depth@0ms", "depth_0ms", LinkedDepthUpdate, LINKED_BOOK),
    }
    for levels in (5, 10, 20):
        for speed, suffix in (("", "@100ms"), ("_250ms", ""), ("_500ms", "@500ms")):
            kind = f"partial_depth_{levels}{speed}"
            kinds[kind] = StreamKind(f"@depth{levels}{suffix}", kind, TimedPartialDepth, LATEST)
    return kinds


def _market() -> dict[str, StreamKind]:
    kinds = {
        "agg_trade": StreamKind("@aggTrade", "agg_trade", FuturesAggTrade, CHAIN),
        "mark_price": StreamKind("@markPrice@1s", "mark_price", MarkPrice, LATEST_BY_TIME),
        "mark_price_3s": StreamKind("@markPrice", "mark_price_3s", MarkPrice, LATEST_BY_TIME),
        "mark_price_all": StreamKind("!markPrice@arr@1s", "mark_price", MarkPrice, LATEST_BY_TIME, all_market=True),
        "mark_price_3s_all": StreamKind("!markPrice@arr", "mark_price_3s", MarkPrice, LATEST_BY_TIME, all_market=True),
        "mini_ticker": StreamKind("@miniTicker", "mini_ticker", MiniTicker, LATEST_BY_TIME),
        "mini_ticker_all": StreamKind("!miniTicker@arr", "mini_ticker", MiniTicker, LATEST_BY_TIME, all_market=True),
        "ticker": StreamKind("@ticker", "ticker", Ticker, LATEST_BY_TIME),
        "ticker_all": StreamKind("!ticker@arr", "ticker", Ticker, LATEST_BY_TIME, all_market=True),
        "liquidation": StreamKind("@forceOrder", "liquidation", Liquidation, UNPROVEN_BY_TIME),
        "liquidation_all": StreamKind("!forceOrder@arr", "liquidation", Liquidation, UNPROVEN_BY_TIME, all_market=True),
        "composite_index": StreamKind("@compositeIndex", "composite_index", CompositeIndex, LATEST_BY_TIME),
        "asset_index": StreamKind("@assetIndex", "asset_index", AssetIndex, LATEST_BY_TIME),
        "asset_index_all": StreamKind("!assetIndex@arr", "asset_index", AssetIndex, LATEST_BY_TIME, all_market=True),
        "contract_info_all": StreamKind(
            "!contractInfo", "contract_info", ContractInfo, UNPROVEN_BY_TIME, all_market=True
        ),
    }
    for interval in FUTURES_INTERVALS:
        kind = f"kline_{interval}"
        kinds[kind] = StreamKind(f"@{kind}", kind, Kline, BAR)
        kind = f"continuous_kline_{interval}"
        kinds[kind] = StreamKind(f"_perpetual@continuousKline_{interval}", kind, ContinuousKline, BAR)
    return kinds


POLLED = "polled"
"""The class of what no stream brings."""


class Asked(NamedTuple):
    """How a polled kind is asked for: the endpoint, what a request weighs (REST documents, 2026), how often."""

    path: str
    weight: int
    every_s: float


ASKED = {
    "open_interest": Asked("openInterest", 1, 60.0),
    # It changes every few hours. fundingRate shares 500 requests in 5 minutes with fundingInfo: at this pace 1,000 symbols keep that.
    "funding_rate": Asked("fundingRate", 1, 600.0),
}


def _polled() -> dict[str, StreamKind]:
    return {
        "open_interest": StreamKind("@openInterest", "open_interest", OpenInterest, LATEST_BY_TIME),
        "funding_rate": StreamKind("@fundingRate", "funding_rate", FundingRate, LATEST_BY_TIME),
    }


KINDS_OF_CLASS = {PUBLIC: _public(), MARKET: _market(), POLLED: _polled()}
"""Every kind that can be asked for, by class and by the name used in settings."""

FUTURES_KINDS = {name: kind for kinds in KINDS_OF_CLASS.values() for name, kind in kinds.items()}

_CLASS_OF = {kind.kind: name for name, kinds in KINDS_OF_CLASS.items() for kind in kinds.values()}


def polls(venue: str, specs: Sequence[StreamSpec]) -> list[Poll]:
    """How those of the streams are asked for that are none."""
    return [
        Poll(Topic(topic_of(venue, spec.kind, spec.symbol), spec.kind, spec.symbol, spec.continuity), weight, every_s)
        for spec in of_class(POLLED, specs)
        for _path, weight, every_s in (ASKED[spec.kind],)
    ]


def of_class(name: str, specs: Sequence[StreamSpec]) -> list[StreamSpec]:
    """Those of the streams that are of this class."""
    return [spec for spec in specs if _CLASS_OF[spec.kind] == name]
