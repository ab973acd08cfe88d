"""The rules that the exchange keeps: those that the feed keeps to, said by each side for itself."""

from __future__ import annotations

from k2workers.simulator import SimulatorSettings
from k2workers.simulator.address_limits import NS
from k2workers.venues.binance.limits import SPOT_LIMITS

OWN = SimulatorSettings()


def test_what_the_exchange_allows_is_what_the_feed_takes_for_allowed() -> None:
    assert (
        OWN.streams_per_connection, OWN.connects_per_window, OWN.connect_window_s * NS, OWN.max_age_s * NS,
        OWN.ping_interval_s * NS, OWN.weight_per_minute,
    ) == (
        SPOT_LIMITS.streams_per_connection, SPOT_LIMITS.connects_per_window, SPOT_LIMITS.connect_window_ns,
        SPOT_LIMITS.max_connection_age_ns, SPOT_LIMITS.ping_interval_ns, SPOT_LIMITS.rest_weight_per_minute,
    )  # fmt: skip


def test_the_feed_asks_for_less_than_the_exchange_allows() -> None:
    assert SPOT_LIMITS.subscribe_rate < OWN.messages_per_second
    assert SPOT_LIMITS.subscribe_bytes < OWN.max_request_bytes
