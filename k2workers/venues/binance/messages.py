"""Owns the JSON shapes of Binance spot's stream messages: only the fields that are used; unknown keys are ignored.

Fields stand in the order in which the venue writes them: the decoder then finds each key where it looks first.

Each shape turns its messages into events: ``events(messages, received_ns, unit_ns)`` with ``unit_ns`` the nanoseconds of one
unit of its time fields (1,000 on a connection opened with timeUnit=MICROSECOND, else 1,000,000). Many at once, because a
call for each would cost as much as making the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import field

from k2workers.events import (
    AggTrade,
    AveragePrice,
    BlockTrade,
    BookTicker,
    DepthUpdate,
    Event,
    Kline,
    Level,
    MiniTicker,
    PartialDepth,
    ReferencePrice,
    Ticker,
    Trade,
)

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Venue ids and update ids."""

Time = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000_000)]
"""Venue time in its unit; the bound keeps the nanoseconds within 64 bits even for microseconds."""

OptionalId = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
"""-1 stands for none (a bar without trades, an invalidated aggregate)."""


StreamMessages = Sequence[Any]
"""Messages of this class; typing that would need a type variable for each shape."""


class StreamMessage(msgspec.Struct, gc=False):
    """Any stream message; ``made`` is the type of its events."""

    made: ClassVar[type[Event]]

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        """The events of these messages, in order; a message that the venue marked invalid has none."""
        raise NotImplementedError


class TradeMessage(StreamMessage, gc=False):
    """``<symbol>@trade``."""

    made: ClassVar[type[Trade | BlockTrade]] = Trade

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    trade_id: Id = field(name="t")
    price: str = field(name="p")
    quantity: str = field(name="q")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        made = cls.made
        return [
            made(
                m.trade_id, m.price, m.quantity, m.buyer_is_maker, m.trade_time * unit_ns, m.venue_time * unit_ns, received_ns
            )
            for m in messages
        ]  # fmt: skip


class BlockTradeMessage(TradeMessage, gc=False):
    """``<symbol>@blockTrade``, with ids of its own space."""

    made = BlockTrade


class AggTradeMessage(StreamMessage, gc=False):
    """``<symbol>@aggTrade``; f = -1 marks an aggregate that the venue invalidated (changelog 2022-04-12)."""

    made = AggTrade

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    agg_trade_id: Id = field(name="a")
    price: str = field(name="p")
    quantity: str = field(name="q")
    first_trade_id: OptionalId = field(name="f")
    last_trade_id: OptionalId = field(name="l")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            AggTrade(
                m.agg_trade_id, m.first_trade_id, m.last_trade_id, m.price, m.quantity, m.buyer_is_maker,
                m.trade_time * unit_ns, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
            if m.first_trade_id >= 0
        ]  # fmt: skip


class BookTickerMessage(StreamMessage, gc=False):
    """``<symbol>@bookTicker``: no event type and no time."""

    made = BookTicker

    update_id: Id = field(name="u")
    symbol: str = field(name="s")
    bid_price: str = field(name="b")
    bid_quantity: str = field(name="B")
    ask_price: str = field(name="a")
    ask_quantity: str = field(name="A")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            BookTicker(m.update_id, m.bid_price, m.bid_quantity, m.ask_price, m.ask_quantity, received_ns)
            for m in messages
        ]


class DepthMessage(StreamMessage, gc=False):
    """``<symbol>@depth`` and ``@depth@100ms``: absolute quantities, U first and u last update id."""

    made = DepthUpdate

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    first_update_id: Id = field(name="U")
    last_update_id: Id = field(name="u")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        for m in messages:
            if m.first_update_id > m.last_update_id:
                raise ValueError(f"U {m.first_update_id} above u {m.last_update_id}")
        return [
            DepthUpdate(m.first_update_id, m.last_update_id, m.bids, m.asks, m.venue_time * unit_ns, received_ns)
            for m in messages
        ]


class PartialDepthMessage(StreamMessage, gc=False):
    """``<symbol>@depth<levels>``: no event type, symbol or time."""

    made = PartialDepth

    last_update_id: Id = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [PartialDepth(m.last_update_id, m.bids, m.asks, received_ns) for m in messages]


class KlineBar(msgspec.Struct, gc=False):
    """The ``k`` object of a kline message."""

    open_time: Time = field(name="t")
    close_time: Time = field(name="T")
    first_trade_id: OptionalId = field(name="f")
    last_trade_id: OptionalId = field(name="L")
    open: str = field(name="o")
    close: str = field(name="c")
    high: str = field(name="h")
    low: str = field(name="l")
    volume: str = field(name="v")
    trade_count: Id = field(name="n")
    final: bool = field(name="x")
    quote_volume: str = field(name="q")
    taker_buy_volume: str = field(name="V")
    taker_buy_quote_volume: str = field(name="Q")


class KlineMessage(StreamMessage, gc=False):
    """``<symbol>@kline_<interval>``."""

    made = Kline

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    bar: KlineBar = field(name="k")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            Kline(
                bar.open_time * unit_ns, bar.close_time * unit_ns, bar.open, bar.high, bar.low, bar.close, bar.volume,
                bar.quote_volume, bar.taker_buy_volume, bar.taker_buy_quote_volume, bar.first_trade_id, bar.last_trade_id,
                bar.trade_count, bar.final, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
            for bar in (m.bar,)
        ]  # fmt: skip


class MiniTickerMessage(StreamMessage, gc=False):
    """``<symbol>@miniTicker`` and each element of ``!miniTicker@arr``."""

    made = MiniTicker

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    close: str = field(name="c")
    open: str = field(name="o")
    high: str = field(name="h")
    low: str = field(name="l")
    volume: str = field(name="v")
    quote_volume: str = field(name="q")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            MiniTicker(
                m.close, m.open, m.high, m.low, m.volume, m.quote_volume, m.venue_time * unit_ns, received_ns
            )
            for m in messages
        ]  # fmt: skip


class TickerMessage(StreamMessage, kw_only=True, gc=False):
    """``<symbol>@ticker``, ``@ticker_<window>`` and the window arrays; windows lack the best prices."""

    made = Ticker

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    price_change: str = field(name="p")
    price_change_percent: str = field(name="P")
    weighted_average_price: str = field(name="w")
    previous_close: str = field(name="x", default="")
    last_price: str = field(name="c")
    last_quantity: str = field(name="Q", default="")
    bid_price: str = field(name="b", default="")
    bid_quantity: str = field(name="B", default="")
    ask_price: str = field(name="a", default="")
    ask_quantity: str = field(name="A", default="")
    open: str = field(name="o")
    high: str = field(name="h")
    low: str = field(name="l")
    volume: str = field(name="v")
    quote_volume: str = field(name="q")
    open_time: Time = field(name="O")
    close_time: Time = field(name="C")
    first_trade_id: OptionalId = field(name="F")
    last_trade_id: OptionalId = field(name="L")
    trade_count: Id = field(name="n")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            Ticker(
                m.price_change, m.price_change_percent, m.weighted_average_price, m.open, m.high, m.low, m.last_price,
                m.last_quantity, m.volume, m.quote_volume, m.previous_close, m.bid_price, m.bid_quantity, m.ask_price,
                m.ask_quantity, m.open_time * unit_ns, m.close_time * unit_ns, m.first_trade_id, m.last_trade_id,
                m.trade_count, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip


class AveragePriceMessage(StreamMessage, gc=False):
    """``<symbol>@avgPrice``."""

    made = AveragePrice

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    interval: str = field(name="i")
    price: str = field(name="w")
    last_trade_time: Time = field(name="T")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            AveragePrice(m.interval, m.price, m.last_trade_time * unit_ns, m.venue_time * unit_ns, received_ns)
            for m in messages
        ]


class ReferencePriceMessage(StreamMessage, gc=False):
    """``<symbol>@referencePrice``: has no E; its time is the engine's."""

    made = ReferencePrice

    symbol: str = field(name="s")
    price: str | None = field(name="r")
    engine_time: Time = field(name="t")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [ReferencePrice(m.price, m.engine_time * unit_ns, received_ns) for m in messages]


def _shapes_under(shape: type[StreamMessage]) -> Iterator[type[StreamMessage]]:
    for found in shape.__subclasses__():
        yield found
        yield from _shapes_under(found)


MESSAGE_OF: dict[type[Event], type[StreamMessage]] = {shape.made: shape for shape in _shapes_under(StreamMessage)}
"""The shape that carries each event type."""


class RefusalDetail(msgspec.Struct):
    """The inside of an error reply."""

    code: int = 0
    msg: str = ""


class Envelope(msgspec.Struct):
    """Everything a message may be, looked at only when it is not a plain data message of a known stream."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET
    result: list[Any] | bool | msgspec.UnsetType | None = msgspec.UNSET
    error: RefusalDetail | None = None
    code: int | None = None
    msg: str = ""
    e: str = ""
