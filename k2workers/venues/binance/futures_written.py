"""Owns how Binance's futures messages are written, byte for byte, for the native lane, as ``written.py`` does for spot's. Pure.

Until June 2026 messages told neither their pair nor their market, but for COIN-M's books and best prices, which have the pair. Users' messages since then
have the pair (``ps``) behind the symbol, though not in aggregates, and the market (``st``) at the end. Which it is, the codec learns from the messages.
"""

from __future__ import annotations

from collections.abc import Mapping

from k2workers.venues.binance.futures_messages import (
    FuturesAggTradeMessage,
    LinkedDepthMessage,
    TimedBookTickerMessage,
    TimedPartialDepthMessage,
)
from k2workers.venues.binance.messages import StreamMessage

FUTURES_TEXTS: Mapping[type[StreamMessage], str] = {
    FuturesAggTradeMessage: (
        '{"e":"aggTrade","E":<venue_time>,"a":<agg_trade_id>,"s":"<symbol>","p":"<price>","q":"<quantity>",'
        '"nq":"<quantity_without_rpi>","f":<first_trade_id>,"l":<last_trade_id>,"T":<trade_time>,"m":<buyer_is_maker>}'
    ),
    TimedBookTickerMessage: (
        '{"e":"bookTicker","u":<update_id>,"s":"<symbol>","b":"<bid_price>","B":"<bid_quantity>",'
        '"a":"<ask_price>","A":"<ask_quantity>","T":<transaction_time>,"E":<venue_time>}'
    ),
    LinkedDepthMessage: (
        '{"e":"depthUpdate","E":<venue_time>,"T":<transaction_time>,"s":"<symbol>","U":<venue_first_id>,'
        '"u":<last_update_id>,"pu":<first_update_id>,"b":<bids>,"a":<asks>}'
    ),
    TimedPartialDepthMessage: (
        '{"e":"depthUpdate","E":<venue_time>,"T":<transaction_time>,"s":"<symbol>","U":<venue_first_id>,'
        '"u":<last_update_id>,"pu":<predecessor>,"b":<bids>,"a":<asks>}'
    ),
}
"""As ``written.TEXTS``, of messages that tell neither their pair nor their market."""


def with_pair(texts: Mapping[type[StreamMessage], str]) -> dict[type[StreamMessage], str]:
    """The same of messages that tell their pair."""
    named = '"s":"<symbol>"'
    return {
        message: text if message is FuturesAggTradeMessage else text.replace(named, f'{named},"ps":"<pair>"')
        for message, text in texts.items()
    }


def with_market(texts: Mapping[type[StreamMessage], str], symbol_type: int) -> dict[type[StreamMessage], str]:
    """The same of messages that tell their pair, and that they are of this market."""
    return {message: f'{text[:-1]},"st":{symbol_type}}}' for message, text in with_pair(texts).items()}
