"""Owns in what the streams of Binance's markets differ to whoever reads their messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from k2workers.events import Event
from k2workers.venues.binance.messages import MESSAGE_OF, StreamMessage
from k2workers.venues.binance.values import UNITS_NS
from k2workers.venues.binance.written import TEXTS


class StreamDialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one of the markets writes. The defaults are those of the exchange whose documents the others began with."""

    messages: Mapping[type[Event], type[StreamMessage]] = msgspec.field(default_factory=lambda: MESSAGE_OF)
    """The shape that carries each type of events."""
    texts: Mapping[type[StreamMessage], str] = msgspec.field(default_factory=lambda: TEXTS)
    """How those are written that the native lane may read (``written.TEXTS``)."""
    texts_of_market: Mapping[type[StreamMessage], str] = msgspec.field(default_factory=dict)
    """The same of messages that tell of which market they are (``symbol_type``), where some do."""
    unit_ns: int = UNITS_NS[0]
    """The unit of time that is expected; another one is learned from the first message."""
    all_have_points: bool = True
    """Whether every decimal has its point: then they are looked at faster."""
    symbol_type: int = 0
    """The mark of its own symbols, where streams of the whole market carry those of others too (``st``); 0: there are no others."""

    def text_of(self, message: type[StreamMessage], symbol: str, *, with_market: bool) -> str | None:
        """How messages of this symbol are written; None if they have no text. A contract's name without its delivery is its pair's."""
        text = (self.texts_of_market if with_market else self.texts).get(message)
        pair = symbol.partition("_")[0]
        return text and text.replace("<pair>", "<symbol>" if pair == symbol else pair)


SPOT_STREAMS = StreamDialect()
