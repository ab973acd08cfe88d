"""The embedded exchange: a faithful stand-in for a venue over real sockets, for any client.

Here is what any stand-in needs: ``exchange`` the whole, running · ``hub`` who gets what, and the truth about what was sent · ``ws`` a
client's connection · ``rest_server`` what befalls every REST request · ``address_limits`` limits of an address · ``faults`` the kinds of
faults, ``fault_set`` and ``injection`` those at work, on ``damage`` · ``recorded_lines`` and ``replay_clock`` recorded files and their pace ·
``heads`` how far streams had come · ``exchange_control`` its own endpoints · ``simulator_settings`` what can be set.

What a venue has to give is ``stand_in``; each exchange has a package: market, streams, texts, REST, and its rules as settings. Which
there are is said here: ``settings_struct`` gives the settings of one, and they make the stand-in. No other module here knows a venue.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from k2workers.errors import ConfigError

if TYPE_CHECKING:
    from k2workers.simulator.binance.settings import SimulatorSettings
    from k2workers.simulator.exchange import Exchange, main
    from k2workers.simulator.simulator_settings import StandInSettings

__all__ = ["Exchange", "SimulatorSettings", "main", "settings_struct"]

_STRUCTS = {
    "binance": ("binance", "SimulatorSettings"),
    "binance_us": ("binance", "SimulatorSettings"),
    "binance_usdm": ("binance", "UsdmSimulatorSettings"),
    "binance_coinm": ("binance", "CoinmSimulatorSettings"),
}
"""Venue → the package of its stand-in, and the Struct of its settings in the package's module ``settings``."""

NAMES = tuple(_STRUCTS)
DEFAULT = NAMES[0]


def settings_struct(venue: str) -> type[StandInSettings]:
    """What may be set of a venue's stand-in. Raises ConfigError that lists all venues if it has none."""
    if venue not in _STRUCTS:
        raise ConfigError(f"venue = {venue!r}: no stand-in for it; allowed: {', '.join(NAMES)}")
    package, name = _STRUCTS[venue]
    struct: type[StandInSettings] = getattr(importlib.import_module(f"{__name__}.{package}.settings"), name)
    return struct


def __getattr__(name: str) -> object:
    # Lazy: who only fills in the settings, as the parent of a demonstration, must not pay for an HTTP server.
    if name == "SimulatorSettings":
        return settings_struct(DEFAULT)
    if name in __all__:
        from k2workers.simulator import exchange

        return getattr(exchange, name)
    raise AttributeError(f"module 'k2workers.simulator' has no attribute {name!r}")
