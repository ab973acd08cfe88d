"""Owns what is known of OKX v5 spot: two routes, ids that may begin anew, a question and an answer that are no JSON."""

from __future__ import annotations

from k2workers.continuity import Continuity, Identity, Link, Proof, Repair
from k2workers.events import AggTrade, BookTicker, DepthUpdate, Kline, Trade
from k2workers.venues.market_facts import (
    DAY_S,
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

TRADES = RefetchFact(endpoint="/market/history-trades", page=100, horizon_s=90 * DAY_S, newest_first=True)

FACTS = MarketFacts(
    name="okx",
    routes={"public": "wss://ws.okx.com:8443/ws/v5/public", "business": "wss://ws.okx.com:8443/ws/v5/business"},
    rest_url="https://www.okx.com",
    symbol="BTC-USDT",
    settles=Settles.STREAM,  # an error names none
    limits=(
        LimitFact(counted=Counted.CONNECTS, most=3, window_s=1, over=Over.ADDRESS),
        LimitFact(counted=Counted.SUBSCRIPTIONS, most=480, window_s=3_600, over=Over.CONNECTION),
        LimitFact(counted=Counted.BYTES, most=65_536, over=Over.REQUEST),
        LimitFact(counted=Counted.REQUESTS, most=20, window_s=2, over=Over.ENDPOINT, endpoint="/market/history-trades"),
        LimitFact(counted=Counted.REQUESTS, most=100, window_s=2, over=Over.ENDPOINT, endpoint="/market/trades"),
        LimitFact(counted=Counted.REQUESTS, most=40, window_s=2, over=Over.ENDPOINT, endpoint="/market/books"),
        LimitFact(
            counted=Counted.REQUESTS, most=20, window_s=2, over=Over.ENDPOINT, endpoint="/market/history-candles"
        ),
    ),
    keepalive=KeepaliveFact(send=b"ping", answer=b"pong", every_s=25, cut_after_s=30),
    notice_s=60,
    notice_routes=frozenset({"public"}),
    topics=(
        TopicFact(
            kind="trade",
            event_type=Trade,
            stream="trades-all:{symbol}",
            route="business",
            continuity=Continuity(
                identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.IDS
            ),
            refetch=TRADES,
            sure=Sure.NO,
            note="that ids rise by one is shown by an example only",
        ),
        TopicFact(
            kind="agg_trade",
            event_type=AggTrade,
            stream="trades:{symbol}",
            continuity=Continuity(identity=Identity.RANGE, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.IDS),
            refetch=TRADES,
            sure=Sure.NO,
            note="tradeId is the last of count ids",
        ),
        TopicFact(
            kind="depth",
            event_type=DepthUpdate,
            stream="books:{symbol}",
            continuity=Continuity(
                identity=Identity.NUMBER,
                link=Link.PREDECESSOR,
                proof=Proof.SEQUENCE,
                repair=Repair.RESUBSCRIBE,
                resets=True,
            ),
            whole_from=WholeFrom.STREAM,
            depth=400,
            note="seqId equal to prevSeqId says only that nothing happened; a lower one follows maintenance. The same on every connection",
        ),
        TopicFact(
            kind="book_ticker",
            event_type=BookTicker,
            stream="bbo-tbt:{symbol}",
            continuity=Continuity(identity=Identity.NUMBER, repair=Repair.NEXT),
        ),
        TopicFact(
            kind="kline_1m",
            event_type=Kline,
            stream="candle1m:{symbol}",
            route="business",
            continuity=Continuity(identity=Identity.TIME, link=Link.NEXT_BAR, proof=Proof.SEQUENCE, repair=Repair.TIME),
            ends=Ends.FLAG,
            refetch=RefetchFact(endpoint="/market/history-candles", page=100, newest_first=True),
        ),
    ),
    unsure=frozenset({"rest_url", "side_is_makers", "refused_status"}),
)
