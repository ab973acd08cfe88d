"""Owns the rules of Binance spot as its stand-in keeps them, and what of them can be set.

They are said here once more, from the venue's documents: taken from the feed's tables they would be wrong wherever those are. A test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from k2workers.setting import MOST_S, About
from k2workers.simulator.simulator_settings import StandInSettings

if TYPE_CHECKING:
    from k2workers.simulator.binance.spot import SpotStandIn
    from k2workers.simulator.fault_set import FaultSet


class SimulatorSettings(StandInSettings, frozen=True, kw_only=True):
    """Everything that can be set. Defaults are Binance's published rules and a 40-symbol market.

    The usual streams, of which ``rate`` counts, are trade, aggTrade, bookTicker and depth@100ms.
    """

    max_age_s: Annotated[
        float, About(text="seconds after which a connection is cut", ge=0.001, le=MOST_S, flag="max_age")
    ] = 86_400.0
    ping_interval_s: Annotated[
        float, About(text="seconds between two pings on a connection", ge=0.001, le=MOST_S, flag="ping_interval")
    ] = 20.0
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
