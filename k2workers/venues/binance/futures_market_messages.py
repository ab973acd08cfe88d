"""Owns the JSON shapes of what Binance's futures markets have beside trades and books: mark prices, liquidations, indexes, contracts.

Sources: as ``futures_messages.py``.
"""

from __future__ import annotations

import msgspec
from msgspec import field

from k2workers.event import Event
from k2workers.futures_events import AssetIndex, CompositeIndex, ContractInfo, Liquidation, MarkPrice
from k2workers.venues.binance.messages import StreamMessage, StreamMessages
from k2workers.venues.binance.values import Decimal, OptionalTime, SignedDecimal, SignedDecimalOrNone, Time, nanoseconds

MOST_COMPONENTS = 1_000
"""Of an index; the venue's largest has some thirty."""


class MarkPriceMessage(StreamMessage, kw_only=True, gc=False):
    """``<symbol>@markPrice``, ``@markPrice@1s`` and each element of ``!markPrice@arr``; what a contract does not have is empty or missing."""

    made = MarkPrice

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    mark_price: SignedDecimal = field(name="p")
    average_price: SignedDecimalOrNone = field(name="ap", default="")
    index_price: SignedDecimalOrNone = field(name="i", default="")
    settle_price: SignedDecimalOrNone = field(name="P", default="")
    funding_rate: SignedDecimalOrNone = field(name="r", default="")
    next_funding_time: OptionalTime = field(name="T", default=0)
    symbol_type: int = field(name="st", default=0)

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            MarkPrice(
                m.mark_price, m.index_price, m.settle_price, m.average_price, m.funding_rate,
                nanoseconds(m.next_funding_time), m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            all_of_it = m.mark_price, m.average_price, m.index_price, m.settle_price, m.funding_rate
            texts += [text.removeprefix("-") for text in all_of_it if text]


class LiquidatedOrder(msgspec.Struct, kw_only=True, gc=False):
    """The ``o`` object of a liquidation."""

    symbol: str = field(name="s")
    side: str = field(name="S")
    order_type: str = field(name="o")
    time_in_force: str = field(name="f")
    quantity: Decimal = field(name="q")
    price: Decimal = field(name="p")
    average_price: Decimal = field(name="ap")
    status: str = field(name="X")
    last_filled_quantity: Decimal = field(name="l")
    filled_quantity: Decimal = field(name="z")
    trade_time: Time = field(name="T")
    symbol_type: int = field(name="st", default=0)


class LiquidationMessage(StreamMessage, kw_only=True, gc=False):
    """``<symbol>@forceOrder`` and ``!forceOrder@arr``, which brings one in each message. Users' messages have ``st`` inside of ``o``."""

    made = Liquidation
    alone = True

    venue_time: Time = field(name="E")
    order: LiquidatedOrder = field(name="o")
    type_outside: int = field(name="st", default=0)

    @property
    def symbol(self) -> str:
        """Whose position it was."""
        return self.order.symbol

    @property
    def symbol_type(self) -> int:
        """Of which market that symbol is, wherever that stands."""
        return self.order.symbol_type or self.type_outside

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            Liquidation(
                o.side, o.order_type, o.time_in_force, o.quantity, o.price, o.average_price, o.status,
                o.last_filled_quantity, o.filled_quantity, o.trade_time * unit_ns, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
            for o in (m.order,)
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            o = m.order
            texts += (o.quantity, o.price, o.average_price, o.last_filled_quantity, o.filled_quantity)


class IndexComponent(msgspec.Struct, gc=False):
    """One of the ``c`` of a composite index."""

    base: str = field(name="b")
    quote: str = field(name="q")
    weight: Decimal = field(name="w")
    percent: Decimal = field(name="W")
    price: Decimal = field(name="i")


class CompositeIndexMessage(StreamMessage, gc=False):
    """``<symbol>@compositeIndex``."""

    made = CompositeIndex

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    price: Decimal = field(name="p")
    components: list[IndexComponent] = field(name="c")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            CompositeIndex(
                m.price,
                [(c.base, c.quote, c.weight, c.percent, c.price) for c in m.components[:MOST_COMPONENTS]],
                m.venue_time * unit_ns,
                received_ns,
            )
            for m in messages
        ]

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            texts.append(m.price)
            for c in m.components:
                texts += (c.weight, c.percent, c.price)


class AssetIndexMessage(StreamMessage, gc=False):
    """``<asset>@assetIndex`` and each element of ``!assetIndex@arr``."""

    made = AssetIndex

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    index: Decimal = field(name="i")
    bid_buffer: Decimal = field(name="b")
    ask_buffer: Decimal = field(name="a")
    bid_rate: Decimal = field(name="B")
    ask_rate: Decimal = field(name="A")
    exchange_bid_buffer: Decimal = field(name="q")
    exchange_ask_buffer: Decimal = field(name="g")
    exchange_bid_rate: Decimal = field(name="Q")
    exchange_ask_rate: Decimal = field(name="G")

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            AssetIndex(
                m.index, m.bid_buffer, m.ask_buffer, m.bid_rate, m.ask_rate, m.exchange_bid_buffer, m.exchange_ask_buffer,
                m.exchange_bid_rate, m.exchange_ask_rate, m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        for m in messages:
            texts += (
                m.index, m.bid_buffer, m.ask_buffer, m.bid_rate, m.ask_rate, m.exchange_bid_buffer, m.exchange_ask_buffer,
                m.exchange_bid_rate, m.exchange_ask_rate,
            )  # fmt: skip


class ContractInfoMessage(StreamMessage, kw_only=True, gc=False):
    """``!contractInfo``: one in each message."""

    made = ContractInfo
    alone = True

    venue_time: Time = field(name="E")
    symbol: str = field(name="s")
    pair: str = field(name="ps", default="")
    contract_type: str = field(name="ct", default="")
    delivery_time: OptionalTime = field(name="dt", default=0)
    onboard_time: OptionalTime = field(name="ot", default=0)
    status: str = field(name="cs", default="")
    symbol_type: int = field(name="st", default=0)

    @classmethod
    def events(cls, messages: StreamMessages, received_ns: int, unit_ns: int) -> list[Event]:
        return [
            ContractInfo(
                m.pair, m.contract_type, m.status, nanoseconds(m.onboard_time), nanoseconds(m.delivery_time),
                m.venue_time * unit_ns, received_ns,
            )
            for m in messages
        ]  # fmt: skip

    @classmethod
    def gather(cls, messages: StreamMessages, texts: list[str]) -> None:
        pass
