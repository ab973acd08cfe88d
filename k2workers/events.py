"""Owns the event types that subscribers receive, and ``TABLE``: one row for each of them, from which all else follows.

Knows nothing of sockets, venues' JSON or ZeroMQ. A new type is one Struct and one row; how the ids of a *topic* follow each other
is no fact about a type: it is one of ``continuity.py``'s, and stands with the kind in the venue's table of streams (``venues/binance/streams.py``).

An event is a frozen msgspec Struct encoded as a MessagePack *array*: the order of the fields below is the wire order and part of the public
format. New fields go to the end; a change of meaning is a new schema number. Kind and symbol are not repeated in an event: they are in its topic.

Units: times are integers in nanoseconds since the Unix epoch; prices and quantities are the venue's
exact decimal strings. ``venue_time_ns`` is the venue's clock, ``received_ns`` is ours at the socket read.
"""

from __future__ import annotations

import enum
import functools
import operator

import msgspec

from k2workers import book_events as books
from k2workers import futures_events as futures
from k2workers.errors import StateError
from k2workers.event import FIRST_OF as FIRST_OF
from k2workers.event import LAST_OF as LAST_OF
from k2workers.event import Event as Event
from k2workers.event import Level as Level


class Trade(Event, frozen=True, array_like=True, gc=False):
    """One match. ``trade_id`` rises by exactly one per symbol."""

    trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int


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


class BlockTrade(Event, frozen=True, array_like=True, gc=False):
    """A block trade; its ids are a space of their own and need not be consecutive."""

    block_trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int


class BookTicker(Event, frozen=True, array_like=True, gc=False):
    """Best bid and ask. ``update_id`` rises but skips: a jump is not a gap. The venue sends no time."""

    update_id: int
    bid_price: str
    bid_quantity: str
    ask_price: str
    ask_quantity: str
    received_ns: int


class DepthUpdate(Event, frozen=True, array_like=True, gc=False):
    """A book difference covering update ids ``first_update_id`` to ``last_update_id``, without holes."""

    first_update_id: int
    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    venue_time_ns: int
    received_ns: int


class PartialDepth(Event, frozen=True, array_like=True, gc=False):
    """The top N levels of the book, complete. The venue sends no time."""

    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    received_ns: int


class BookSnapshot(Event, frozen=True, array_like=True, gc=False):
    """The book as of ``last_update_id``, on a depth topic: its next ``DepthUpdate`` continues from there.

    Published when the topic starts, after every ``Gap`` in it, and when somebody lacks it; a ``Subscriber`` also gives one whenever a program
    joins, and after every ``Lost``. Levels deeper than those given are unknown until they change. The venue sends no time.
    """

    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    received_ns: int


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
    def next_open_ns(self) -> int:
        """When the bar after this one opens. Close times end one unit (ms or µs) before it."""
        return self.close_time_ns // 1_000_000 * 1_000_000 + 1_000_000


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


class AveragePrice(Event, frozen=True, array_like=True, gc=False):
    """The venue's average price over ``interval`` (such as ``5m``)."""

    interval: str
    price: str
    last_trade_time_ns: int
    venue_time_ns: int
    received_ns: int


class ReferencePrice(Event, frozen=True, array_like=True, gc=False):
    """The venue's reference price; None when the venue has none."""

    price: str | None
    venue_time_ns: int
    received_ns: int


class ContinuousKline(Kline, frozen=True, array_like=True, gc=False):
    """A bar of whatever contract of a pair is the perpetual one. Its first and last ids are update ids of books."""


BookChange = DepthUpdate | futures.LinkedDepthUpdate
AnyTrade, AnyAggregate = Trade | futures.FuturesTrade, AggTrade | futures.FuturesAggTrade
BestPrices = BookTicker | futures.TimedBookTicker


class Gap(Event, frozen=True, array_like=True, gc=False):
    """Ids of this topic that were not received, announced before any later id. ``cause`` is a plain word."""

    first_missing_id: int
    last_missing_id: int
    cause: str
    noticed_ns: int


class Void(Event, frozen=True, array_like=True, gc=False):
    """Ids of this topic that the venue confirms never existed: nothing is missing there, and nobody need ask again."""

    first_void_id: int
    last_void_id: int
    at_ns: int


class GivenUp(Event, frozen=True, array_like=True, gc=False):
    """Ids of a ``Gap`` announced before that nobody asks for any longer. ``cause`` says why.

    If they come all the same, they come as ``Backfilled``.
    """

    first_given_up_id: int
    last_given_up_id: int
    cause: str
    at_ns: int


class Reset(Event, frozen=True, array_like=True, gc=False):
    """The venue's ids of this topic begin anew: the last one of the old numbering (-2: not known), and the first one of the new.

    Whatever was missing of the old ids stays missing.
    """

    last_old_id: int
    first_new_id: int
    at_ns: int


class Backfilled(Event, frozen=True, array_like=True, gc=False):
    """An event that fills a ``Gap`` announced before: its id is below those that went ahead of it.

    It may also correct a ``Void`` that proved wrong, or come for ids that were given up. One fetched in time for its order comes plain.
    """

    event: Event


class Status(Event, frozen=True, array_like=True, gc=False):
    """A record about the feed itself (topics ``status.…``): what happened, and its figures."""

    name: str
    data: dict[str, str | int | float | bool | None]
    at_ns: int


HEARTBEAT_TOPIC = "heartbeat"


class Heartbeat(Event, frozen=True, array_like=True, gc=False):
    """The aggregator lives: sent at a steady pace on topic ``heartbeat``."""

    at_ns: int


class Part(enum.Enum):
    """What events of a type are in their topic."""

    DATA = "data"
    """What the venue sent; the topic's continuity tells how one follows the other."""
    MADE = "made"
    """What the feed makes of that: no event of the venue, and counted nowhere."""
    SNAPSHOT = "snapshot"
    """The whole state as of its last id: nothing up to there is missing any longer."""
    GAP = "gap"
    """Ids that were not received."""
    VOID = "void"
    """Ids that never existed."""
    GIVEN_UP = "given up"
    """Ids of a gap that nobody asks for any longer."""
    RESET = "reset"
    """The ids begin anew."""
    RECORD = "record"
    """About the feed itself: its ids are times, and may repeat."""


class EventRow(msgspec.Struct, frozen=True):
    """One type of events. ``first``, ``last`` and ``learned`` are fields: the first and the last id, and when we learned of it.

    ``learned`` is the last field of every type, so that it can be read from the end of the encoded bytes.
    """

    number: int
    type: type[Event]
    part: Part
    first: str
    last: str
    learned: str

    @property
    def timed(self) -> bool:
        """Whether it tells the venue's time beside ours."""
        return "venue_time_ns" in self.type.__struct_fields__ and self.learned == "received_ns"


TABLE = (
    EventRow(1, Trade, Part.DATA, "trade_id", "trade_id", "received_ns"),
    EventRow(2, AggTrade, Part.DATA, "agg_trade_id", "agg_trade_id", "received_ns"),
    EventRow(3, BlockTrade, Part.DATA, "block_trade_id", "block_trade_id", "received_ns"),
    EventRow(4, BookTicker, Part.DATA, "update_id", "update_id", "received_ns"),
    EventRow(5, DepthUpdate, Part.DATA, "first_update_id", "last_update_id", "received_ns"),
    EventRow(6, PartialDepth, Part.DATA, "last_update_id", "last_update_id", "received_ns"),
    EventRow(7, Kline, Part.DATA, "open_time_ns", "open_time_ns", "received_ns"),
    EventRow(8, MiniTicker, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(9, Ticker, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(10, AveragePrice, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(11, ReferencePrice, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(12, BookSnapshot, Part.SNAPSHOT, "last_update_id", "last_update_id", "received_ns"),
    EventRow(13, futures.LinkedDepthUpdate, Part.DATA, "first_update_id", "last_update_id", "received_ns"),
    EventRow(14, futures.TimedBookTicker, Part.DATA, "update_id", "update_id", "received_ns"),
    EventRow(15, futures.TimedPartialDepth, Part.DATA, "last_update_id", "last_update_id", "received_ns"),
    EventRow(16, futures.FuturesTrade, Part.DATA, "trade_id", "trade_id", "received_ns"),
    EventRow(17, futures.MarkPrice, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(18, futures.Liquidation, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(19, futures.CompositeIndex, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(20, futures.AssetIndex, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(21, futures.ContractInfo, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(22, ContinuousKline, Part.DATA, "open_time_ns", "open_time_ns", "received_ns"),
    EventRow(23, futures.FuturesAggTrade, Part.DATA, "agg_trade_id", "agg_trade_id", "received_ns"),
    EventRow(24, futures.OpenInterest, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(25, futures.FundingRate, Part.DATA, "venue_time_ns", "venue_time_ns", "received_ns"),
    EventRow(50, books.BookTop, Part.MADE, "update_id", "update_id", "at_ns"),
    EventRow(51, books.BookLevels, Part.MADE, "update_id", "update_id", "at_ns"),
    EventRow(100, Gap, Part.GAP, "first_missing_id", "last_missing_id", "noticed_ns"),
    EventRow(101, Void, Part.VOID, "first_void_id", "last_void_id", "at_ns"),
    EventRow(102, Reset, Part.RESET, "last_old_id", "first_new_id", "at_ns"),
    EventRow(103, GivenUp, Part.GIVEN_UP, "first_given_up_id", "last_given_up_id", "at_ns"),
    EventRow(110, Status, Part.RECORD, "at_ns", "at_ns", "at_ns"),
    EventRow(111, Heartbeat, Part.RECORD, "at_ns", "at_ns", "at_ns"),
)
"""Every type of events. ``number`` is the schema number of its batches, and is never used again for another type."""

LATE = 1000
"""Added to the schema number of a batch whose events fill a gap announced before; they decode as ``Backfilled``."""

# ── what follows from the table ─────────────────────────────────────────────────────────────────────────────

ROW_OF: dict[type[Event], EventRow] = {row.type: row for row in TABLE}
SCHEMAS: dict[int, type[Event]] = {row.number: row.type for row in TABLE}
SCHEMA_OF: dict[type[Event], int] = {row.type: row.number for row in TABLE}
_VENUES = frozenset(row.number for row in TABLE if row.part is Part.DATA)
DATA_SCHEMAS = _VENUES | {row.number for row in TABLE if row.part is Part.MADE}
RECORD_SCHEMAS = frozenset(row.number for row in TABLE if row.part is Part.RECORD)
SNAPSHOT_SCHEMAS = frozenset(row.number for row in TABLE if row.part is Part.SNAPSHOT)
ANNOUNCEMENT_SCHEMAS = frozenset(row.number for row in TABLE if row.part in {Part.GAP, Part.VOID, Part.GIVEN_UP})
GAP_SCHEMA = next(row.number for row in TABLE if row.part is Part.GAP)
COUNTED_SCHEMAS = _VENUES | {LATE + number for number in _VENUES}
"""Batches whose events count in figures: those of the venue, in time or late. The others are what the feed says and makes of them, and whole books."""
COUNTED_TYPES = frozenset({row.type for row in TABLE if row.part is Part.DATA} | {Backfilled})
"""The same by type."""
RESET_SCHEMA = next(row.number for row in TABLE if row.part is Part.RESET)

_reader = functools.cache(operator.attrgetter)
FIRST_OF.update({row.type: _reader(row.first) for row in TABLE})
LAST_OF.update({row.type: _reader(row.last) for row in TABLE})
FIRST_OF[Backfilled], LAST_OF[Backfilled] = _reader("event.first_id"), _reader("event.last_id")


def learned_ns(event: Event) -> int:
    """When we learned of an event, wall-clock."""
    time_ns: int = getattr(event, ROW_OF[type(event)].learned)
    return time_ns


def covered_ids(event: Event) -> tuple[int, int]:
    """The first and last of the ids that this event supplies; a bar stands for all times until the next one opens."""
    if isinstance(event, Kline):
        return event.open_time_ns, event.next_open_ns - 1
    return event.first_id, event.last_id


def without_ids_through(last_id: int, event: Event) -> Event:
    """The event as it continues ``last_id``. Raises StateError for a type with one id, which cannot overlap another.

    Two connections may cut the same depth ids into different windows. Its levels are absolute quantities as of its last id, so
    applying all of them after ``last_id`` is right; a gap or void is no more than its ids.
    """
    row = ROW_OF[type(event)]
    if row.first == row.last:
        raise StateError(f"{type(event).__name__} has one id and cannot overlap id {last_id}")
    return msgspec.structs.replace(event, **{row.first: last_id + 1})
