"""Owns the feed of one venue of the run: which symbols it has, its workers, and what is done for them steadily. One venue's trouble is no other's.

``topology`` calls ``choose``, then ``serve``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from k2workers.errors import ConfigError
from k2workers.every import Every
from k2workers.network.venue_answers import Service
from k2workers.processes.child_status import WorkerStatus, told
from k2workers.processes.market_plan import MarketPlan
from k2workers.processes.market_watch import MarketWatch
from k2workers.processes.readiness import VenueFlow
from k2workers.processes.symbol_watch import SymbolWatch
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.permissions import RestWeight
from k2workers.supervision.supervisor import Supervisor

MARKET_S = 0.5
REMIND_S = 1.0


class MarketFeed:
    """The feed of one venue."""

    def __init__(self, plan: MarketPlan, supervisor: Supervisor) -> None:
        self.plan = plan
        self.permissions = supervisor.permissions[plan.name]
        self.symbols = SymbolWatch(plan, supervisor)
        self.waiting_for = "start"
        """What its start waits for; nothing once it serves."""
        self.shards: dict[str, int] = {}
        """The number of each worker's shard, by the worker's name."""
        self._supervisor = supervisor
        self._market = MarketWatch(plan, supervisor, self.symbols)
        # None of these is worth the feed: they are tried for ever.
        self._with_workers = (
            Every(MARKET_S, self._market.turn, "market", give_up=None),
            Every(REMIND_S, self.symbols.remind, "remind", give_up=None),
        )
        self._checking = Every(plan.settings.symbol_check_s, self.symbols.check, "symbols", give_up=None)

    async def choose(self) -> list[ChildSpec]:
        """The workers for the symbols that the venue lists: asks until it answers. Raises ConfigError for a user's mistake."""
        self.waiting_for = "symbols"
        try:
            return self.symbols.begin(await self.symbols.choose())
        except ConfigError as error:
            named = f"{self.plan.apart}: " if self.plan.apart else ""
            raise ConfigError("\n".join(f"{named}{line}" for line in str(error).splitlines())) from None

    async def serve(self, specs: list[ChildSpec]) -> None:
        """Start these workers, and wait until all of them serve. Raises BootError if one cannot."""
        self.waiting_for = "workers"
        for spec in specs:
            self.shards[spec.name] = spec.settings.feed.shard
            self._supervisor.launch(spec)
        for duty in self._with_workers:
            duty.start(at_once=False)
        for spec in specs:
            await self._supervisor.wait_ready(spec.name)
        self.waiting_for = ""
        self._checking.start(at_once=False)

    def stop(self) -> None:
        """No longer look at the venue; the workers are the supervisor's to end."""
        for duty in (*self._with_workers, self._checking):
            duty.stop()

    @property
    def looks(self) -> Mapping[str, int]:
        """Looks at the whole market so far, by outcome."""
        return self._market.looks

    def received(self) -> int:
        """How many events have come from it."""
        return sum(self._supervisor.counted(name).get("events_received", 0) for name in self.shards)

    def rest_weight(self) -> RestWeight:
        """What is used, allowed and wanted of its REST weight."""
        workers = [told(self._supervisor.beat(name), WorkerStatus) for name in self.shards]
        wanted = sum(worker.weight_wanted for worker in workers if worker is not None)
        return self.permissions.rest_weight(wanted, time.monotonic_ns())

    def flow(self) -> VenueFlow:
        """What its readiness is judged by."""
        states = self._supervisor.states()
        workers = {}
        for name in self.shards:
            beat = self._supervisor.beat(name)
            # What a process before this one reported says nothing of it.
            of_this_life = beat if beat is not None and beat.pid == states[name].pid else None
            workers[name] = told(of_this_life, WorkerStatus)
        return VenueFlow(apart=self.plan.apart, workers=workers, rest_weight=self.rest_weight())

    def obstacles(self) -> list[str]:
        """What stands between the venue and us, as far as the parent knows."""
        gate, apart = self.permissions.gate, self.plan.apart
        refused = [
            f"{apart or 'the venue'} answers {service.value} with {status}"
            for service in Service
            if (status := gate.status(service))
        ]
        failure = self.symbols.failure
        return [*refused, *([f"{apart}: {failure}" if apart else failure] if failure else [])]
