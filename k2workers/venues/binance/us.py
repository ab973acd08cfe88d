"""Binance.US, a spot market that speaks as Binance's does: only what differs.

Nobody here has seen it live. Its documents are github.com/binance-us/binance-us-api-docs, in their states of 2021 (REST) and 2022 (streams). Sure,
for they say so: both addresses; weight 1,200 a minute (what exchangeInfo's ``rateLimits`` say wins in any case); a ping every 3 minutes;
times in milliseconds; ``symbols`` in exchangeInfo; historicalTrades wants a key, so only the newest 1,000 trades can be had again; 5 messages
a second, 1024 streams and 24 hours, as at Binance.

Likely, for they do not mention it: no unit of time can be asked for (the codec reads any); the kinds that are refused here do not exist (a stream
that is acknowledged and silent would be worse); tickers take no ``symbols``, and requests no ``type``, ``timeZone`` or ``showPermissionSets`` (Binance
refuses what it does not know with -1104, and leaving them out costs only size).

Unsure: the weights of single requests, counted as Binance's, which are up to five times those of 2021; 300 connections in 5 minutes, the
notice before a shutdown and what refusals mean are Binance's.
"""

from __future__ import annotations

import msgspec

from k2workers.venues.binance.dialect import MILLISECOND_NS, Dialect
from k2workers.venues.binance.limits import SPOT_LIMITS
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.venue import Venue

LACKING = ("avg_price", "block_trade", "reference_price")
LACKING_SUFFIX = "_utc8"


class BinanceUs(BinanceSpot):
    """Fulfils ``venues.venue.Venue`` for Binance.US."""

    name = "binance_us"
    limits = msgspec.structs.replace(SPOT_LIMITS, rest_weight_per_minute=1_200, ping_interval_ns=180_000_000_000)
    dialect = Dialect(
        market=name,
        unit_ns=MILLISECOND_NS,
        unread=frozenset({"showPermissionSets", "timeZone", "type"}),
        tickers_by_name=False,
        lacks=frozenset({"historicalTrades"}),
    )

    def lacks(self, kind: str) -> bool:
        """See ``BinanceSpot.lacks``."""
        return kind in LACKING or kind.endswith(LACKING_SUFFIX)


def venue() -> Venue:
    """What ``venues.load`` gives."""
    return BinanceUs()
