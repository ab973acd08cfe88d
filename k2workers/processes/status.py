"""Owns the JSON of /status: its shapes, with their units, and what builds them out of what the parent knows.

The live console and the report take the same Structs. What a child tells of itself (a worker's row ends with it) has its shape in ``child_status``,
why the feed is not ready in ``readiness``.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from k2workers.network.venue_answers import Service
from k2workers.processes import readiness, run_plan
from k2workers.processes.child_status import (
    AggregatorStatus,
    BooksStatus,
    Subscribers,
    Told,
    WorkerCounters,
    WorkerStatus,
    told,
)
from k2workers.processes.readiness import Reason
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.run_plan import RunPlan
from k2workers.processes.symbol_watch import SymbolStates, SymbolWatch
from k2workers.supervision.child import ChildState
from k2workers.supervision.permissions import RestWeight, ServiceState
from k2workers.supervision.supervisor import Supervisor


class WorkerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent knows of one worker: its process now, and what it counted in all its lives (see ``child_status.WorkerCounters``).

    ``rss_bytes`` is its memory, ``cpu_s`` the processor time of its present life in seconds.
    """

    shard: int
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


class BooksShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The books that are kept: topics, those of them that are whole, and why there are none. What is not known is not shown."""

    books: int | None = None
    whole: int | None = None
    error: str = ""


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole feed at one moment. Keys that users read: one that goes, or means something else, breaks their programs."""

    venue: str
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
    rotations: int
    """Since the start, of all workers."""
    events_per_s: float
    """Received in the last second."""
    published: int
    """Events, since the start."""
    subscribers: Subscribers | None
    """In JSON an empty object until the aggregator has told of them."""
    books: BooksShown
    venue_refusals: dict[str, ServiceState]
    """By service: ``connect`` and ``rest``."""
    rest_weight: RestWeight
    children: dict[str, ChildState]
    """By name."""
    workers: list[WorkerRow]

    def as_data(self) -> dict[str, Any]:
        """As /status shows it."""
        whole: dict[str, Any] = msgspec.to_builtins(self)
        return {**whole, "subscribers": whole["subscribers"] or {}, "workers": [row.as_data() for row in self.workers]}


class RunView:
    """What can be seen of one run at any moment: ``status``, and whether it is healthy and ready. Owns the run's clock: it starts when this is made.

    ``topology`` writes here what only it learns: ``waiting_for``, ``shard_names``, ``rotated`` and ``books_refused``.
    """

    def __init__(self, plan: RunPlan, supervisor: Supervisor, symbols: SymbolWatch, meter: ResourceMeter) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._symbols = symbols
        self._meter = meter
        self._started_ns = time.monotonic_ns()
        self.waiting_for = "start"
        self.shard_names: list[str] = []
        """The workers, in order of their shards."""
        self.rotated = 0
        self.books_refused = ""
        """Why no books are kept, while none are."""

    @property
    def age_s(self) -> float:
        """Seconds since the start."""
        return (time.monotonic_ns() - self._started_ns) / 1e9

    def status(self) -> FeedStatus:
        """What /status and the live summary show."""
        states, unready = self._supervisor.states(), self.unready()
        aggregator = self._told(run_plan.AGGREGATOR, AggregatorStatus)
        return FeedStatus(
            venue=self._plan.venue.name,
            demo=self._plan.settings.demo,
            uptime_s=round(self.age_s, 1),
            waiting_for=self.waiting_for,
            ready=not unready,
            unready=unready,
            shards=len(self.shard_names),
            symbols=len(self._symbols.symbols),
            symbol_states=self._symbols.status(),
            rotations=self.rotated,
            events_per_s=sum(self._meter.rate(name) for name in self.shard_names),
            published=aggregator.events_published if aggregator is not None else 0,
            subscribers=aggregator.subscribers if aggregator is not None else None,
            books=self._books(),
            venue_refusals=self._supervisor.permissions.status(time.monotonic_ns()),
            rest_weight=self._rest_weight(),
            children=states,
            workers=[self._row(name, states[name]) for name in self.shard_names],
        )

    def figures(self) -> list[WorkerFigures]:
        """What is known of each worker, also when it has ended."""
        states = self._supervisor.states()
        return [self._figures(name, states[name]) for name in self.shard_names]

    def _figures(self, name: str, state: ChildState) -> WorkerFigures:
        beat, usage = self._supervisor.beat(name), self._meter.of(name)
        counted = msgspec.convert(self._supervisor.counted(name), WorkerCounters)
        return WorkerFigures(
            shard=self.shard_names.index(name),
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
        # Joiners want the books; to end the feed would give them none sooner.
        return [
            f"{name} is not running" for name, state in states.items() if not state.alive and name != run_plan.BOOKS
        ]

    def unready(self) -> list[Reason]:
        """Why the feed is not ready: what /readyz says."""
        states = self._supervisor.states()
        workers = {}
        for name in self.shard_names:
            beat = self._supervisor.beat(name)
            # What a process before this one reported says nothing of it.
            of_this_life = beat if beat is not None and beat.pid == states[name].pid else None
            workers[name] = told(of_this_life, WorkerStatus)
        states.pop(run_plan.BOOKS, None)  # joiners wait for it, the feed does not
        return readiness.unready(self.waiting_for, states, workers, self._rest_weight())

    def venue_trouble(self) -> list[str]:
        """What stands between the venue and us, as far as the parent knows."""
        gate = self._supervisor.permissions.gate
        refused = [
            f"the venue answers {service.value} with {status}"
            for service in Service
            if (status := gate.status(service))
        ]
        return [*refused, *([self._symbols.failure] if self._symbols.failure else [])]

    def _row(self, name: str, state: ChildState) -> WorkerRow:
        return WorkerRow(
            figures=self._figures(name, state),
            told=self._told(name, WorkerStatus),
            events_per_s=self._meter.rate(name),
            alive=state.alive,
        )

    def _books(self) -> BooksShown:
        books = self._told(run_plan.BOOKS, BooksStatus)
        if books is None:
            return BooksShown(error=self.books_refused)
        return BooksShown(books=books.books, whole=books.whole, error=self.books_refused)

    def _rest_weight(self) -> RestWeight:
        workers = [self._told(name, WorkerStatus) for name in self.shard_names]
        wanted = sum(worker.weight_wanted for worker in workers if worker is not None)
        return self._supervisor.permissions.rest_weight(wanted, time.monotonic_ns())

    def _told(self, name: str, shape: type[Told]) -> Told | None:
        return told(self._supervisor.beat(name), shape)
