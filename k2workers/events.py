"""Owns the event types that subscribers receive. Knows nothing of sockets, venues' JSON or ZeroMQ.

An event is a frozen msgspec Struct encoded as a MessagePack *array*: the order of the fields below is
the wire order and part of the public format. New fields go to the end; a change of meaning is a new
schema number. Kind and symbol are not repeated in an event: they are in its topic.

Units: times are integers in nanoseconds since the Unix epoch; prices and quantities are the venue's
exact decimal strings. ``venue_time_ns`` is the venue's clock, ``received_ns`` is ours at the socket read.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import msgspec

Level = tuple[str, str]
"""One price level: (price, absolute quantity); quantity zero deletes the level."""


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What every event can answer: the first and last venue id it stands for."""

    @property
    def first_id(self) -> int:
        raise NotImplementedError

    @property
    def last_id(self) -> int:
        return self.first_id


class Trade(Event, frozen=True, array_like=True, gc=False):
    """One match. ``trade_id`` rises by exactly one per symbol."""

    trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.trade_id


class AggTrade(Event, frozen=True, array_like=True, gc=False):
    """The fills of one taker order at one price; covers raw trades ``first_trade_id`` to ``last_trade_id``."""

    agg_trade_id: int
    first_trade_id: int
    last_trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.agg_trade_id


class BlockTrade(Event, frozen=True, array_like=True, gc=False):
    """A block trade; its ids are a space of their own and need not be consecutive."""

    block_trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.block_trade_id


class BookTicker(Event, frozen=True, array_like=True, gc=False):
    """Best bid and ask. ``update_id`` rises but skips: a jump is not a gap. The venue sends no time."""

    update_id: int
    bid_price: str
    bid_quantity: str
    ask_price: str
    ask_quantity: str
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.update_id


class DepthUpdate(Event, frozen=True, array_like=True, gc=False):
    """A book difference covering update ids ``first_update_id`` to ``last_update_id``, without holes."""

    first_update_id: int
    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.first_update_id

    @property
    def last_id(self) -> int:
        return self.last_update_id


class PartialDepth(Event, frozen=True, array_like=True, gc=False):
    """The top N levels of the book, complete. The venue sends no time."""

    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.last_update_id


class BookSnapshot(Event, frozen=True, array_like=True, gc=False):
    """The book as of ``last_update_id``, on a depth topic: its next ``DepthUpdate`` continues from there.

    Published when the topic starts and after every ``Gap`` in it. Levels deeper than those given are unknown until they
    change. The venue sends no time.
    """

    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.last_update_id


class Kline(Event, frozen=True, array_like=True, gc=False):
    """One bar as it stands; ``final`` marks its last state. Identity is (interval in the topic, open time).

    Trade ids are -1 for a bar without trades, and for one that was fetched over REST, which does not tell them.
    """

    open_time_ns: int
    close_time_ns: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    taker_buy_volume: str
    taker_buy_quote_volume: str
    first_trade_id: int
    last_trade_id: int
    trade_count: int
    final: bool
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.open_time_ns


class MiniTicker(Event, frozen=True, array_like=True, gc=False):
    """Rolling 24 h open, high, low, close and volumes."""

    close: str
    open: str
    high: str
    low: str
    volume: str
    quote_volume: str
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.venue_time_ns


class Ticker(Event, frozen=True, array_like=True, gc=False):
    """Rolling-window statistics. The five best-price fields and ``previous_close`` are empty strings for 1h/4h/1d windows."""

    price_change: str
    price_change_percent: str
    weighted_average_price: str
    open: str
    high: str
    low: str
    last_price: str
    last_quantity: str
    volume: str
    quote_volume: str
    previous_close: str
    bid_price: str
    bid_quantity: str
    ask_price: str
    ask_quantity: str
    open_time_ns: int
    close_time_ns: int
    first_trade_id: int
    last_trade_id: int
    trade_count: int
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.venue_time_ns


class AveragePrice(Event, frozen=True, array_like=True, gc=False):
    """The venue's average price over ``interval`` (such as ``5m``)."""

    interval: str
    price: str
    last_trade_time_ns: int
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.venue_time_ns


class ReferencePrice(Event, frozen=True, array_like=True, gc=False):
    """The venue's reference price; None when the venue has none."""

    price: str | None
    venue_time_ns: int
    received_ns: int

    @property
    def first_id(self) -> int:
        return self.venue_time_ns


class Gap(Event, frozen=True, array_like=True, gc=False):
    """Ids of this topic that were not received, announced before any later id. ``cause`` is a plain word."""

    first_missing_id: int
    last_missing_id: int
    cause: str
    noticed_ns: int

    @property
    def first_id(self) -> int:
        return self.first_missing_id

    @property
    def last_id(self) -> int:
        return self.last_missing_id


class Void(Event, frozen=True, array_like=True, gc=False):
    """Ids of this topic that the venue confirms never existed: nothing is missing there, and nobody need ask again."""

    first_void_id: int
    last_void_id: int
    at_ns: int

    @property
    def first_id(self) -> int:
        return self.first_void_id

    @property
    def last_id(self) -> int:
        return self.last_void_id


class Backfilled(Event, frozen=True, array_like=True, gc=False):
    """An event that fills a ``Gap`` announced before: its id is below those that went ahead of it.

    An event fetched in time to keep its topic's order comes plain, not as this.
    """

    event: Event

    @property
    def first_id(self) -> int:
        return self.event.first_id

    @property
    def last_id(self) -> int:
        return self.event.last_id


class Status(Event, frozen=True, array_like=True, gc=False):
    """A record about the feed itself (topics ``status.…``): what happened, and its figures."""

    name: str
    data: dict[str, str | int | float | bool | None]
    at_ns: int

    @property
    def first_id(self) -> int:
        return self.at_ns


HEARTBEAT_TOPIC = "heartbeat"


class Heartbeat(Event, frozen=True, array_like=True, gc=False):
    """The aggregator lives: sent at a steady pace on topic ``heartbeat``."""

    at_ns: int

    @property
    def first_id(self) -> int:
        return self.at_ns


SCHEMAS: dict[int, type[Event]] = {
    1: Trade,
    2: AggTrade,
    3: BlockTrade,
    4: BookTicker,
    5: DepthUpdate,
    6: PartialDepth,
    7: Kline,
    8: MiniTicker,
    9: Ticker,
    10: AveragePrice,
    11: ReferencePrice,
    12: BookSnapshot,
    100: Gap,
    101: Void,
    110: Status,
    111: Heartbeat,
}
"""Schema number of a batch → the type of its events. Numbers are never reused."""

LATE = 1000
"""Added to the schema number of a batch whose events fill a gap announced before; they decode as ``Backfilled``."""

SCHEMA_OF: dict[type[Event], int] = {event_type: number for number, event_type in SCHEMAS.items()}

CHAINED: frozenset[int] = frozenset({SCHEMA_OF[Trade], SCHEMA_OF[AggTrade], SCHEMA_OF[DepthUpdate]})
"""Schemas whose ids form an unbroken chain: next.first_id == last_id + 1, else something is missing."""

_trade, _agg_trade, _update = map(operator.attrgetter, ("trade_id", "agg_trade_id", "update_id"))
_first_update, _last_update = map(operator.attrgetter, ("first_update_id", "last_update_id"))
IDS_OF: dict[type[Event], tuple[Callable[[Event], int], Callable[[Event], int]]] = {
    Trade: (_trade, _trade),
    AggTrade: (_agg_trade, _agg_trade),
    BookTicker: (_update, _update),
    DepthUpdate: (_first_update, _last_update),
}
"""The frequent types, and how to read their first and last id fastest; the same function twice if they have only one."""
