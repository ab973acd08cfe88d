"""Owns what the parent tells each child at its start; apart from what they run, which the parent does not load."""

from __future__ import annotations

import msgspec

from k2workers.feed.settings import FeedSettings
from k2workers.simulator.settings import SimulatorSettings
from k2workers.supervision.asking import AlonePolicy


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one worker needs, sent once at its start."""

    feed: FeedSettings
    symbols: tuple[str, ...]
    kinds: tuple[str, ...]
    push_endpoint: str
    rest_url: str
    book_levels: int = 1_000
    ca_bundle: str = ""
    alone: AlonePolicy = AlonePolicy()
    environment: str = "dev"
    log_level: str = "info"
    log_format: str = "auto"


class AggregatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where it pulls and publishes, how much may wait for a slow subscriber (batches), and what it remembers.

    ``checkpoint`` is the file from which a restart continues; ``source`` names what is fed from, ``max_age_s`` is how
    old the file may be.
    """

    pull_endpoint: str
    publish_endpoint: str
    snapshot_endpoint: str
    checkpoint: str
    source: str
    checkpoint_max_age_s: float = 3_600.0
    replay_bytes: int = 64 * 2**20
    replay_age_s: float = 300.0
    subscriber_high_water_mark: int = 100_000
    environment: str = "dev"
    log_level: str = "info"
    log_format: str = "auto"


class ExchangeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's own settings, and how it logs."""

    simulator: SimulatorSettings
    log_level: str = "info"
    log_format: str = "auto"


class WitnessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to subscribe and ask for what was missed, and which prefix."""

    endpoint: str
    snapshot_endpoint: str
    prefix: str
    log_level: str = "info"
    log_format: str = "auto"
