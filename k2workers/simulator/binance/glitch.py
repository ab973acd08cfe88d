"""Owns what a glitch makes of one message: ids or times far from those that it has. Pure."""

from __future__ import annotations

import json

GLITCH_IDS = 10**12
YEAR_MS = 365 * 86_400_000
MICROSECONDS_ABOVE = 10**14
"""A larger time is in µs."""

_IDS = {"trade": ("t",), "aggTrade": ("a",), "depthUpdate": ("U", "u", "pu"), "bookTicker": ("u",), "": ("u",)}
"""The ids of an event by its type; a bookTicker of spot has no type, and a depthUpdate no ``pu``."""


def glitched(payload: bytes, what: str) -> bytes:
    """The JSON with ids (``what`` is id) or times far from those that it has."""
    message = json.loads(payload)
    event = message.get("data", message)
    if what == "id":
        for key in _IDS.get(event.get("e", ""), ()):
            if key in event:
                event[key] += GLITCH_IDS
    else:
        bar = event.get("k", {})
        for part, keys in ((event, ("E", "T")), (bar, ("t", "T"))):
            for key in keys:
                if key in part:
                    part[key] += YEAR_MS * (1000 if part[key] > MICROSECONDS_ABOVE else 1)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
