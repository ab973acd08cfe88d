"""Owns what the parent gives the processes of a demonstration at their start; apart, so that the parent need not import what they run."""

from __future__ import annotations

import msgspec

from k2workers.logs.log import LogSettings
from k2workers.simulator.simulator_settings import StandInSettings


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's own settings, and how it logs."""

    simulator: StandInSettings
    logs: LogSettings


class WitnessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to subscribe and ask for what was missed, and which prefixes."""

    endpoint: str
    snapshot_endpoint: str
    prefixes: tuple[str, ...]
    logs: LogSettings
