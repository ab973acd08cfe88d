"""Owns which venues there are: the only place outside a venue's own package, and its stand-in, where it is named.

Whoever needs one asks ``load`` and knows only what stands in ``venue``. A package is imported when it is asked for, so that no process
carries venues that it does not feed from.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from k2workers.errors import ConfigError

if TYPE_CHECKING:
    from k2workers.venues.venue import Venue

_HOMES = {
    "binance": "k2workers.venues.binance.spot",
    "binance_us": "k2workers.venues.binance.us",
}
"""Name → the module whose ``venue()`` makes it."""

NAMES = tuple(_HOMES)
DEFAULT = NAMES[0]


def load(name: str) -> Venue:
    """The venue of this name. Raises ConfigError that lists all names if there is none."""
    home = _HOMES.get(name)
    if home is None:
        raise ConfigError(f"venue = {name!r}: unknown; allowed: {', '.join(NAMES)}")
    venue: Venue = importlib.import_module(home).venue()
    return venue
