"""Owns in what Binance's spot markets differ to whoever asks them. Pure."""

from __future__ import annotations

import msgspec

MICROSECOND_NS = 1_000
MILLISECOND_NS = 1_000_000


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What requests to one of the markets may say. The defaults are those of the exchange whose documents the others began with."""

    market: str = "binance"
    """Its name as a venue: for words."""
    unit_ns: int = MICROSECOND_NS
    """The unit of times in requests and answers. Microseconds must be asked for; all markets speak milliseconds unasked."""
    unread: frozenset[str] = frozenset()
    """Optional parameters that the market does not know: it would refuse the request (-1104), so they are left out."""
    tickers_by_name: bool = True
    """Whether statistics and best prices can be asked for of several symbols; otherwise only of all."""
    lacks: frozenset[str] = frozenset()
    """Endpoints that it does not have, or only for those who have a key."""


SPOT_DIALECT = Dialect()
