"""The embedded exchange: a faithful stand-in for Binance spot over real sockets, for any client.

``simulator_settings`` what can be set · ``hub`` who gets what, and the truth about what was sent · ``ws`` a client's connection ·
``rest_server`` how REST is answered · ``address_limits`` per-IP limits · ``faults`` the kinds of faults, ``fault_set`` and ``injection``
those at work, on ``damage`` · ``recording`` recorded files · ``exchange_control`` its own endpoints · ``exchange`` the whole, running ·
``binance`` market, streams, payloads and REST of that venue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k2workers.simulator.simulator_settings import SimulatorSettings

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange, main

__all__ = ["Exchange", "SimulatorSettings", "main"]


def __getattr__(name: str) -> object:
    # Lazy: who only fills in the settings, as the parent of a demonstration, must not pay for an HTTP server.
    if name in __all__:
        from k2workers.simulator import exchange

        return getattr(exchange, name)
    raise AttributeError(f"module 'k2workers.simulator' has no attribute {name!r}")
