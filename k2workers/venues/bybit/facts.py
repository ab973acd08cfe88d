"""Owns what is known of Bybit v5 spot: trades that cannot be proven complete, books that begin in the stream and anew after a restart."""

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
    name="bybit",
    routes={"public": "wss://stream.bybit.com/v5/public/spot"},
    rest_url="https://api.bybit.com",
    symbol="BTCUSDT",
    settles=Settles.REQUEST,
    limits=(
        LimitFact(counted=Counted.NAMES, most=10, over=Over.REQUEST),
        LimitFact(counted=Counted.NAME_BYTES, most=21_000, over=Over.CONNECTION),
        LimitFact(counted=Counted.CONNECTS, most=500, window_s=300, over=Over.ADDRESS),
        LimitFact(counted=Counted.OPEN, most=1_000, over=Over.ADDRESS),
        LimitFact(counted=Counted.REQUESTS, most=600, window_s=5, over=Over.ADDRESS),
    ),
    # The ten minutes are said of private connections.
    keepalive=KeepaliveFact(send=b'{"op":"ping"}', answer=b"{", every_s=20, cut_after_s=600, sure=Sure.NO),
    topics=(
        TopicFact(
            kind="trade",
            event_type=Trade,
            stream="publicTrade.{symbol}",
            continuity=Continuity(identity=Identity.TEXT, repair=Repair.NEWEST),
            refetch=RefetchFact(endpoint="/v5/market/recent-trade", page=60, newest_first=True),
            note="up to 1,024 trades a message, oldest first; several messages may share one seq",
        ),
        TopicFact(
            kind="depth",
            event_type=DepthUpdate,
            stream="orderbook.200.{symbol}",
            continuity=Continuity(
                identity=Identity.NUMBER,
                link=Link.PLUS_ONE,
                proof=Proof.SEQUENCE,
                repair=Repair.RESUBSCRIBE,
                resets=True,
            ),
            whole_from=WholeFrom.STREAM,
            depth=200,
            sure=Sure.CODE,
            note="plus one is stated for the binary feed; any later snapshot replaces the book; u = 1 is a restart",
        ),
        TopicFact(
            kind="book_ticker",
            event_type=BookTicker,
            stream="orderbook.1.{symbol}",
            continuity=Continuity(identity=Identity.NUMBER, repair=Repair.NEXT),
            depth=1,
            note="repeated with the same u after 3 s without a change",
        ),
        TopicFact(
            kind="kline_1m",
            event_type=Kline,
            stream="kline.1.{symbol}",
            continuity=Continuity(identity=Identity.TIME, link=Link.NEXT_BAR, proof=Proof.SEQUENCE, repair=Repair.TIME),
            ends=Ends.FLAG,
            refetch=RefetchFact(endpoint="/v5/market/kline", page=1_000, newest_first=True),
        ),
    ),
    refused_status=403,  # then stop for 10 minutes; and code 10006 in a 200
    unsure=frozenset({"rest_url", "settles"}),
)
