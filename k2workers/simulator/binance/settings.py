"""Owns the rules of each market of Binance as its stand-in keeps them, and what of them can be set.

They are said here once more, from the venue's documents: taken from the feed's tables they would be wrong wherever those are. A test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from k2workers.setting import MOST_S, About
from k2workers.simulator.simulator_settings import StandInSettings

if TYPE_CHECKING:
    from k2workers.simulator.binance.spot import SpotStandIn
    from k2workers.simulator.binance.usdm import UsdmStandIn
    from k2workers.simulator.fault_set import FaultSet


PingInterval = Annotated[
    float, About(text="seconds between two pings on a connection", ge=0.001, le=MOST_S, flag="ping_interval")
]


class SimulatorSettings(StandInSettings, frozen=True, kw_only=True):
    """Everything that can be set. Defaults are the published rules of Binance spot and a 40-symbol market.

    The usual streams, of which ``rate`` counts, are trade, aggTrade, bookTicker and depth@100ms.
    """

    max_age_s: Annotated[
        float, About(text="seconds after which a connection is cut", ge=0.001, le=MOST_S, flag="max_age")
    ] = 86_400.0
    ping_interval_s: PingInterval = 20.0
    pong_timeout_s: float = 60.0
    shutdown_notice_s: Annotated[
        float,
        About(
            text="seconds of warning (serverShutdown) before the cut; 0 is none",
            ge=0,
            le=MOST_S,
            flag="shutdown_notice",
        ),
    ] = 0.0
    """Lead time of the serverShutdown notice before the age cut; 0 sends no notice."""

    messages_per_second: int = 5
    streams_per_connection: int = 1024
    connects_per_window: int = 300
    connect_window_s: float = 300.0
    max_request_bytes: int = 4096
    """A SUBSCRIBE longer than this gets no answer, as reported of the venue; 0 answers any length."""
    nested_errors: bool = True
    weight_per_minute: int = 6000
    ban_s: float = 120.0

    def stand_in(self, faults: FaultSet) -> SpotStandIn:
        """The venue; imported late, for who only fills in the settings must not pay for an HTTP server."""
        from k2workers.simulator.binance.spot import SpotStandIn

        return SpotStandIn(self, faults)


class UsdmSimulatorSettings(SimulatorSettings, frozen=True, kw_only=True):
    """The same for USD-M futures, whose usual streams are those of these names. Limits are the documents' (2026); that 300 connections
    in 5 minutes are allowed, and no answer comes to a request that is too long, is taken from spot."""

    ping_interval_s: PingInterval = 180.0
    pong_timeout_s: float = 600.0
    messages_per_second: int = 10
    weight_per_minute: int = 2400

    unseen_trades: float = 0.0005
    """The share of orders before which a trade takes an id and is never told, neither on a stream nor over REST."""
    symbol_type: bool = True
    """Whether messages of single contracts tell ``st`` and ``ps``, as since the summer of 2026; see ``futures_payloads``. Those of the whole market always do."""

    def stand_in(self, faults: FaultSet) -> UsdmStandIn:
        from k2workers.simulator.binance.usdm import UsdmStandIn

        return UsdmStandIn(self, faults)


class CoinmSimulatorSettings(UsdmSimulatorSettings, frozen=True, kw_only=True):
    """The same for COIN-M futures."""

    def stand_in(self, faults: FaultSet) -> UsdmStandIn:
        from k2workers.simulator.binance.coinm import CoinmStandIn

        return CoinmStandIn(self, faults)
