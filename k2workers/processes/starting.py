"""Owns how the children of a run come up: the aggregator and who subscribes to it, and beside them each venue as soon as it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from k2workers.errors import BootError, ConfigError
from k2workers.processes import run_plan
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.run_plan import RunPlan
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.supervisor import Supervisor

_log = structlog.get_logger(__name__)


class Starting:
    """The start of one run. ``records`` is what children tell, by name and kind, as it comes."""

    def __init__(
        self,
        plan: RunPlan,
        supervisor: Supervisor,
        feeds: Sequence[MarketFeed],
        records: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._feeds = feeds
        self._records = records

    async def run(self) -> None:
        """Start everything; returns once all of it serves. Raises what keeps a child from serving."""
        if self._plan.demonstration is not None:
            _log.warning("demo", note="events come from the embedded exchange, not from a venue")
        self._supervisor.launch(self._plan.aggregator())
        loop = asyncio.get_running_loop()
        publishing = loop.create_task(self._publish())
        starts = [publishing, *(loop.create_task(self._begin(feed, publishing)) for feed in self._feeds)]
        try:
            # An aggregator that cannot serve, because its port is taken, ends the program also while a venue is silent.
            done, _ = await asyncio.wait(starts, return_when=asyncio.FIRST_EXCEPTION)
            for start in done:
                await start
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def _publish(self) -> None:
        """Wait until the aggregator serves, and start who subscribes to it."""
        await self._supervisor.wait_ready(run_plan.AGGREGATOR)
        listening = await self.record(run_plan.AGGREGATOR, "listening")
        publish, snapshot = listening["publish"], listening["snapshot"]
        _log.info("publishing", endpoint=publish, snapshot=snapshot)
        if self._plan.book_prefixes:
            self._supervisor.launch(self._plan.books(publish, snapshot))  # only joiners wait for it
        disk_ring = self._plan.disk_ring(publish, snapshot)
        if disk_ring is not None:
            self._supervisor.launch(disk_ring)
        if self._plan.demonstration is not None:
            await self._begun(self._plan.demonstration.witness(publish, snapshot))

    async def _begin(self, feed: MarketFeed, publishing: asyncio.Task[None]) -> None:
        """Start the feed of one venue, as soon as that one and the aggregator are there."""
        if self._plan.demonstration is not None:
            await self._begun(exchange := self._plan.demonstration.exchange(feed.plan.name))
            listening = await self.record(exchange.name, "listening")
            self._supervisor.respec(self._plan.demonstration.exchange(feed.plan.name, listening["ws_port"]))
            feed.plan.point_to(*self._plan.demonstration.addresses(listening))
        specs = await self._chosen(feed)
        feed.waiting_for = "aggregator"
        await publishing
        await feed.serve(specs)

    async def _chosen(self, feed: MarketFeed) -> list[ChildSpec]:
        """The workers of a venue. Raises ConfigError for a user's mistake, unless it shows only when others have served for long: the venue could not
        be reached before.
        """
        while True:
            try:
                return await feed.choose()
            except ConfigError as error:
                if not feed.symbols.kept_waiting or all(other.waiting_for for other in self._feeds):
                    raise
                retry_in_s = self._plan.settings.symbol_check_s
                _log.error("venue_not_begun", exchange=feed.plan.name, error=str(error), retry_in_s=retry_in_s)
                await asyncio.sleep(retry_in_s)

    async def _begun(self, spec: ChildSpec) -> None:
        """Start a child, and wait until it serves."""
        self._supervisor.launch(spec)
        await self._supervisor.wait_ready(spec.name)

    async def record(self, name: str, kind: str) -> Mapping[str, Any]:
        """The record of this kind that a child sends just before it says that it is ready."""
        for _ in range(200):
            found = self._records.get((name, kind))
            if found is not None:
                return found
            await asyncio.sleep(0.01)
        raise BootError(f"{name} said nothing of {kind}")
