"""Owns Binance spot's documented limits (official WebSocket stream and REST documents, 2026)."""

from __future__ import annotations

import msgspec

from k2workers.venues.elements import ElementReader
from k2workers.venues.venue import Limits

SPOT_LIMITS = Limits(
    # "A single connection can listen to a maximum of 1024 streams."
    streams_per_connection=1024,
    # "5 incoming messages per second"; ping, pong and JSON requests all count, in any rolling second.
    # Two of the five stay free for pongs.
    subscribe_rate=3.0,
    # Requests above 4096 bytes have been seen to get no reply at all.
    subscribe_bytes=3500,
    # "300 connections per attempt every 5 minutes per IP."
    connects_per_window=300,
    connect_window_ns=300_000_000_000,
    # "A single connection is only valid for 24 hours."
    max_connection_age_ns=86_400_000_000_000,
    # "The WebSocket server will send a ping frame every 20 seconds."
    ping_interval_ns=20_000_000_000,
    # exchangeInfo rateLimits: REQUEST_WEIGHT, 1 minute, per IP.
    rest_weight_per_minute=6000,
)

INTERVAL_S = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400}


class RateLimit(msgspec.Struct, frozen=True):
    """One row of exchangeInfo's ``rateLimits``."""

    rateLimitType: str  # noqa: N815 - the venue's own name
    interval: str
    intervalNum: int  # noqa: N815
    limit: int


_rate_limits = ElementReader(RateLimit)


def weight_per_minute(rows: bytes) -> int:
    """The REST weight per minute that the venue allows by its own ``rateLimits``; 0 if they do not say.

    Raw requests count too: each weighs at least 1, so a weight within their limit keeps that one as well. ``rows`` are as the venue
    writes them; those that are not understood are left out.
    """
    try:
        limits = _rate_limits.read(rows).sound
    except ValueError:
        return 0
    found = []
    for limit in limits:
        window_s = INTERVAL_S.get(limit.interval, 0) * limit.intervalNum
        if limit.rateLimitType in ("REQUEST_WEIGHT", "RAW_REQUESTS") and window_s > 0 and limit.limit > 0:
            # A window shorter than a minute allows its limit once a window; our own spending is only bound by the minute.
            found.append(limit.limit if window_s < 60 else limit.limit * 60 // window_s)
    return min(found, default=0)
