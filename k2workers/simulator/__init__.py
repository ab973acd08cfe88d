"""The embedded exchange: a faithful stand-in for a venue over real sockets, for any client.

Here is what any stand-in needs: ``exchange`` the whole, running · ``hub`` who gets what, and the truth about what was sent · ``ws`` a
client's connection · ``rest_server`` what befalls every REST request · ``address_limits`` limits of an address · ``faults`` the kinds of
faults, ``fault_set`` and ``injection`` those at work, on ``damage`` · ``recording`` and ``replay_clock`` recorded files and their pace ·
``heads`` how far streams had come · ``exchange_control`` its own endpoints · ``simulator_settings`` what can be set.

What a venue has to give is ``stand_in``; each has a package: market, streams, texts, REST, and its rules as settings. Which one plays is
the import below, and nothing else here knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k2workers.simulator.binance.settings import SimulatorSettings

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange, main

__all__ = ["Exchange", "SimulatorSettings", "main"]


def __getattr__(name: str) -> object:
    # Lazy: who only fills in the settings, as the parent of a demonstration, must not pay for an HTTP server.
    if name in __all__:
        from k2workers.simulator import exchange

        return getattr(exchange, name)
    raise AttributeError(f"module 'k2workers.simulator' has no attribute {name!r}")
