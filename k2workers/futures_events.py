"""Owns the event types that only markets of futures send, as ``events.py`` does those of any market; their rows stand there."""

from __future__ import annotations

from k2workers.event import Event, Level


class LinkedDepthUpdate(Event, frozen=True, array_like=True, gc=False):
    """A book difference that names the one before it: ``first_update_id`` is that one's last id plus one, so that a chain continues like any other.

    The venue counts its update ids over many symbols: those from ``first_update_id`` to ``last_update_id`` need not be this symbol's, and how many
    changes a hole holds cannot be known. ``venue_first_id`` is the first of its own. Levels stand in the venue's order, worst bid first.
    """

    first_update_id: int
    last_update_id: int
    venue_first_id: int
    bids: list[Level]
    asks: list[Level]
    transaction_time_ns: int
    venue_time_ns: int
    received_ns: int


class TimedBookTicker(Event, frozen=True, array_like=True, gc=False):
    """Best bid and ask, as ``BookTicker``, from a venue that says when: ``transaction_time_ns`` is the matching engine's time."""

    update_id: int
    bid_price: str
    bid_quantity: str
    ask_price: str
    ask_quantity: str
    transaction_time_ns: int
    venue_time_ns: int
    received_ns: int


class TimedPartialDepth(Event, frozen=True, array_like=True, gc=False):
    """The top N levels of the book, complete, as ``PartialDepth``, from a venue that says when."""

    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    transaction_time_ns: int
    venue_time_ns: int
    received_ns: int


class FuturesTrade(Event, frozen=True, array_like=True, gc=False):
    """One trade of a future. ``origin`` is the venue's word for where it was made: ``MARKET`` is its order book; what it makes with its insurance
    fund has ids among the others, and prices that were in no book. Ids that never existed lie between them.
    """

    trade_id: int
    price: str
    quantity: str
    buyer_is_maker: bool
    origin: str
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int


class FuturesAggTrade(Event, frozen=True, array_like=True, gc=False):
    """The fills of one taker order at one price, in the order book alone: trades beside it have ids that are in no aggregate.

    ``quantity_without_rpi`` leaves out what was retail price improvement; empty where it is not told.
    """

    agg_trade_id: int
    first_trade_id: int
    last_trade_id: int
    price: str
    quantity: str
    quantity_without_rpi: str
    buyer_is_maker: bool
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int


class MarkPrice(Event, frozen=True, array_like=True, gc=False):
    """The price by which positions are valued. ``average_price`` is its moving average, and ``settle_price`` the estimate of the last hour before
    delivery; both are empty where the venue does not tell them, as is ``funding_rate`` of a contract without funding, whose time is 0.
    """

    mark_price: str
    index_price: str
    settle_price: str
    average_price: str
    funding_rate: str
    next_funding_time_ns: int
    venue_time_ns: int
    received_ns: int


class OpenInterest(Event, frozen=True, array_like=True, gc=False):
    """How much of a contract is open, in base assets, or in contracts where those are the market's unit. Asked for about once a minute."""

    open_interest: str
    venue_time_ns: int
    received_ns: int


class FundingRate(Event, frozen=True, array_like=True, gc=False):
    """What was paid last between long and short positions; ``venue_time_ns`` is when. The mark price of then is empty where it is not told."""

    funding_rate: str
    mark_price: str
    venue_time_ns: int
    received_ns: int


class Liquidation(Event, frozen=True, array_like=True, gc=False):
    """One order by which a position was liquidated, in the venue's words. Of each symbol it sends only the largest within a second."""

    side: str
    order_type: str
    time_in_force: str
    quantity: str
    price: str
    average_price: str
    status: str
    last_filled_quantity: str
    filled_quantity: str
    trade_time_ns: int
    venue_time_ns: int
    received_ns: int


class CompositeIndex(Event, frozen=True, array_like=True, gc=False):
    """The price of an index of several assets; each component is (base asset, quote asset, weight in quantity, weight in percent, its index price)."""

    price: str
    components: list[tuple[str, str, str, str, str]]
    venue_time_ns: int
    received_ns: int


class AssetIndex(Event, frozen=True, array_like=True, gc=False):
    """What an asset counts as margin: its index, then buffers and rates of bid and ask, and the same for automatic exchange."""

    index: str
    bid_buffer: str
    ask_buffer: str
    bid_rate: str
    ask_rate: str
    exchange_bid_buffer: str
    exchange_ask_buffer: str
    exchange_bid_rate: str
    exchange_ask_rate: str
    venue_time_ns: int
    received_ns: int


class ContractInfo(Event, frozen=True, array_like=True, gc=False):
    """A contract was listed, settled, or has new brackets (which are not told here). Times are 0 where the venue tells none."""

    pair: str
    contract_type: str
    status: str
    onboard_time_ns: int
    delivery_time_ns: int
    venue_time_ns: int
    received_ns: int
