"""Owns which processes a run has beside the workers, and with which settings: endpoints, child specs, and the plan of each venue. Starts nothing itself."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from k2workers.backoff import RESTART_BESIDE_THE_FEED
from k2workers.config import Settings
from k2workers.errors import ConfigError
from k2workers.logs import log
from k2workers.processes import open_files, own_places
from k2workers.processes.child_settings import AggregatorSettings, BooksSettings, BookTopicsSettings, DiskRingSettings
from k2workers.processes.market_plan import MarketPlan, OfTheRun, child_spec
from k2workers.processes.shard_numbers import ShardNumbers
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.restart import RestartPolicy
from k2workers.supervision.stop_order import StopOrder
from k2workers.transport import screen
from k2workers.transport.peer import MOST_CONNECTIONS

if TYPE_CHECKING:
    from k2workers.demo.demonstration import Demonstration

AGGREGATOR = "aggregator"
BOOKS = "books"
DISK_RING = "disk-ring"
STATUS_PREFIX = "status."
"""Of the topics that tell of the feed itself."""

OBSERVERS = (BOOKS, DISK_RING)
"""Children that the feed can do without: neither health nor readiness waits for them."""

BESIDE_THE_FEED = RestartPolicy(intensity=None, backoff=RESTART_BESIDE_THE_FEED)
"""Of a child that the feed can do without: restarted for ever."""


Screened = TypeVar("Screened", AggregatorSettings, BooksSettings, DiskRingSettings)


class RunPlan:
    """One run's plan. ``origin_ns`` is the monotonic moment from which rotation slots count."""

    def __init__(self, settings: Settings, run_dir: Path, origin_ns: int) -> None:
        self.settings = settings
        self._run_dir = run_dir
        self._logs = log.LogSettings(settings.log_level, log.here(settings.log_format))
        self.demonstration = _demonstration(settings, self._logs)
        self.control_endpoint = f"ipc://{run_dir}/control"
        self._bundle_endpoint = f"ipc://{run_dir}/push"
        of_the_run = OfTheRun(
            settings=settings,
            logs=self._logs,
            bundle_endpoint=self._bundle_endpoint,
            origin_ns=origin_ns,
            numbers=ShardNumbers(),
            connects_per_window=self.demonstration.connects_per_window if self.demonstration is not None else None,
        )
        self.markets = [MarketPlan(name, of_the_run) for name in settings.venue]
        demonstrated = self.demonstration.source if self.demonstration is not None else ""
        self._sources = {market.name: demonstrated or market.websocket_url for market in self.markets}
        self._run = secrets.token_hex(8)
        if settings.book_topics and not self.book_prefixes:
            raise ConfigError(
                f"book_topics = {','.join(settings.book_topics)}: they are made of changes of books; allowed: together with such streams, as depth"
            )

    @property
    def shards(self) -> int:
        """How many workers there are at most."""
        return sum(market.shards for market in self.markets)

    @property
    def connections(self) -> int:
        """How many peers may be connected to each port."""
        return open_files.connections_a_port(MOST_CONNECTIONS, self.shards)

    def aggregator(self) -> ChildSpec:
        """The aggregator's process."""
        own = self.settings
        settings = AggregatorSettings(
            bundle_endpoint=self._bundle_endpoint,
            publish_endpoint=own.publish_endpoint,
            snapshot_endpoint=own.snapshot_endpoint,
            checkpoint=str(own_places.checkpoint(own, self._run_dir)),
            sources=self._sources,
            run=self._run,
            replay_bytes=int(own.replay_ring_mb * 2**20),
            replay_age_s=own.replay_ring_s,
            connections=self.connections,
            native=own.native == "auto",
            ring_on_disk=own.disk_ring_gb > 0,
            checkpoint_max_age_s=own.checkpoint_max_age_s,
            environment=own.environment,
            logs=self._logs,
        )
        target = "k2workers.processes.aggregator:main"
        after_abort = self._screened(settings)
        return child_spec(AGGREGATOR, target, settings, StopOrder.AGGREGATOR, after_abort=after_abort)

    @property
    def book_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the topics of which whole books are kept for joiners."""
        return tuple(prefix for market in self.markets for prefix in market.book_prefixes)

    def books(self, endpoint: str, snapshot_endpoint: str) -> ChildSpec:
        """The process that keeps whole books. The feed goes on without it."""
        own = self.settings
        settings = BooksSettings(
            endpoint=endpoint,
            snapshot_endpoint=snapshot_endpoint,
            books_endpoint=own_places.books_endpoint(own),
            prefixes=self.book_prefixes,
            sizes={prefix: sizes for market in self.markets for prefix, sizes in market.book_sizes.items()},
            topics=self._book_topics(),
            connections=self.connections,
            environment=own.environment,
            logs=self._logs,
        )
        return self._observer(BOOKS, "k2workers.processes.books:main", settings)

    def disk_ring(self, endpoint: str, snapshot_endpoint: str) -> ChildSpec | None:
        """The process that keeps what was published on the disk, if there is to be one. The feed goes on without it."""
        own = self.settings
        if not own.disk_ring_gb:
            return None
        settings = DiskRingSettings(
            endpoint=endpoint,
            snapshot_endpoint=snapshot_endpoint,
            disk_ring_endpoint=own_places.disk_ring_endpoint(own),
            prefixes=(*(f"{venue}." for venue in own.venue), STATUS_PREFIX),
            folder=str(own_places.disk_ring(own, self._run_dir)),
            max_bytes=int(own.disk_ring_gb * 1e9),
            max_age_s=own.disk_ring_hours * 3600,
            connections=self.connections,
            environment=own.environment,
            logs=self._logs,
        )
        return self._observer(DISK_RING, "k2workers.processes.ring_process:main", settings)

    def _observer(self, name: str, target: str, settings: BooksSettings | DiskRingSettings) -> ChildSpec:
        """A process that the feed goes on without."""
        return child_spec(
            name,
            target,
            settings,
            StopOrder.SUBSCRIBERS,
            restart=BESIDE_THE_FEED,
            vital=False,
            after_abort=self._screened(settings),
        )

    def _book_topics(self) -> BookTopicsSettings | None:
        own = self.settings
        if not own.book_topics:
            return None
        return BookTopicsSettings(
            bundle_endpoint=self._bundle_endpoint,
            kinds=tuple(own.book_topics),
            prefixes=tuple(market.book_prefixes[0] for market in self.markets if market.book_prefixes),
            pace_ns=int(own.book_pace_ms * 1e6),
        )

    def _screened(self, settings: Screened) -> Screened | None:
        """The settings of its later lives, once a peer has ended it through a defect of ZeroMQ; None where there are no screens."""
        if not screen.AVAILABLE:
            return None
        connections = open_files.connections_a_port(
            MOST_CONNECTIONS, self.shards, files_a_peer=open_files.BEHIND_A_SCREEN
        )
        return msgspec.structs.replace(settings, screened_in=str(self._run_dir), connections=connections)


def _demonstration(settings: Settings, logs: log.LogSettings) -> Demonstration | None:
    if not settings.demo:
        return None
    from k2workers.demo.demonstration import Demonstration  # a run against a venue imports none of it

    return Demonstration(settings, logs)
