"""Owns Binance spot's documented limits (official WebSocket stream and REST documents, 2026)."""

from __future__ import annotations

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
    # exchangeInfo rateLimits: REQUEST_WEIGHT, 1 minute, per IP.
    rest_weight_per_minute=6000,
)
