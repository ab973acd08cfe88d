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
    unit_ns: int = UNITS_NS[0]
    """The unit of time that is expected; another one is learned from the first message."""
    all_have_points: bool = True
    """Whether every decimal has its point: then they are looked at faster."""
    symbol_type: int = 0
    """The mark of its own symbols, where streams of the whole market carry those of others too (``st``); 0: there are no others."""


SPOT_STREAMS = StreamDialect()
