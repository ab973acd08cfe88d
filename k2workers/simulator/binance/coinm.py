"""Owns the stand-in for Binance COIN-M futures: what it has other than USD-M's.

Which addresses serve what is unsure: documents name USD-M as the only market with routes, users had data without one and on ``/market``
(reports of 2026). So every stream comes on every route here, and without one. For the rest see ``contracts`` and ``futures_endpoints``.
"""

from __future__ import annotations

from k2workers.simulator.binance.contracts import COINM
from k2workers.simulator.binance.usdm import UsdmStandIn


class CoinmStandIn(UsdmStandIn):
    """The venue of one exchange."""

    rest_path = "/dapi/v1/"
    contracts = COINM
    routed = False
