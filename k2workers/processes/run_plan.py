"""Owns which processes run and with which settings: endpoints, child specs, shards and symbols of one run. Starts nothing itself."""

from __future__ import annotations

import functools
import itertools
import os
import secrets
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from k2workers import metrics, venues
from k2workers.backoff import RESTART_BESIDE_THE_FEED
from k2workers.config import Settings
from k2workers.continuity import Repair
from k2workers.errors import ConfigError
from k2workers.feed.feed_settings import FeedSettings
from k2workers.logs import log
from k2workers.network.tls import client_context
from k2workers.processes import open_files, sharding
from k2workers.processes.child_settings import AggregatorSettings, BooksSettings, WorkerSettings
from k2workers.rotation import schedule
from k2workers.setting import default
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.connect_budget import BudgetPolicy
from k2workers.supervision.permission_client import AlonePolicy
from k2workers.supervision.restart import RestartPolicy
from k2workers.supervision.stop_order import StopOrder
from k2workers.supervision.weight_budget import WeightPolicy
from k2workers.transport import screen
from k2workers.transport.endpoint import next_endpoint
from k2workers.transport.peer import MOST_CONNECTIONS
from k2workers.venues.topics import all_market_kinds, topic_of
from k2workers.venues.venue import Route, StreamSpec
from k2workers.venues.venue_settings import VenueSettings

if TYPE_CHECKING:
    from k2workers.demo.demonstration import Demonstration

AGGREGATOR = "aggregator"
BOOKS = "books"

BESIDE_THE_FEED = RestartPolicy(intensity=None, backoff=RESTART_BESIDE_THE_FEED)
"""Of a child that the feed can do without: restarted for ever."""

ANY_SYMBOL = "ANY"
"""Where streams are asked for only to know their kinds."""

CONNECT_RESERVE = 30
"""Connection attempts of the venue's window that we leave to the user's other programs on this IP."""


class RunPlan:
    """One run's plan. ``origin_ns`` is the monotonic moment from which rotation slots count."""

    def __init__(self, settings: Settings, run_dir: Path, origin_ns: int) -> None:
        self.settings = settings
        self.venue = venues.load(settings.venue)
        self._run_dir = run_dir
        self._logs = log.LogSettings(settings.log_level, log.here(settings.log_format))
        self.demonstration = _demonstration(settings, self.venue.name, self._logs)
        of_venue = settings.of_venue
        if self.demonstration is None:
            _refuse_another_venues_address(self.venue.name, of_venue)
        self._source = of_venue.websocket_url if self.demonstration is None else self.demonstration.source
        self._run = secrets.token_hex(8)
        self.control_endpoint = f"ipc://{run_dir}/control"
        self._bundle_endpoint = f"ipc://{run_dir}/push"
        self._origin_ns = origin_ns
        self._websocket_url = of_venue.websocket_url
        self.rest_url = of_venue.rest_url
        limits = self.venue.limits
        window = limits.connects_per_window if self.demonstration is None else self.demonstration.connects_per_window
        self.budget = BudgetPolicy(limit=window - CONNECT_RESERVE, window_ns=limits.connect_window_ns)
        self.weight = WeightPolicy(limit=limits.rest_weight_per_minute, share=of_venue.rest_weight_share)

        self._whole_market = all_market_kinds(self.venue, settings.streams)
        self._everywhere = [kind for kind in settings.streams if kind not in self._whole_market]
        """The kinds that have a stream for each symbol."""

    def point_to(self, websocket_url: str, rest_url: str) -> None:
        """Have the workers feed from there instead of the venue."""
        self._websocket_url, self.rest_url = websocket_url, rest_url

    def rest_context(self) -> ssl.SSLContext | None:
        """How the venue's REST is trusted; None without TLS. Raises ConfigError for an unusable CA bundle."""
        if not self.rest_url.startswith("https:"):
            return None
        return client_context(self.settings.of_venue.ca_bundle, self.venue.ca_bundle_setting)

    @property
    def connections(self) -> int:
        """How many peers may be connected to each port."""
        return open_files.connections_a_port(MOST_CONNECTIONS, self.settings.shards)

    # ── children ────────────────────────────────────────────────────────────────────────────────────────

    def aggregator(self) -> ChildSpec:
        """The aggregator's process."""
        own = self.settings
        settings = AggregatorSettings(
            bundle_endpoint=self._bundle_endpoint,
            publish_endpoint=own.publish_endpoint,
            snapshot_endpoint=own.snapshot_endpoint,
            checkpoint=own.checkpoint or f"{self._run_dir}/checkpoint",
            source=self._source,
            run=self._run,
            replay_bytes=int(own.replay_ring_mb * 2**20),
            replay_age_s=own.replay_ring_s,
            connections=self.connections,
            native=own.native == "auto",
            checkpoint_max_age_s=own.checkpoint_max_age_s,
            environment=own.environment,
            logs=self._logs,
        )
        spec = self._spec(AGGREGATOR, "k2workers.processes.aggregator:main", settings, StopOrder.AGGREGATOR)
        return msgspec.structs.replace(spec, after_abort=self._screened(settings))

    @property
    def book_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the topics of which whole books are kept for joiners."""
        specs = self.venue.stream_specs(self.settings.streams, [ANY_SYMBOL])
        return tuple(
            topic_of(self.venue.name, spec.kind, "") for spec in specs if spec.continuity.repair is Repair.BOOK
        )

    def books(self, endpoint: str, snapshot_endpoint: str) -> ChildSpec:
        """The process that keeps whole books. The feed goes on without it."""
        own = self.settings
        settings = BooksSettings(
            endpoint=endpoint,
            snapshot_endpoint=snapshot_endpoint,
            books_endpoint=own.books_endpoint or next_endpoint(own.snapshot_endpoint),
            prefixes=self.book_prefixes,
            connections=self.connections,
            environment=own.environment,
            logs=self._logs,
        )
        spec = self._spec(BOOKS, "k2workers.processes.books:main", settings, StopOrder.SUBSCRIBERS)
        return msgspec.structs.replace(spec, restart=BESIDE_THE_FEED, vital=False, after_abort=self._screened(settings))

    def workers(self, symbols: list[str]) -> list[ChildSpec]:
        """One worker for each shard that has streams. Raises ConfigError if a shard's streams do not fit."""
        streams_per_symbol, streams_left = self._tightest
        shards = sharding.assign(
            symbols,
            self.settings.shards if self._everywhere else 1,
            streams_per_symbol=streams_per_symbol,
            streams_per_connection=streams_left,
        )
        if self._whole_market:
            shards = shards or [[]]
        # A stream of the whole market is one stream: the first shard carries it.
        kinds = [self._everywhere if shard else self.settings.streams for shard in range(len(shards))]
        slots = list(itertools.accumulate((len(self._routes(of_shard)) for of_shard in kinds), initial=0))
        return [self._worker(shard, names, kinds[shard], slots[shard], slots[-1]) for shard, names in enumerate(shards)]

    @property
    def room(self) -> int:
        """How many symbols fit on one worker's connections."""
        streams_per_symbol, streams_left = self._tightest
        return streams_left // streams_per_symbol if streams_per_symbol else sys.maxsize

    def _routes(self, kinds: Sequence[str]) -> list[Route]:
        """The routes of a shard with streams of these kinds, each with the streams of one symbol and those of the whole market."""
        return self.venue.routes(self.venue.stream_specs(kinds, [ANY_SYMBOL]))

    @functools.cached_property
    def _tightest(self) -> tuple[int, int]:
        """Of the route on which the fewest symbols fit: streams that each one takes, and that there is room for."""
        found = []
        for route in self._routes(self.settings.streams):
            of_a_symbol = sum(spec.symbol == ANY_SYMBOL for spec in route.specs)
            found.append((of_a_symbol, route.limits.streams_per_connection - (len(route.specs) - of_a_symbol)))
        return min(found, key=lambda load: load[1] // load[0] if load[0] else sys.maxsize)

    def streams_of(self, symbols: Sequence[str]) -> Sequence[StreamSpec]:
        """The streams of these symbols, without those of the whole market."""
        return self.venue.stream_specs(self._everywhere, symbols)

    def _worker(self, shard: int, symbols: list[str], kinds: list[str], slot: int, slots: int) -> ChildSpec:
        own = self.settings
        # One lifetime for all: slots of different ones would meet.
        cut_ns = min(route.limits.max_connection_age_ns for route in self._routes(own.streams))
        lifetime_ns = schedule.effective_lifetime_ns(own.lifetime_ns, cut_ns)
        slot_s = lifetime_ns / slots / 1e9
        feed = FeedSettings(
            shard=shard,
            slot=slot,
            slots=slots,
            url=self._websocket_url,
            lifetime_ns=lifetime_ns,
            origin_ns=self._origin_ns,
            connect_timeout_s=own.connect_timeout_s,
            stale_after_ns=int(own.stale_after_s * 1e9),
            hold_ns=int(own.hold_back_s * 1e9),
            gather_ns=own.gather_ns,
            native=own.native,
            overlap_limit_ns=int(own.overlap_limit_s * 1e9),
            # A second, unless the slots are so close (short demonstrations) that rotations would queue up.
            min_overlap_ns=int(min(1.0, slot_s / 8) * 1e9),
        )
        settings = WorkerSettings(
            venue=own.venue,
            feed=feed,
            symbols=tuple(symbols),
            kinds=tuple(kinds),
            bundle_endpoint=self._bundle_endpoint,
            rest_url=self.rest_url,
            book_levels=own.of_venue.book_levels,
            ca_bundle=own.of_venue.ca_bundle,
            # By itself a connection is made so seldom, and so much later than the one before, that all together keep the venue's window.
            alone=AlonePolicy(self.budget.share_ns(slots) / 1e9, self.budget.spacing_ns / 1e9),
            environment=own.environment,
            logs=self._logs,
        )
        return self._spec(f"worker-{shard}", "k2workers.processes.worker:main", settings, StopOrder.WORKERS)

    def _screened(self, settings: AggregatorSettings | BooksSettings) -> AggregatorSettings | BooksSettings | None:
        """The settings of its later lives, once a peer has ended it through a defect of ZeroMQ; None where there are no screens."""
        if not screen.AVAILABLE:
            return None
        connections = open_files.connections_a_port(
            MOST_CONNECTIONS, self.settings.shards, files_a_peer=open_files.BEHIND_A_SCREEN
        )
        return msgspec.structs.replace(settings, screened_in=str(self._run_dir), connections=connections)

    @staticmethod
    def _spec(name: str, target: str, settings: Any, stop_order: StopOrder) -> ChildSpec:
        # The forkserver began before the directory was known.
        env = {metrics.DIRECTORY_VARIABLE: os.environ[metrics.DIRECTORY_VARIABLE]}
        return ChildSpec(name=name, target=target, settings=settings, stop_order=stop_order, env=env)


def _demonstration(settings: Settings, venue: str, logs: log.LogSettings) -> Demonstration | None:
    if not settings.demo:
        return None
    from k2workers.demo.demonstration import Demonstration  # a run against a venue imports none of it

    return Demonstration(settings, venue, logs)


def _refuse_another_venues_address(name: str, given: VenueSettings) -> None:
    """Raise ConfigError if an address is another venue's own: its events would be published under a wrong name."""
    for other in venues.NAMES:
        own = [default(venues.settings_struct(other), key) for key in ("websocket_url", "rest_url")]
        for address in (given.websocket_url, given.rest_url):
            if other != name and address.rstrip("/") in own:
                raise ConfigError(f"venue = {name!r}: the address {address} is that of {other!r}; leave it out")
