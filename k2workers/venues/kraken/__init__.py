"""Kraken spot, WebSocket v2: so far only its facts."""
