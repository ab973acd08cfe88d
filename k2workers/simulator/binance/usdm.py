"""Owns the stand-in for Binance USD-M futures as a whole: what it has other than spot's.

A stream comes on its own route only (``futures_names``). What a test needs to see a feed miss one: ``stall:stream=@aggTrade`` silences it
for everybody, ``mute`` on connections that are opened from then on, ``forget`` on those that are open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from k2workers.simulator.binance import futures_endpoints, futures_names, futures_replies
from k2workers.simulator.binance.contracts import USDM
from k2workers.simulator.binance.futures_market import FuturesMarket
from k2workers.simulator.binance.futures_query import FuturesQuery
from k2workers.simulator.binance.recordable import FUTURES
from k2workers.simulator.binance.routed_talk import RoutedTalk
from k2workers.simulator.binance.settings import UsdmSimulatorSettings
from k2workers.simulator.binance.spot import SpotStandIn
from k2workers.simulator.fault_set import FaultSet


class UsdmStandIn(SpotStandIn):
    """The venue of one exchange."""

    fault_defaults: Mapping[str, Mapping[str, Any]] = {
        **SpotStandIn.fault_defaults,
        "rest_lacks": {"path": "aggTrades"},
        "status": {"status": "SETTLING"},
    }
    addresses = (
        *SpotStandIn.addresses,
        *(f"/{route}{path}" for route in futures_names.ROUTES for path in SpotStandIn.addresses),
    )
    rest_path = "/fapi/v1/"
    endpoints = futures_endpoints.ENDPOINTS
    query = FuturesQuery
    intervals: Collection[str] = tuple(futures_names.INTERVALS)
    contiguous = futures_names.CONTIGUOUS
    recorded = FUTURES
    contracts = USDM
    routed = True
    """Whether a stream comes on its own route only."""

    kind_of = staticmethod(futures_names.kind_of)
    whole_book = staticmethod(futures_replies.whole_book)
    closed_bars = staticmethod(futures_replies.closed_bars)

    def __init__(self, settings: UsdmSimulatorSettings, faults: FaultSet) -> None:
        super().__init__(settings, faults)
        self._unseen, self._tagged = settings.unseen_trades, settings.symbol_type

    def generated(self, *values: Any, **named: Any) -> FuturesMarket:
        """A market that is made up."""
        return FuturesMarket(self.contracts, *values, unseen=self._unseen, tagged=self._tagged, **named)

    def talk(self, request: web.Request) -> RoutedTalk:
        """What the address asks for. Raises HTTPBadRequest."""
        return RoutedTalk(request, self._settings, self.refuses, routed=self.routed)
