"""Owns Binance's futures markets, as the feed sees them: what they have in common, and in what they differ from spot.

Sources: the USD-M documents and change notices of 2026. Sure: addresses, classes, 10 messages a second, 1024 streams, 24 hours, a ping every
3 minutes, 2,400 weight a minute, weights of single requests, aggregates of the last day only, a key for historicalTrades. Not sure: 300 connections in
5 minutes (spot's, no document of futures says any); that COIN-M spends of the same pool of weight (a library's notes).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from k2workers.venues.binance.dialect import MILLISECOND_NS, Dialect
from k2workers.venues.binance.futures_messages import FUTURES_MESSAGE_OF
from k2workers.venues.binance.futures_streams import CLASSES, FUTURES_INTERVALS, FUTURES_KINDS, of_class, polls
from k2workers.venues.binance.futures_written import FUTURES_TEXTS
from k2workers.venues.binance.limits import SPOT_LIMITS
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.stream_dialect import StreamDialect
from k2workers.venues.binance.weights import Weights
from k2workers.venues.market_evidence import Evidence
from k2workers.venues.venue import Poll, Route, StreamSpec

FUTURES_LIMITS = msgspec.structs.replace(
    SPOT_LIMITS,
    # "10 incoming messages per second"; two stay free for pongs.
    subscribe_rate=8.0,
    # "Websocket server will send a ping frame every 3 minutes."
    ping_interval_ns=180_000_000_000,
    rest_weight_per_minute=2_400,
)

FUTURES_WEIGHTS = Weights(
    trades=5,
    aggregates=20,
    bars=5,
    symbols=1,
    best_prices=5,
    statistics=(),
    all_statistics=40,
    book=((50, 2), (100, 5), (500, 10), (1_000, 20)),
)
"""klines weigh by their limit: 5 up to 1,000."""

FUTURES_DIALECT = Dialect(
    unit_ns=MILLISECOND_NS,
    weights=FUTURES_WEIGHTS,
    unread=frozenset({"showPermissionSets", "timeZone", "type"}),
    own_books={"rpi_depth": ("rpiDepth", 20)},
    tickers_by_name=False,
    listed_by_name=False,
    lacks=frozenset({"historicalTrades"}),
    # What was delivered or closed stays listed; PENDING_TRADING is not open yet.
    asleep=frozenset(
        {"PENDING_TRADING", "PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE"}
    ),
    aggregates_kept_ns=86_400_000_000_000,
    trades_beside_the_book=True,
)

FUTURES_STREAMS = StreamDialect(
    messages=FUTURES_MESSAGE_OF, texts=FUTURES_TEXTS, unit_ns=MILLISECOND_NS, all_have_points=False
)

FUTURES_EVIDENCE = {
    "trade": Evidence.OWN_TRADES,
    "agg_trade": Evidence.TRADES,
    **{
        kind.kind: Evidence.TOPS
        for name, kind in FUTURES_KINDS.items()
        if name == "book_ticker" or name.startswith("depth")
    },
    **{f"kline_{interval}": Evidence.TRADES for interval in FUTURES_INTERVALS},
}
"""Of the other kinds no request that is made tells whether something was withheld."""


class BinanceFutures(BinanceSpot):
    """What both futures markets have in common; each is a subclass that holds what differs."""

    limits = FUTURES_LIMITS
    kinds = FUTURES_KINDS
    evidence_of = FUTURES_EVIDENCE

    @property
    def rest_pool(self) -> str:
        """One for both markets."""
        return "binance_futures"

    def polls(self, specs: Sequence[StreamSpec]) -> list[Poll]:
        """See ``futures_streams.ASKED``."""
        return polls(self.name, specs)

    def routes(self, specs: Sequence[StreamSpec]) -> list[Route]:
        """A connection for each class."""
        found = {name: of_class(name, specs) for name in CLASSES}
        return [
            Route(name=name, path=f"/{name}/stream", specs=own, limits=self.limits)
            for name, own in found.items()
            if own
        ]
