"""Owns what is known of Kraken spot (WebSocket v2): books that have a checksum and no numbers, numbers where others write texts."""

from __future__ import annotations

from k2workers.continuity import Continuity, Identity, Link, Proof, Repair
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

FACTS = MarketFacts(
    name="kraken",
    routes={"public": "wss://ws.kraken.com/v2"},
    rest_url="https://api.kraken.com",
    symbol="BTC/USD",
    settles=Settles.STREAM,
    limits=(
        LimitFact(counted=Counted.CONNECTS, most=150, window_s=600, over=Over.ADDRESS, sure=Sure.NO),
        LimitFact(counted=Counted.REQUESTS, most=1, window_s=1, over=Over.ADDRESS, sure=Sure.NO),
    ),
    keepalive=KeepaliveFact(channel="heartbeat", every_s=1, cut_after_s=5),
    topics=(
        TopicFact(
            kind="trade",
            event_type=Trade,
            stream="trade:{symbol}",
            continuity=Continuity(
                identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.TIME
            ),
            refetch=RefetchFact(endpoint="/0/public/Trades", page=1_000),
            sure=Sure.REPORT,
            note="one report misses 17 % of the ids on the socket, and REST has them; times repeat more often than a page is long",
        ),
        TopicFact(
            kind="depth",
            event_type=DepthUpdate,
            stream="book:100:{symbol}",
            continuity=Continuity(identity=Identity.NONE, proof=Proof.CHECKSUM, repair=Repair.RESUBSCRIBE),
            whole_from=WholeFrom.STREAM,
            depth=100,
            cut_by_us=True,
            note="CRC32 of the best ten of each side after the whole message; what is lost below them does not show. Two lines cannot be merged",
        ),
        TopicFact(
            kind="book_ticker",
            event_type=BookTicker,
            stream="ticker:bbo:{symbol}",
            continuity=Continuity(identity=Identity.NONE, repair=Repair.NEXT),
            depth=1,
            sure=Sure.NO,
        ),
        TopicFact(
            kind="kline_1m",
            event_type=Kline,
            stream="ohlc:1:{symbol}",
            continuity=Continuity(identity=Identity.TIME, link=Link.NEXT_BAR, proof=Proof.SEQUENCE, repair=Repair.TIME),
            ends=Ends.SUCCESSOR,
            refetch=RefetchFact(endpoint="/0/public/OHLC", page=720, sure=Sure.NO),
            note="only where there are trades",
        ),
    ),
    decimals_are_numbers=True,
    refused_status=None,
    unsure=frozenset({"rest_url", "refused_status", "side_is_makers"}),
)
