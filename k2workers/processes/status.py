"""Owns the JSON of /status: its shapes, with their units, and what builds them out of what the parent knows.

The live console and the report take the same Structs. What a child tells of itself (a worker's row ends with it) has its shape in ``child_status``,
why the feed is not ready in ``readiness``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from k2workers.config import Settings
from k2workers.network.venue_answers import Service
from k2workers.processes import readiness, run_plan
from k2workers.processes.child_status import (
    AggregatorStatus,
    BooksStatus,
    DiskRingStatus,
    Subscribers,
    Told,
    WorkerCounters,
    WorkerStatus,
    told,
)
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.observers import BooksShown, DiskRingShown, books_shown, disk_ring_shown
from k2workers.processes.readiness import Reason
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.symbol_watch import SymbolStates
from k2workers.supervision.child import ChildState
from k2workers.supervision.permissions import RestWeight, ServiceState
from k2workers.supervision.supervisor import Supervisor


class WorkerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent knows of one worker: its process now, and what it counted in all its lives (see ``child_status.WorkerCounters``).

    ``rss_bytes`` is its memory, ``cpu_s`` the processor time of its present life in seconds.
    """

    shard: int
    venue: str
    pid: int | None
    restarts: int
    rss_bytes: int
    cpu_s: float
    events_received: int
    duplicates: int
    gaps: int


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: in JSON a single object, which lacks what the worker ``told`` before its first beat."""

    figures: WorkerFigures
    told: WorkerStatus | None
    events_per_s: float
    """In the last second."""
    alive: bool

    def as_data(self) -> dict[str, Any]:
        """As /status shows it."""
        reported = {} if self.told is None else msgspec.to_builtins(self.told)
        own = {"events_per_s": self.events_per_s, "alive": self.alive}
        return {**msgspec.to_builtins(self.figures), **reported, **own}


class VenueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One venue at this moment."""

    symbols: int
    symbol_states: SymbolStates
    venue_refusals: dict[str, ServiceState]
    """By service: ``connect`` and ``rest``."""
    rest_weight: RestWeight
    failure: str = ""
    """Why its symbols, for which the start waits, could not be asked for."""


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole feed at one moment. Keys that users read: one that goes, or means something else, breaks their programs."""

    venue: str
    """All of them, between commas."""
    demo: bool
    uptime_s: float
    waiting_for: str
    """What the start waits for; nothing once everything serves."""
    ready: bool
    unready: list[Reason]
    """Why not."""
    shards: int
    """Workers that run, or are to."""
    symbols: int
    symbol_states: SymbolStates
    """Of all venues together."""
    rotations: int
    """Since the start, of all workers."""
    events_per_s: float
    """Received in the last second."""
    published: int
    """Events, since the start."""
    subscribers: Subscribers | None
    """In JSON an empty object until the aggregator has told of them."""
    books: BooksShown
    disk_ring: DiskRingShown
    venue_refusals: dict[str, ServiceState]
    """By service: ``connect`` and ``rest``; at the venue that keeps us away longest."""
    rest_weight: RestWeight
    """At the venue that lets us wait longest."""
    venues: dict[str, VenueStatus]
    """Each by itself."""
    children: dict[str, ChildState]
    """By name."""
    workers: list[WorkerRow]

    def as_data(self) -> dict[str, Any]:
        """As /status shows it."""
        whole: dict[str, Any] = msgspec.to_builtins(self)
        return {**whole, "subscribers": whole["subscribers"] or {}, "workers": [row.as_data() for row in self.workers]}


class RunView:
    """What can be seen of one run at any moment: ``status``, and whether it is healthy and ready. Owns the run's clock: it starts when this is made.

    ``topology`` writes here what only it learns: ``rotated``, ``books_refused`` and ``disk_ring_refused``.
    """

    def __init__(
        self, settings: Settings, supervisor: Supervisor, feeds: Sequence[MarketFeed], meter: ResourceMeter
    ) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._feeds = feeds
        self._meter = meter
        self._started_ns = time.monotonic_ns()
        self.rotated = 0
        self.books_refused = ""
        """Why no books are kept, while none are."""
        self.disk_ring_refused = ""
        """The same of the disk ring."""

    @property
    def venue(self) -> str:
        """The venues, between commas."""
        return ",".join(self._settings.venue)

    @property
    def age_s(self) -> float:
        """Seconds since the start."""
        return (time.monotonic_ns() - self._started_ns) / 1e9

    @property
    def workers(self) -> list[str]:
        """The workers, in order of their shards."""
        return [name for feed in self._feeds for name in feed.shards]

    @property
    def symbols(self) -> list[str]:
        """What is served, venue after venue."""
        return [symbol for feed in self._feeds for symbol in feed.symbols.symbols]

    @property
    def waiting_for(self) -> str:
        """What the start waits for; nothing once everything serves."""
        waits = {feed.plan.name: feed.waiting_for for feed in self._feeds}
        every = set(waits.values())
        if len(every) == 1:
            return every.pop()
        return ", ".join(f"{awaited} of {venue}" for venue, awaited in waits.items() if awaited)

    def status(self) -> FeedStatus:
        """What /status and the live summary show."""
        states, unready = self._supervisor.states(), self.unready()
        aggregator = self._told(run_plan.AGGREGATOR, AggregatorStatus)
        venues = {feed.plan.name: _of_venue(feed) for feed in self._feeds}
        return FeedStatus(
            venue=self.venue,
            demo=self._settings.demo,
            uptime_s=round(self.age_s, 1),
            waiting_for=self.waiting_for,
            ready=not unready,
            unready=unready,
            shards=len(self.workers),
            symbols=sum(venue.symbols for venue in venues.values()),
            symbol_states=together([venue.symbol_states for venue in venues.values()]),
            rotations=self.rotated,
            events_per_s=round(sum(self._meter.rate(name) for name in self.workers), 1),
            published=aggregator.events_published if aggregator is not None else 0,
            subscribers=aggregator.subscribers if aggregator is not None else None,
            books=books_shown(self._told(run_plan.BOOKS, BooksStatus), self.books_refused),
            disk_ring=disk_ring_shown(self._told(run_plan.DISK_RING, DiskRingStatus), self.disk_ring_refused),
            venue_refusals={
                service.value: max(
                    (venue.venue_refusals[service.value] for venue in venues.values()),
                    key=lambda state: (state.paused_s, state.refusals),
                )
                for service in Service
            },
            rest_weight=max(
                (venue.rest_weight for venue in venues.values()),
                key=lambda weight: (weight.wait_s, weight.used - weight.limit),
            ),
            venues=venues,
            children=states,
            workers=[self._row(name, figures, states[name]) for name, figures in self._all_figures()],
        )

    def figures(self) -> list[WorkerFigures]:
        """What is known of each worker, also when it has ended."""
        return [figures for _, figures in self._all_figures()]

    def _all_figures(self) -> list[tuple[str, WorkerFigures]]:
        states = self._supervisor.states()
        return [
            (name, self._figures(name, shard, feed.plan.name, states[name]))
            for feed in self._feeds
            for name, shard in feed.shards.items()
        ]

    def _figures(self, name: str, shard: int, venue: str, state: ChildState) -> WorkerFigures:
        beat, usage = self._supervisor.beat(name), self._meter.of(name)
        counted = msgspec.convert(self._supervisor.counted(name), WorkerCounters)
        return WorkerFigures(
            shard=shard,
            venue=venue,
            pid=beat.pid if beat is not None else None,
            restarts=state.restarts,
            rss_bytes=usage.rss_bytes,
            cpu_s=usage.cpu_s,
            events_received=counted.events_received,
            duplicates=counted.duplicates,
            gaps=counted.gaps,
        )

    def unhealthy(self) -> list[str]:
        """Which processes are not there: what /healthz says."""
        states = self._supervisor.states()
        # Who wants their data would have none sooner if the feed ended.
        return [
            f"{name} is not running"
            for name, state in states.items()
            if not state.alive and name not in run_plan.OBSERVERS
        ]

    def unready(self) -> list[Reason]:
        """Why the feed is not ready: what /readyz says."""
        if self._supervisor.stopping:
            return [readiness.ENDING]
        states = self._supervisor.states()
        for observer in run_plan.OBSERVERS:
            states.pop(observer, None)  # its users wait for it, the feed does not
        return readiness.unready(self.waiting_for, states, [feed.flow() for feed in self._feeds])

    def reasons(self) -> list[str]:
        """The same in words."""
        return [reason.line() for reason in self.unready()]

    def _row(self, name: str, figures: WorkerFigures, state: ChildState) -> WorkerRow:
        return WorkerRow(
            figures=figures,
            told=self._told(name, WorkerStatus),
            events_per_s=self._meter.rate(name),
            alive=state.alive,
        )

    def _told(self, name: str, shape: type[Told]) -> Told | None:
        return told(self._supervisor.beat(name), shape)


def _of_venue(feed: MarketFeed) -> VenueStatus:
    return VenueStatus(
        symbols=len(feed.symbols.symbols),
        symbol_states=feed.symbols.status(),
        venue_refusals=feed.permissions.status(time.monotonic_ns()),
        rest_weight=feed.rest_weight(),
        failure=feed.symbols.failure,
    )


def together(states: Sequence[SymbolStates]) -> SymbolStates:
    """The symbols of several venues as those of one: a name that stands at two is shown once."""
    count: Counter[str] = Counter()
    for state in states:
        count.update(state.count)
    return SymbolStates(
        count=dict(count),
        not_trading={name: why for state in states for name, why in state.not_trading.items()},
        unknown_nearest={name: near for state in states for name, near in state.unknown_nearest.items()},
        left_out={name: why for state in states for name, why in state.left_out.items()},
        no_room=[name for state in states for name in state.no_room],
    )
