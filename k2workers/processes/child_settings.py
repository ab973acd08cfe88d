"""Owns the settings that the parent gives each child at its start. A module of its own, so that the parent need not import what the children run.

What a user can set has no default here: the list of settings (``config``) has it, or the policy that the list takes it from.
"""

from __future__ import annotations

import msgspec

from k2workers.feed.feed_settings import FeedSettings
from k2workers.logs.log import LogSettings
from k2workers.supervision.permission_client import AlonePolicy
from k2workers.transport.peer import MOST_CONNECTIONS


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one worker needs, sent once at its start."""

    venue: str
    feed: FeedSettings
    symbols: tuple[str, ...]
    kinds: tuple[str, ...]
    bundle_endpoint: str
    rest_url: str
    book_levels: int
    ca_bundle: str
    alone: AlonePolicy = AlonePolicy()
    environment: str
    logs: LogSettings


class AggregatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where it receives and publishes, how many batches may wait for a slow subscriber, how much the replay ring holds, how many
    peers may be connected to each port.

    ``checkpoint`` is the file from which a restart continues; ``sources`` are the addresses of the venues (or the embedded
    exchange), ``run`` this run of the program; ``checkpoint_max_age_s`` is how old the file may be. ``screened_in`` is the directory of the sockets
    that stand behind a screen (``transport.screen``); empty: none does. ``native``: whether plain bundles are published natively, where that is built.
    ``ring_on_disk``: whether there is a disk ring, for subscribers that ask.
    """

    bundle_endpoint: str
    publish_endpoint: str
    snapshot_endpoint: str
    checkpoint: str
    sources: dict[str, str]
    run: str = ""
    checkpoint_max_age_s: float
    replay_bytes: int
    replay_age_s: float
    subscriber_high_water_mark: int = 100_000
    connections: int = MOST_CONNECTIONS
    screened_in: str = ""
    native: bool
    ring_on_disk: bool = False
    environment: str
    logs: LogSettings


class DiskRingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to subscribe and ask for what was missed, which prefixes, where to keep how much for how long, and where to give it to subscribers that were away.
    ``screened_in`` as for the aggregator.
    """

    endpoint: str
    snapshot_endpoint: str
    disk_ring_endpoint: str
    prefixes: tuple[str, ...]
    folder: str
    max_bytes: int
    max_age_s: float
    connections: int = MOST_CONNECTIONS
    screened_in: str = ""
    environment: str
    logs: LogSettings


class BookTopicsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which kinds of topics are made of the books that are kept of the topics with these prefixes, at which pace, and where they go."""

    bundle_endpoint: str
    kinds: tuple[str, ...]
    prefixes: tuple[str, ...]
    pace_ns: int


class BooksSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to subscribe and ask for what was missed, which prefixes, and where to give whole books to joiners. ``screened_in`` as for the aggregator.

    ``topics``: what is told of the books, if anything. ``sizes``: by prefix, the numbers of levels of each side that the venue is asked for.
    """

    endpoint: str
    snapshot_endpoint: str
    books_endpoint: str
    prefixes: tuple[str, ...]
    sizes: dict[str, tuple[int, ...]] = {}
    topics: BookTopicsSettings | None = None
    connections: int = MOST_CONNECTIONS
    screened_in: str = ""
    environment: str
    logs: LogSettings
