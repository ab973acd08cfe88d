"""Owns what a user may say of Binance's markets, and what holds where he says nothing. Pure."""

from __future__ import annotations

from k2workers.venues.venue import VenueSettings

SPOT_SETTINGS = VenueSettings(websocket_url="wss://stream.binance.com:9443", rest_url="https://api.binance.com")

CA_BUNDLE_SETTING = "binance_ca_bundle"

BOOK_LEVELS: tuple[int, ...] = (100, 500, 1000, 5000)
"""Between them the price of a request is the same."""
