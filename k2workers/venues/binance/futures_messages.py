"""Owns the JSON shapes of the messages of Binance's futures markets that tell of trades, books and bars.

Sources: "Websocket Market Streams" of the USD-M documents, 2026; the order of keys is that of recordings (depth, bookTicker and trade of 2024, aggTrade
of 2021), elsewhere that of the documents. Samples of 2026 have ``st`` besides, the type of the symbol: 1 USD-M, 2 COIN-M; where it stands in each
message nobody has told.
"""

from __future__ import annotations

from msgspec import field

from k2workers.events import ContinuousKline, Event
from k2workers.futures_events import (
    FuturesAggTrade,
    FuturesTrade,
    LinkedDepthUpdate,
    TimedBookTicker,
    TimedPartialDepth,
)
from k2workers.venues.binance.futures_market_messages import (
    AssetIndexMessage,
    CompositeIndexMessage,
    ContractInfoMessage,
    LiquidationMessage,
    MarkPriceMessage,
)
from k2workers.venues.binance.messages import (
    BestPricesMessage,
    Id,
    KlineMessage,
    LeveledMessage,
    Levels,
    MiniTickerMessage,
    Predecessor,
    PricedMessage,
    StreamMessages,
    TickerMessage,
    by_event,
)
from k2workers.venues.binance.values import Decimal, DecimalOrNone, Time


class FuturesTradeMessage(PricedMessage, gc=False):
    """``<symbol>@trade``: in no document any longer; X is where the trade was made."""

    made = FuturesTrade

    venue_time: Time = field(name="E")
    trade_time: Time = field(name="T")
    symbol: str = field(name="s")
    trade_id: Id = field(name="t")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    origin: str = field(name="X")
    buyer_is_maker: bool = field(name="m")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            FuturesTrade(
                m.trade_id, m.price, m.quantity, m.buyer_is_maker, m.origin, m.trade_time * unit_ns, m.venue_time * unit_ns,
                received_ns,
            )
            for m in messages
        ]  # fmt: skip


class FuturesAggTradeMessage(PricedMessage, kw_only=True, gc=False):
    """``<symbol>@aggTrade``: trades of the order book alone. ``nq``, the quantity without retail price improvement, since 2025-12-31."""

    made = FuturesAggTrade

    venue_time: Time = field(name="E")
    agg_trade_id: Id = field(name="a")
    symbol: str = field(name="s")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    quantity_without_rpi: DecimalOrNone = field(name="nq", default="")
    first_trade_id: Id = field(name="f")
    last_trade_id: Id = field(name="l")
    trade_time: Time = field(name="T")
    buyer_is_maker: bool = field(name="m")
    symbol_type: int = field(name="st", default=0)

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        for m in messages:
            if m.first_trade_id > m.last_trade_id:
                raise ValueError(f"f {m.first_trade_id} above l {m.last_trade_id}")
        return [
            FuturesAggTrade(
                m.agg_trade_id, m.first_trade_id, m.last_trade_id, m.price, m.quantity, m.quantity_without_rpi,
                m.buyer_is_maker, m.trade_time * unit_ns, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        super().gather(messages, texts)
        texts += [m.quantity_without_rpi for m in messages if m.quantity_without_rpi]


class TimedBookTickerMessage(BestPricesMessage, kw_only=True, gc=False):
    """``<symbol>@bookTicker`` and ``!bookTicker``."""

    made = TimedBookTicker
    alone = True

    update_id: Id = field(name="u")
    symbol: str = field(name="s")
    bid_price: Decimal = field(name="b")
    bid_quantity: Decimal = field(name="B")
    ask_price: Decimal = field(name="a")
    ask_quantity: Decimal = field(name="A")
    transaction_time: Time = field(name="T")
    venue_time: Time = field(name="E")
    symbol_type: int = field(name="st", default=0)

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            TimedBookTicker(
                m.update_id, m.bid_price, m.bid_quantity, m.ask_price, m.ask_quantity, m.transaction_time * unit_ns,
                m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip


class LinkedDepthMessage(LeveledMessage, kw_only=True, gc=False):
    """``<symbol>@depth``, ``@depth@100ms`` …: U first and u last update id, pu the u before it; where both are the same nothing has changed."""

    made = LinkedDepthUpdate

    venue_time: Time = field(name="E")
    transaction_time: Time = field(name="T")
    symbol: str = field(name="s")
    venue_first_id: Id = field(name="U")
    last_update_id: Id = field(name="u")
    first_update_id: Predecessor = field(name="pu")
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")
    symbol_type: int = field(name="st", default=0)

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        for m in messages:
            before, last = m.first_update_id, m.last_update_id
            if before > last or (before == last and (m.bids or m.asks)):
                raise ValueError(f"pu {before} not below u {last}")
        return [
            LinkedDepthUpdate(
                m.first_update_id + 1, m.last_update_id, m.venue_first_id, m.bids, m.asks, m.transaction_time * unit_ns,
                m.venue_time * unit_ns, received_ns,
            )
            for m in messages
            if m.first_update_id < m.last_update_id
        ]  # fmt: skip


class TimedPartialDepthMessage(LeveledMessage, kw_only=True, gc=False):
    """``<symbol>@depth<levels>``, written as a difference, whose other ids say nothing here: its levels are the whole top of the book."""

    made = TimedPartialDepth

    venue_time: Time = field(name="E")
    transaction_time: Time = field(name="T")
    symbol: str = field(name="s")
    venue_first_id: Id = field(name="U", default=0)
    last_update_id: Id = field(name="u")
    predecessor: Id = field(name="pu", default=0)
    bids: Levels = field(name="b")
    asks: Levels = field(name="a")
    symbol_type: int = field(name="st", default=0)

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            TimedPartialDepth(
                m.last_update_id, m.bids, m.asks, m.transaction_time * unit_ns, m.venue_time * unit_ns, received_ns
            )
            for m in messages
        ]  # fmt: skip


class ContinuousKlineMessage(KlineMessage, gc=False):
    """``<pair>_perpetual@continuousKline_<interval>``, of the pair."""

    made = ContinuousKline

    symbol: str = field(name="ps")


class FuturesMiniTickerMessage(MiniTickerMessage, kw_only=True, gc=False):
    """``<symbol>@miniTicker`` and each element of ``!miniTicker@arr``."""

    symbol_type: int = field(name="st", default=0)


class FuturesTickerMessage(TickerMessage, kw_only=True, gc=False):
    """``<symbol>@ticker`` and each element of ``!ticker@arr``: without best prices and the close before."""

    symbol_type: int = field(name="st", default=0)


FUTURES_MESSAGE_OF = by_event(
    FuturesTradeMessage, FuturesAggTradeMessage, TimedBookTickerMessage, LinkedDepthMessage, TimedPartialDepthMessage,
    KlineMessage, ContinuousKlineMessage, FuturesMiniTickerMessage, FuturesTickerMessage, MarkPriceMessage, LiquidationMessage,
    CompositeIndexMessage, AssetIndexMessage, ContractInfoMessage,
)  # fmt: skip
