"""Owns what is known of Coinbase Advanced: one counter for all that a connection brings, so that one loss makes everything on it suspect."""

from __future__ import annotations

from k2workers.continuity import Continuity, Identity, Link, Proof, Repair, Scope
from k2workers.events import BookTicker, DepthUpdate, Kline, Trade
from k2workers.venues.market_facts import (
    Counted,
    Ends,
    KeepaliveFact,
    LimitFact,
    MarketFacts,
    Over,
    RefetchFact,
    Settles,
    Sure,
    TopicFact,
    WholeFrom,
)  # fmt: skip

TRADES_PATH = "/api/v3/brokerage/market/products/{symbol}/ticker"
BARS_PATH = "/api/v3/brokerage/market/products/{symbol}/candles"

FACTS = MarketFacts(
    name="coinbase_advanced",
    routes={"public": "wss://advanced-trade-ws.coinbase.com"},
    rest_url="https://api.coinbase.com",
    symbol="BTC-USD",
    settles=Settles.LIST,
    limits=(
        LimitFact(counted=Counted.CONNECTS, most=8, window_s=1, over=Over.ADDRESS, sure=Sure.CODE),
        LimitFact(counted=Counted.MESSAGES, most=8, window_s=1, over=Over.ADDRESS, sure=Sure.CODE),
        LimitFact(counted=Counted.REQUESTS, most=10, window_s=1, over=Over.ADDRESS, sure=Sure.CODE),
    ),
    keepalive=KeepaliveFact(channel="heartbeats", every_s=1, cut_after_s=60),
    first_request_s=5,
    connection_counter="sequence_num",
    topics=(
        TopicFact(
            kind="trade",
            event_type=Trade,
            stream="market_trades:{symbol}",
            continuity=Continuity(
                identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.TIME
            ),
            refetch=RefetchFact(endpoint=TRADES_PATH, page=1_000, newest_first=True, sure=Sure.NO),
            sure=Sure.REPORT,
            note="newest first; plus one in samples; a snapshot of recent trades comes on subscribing",
        ),
        TopicFact(
            kind="depth",
            event_type=DepthUpdate,
            stream="level2:{symbol}",
            continuity=Continuity(
                identity=Identity.NUMBER,
                link=Link.PLUS_ONE,
                scope=Scope.CONNECTION,
                proof=Proof.SEQUENCE,
                repair=Repair.RECONNECT,
            ),
            whole_from=WholeFrom.STREAM,
            sure=Sure.CODE,
            note="comes as l2_data; the REST book has no number and cannot anchor it; deletes of levels that were never sent are normal",
        ),
        TopicFact(
            kind="book_ticker",
            event_type=BookTicker,
            stream="ticker:{symbol}",
            continuity=Continuity(identity=Identity.NUMBER, scope=Scope.CONNECTION, repair=Repair.NEXT),
            depth=1,
            sure=Sure.CODE,
        ),
        TopicFact(
            kind="kline_5m",
            event_type=Kline,
            stream="candles:{symbol}",
            continuity=Continuity(identity=Identity.TIME, link=Link.NEXT_BAR, proof=Proof.SEQUENCE, repair=Repair.TIME),
            ends=Ends.SUCCESSOR,
            refetch=RefetchFact(endpoint=BARS_PATH, page=350, sure=Sure.NO),
            sure=Sure.NO,
        ),
    ),
    side_is_makers=None,
    unsure=frozenset({"rest_url", "side_is_makers", "refused_status", "settles"}),
)
