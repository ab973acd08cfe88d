"""Owns what the rows of Binance's REST answers look like, and which of them cannot be. Pure."""

from __future__ import annotations

import msgspec

from k2workers.venues.binance import values
from k2workers.venues.binance.messages import Id, Levels, OptionalId
from k2workers.venues.binance.values import CheckedDecimal, OptionalTime, Time, nanoseconds


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


class AggTradeRow(msgspec.Struct, frozen=True):
    """One row of aggTrades. ``f`` -1 marks an aggregate that the venue has invalidated."""

    a: Id
    p: CheckedDecimal
    q: CheckedDecimal
    f: OptionalId
    l: OptionalId  # noqa: E741 - the venue's own name
    T: OptionalTime
    m: bool

    def __post_init__(self) -> None:
        if not nanoseconds(self.T) and self.f >= 0:
            raise ValueError("an aggregate without a time")
        if self.f > self.l:
            raise ValueError(f"f {self.f} above l {self.l}")


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
