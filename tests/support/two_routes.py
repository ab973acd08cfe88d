"""A venue whose trades come over one path and all else over another: Binance spot in all other respects.

The bendable venue does not know of paths; ``keep_apart`` makes it silent, as real ones are, on a path that a stream does not belong to.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from k2workers import venues
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.venue import Route, StreamSpec
from tests.support.venue import Venue

NAME = "two_routes"
MARKET, PUBLIC = "/market/stream", "/public/stream"


class TwoRoutes(BinanceSpot):
    """Fulfils ``venues.venue.Venue``. A connection for trades carries ``streams_on_market`` streams and is cut after ``market_lives_ns``."""

    name = NAME
    streams_on_market = 100
    market_lives_ns = BinanceSpot.limits.max_connection_age_ns

    def routes(self, specs: Sequence[StreamSpec]) -> list[Route]:
        trades = [spec for spec in specs if spec.kind == "trade"]
        others = [spec for spec in specs if spec.kind != "trade"]
        few = msgspec.structs.replace(
            self.limits, streams_per_connection=self.streams_on_market, max_connection_age_ns=self.market_lives_ns
        )
        query = "?timeUnit=MICROSECOND"
        both = (
            Route(name="market", path=MARKET + query, specs=trades, limits=few),
            Route(name="public", path=PUBLIC + query, specs=others, limits=self.limits),
        )
        return [route for route in both if route.specs]


def register(monkeypatch: pytest.MonkeyPatch, name: str = NAME) -> None:
    """It is what this name loads until the end of the test."""
    sound = venues.load
    monkeypatch.setattr(venues, "load", lambda asked: TwoRoutes() if asked == name else sound(asked))


def keep_apart(market: Venue) -> Venue:
    """Let each stream come only on its path."""
    market.withholds = lambda connection, stream: connection.path != (MARKET if stream.endswith("@trade") else PUBLIC)
    return market
