"""Owns in what Binance's markets differ to whoever asks them over REST. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from k2workers.venues.binance.weights import SPOT_WEIGHTS, Weights

MICROSECOND_NS = 1_000
MILLISECOND_NS = 1_000_000


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What requests to one of the markets may say. The defaults are those of the exchange whose documents the others began with."""

    market: str = "binance"
    """Its name as a venue: for words."""
    unit_ns: int = MICROSECOND_NS
    """The unit of times in requests and answers. Microseconds must be asked for; all markets speak milliseconds unasked."""
    rest_path: str = "/api/v3"
    """What stands before the names of all endpoints."""
    weights: Weights = SPOT_WEIGHTS
    unread: frozenset[str] = frozenset()
    """Optional parameters that the market does not know: it would refuse the request (-1104), so they are left out."""
    tickers_by_name: bool = True
    """Whether statistics and best prices can be asked for of several symbols; otherwise only of all."""
    lacks: frozenset[str] = frozenset()
    """Endpoints that it does not have, or only for those who have a key."""
    own_books: Mapping[str, tuple[str, int]] = msgspec.field(default_factory=dict)
    """Kinds whose books come from an endpoint of their own: its name, and what it weighs whatever is asked for."""
    listed_by_name: bool = True
    """Whether exchangeInfo can be asked for some symbols; otherwise only for all."""
    asleep: frozenset[str] = frozenset({"BREAK"})
    """Statuses of symbols that a pattern does not select: they may stay so for years."""
    aggregates_kept_ns: int = 0
    """For how long REST has aggregates; 0: for ever."""
    trades_beside_the_book: bool = False
    """Whether trades that REST and aggregates do not know have ids among the others, and others never existed: then what lies between two
    neighbours proves nothing, and what the newest trades do not show cannot be had."""


SPOT_DIALECT = Dialect()
