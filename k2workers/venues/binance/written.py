"""Owns how Binance writes its messages, byte for byte, for the native lane: what is written otherwise is read through its Struct. Pure.

As recorded from the venue and in its documents: keys in this order, nothing between them, every decimal of spot with its point. ``M`` is a flag that
means nothing. Kinds that are rare, or whose topics need more than the next id, have no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from k2workers.venues.binance.messages import (
    AggTradeMessage,
    BookTickerMessage,
    DepthMessage,
    Id,
    Levels,
    OptionalId,
    PartialDepthMessage,
    Predecessor,
    StreamMessage,
    TradeMessage,
)
from k2workers.venues.binance.values import EARLIEST_NS, LATEST_NS, Decimal, DecimalOrNone, Time
from k2workers.venues.message_shape import Item, MessageShape, TimeUnit, message_shape

PREFIX = '{"stream":"'
"""What stands before the stream's name; ``BETWEEN`` follows it, ``BEHIND`` ends the message."""

BETWEEN, BEHIND = '","data":', "}"

TEXTS: Mapping[type[StreamMessage], str] = {
    TradeMessage: (
        '{"e":"trade","E":<venue_time>,"s":"<symbol>","t":<trade_id>,"p":"<price>","q":"<quantity>",'
        '"T":<trade_time>,"m":<buyer_is_maker>,"M":<>}'
    ),
    AggTradeMessage: (
        '{"e":"aggTrade","E":<venue_time>,"s":"<symbol>","a":<agg_trade_id>,"p":"<price>","q":"<quantity>",'
        '"f":<first_trade_id>,"l":<last_trade_id>,"T":<trade_time>,"m":<buyer_is_maker>,"M":<>}'
    ),
    BookTickerMessage: (
        '{"u":<update_id>,"s":"<symbol>","b":"<bid_price>","B":"<bid_quantity>","a":"<ask_price>","A":"<ask_quantity>"}'
    ),
    DepthMessage: (
        '{"e":"depthUpdate","E":<venue_time>,"s":"<symbol>","U":<first_update_id>,"u":<last_update_id>,"b":<bids>,"a":<asks>}'
    ),
    PartialDepthMessage: '{"lastUpdateId":<last_update_id>,"bids":<bids>,"asks":<asks>}',
}
"""The data of a message of each of spot's kinds, with ``<name>`` for each field (``message_shape``)."""

_ITEM_OF: Mapping[Any, Item] = {
    Time: Item.TIME, Id: Item.ID, OptionalId: Item.ID, Predecessor: Item.PREDECESSOR, bool: Item.FLAG, str: Item.SYMBOL, Decimal: Item.DECIMAL,
    DecimalOrNone: Item.DECIMAL, Levels: Item.LEVELS,
}  # fmt: skip
"""What a field of each type is in a text. An optional id or decimal that stands for none is no plain one."""


def shape_of(
    message: type[StreamMessage], unit_ns: int, texts: Mapping[type[StreamMessage], str] = TEXTS
) -> MessageShape | None:
    """How messages of this class are written behind their stream's name, with times in this unit; None if it has no text."""
    text = texts.get(message)
    if text is None:
        return None
    items = {known.name: _ITEM_OF[known.type] for known in msgspec.structs.fields(message) if f"<{known.name}>" in text}
    unit = TimeUnit(EARLIEST_NS // unit_ns, LATEST_NS // unit_ns, unit_ns)
    return message_shape(BETWEEN, text, BEHIND, items, message.made, unit)
