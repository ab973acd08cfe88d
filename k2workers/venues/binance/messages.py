"""Owns the JSON shapes of Binance spot's stream messages: only the fields that are used; unknown keys are ignored.

Each shape turns itself into an event: ``event(received_ns, unit_ns)`` with ``unit_ns`` the nanoseconds of one unit of
its time fields (1,000 on a connection opened with timeUnit=MICROSECOND, else 1,000,000).
"""

from __future__ import annotations

from typing import Annotated

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


class Message(msgspec.Struct, gc=False):
    """Any stream message; ``symbol`` is None where the shape has none."""

    @property
    def symbol_name(self) -> str | None:
        return None

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        """The event of this message, or None if the venue marked it invalid."""
        raise NotImplementedError


class SymbolMessage(Message, gc=False):
    """A message that names its symbol."""

    symbol: str = field(name="s")

    @property
    def symbol_name(self) -> str | None:
        return self.symbol


class TradeMessage(SymbolMessage, gc=False):
    """``<symbol>@trade`` and, with ids of its own space, ``<symbol>@blockTrade``."""

    venue_time: Time = field(name="E")
    trade_id: Id = field(name="t")
    price: str = field(name="p")
    quantity: str = field(name="q")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return Trade(
            self.trade_id,
            self.price,
            self.quantity,
            self.buyer_is_maker,
            self.trade_time * unit_ns,
            self.venue_time * unit_ns,
            received_ns,
        )


class BlockTradeMessage(TradeMessage, gc=False):
    """``<symbol>@blockTrade``."""

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return BlockTrade(
            self.trade_id,
            self.price,
            self.quantity,
            self.buyer_is_maker,
            self.trade_time * unit_ns,
            self.venue_time * unit_ns,
            received_ns,
        )


class AggTradeMessage(SymbolMessage, gc=False):
    """``<symbol>@aggTrade``; f = -1 marks an aggregate that the venue invalidated (changelog 2022-04-12)."""

    venue_time: Time = field(name="E")
    agg_trade_id: Id = field(name="a")
    price: str = field(name="p")
    quantity: str = field(name="q")
    first_trade_id: OptionalId = field(name="f")
    last_trade_id: OptionalId = field(name="l")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        if self.first_trade_id < 0:
            return None
        return AggTrade(
            self.agg_trade_id,
            self.first_trade_id,
            self.last_trade_id,
            self.price,
            self.quantity,
            self.buyer_is_maker,
            self.trade_time * unit_ns,
            self.venue_time * unit_ns,
            received_ns,
        )


class BookTickerMessage(SymbolMessage, gc=False):
    """``<symbol>@bookTicker``: no event type and no time."""

    update_id: Id = field(name="u")
    bid_price: str = field(name="b")
    bid_quantity: str = field(name="B")
    ask_price: str = field(name="a")
    ask_quantity: str = field(name="A")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return BookTicker(
            self.update_id, self.bid_price, self.bid_quantity, self.ask_price, self.ask_quantity, received_ns
        )


class DepthMessage(SymbolMessage, gc=False):
    """``<symbol>@depth`` and ``@depth@100ms``: absolute quantities, U first and u last update id."""

    venue_time: Time = field(name="E")
    first_update_id: Id = field(name="U")
    last_update_id: Id = field(name="u")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        if self.first_update_id > self.last_update_id:
            raise ValueError(f"U {self.first_update_id} above u {self.last_update_id}")
        return DepthUpdate(
            self.first_update_id,
            self.last_update_id,
            self.bids,
            self.asks,
            self.venue_time * unit_ns,
            received_ns,
        )


class PartialDepthMessage(Message, gc=False):
    """``<symbol>@depth<levels>``: no event type, symbol or time."""

    last_update_id: Id = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return PartialDepth(self.last_update_id, self.bids, self.asks, received_ns)


class Bar(msgspec.Struct, gc=False):
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


class KlineMessage(SymbolMessage, gc=False):
    """``<symbol>@kline_<interval>``."""

    venue_time: Time = field(name="E")
    bar: Bar = field(name="k")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        bar = self.bar
        return Kline(
            bar.open_time * unit_ns,
            bar.close_time * unit_ns,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.quote_volume,
            bar.taker_buy_volume,
            bar.taker_buy_quote_volume,
            bar.first_trade_id,
            bar.last_trade_id,
            bar.trade_count,
            bar.final,
            self.venue_time * unit_ns,
            received_ns,
        )


class MiniTickerMessage(SymbolMessage, gc=False):
    """``<symbol>@miniTicker`` and each element of ``!miniTicker@arr``."""

    venue_time: Time = field(name="E")
    close: str = field(name="c")
    open: str = field(name="o")
    high: str = field(name="h")
    low: str = field(name="l")
    volume: str = field(name="v")
    quote_volume: str = field(name="q")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return MiniTicker(
            self.close,
            self.open,
            self.high,
            self.low,
            self.volume,
            self.quote_volume,
            self.venue_time * unit_ns,
            received_ns,
        )


class TickerMessage(SymbolMessage, gc=False):
    """``<symbol>@ticker``, ``@ticker_<window>`` and the window arrays; windows lack the best prices."""

    venue_time: Time = field(name="E")
    price_change: str = field(name="p")
    price_change_percent: str = field(name="P")
    weighted_average_price: str = field(name="w")
    open: str = field(name="o")
    high: str = field(name="h")
    low: str = field(name="l")
    last_price: str = field(name="c")
    volume: str = field(name="v")
    quote_volume: str = field(name="q")
    open_time: Time = field(name="O")
    close_time: Time = field(name="C")
    first_trade_id: OptionalId = field(name="F")
    last_trade_id: OptionalId = field(name="L")
    trade_count: Id = field(name="n")
    last_quantity: str = field(name="Q", default="")
    previous_close: str = field(name="x", default="")
    bid_price: str = field(name="b", default="")
    bid_quantity: str = field(name="B", default="")
    ask_price: str = field(name="a", default="")
    ask_quantity: str = field(name="A", default="")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return Ticker(
            self.price_change,
            self.price_change_percent,
            self.weighted_average_price,
            self.open,
            self.high,
            self.low,
            self.last_price,
            self.last_quantity,
            self.volume,
            self.quote_volume,
            self.previous_close,
            self.bid_price,
            self.bid_quantity,
            self.ask_price,
            self.ask_quantity,
            self.open_time * unit_ns,
            self.close_time * unit_ns,
            self.first_trade_id,
            self.last_trade_id,
            self.trade_count,
            self.venue_time * unit_ns,
            received_ns,
        )


class AveragePriceMessage(SymbolMessage, gc=False):
    """``<symbol>@avgPrice``."""

    venue_time: Time = field(name="E")
    interval: str = field(name="i")
    price: str = field(name="w")
    last_trade_time: Time = field(name="T")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return AveragePrice(
            self.interval,
            self.price,
            self.last_trade_time * unit_ns,
            self.venue_time * unit_ns,
            received_ns,
        )


class ReferencePriceMessage(SymbolMessage, gc=False):
    """``<symbol>@referencePrice``: has no E; its time is the engine's."""

    price: str | None = field(name="r")
    engine_time: Time = field(name="t")

    def event(self, received_ns: int, unit_ns: int) -> Event | None:
        return ReferencePrice(self.price, self.engine_time * unit_ns, received_ns)


MESSAGE_OF: dict[type[Event], type[Message]] = {
    Trade: TradeMessage,
    BlockTrade: BlockTradeMessage,
    AggTrade: AggTradeMessage,
    BookTicker: BookTickerMessage,
    DepthUpdate: DepthMessage,
    PartialDepth: PartialDepthMessage,
    Kline: KlineMessage,
    MiniTicker: MiniTickerMessage,
    Ticker: TickerMessage,
    AveragePrice: AveragePriceMessage,
    ReferencePrice: ReferencePriceMessage,
}
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
    result: list[str] | bool | msgspec.UnsetType | None = msgspec.UNSET
    error: RefusalDetail | None = None
    code: int | None = None
    msg: str = ""
    e: str = ""
