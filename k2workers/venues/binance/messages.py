"""Owns the JSON shapes of Binance spot's stream messages, and what any market's shapes are: only the fields that are used; unknown keys are ignored.

Fields stand in the order in which the venue writes them: the decoder then finds each key where it looks first.

Each shape turns its messages into events: ``events(messages, received_ns, unit_ns)`` with ``unit_ns`` the nanoseconds of one
unit of its time fields, which ``fitted`` bounds to that unit. Many at once, because a call for each would cost as much as making the
event. Whoever decodes asks ``gather`` for the decimals, and checks them: the decoder only bounds their length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    MiniTicker,
    PartialDepth,
    ReferencePrice,
    Ticker,
    Trade,
)
from k2workers.venues.binance.values import Decimal, OptionalTime, SignedDecimal, Time, nanoseconds, texts_of

Levels = list[tuple[Decimal, Decimal]]
"""One side of a book."""

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Venue ids and update ids."""

Predecessor = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 2)]  # the last id of the message before
OptionalId = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
"""-1 stands for none (a bar without trades, an invalidated aggregate)."""

StreamMessages = Sequence[Any]  # of this class; typing that would need a type variable for each shape


class StreamMessage(msgspec.Struct, gc=False):
    """Any stream message; ``made`` is the type of its events."""

    made: ClassVar[type[Event]]
    leveled: ClassVar[bool] = False
    """Whether its decimals are the levels of a book, ``bids`` and ``asks``."""
    alone: ClassVar[bool] = False
    """Whether a stream of the whole market brings one in each message, and no list."""

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        """The events of these messages, in order; a message that the venue marked invalid has none.

        Raises ValueError for one that contradicts itself.
        """
        raise NotImplementedError

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        """Append every decimal of these messages, a signed one without its minus."""
        raise NotImplementedError


class PricedMessage(StreamMessage, gc=False):
    """One with a ``price`` and a ``quantity``."""

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        append = texts.append
        for m in messages:
            append(m.price)
            append(m.quantity)


class BestPricesMessage(StreamMessage, gc=False):
    """One with the best bid and ask."""

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            texts += (m.bid_price, m.bid_quantity, m.ask_price, m.ask_quantity)


class LeveledMessage(StreamMessage, gc=False):
    """One with the levels of a book."""

    leveled = True

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            texts += texts_of(m.bids) + texts_of(m.asks)


class TradeMessage(PricedMessage, gc=False):
    """``<symbol>@trade``."""

    made: ClassVar[type[Trade | BlockTrade]] = Trade

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    trade_id: Id = field(name="t")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
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


class AggTradeMessage(PricedMessage, gc=False):
    """``<symbol>@aggTrade``; f = -1 marks an aggregate that the venue invalidated (changelog 2022-04-12)."""

    made = AggTrade

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    agg_trade_id: Id = field(name="a")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    first_trade_id: OptionalId = field(name="f")
    last_trade_id: OptionalId = field(name="l")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        for m in messages:
            if m.first_trade_id > m.last_trade_id:
                raise ValueError(f"f {m.first_trade_id} above l {m.last_trade_id}")
        return [
            AggTrade(
                m.agg_trade_id, m.first_trade_id, m.last_trade_id, m.price, m.quantity, m.buyer_is_maker,
                m.trade_time * unit_ns, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
            if m.first_trade_id >= 0
        ]  # fmt: skip


class BookTickerMessage(BestPricesMessage, gc=False):
    """``<symbol>@bookTicker``: no event type and no time."""

    made = BookTicker

    update_id: Id = field(name="u")
    symbol: str = field(name="s")
    bid_price: Decimal = field(name="b")
    bid_quantity: Decimal = field(name="B")
    ask_price: Decimal = field(name="a")
    ask_quantity: Decimal = field(name="A")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            BookTicker(m.update_id, m.bid_price, m.bid_quantity, m.ask_price, m.ask_quantity, received_ns)
            for m in messages
        ]


class DepthMessage(LeveledMessage, gc=False):
    """``<symbol>@depth`` and ``@depth@100ms``: absolute quantities, U first and u last update id."""

    made = DepthUpdate

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    first_update_id: Id = field(name="U")
    last_update_id: Id = field(name="u")
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        for m in messages:
            if m.first_update_id > m.last_update_id:
                raise ValueError(f"U {m.first_update_id} above u {m.last_update_id}")
        return [
            DepthUpdate(m.first_update_id, m.last_update_id, m.bids, m.asks, m.venue_time * unit_ns, received_ns)
            for m in messages
        ]


class PartialDepthMessage(LeveledMessage, gc=False):
    """``<symbol>@depth<levels>``: no event type, symbol or time."""

    made = PartialDepth

    last_update_id: Id = field(name="lastUpdateId")
    bids: Levels
    asks: Levels

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [PartialDepth(m.last_update_id, m.bids, m.asks, received_ns) for m in messages]


class KlineBar(msgspec.Struct, gc=False):
    """The ``k`` object of a kline message."""

    open_time: Time = field(name="t")
    close_time: Time = field(name="T")
    first_trade_id: OptionalId = field(name="f")
    last_trade_id: OptionalId = field(name="L")
    open: Decimal = field(name="o")
    close: Decimal = field(name="c")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    trade_count: Id = field(name="n")
    final: bool = field(name="x")
    quote_volume: Decimal = field(name="q")
    taker_buy_volume: Decimal = field(name="V")
    taker_buy_quote_volume: Decimal = field(name="Q")


class KlineMessage(StreamMessage, gc=False):
    """``<symbol>@kline_<interval>``."""

    made: ClassVar[type[Kline]] = Kline

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    bar: KlineBar = field(name="k")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        for m in messages:
            if m.bar.open_time >= m.bar.close_time:
                raise ValueError(f"a bar from {m.bar.open_time} to {m.bar.close_time}")
        made = cls.made
        return [
            made(
                bar.open_time * unit_ns, bar.close_time * unit_ns, bar.open, bar.high, bar.low, bar.close, bar.volume,
                bar.quote_volume, bar.taker_buy_volume, bar.taker_buy_quote_volume, bar.first_trade_id, bar.last_trade_id,
                bar.trade_count, bar.final, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
            for bar in (m.bar,)
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            bar = m.bar
            texts += (
                bar.open, bar.close, bar.high, bar.low, bar.volume, bar.quote_volume, bar.taker_buy_volume,
                bar.taker_buy_quote_volume,
            )  # fmt: skip


class MiniTickerMessage(StreamMessage, gc=False):
    """``<symbol>@miniTicker`` and each element of ``!miniTicker@arr``."""

    made = MiniTicker

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    close: Decimal = field(name="c")
    open: Decimal = field(name="o")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    quote_volume: Decimal = field(name="q")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            MiniTicker(
                m.close, m.open, m.high, m.low, m.volume, m.quote_volume, m.venue_time * unit_ns, received_ns
            )
            for m in messages
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            texts += (m.close, m.open, m.high, m.low, m.volume, m.quote_volume)


class TickerMessage(StreamMessage, kw_only=True, gc=False):
    """``<symbol>@ticker``, ``@ticker_<window>`` and the window arrays; windows lack the best prices."""

    made = Ticker

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    price_change: SignedDecimal = field(name="p")
    price_change_percent: SignedDecimal = field(name="P")
    weighted_average_price: Decimal = field(name="w")
    previous_close: Decimal = field(name="x", default="")
    last_price: Decimal = field(name="c")
    last_quantity: Decimal = field(name="Q", default="")
    bid_price: Decimal = field(name="b", default="")
    bid_quantity: Decimal = field(name="B", default="")
    ask_price: Decimal = field(name="a", default="")
    ask_quantity: Decimal = field(name="A", default="")
    open: Decimal = field(name="o")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    quote_volume: Decimal = field(name="q")
    open_time: OptionalTime = field(name="O")
    close_time: OptionalTime = field(name="C")
    first_trade_id: OptionalId = field(name="F")
    last_trade_id: OptionalId = field(name="L")
    trade_count: Id = field(name="n")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            Ticker(
                m.price_change, m.price_change_percent, m.weighted_average_price, m.open, m.high, m.low, m.last_price,
                m.last_quantity, m.volume, m.quote_volume, m.previous_close, m.bid_price, m.bid_quantity, m.ask_price,
                m.ask_quantity, nanoseconds(m.open_time), nanoseconds(m.close_time), m.first_trade_id, m.last_trade_id,
                m.trade_count, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            texts += (
                m.price_change.removeprefix("-"), m.price_change_percent.removeprefix("-"), m.weighted_average_price,
                m.last_price, m.open, m.high, m.low, m.volume, m.quote_volume,
            )  # fmt: skip
            best = (
                m.previous_close, m.last_quantity, m.bid_price, m.bid_quantity, m.ask_price, m.ask_quantity,
            )  # fmt: skip
            texts += filter(None, best)


class AveragePriceMessage(StreamMessage, gc=False):
    """``<symbol>@avgPrice``."""

    made = AveragePrice

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    interval: str = field(name="i")
    price: Decimal = field(name="w")
    last_trade_time: OptionalTime = field(name="T")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            AveragePrice(m.interval, m.price, nanoseconds(m.last_trade_time), m.venue_time * unit_ns, received_ns)
            for m in messages
        ]

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        texts += [m.price for m in messages]


class ReferencePriceMessage(StreamMessage, gc=False):
    """``<symbol>@referencePrice``: has no E; its time is the engine's."""

    made = ReferencePrice

    symbol: str = field(name="s")
    price: Decimal | None = field(name="r")
    engine_time: Time = field(name="t")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [ReferencePrice(m.price, m.engine_time * unit_ns, received_ns) for m in messages]

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        texts += [m.price for m in messages if m.price is not None]


def by_event(*shapes: type[StreamMessage]) -> dict[type[Event], type[StreamMessage]]:
    """The shape that carries each type of events."""
    return {shape.made: shape for shape in shapes}


MESSAGE_OF = by_event(
    TradeMessage, BlockTradeMessage, AggTradeMessage, BookTickerMessage, DepthMessage, PartialDepthMessage, KlineMessage,
    MiniTickerMessage, TickerMessage, AveragePriceMessage, ReferencePriceMessage,
)  # fmt: skip
"""Of spot."""


def fitted(shape: type[StreamMessage], types: Mapping[Any, Any]) -> type[StreamMessage]:
    """The same shape with other types for those of its fields that are of one of these, or bear the name of one: a narrower one decodes
    only what fits."""
    fields: list[tuple[str, Any, Any]] = []
    for known in msgspec.structs.fields(shape):
        found = types.get(known.name, types.get(known.type))
        if isinstance(known.type, type) and issubclass(known.type, msgspec.Struct):
            found = fitted(known.type, types)  # type: ignore[arg-type]
        if found is not None:
            fields.append((known.name, found, field(name=known.encode_name, default=known.default)))
    kw_only = bool(shape.__struct_defaults__)  # as the shape itself is, or the fields would change their places
    return msgspec.defstruct(shape.__name__, fields, bases=(shape,), gc=False, kw_only=kw_only)  # type: ignore[return-value]


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
    s: Any = msgspec.UNSET
    lastUpdateId: Any = msgspec.UNSET  # noqa: N815 - the venue's own name
