"""Owns what the rows of Binance's REST answers look like, which of them cannot be, and the events that they stand for. Pure.

REST does not say when the stream would have sent an event: its venue's time is that of the trade, or of the end of the bar.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from k2workers.events import AggTrade, Event, Kline, Trade
from k2workers.futures_events import FundingRate, FuturesAggTrade, FuturesTrade, OpenInterest
from k2workers.venues.binance import values
from k2workers.venues.binance.messages import Id, Levels, OptionalId
from k2workers.venues.binance.values import LONGEST, CheckedDecimal, OptionalDecimal, OptionalTime, Time, nanoseconds

IN_THE_BOOK = "MARKET"
"""The origin of all trades that REST knows of a futures market."""


class TradeRow(msgspec.Struct, frozen=True):
    """One row of trades and historicalTrades."""

    id: Id
    price: CheckedDecimal
    qty: CheckedDecimal
    time: Time
    isBuyerMaker: bool  # noqa: N815 - the venue's own name

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be: the row is odd. So do the other rows."""
        nanoseconds(self.time)

    def event(self, made: type[Event], received_ns: int) -> Event:
        """The event of this type that the row stands for: a trade of spot, or of a future."""
        at_ns = nanoseconds(self.time)
        if made is FuturesTrade:
            return FuturesTrade(
                self.id, self.price, self.qty, self.isBuyerMaker, IN_THE_BOOK, at_ns, at_ns, received_ns
            )
        return Trade(self.id, self.price, self.qty, self.isBuyerMaker, at_ns, at_ns, received_ns)


class AggTradeRow(msgspec.Struct, frozen=True):
    """One row of aggTrades. ``f`` -1 marks an aggregate that the venue has invalidated."""

    a: Id
    p: CheckedDecimal
    q: CheckedDecimal
    f: OptionalId
    l: OptionalId  # noqa: E741 - the venue's own name
    T: OptionalTime
    m: bool
    nq: OptionalDecimal = ""

    def __post_init__(self) -> None:
        if not nanoseconds(self.T) and self.f >= 0:
            raise ValueError("an aggregate without a time")
        if self.f > self.l:
            raise ValueError(f"f {self.f} above l {self.l}")

    def event(self, made: type[Event], received_ns: int) -> Event:
        """The event of this type that the row stands for: an aggregate of spot, or of a future."""
        at_ns = nanoseconds(self.T)
        if made is FuturesAggTrade:
            return FuturesAggTrade(self.a, self.f, self.l, self.p, self.q, self.nq, self.m, at_ns, at_ns, received_ns)
        return AggTrade(self.a, self.f, self.l, self.p, self.q, self.m, at_ns, at_ns, received_ns)


class KlineRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of klines. It has neither trade ids nor a closed flag."""

    open_time: Time
    open: CheckedDecimal
    high: CheckedDecimal
    low: CheckedDecimal
    close: CheckedDecimal
    volume: CheckedDecimal
    close_time: Time
    quote_volume: CheckedDecimal
    trade_count: Id
    taker_buy_volume: CheckedDecimal
    taker_buy_quote_volume: CheckedDecimal

    def __post_init__(self) -> None:
        if nanoseconds(self.open_time) >= nanoseconds(self.close_time):
            raise ValueError(f"a bar from {self.open_time} to {self.close_time}")

    def event(self, made: type[Kline], received_ns: int) -> Kline:
        """The bar of this type that the row stands for, as a final one."""
        close_ns = nanoseconds(self.close_time)
        return made(
            nanoseconds(self.open_time), close_ns, self.open, self.high, self.low, self.close, self.volume, self.quote_volume,
            self.taker_buy_volume, self.taker_buy_quote_volume, -1, -1, self.trade_count, True, close_ns, received_ns,
        )  # fmt: skip


class ClockReply(msgspec.Struct, frozen=True):
    """The answer of time."""

    serverTime: Time  # noqa: N815 - the venue's own name

    def __post_init__(self) -> None:
        nanoseconds(self.serverTime)

    @property
    def at_ns(self) -> int:
        """Since the epoch."""
        return nanoseconds(self.serverTime)


class OpenInterestRow(msgspec.Struct, frozen=True):
    """The answer of openInterest."""

    openInterest: CheckedDecimal  # noqa: N815 - the venue's own name
    time: Time

    def event(self, received_ns: int) -> Event:
        """What it stands for. Raises ValueError for a time that cannot be."""
        return OpenInterest(self.openInterest, nanoseconds(self.time), received_ns)


class FundingRow(msgspec.Struct, frozen=True):
    """One row of fundingRate."""

    fundingRate: Annotated[str, msgspec.Meta(pattern=r"\A-?[0-9]+\.?[0-9]*\Z", max_length=LONGEST)]  # noqa: N815
    fundingTime: Time  # noqa: N815
    markPrice: OptionalDecimal = ""  # noqa: N815

    def event(self, received_ns: int) -> Event:
        """What it stands for. Raises ValueError for a time that cannot be."""
        return FundingRate(self.fundingRate, self.markPrice, nanoseconds(self.fundingTime), received_ns)


class DayRow(msgspec.Struct, frozen=True):
    """One row of ticker/24hr, as far as it is used: the id of the symbol's last trade, -1 without one."""

    symbol: str
    lastId: OptionalId  # noqa: N815 - the venue's own name


class TopRow(msgspec.Struct, frozen=True):
    """One row of ticker/bookTicker, as far as it is used; prices of an empty side are 0."""

    symbol: str
    bidPrice: str  # noqa: N815 - the venue's own name
    askPrice: str  # noqa: N815


class DepthReply(msgspec.Struct, frozen=True):
    """GET /api/v3/depth. One odd level does reject it: a book without it would be wrong."""

    lastUpdateId: Id  # noqa: N815
    bids: Levels
    asks: Levels


class LongDepthReply(msgspec.Struct, frozen=True):
    """The same with levels of more elements than two."""

    lastUpdateId: Id  # noqa: N815
    bids: list[values.LongLevel]
    asks: list[values.LongLevel]


def read_depth(body: bytes) -> DepthReply:
    """A book. Raises ValueError for what is none, or has a level that is none."""
    try:
        reply = msgspec.json.decode(body, type=DepthReply)
    except ValueError:
        long = msgspec.json.decode(body, type=LongDepthReply)
        reply = DepthReply(long.lastUpdateId, values.pairs(long.bids), values.pairs(long.asks))
    texts = values.texts_of(reply.bids) + values.texts_of(reply.asks)
    if not values.are_decimals(texts):
        raise ValueError(f"{values.odd_decimal(texts)!r} is no decimal")
    return reply
