"""Owns what is planned for one venue of a run: where it is, what is asked of it, its workers with their symbols and settings. Starts nothing itself."""

from __future__ import annotations

import functools
import itertools
import os
import ssl
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from k2workers import metrics, venues
from k2workers.config import Settings
from k2workers.continuity import Repair
from k2workers.errors import ConfigError
from k2workers.feed.feed_settings import FeedSettings
from k2workers.logs.log import LogSettings
from k2workers.network.tls import client_context
from k2workers.processes import sharding
from k2workers.processes.child_settings import WorkerSettings
from k2workers.processes.shard_numbers import Numbers, ShardNumbers, worker_name
from k2workers.rotation import schedule
from k2workers.setting import default
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.connect_budget import BudgetPolicy
from k2workers.supervision.permission_client import AlonePolicy
from k2workers.supervision.permissions import Allowance
from k2workers.supervision.stop_order import StopOrder
from k2workers.supervision.weight_budget import WeightPolicy
from k2workers.venues.topics import all_market_kinds, topic_of
from k2workers.venues.venue import Route, StreamSpec
from k2workers.venues.venue_settings import VenueSettings

ANY_SYMBOL = "ANY"
"""Where streams are asked for only to know their kinds."""

CONNECT_RESERVE = 30
"""Connection attempts of the venue's window that we leave to the user's other programs on this IP."""


class OfTheRun(msgspec.Struct, frozen=True, kw_only=True):
    """What all venues of a run have in common. ``origin_ns`` is the monotonic moment from which rotation slots count."""

    settings: Settings
    logs: LogSettings
    bundle_endpoint: str
    origin_ns: int
    numbers: ShardNumbers
    connects_per_window: int | None
    """Attempts that the embedded exchange allows; None: the venue's own."""


class MarketPlan:
    """The plan of one venue. ``settings`` are the run's, ``own`` the venue's."""

    def __init__(self, name: str, run: OfTheRun) -> None:
        self.name = name
        self.apart = run.settings.apart(name)
        """Its name, where there are others that it is to be told from."""
        self.venue = venues.load(name)
        self.settings = run.settings
        self.own = run.settings.of_venue(name)
        self.streams = run.settings.streams_of(name)
        self.symbols = run.settings.symbols_of(name)
        self.shards = run.settings.shards_of(name)
        """How many there are at most."""
        if not run.settings.demo:
            _refuse_another_venues_address(name, self.own)
        self._run = run
        self.websocket_url, self.rest_url = self.own.websocket_url, self.own.rest_url
        self._whole_market = all_market_kinds(self.venue, self.streams)
        self._everywhere = [kind for kind in self.streams if kind not in self._whole_market]
        """The kinds that have a stream for each symbol."""
        # One lifetime for all its shards: slots of different ones would meet.
        cut_ns = min(route.limits.max_connection_age_ns for route in self._routes(self.streams))
        self._lifetime_ns = schedule.effective_lifetime_ns(run.settings.lifetime_ns(name), cut_ns)
        slots = self._slots([self._kinds(shard) for shard in range(self.shards if self._everywhere else 1)])
        run.numbers.expect(name, shards=self.shards, slots=slots[-1], lifetime_ns=self._lifetime_ns)

    def point_to(self, websocket_url: str, rest_url: str) -> None:
        """Have the workers feed from there instead of the venue."""
        self.websocket_url, self.rest_url = websocket_url, rest_url

    def rest_context(self) -> ssl.SSLContext | None:
        """How the venue's REST is trusted; None without TLS. Raises ConfigError for an unusable CA bundle."""
        if not self.rest_url.startswith("https:"):
            return None
        return client_context(self.own.ca_bundle, self.venue.ca_bundle_setting)

    @property
    def lifetime_s(self) -> float:
        """How long a connection lives until it is replaced."""
        return self._lifetime_ns / 1e9

    @property
    def allowance(self) -> Allowance:
        """What the venue allows this IP."""
        return Allowance(
            venue=self.name,
            budget=self._budget,
            weight=WeightPolicy(limit=self.venue.limits.rest_weight_per_minute, share=self.own.rest_weight_share),
            rest_pool=self.venue.rest_pool,
            pauses=self.venue.pauses,
        )

    @property
    def _budget(self) -> BudgetPolicy:
        limits = self.venue.limits
        window = self._run.connects_per_window or limits.connects_per_window
        return BudgetPolicy(limit=window - CONNECT_RESERVE, window_ns=limits.connect_window_ns)

    @property
    def book_prefixes(self) -> tuple[str, ...]:
        """Prefixes of the topics of which whole books are kept for joiners."""
        specs = self.venue.stream_specs(self.streams, [ANY_SYMBOL])
        return tuple(
            topic_of(self.venue.name, spec.kind, "") for spec in specs if spec.continuity.repair is Repair.BOOK
        )

    @property
    def book_sizes(self) -> dict[str, tuple[int, ...]]:
        """By these prefixes the numbers of levels with which books may come."""
        return dict.fromkeys(self.book_prefixes, self.venue.book_sizes(self.own.book_levels))

    def streams_of(self, symbols: Sequence[str]) -> Sequence[StreamSpec]:
        """The streams of these symbols, without those of the whole market."""
        return self.venue.stream_specs(self._everywhere, symbols)

    # ── workers ─────────────────────────────────────────────────────────────────────────────────────────

    def workers(self, symbols: list[str]) -> list[ChildSpec]:
        """One worker for each shard that has streams. Raises ConfigError if a shard's streams do not fit."""
        streams_per_symbol, streams_left = self._tightest
        shards = sharding.assign(
            symbols,
            self.shards if self._everywhere else 1,
            streams_per_symbol=streams_per_symbol,
            streams_per_connection=streams_left,
        )
        if self._whole_market:
            shards = shards or [[]]
        slots = self._slots([self._kinds(shard) for shard in range(len(shards))])
        numbers = self._run.numbers.begin(self.name, slots[-1])
        # By itself a connection is made so seldom, and so much later than the one before, that all together keep the venue's window.
        alone = AlonePolicy(self._budget.share_ns(slots[-1]) / 1e9, self._budget.spacing_ns / 1e9)
        return [
            self._worker(names, self._kinds(shard), self._feed(shard, slots[shard], numbers), alone)
            for shard, names in enumerate(shards)
        ]

    @property
    def room(self) -> int:
        """How many symbols fit on one worker's connections."""
        streams_per_symbol, streams_left = self._tightest
        return streams_left // streams_per_symbol if streams_per_symbol else sys.maxsize

    def _kinds(self, shard: int) -> list[str]:
        # A stream of the whole market is one stream: the first shard carries it.
        return self._everywhere if shard else self.streams

    def _slots(self, kinds: Sequence[Sequence[str]]) -> list[int]:
        """The first slot of each shard with streams of these kinds, and at the end how many there are."""
        return list(itertools.accumulate((len(self._routes(of_shard)) for of_shard in kinds), initial=0))

    def _routes(self, kinds: Sequence[str]) -> list[Route]:
        """The routes of a shard with streams of these kinds, each with the streams of one symbol and those of the whole market."""
        return self.venue.routes(self.venue.stream_specs(kinds, [ANY_SYMBOL]))

    @functools.cached_property
    def _tightest(self) -> tuple[int, int]:
        """Of the route on which the fewest symbols fit: streams that each one takes, and that there is room for."""
        found = []
        for route in self._routes(self.streams):
            of_a_symbol = sum(spec.symbol == ANY_SYMBOL for spec in route.specs)
            found.append((of_a_symbol, route.limits.streams_per_connection - (len(route.specs) - of_a_symbol)))
        return min(found, key=lambda load: load[1] // load[0] if load[0] else sys.maxsize)

    def _feed(self, shard: int, slot: int, numbers: Numbers) -> FeedSettings:
        of_all = self.settings
        slot_s = self._lifetime_ns / numbers.slots / 1e9
        return FeedSettings(
            shard=numbers.first_shard + shard,
            slot=numbers.first_slot + slot,
            slots=numbers.slots,
            url=self.websocket_url,
            lifetime_ns=self._lifetime_ns,
            origin_ns=self._run.origin_ns,
            connect_timeout_s=of_all.connect_timeout_s,
            stale_after_ns=int(of_all.stale_after_s * 1e9),
            hold_ns=int(of_all.hold_back_s * 1e9),
            gather_ns=of_all.gather_ns,
            native=of_all.native,
            overlap_limit_ns=int(of_all.overlap_limit_s * 1e9),
            # A second, unless the slots are so close (short demonstrations) that rotations would queue up.
            min_overlap_ns=int(min(1.0, slot_s / 8) * 1e9),
        )

    def _worker(self, symbols: list[str], kinds: list[str], feed: FeedSettings, alone: AlonePolicy) -> ChildSpec:
        settings = WorkerSettings(
            venue=self.name,
            feed=feed,
            symbols=tuple(symbols),
            kinds=tuple(kinds),
            bundle_endpoint=self._run.bundle_endpoint,
            rest_url=self.rest_url,
            book_levels=self.own.book_levels,
            ca_bundle=self.own.ca_bundle,
            alone=alone,
            environment=self.settings.environment,
            logs=self._run.logs,
        )
        target = "k2workers.processes.worker:main"
        return child_spec(worker_name(feed.shard), target, settings, StopOrder.WORKERS, connects_to=self.name)


def child_spec(name: str, target: str, settings: Any, stop_order: StopOrder, **others: Any) -> ChildSpec:
    """A child that has metrics: the forkserver began before their directory was known."""
    env = {metrics.DIRECTORY_VARIABLE: os.environ[metrics.DIRECTORY_VARIABLE]}
    return ChildSpec(name=name, target=target, settings=settings, stop_order=stop_order, env=env, **others)


def _refuse_another_venues_address(name: str, given: VenueSettings) -> None:
    """Raise ConfigError if an address is another venue's own: its events would be published under a wrong name."""
    for other in venues.NAMES:
        own = [default(venues.settings_struct(other), key) for key in ("websocket_url", "rest_url")]
        for address in (given.websocket_url, given.rest_url):
            if other != name and address.rstrip("/") in own:
                raise ConfigError(f"venue = {name!r}: the address {address} is that of {other!r}; leave it out")
