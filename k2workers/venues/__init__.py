"""Owns which venues there are: the only place outside a venue's own package, and its stand-in, where it is named.

Whoever needs one asks ``load`` and knows only what stands in ``venue``. A package is imported when it is asked for, so that no process
carries venues that it does not feed from; ``settings_struct`` loads a venue's settings and no more.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from k2workers.errors import ConfigError

if TYPE_CHECKING:
    from k2workers.venues.venue import Venue
    from k2workers.venues.venue_settings import VenueSettings


class _Home(NamedTuple):
    package: str
    module: str
    """Its ``venue()`` makes the venue."""
    settings: str
    """The name of its settings' Struct in the package's module ``settings``."""


_HOMES = {
    "binance": _Home("binance", "spot", "SpotSettings"),
    "binance_us": _Home("binance", "us", "UsSettings"),
    "binance_usdm": _Home("binance", "usdm", "UsdmSettings"),
    "binance_coinm": _Home("binance", "coinm", "CoinmSettings"),
}

NAMES = tuple(_HOMES)
DEFAULT = NAMES[0]


def load(name: str) -> Venue:
    """The venue of this name. Raises ConfigError that lists all names if there is none."""
    home = _home(name)
    venue: Venue = importlib.import_module(f"{__name__}.{home.package}.{home.module}").venue()
    return venue


def settings_struct(name: str) -> type[VenueSettings]:
    """What may be set of the venue of this name. Raises ConfigError as ``load`` does."""
    home = _home(name)
    struct: type[VenueSettings] = getattr(importlib.import_module(f"{__name__}.{home.package}.settings"), home.settings)
    return struct


def _home(name: str) -> _Home:
    home = _HOMES.get(name)
    if home is None:
        raise ConfigError(f"venue = {name!r}: unknown; allowed: {', '.join(NAMES)}")
    return home
