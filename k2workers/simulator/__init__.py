"""The embedded exchange: a faithful stand-in for Binance spot over real sockets, for any client.

``settings`` what can be set · ``market`` and ``symbol`` the generated market (pure), on ``book``, ``bars``,
``payloads`` and ``streams`` · ``replay`` recorded files instead · ``hub`` who gets what, and the truth about
what was sent · ``requests`` and ``ws`` a client's connection · ``rest`` the REST API · ``limits`` per-IP
limits · ``control`` its own endpoints · ``exchange`` the whole, running.
"""

from __future__ import annotations

from k2workers.simulator.exchange import Exchange, main
from k2workers.simulator.settings import SimulatorSettings

__all__ = ["Exchange", "SimulatorSettings", "main"]
