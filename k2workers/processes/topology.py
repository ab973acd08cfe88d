"""Owns how the processes are put together: the parent's main.

The parent starts the aggregator, the books process and the feed of each venue with one worker a shard, and what a demonstration adds to them; it
gives connection grants and serves the one HTTP endpoint; it stops everything in the order in which data flows, and writes the report.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from k2workers import native
from k2workers.config import Settings
from k2workers.errors import ConfigError, K2Error
from k2workers.every import Every
from k2workers.logs import outlet
from k2workers.metrics import metric_files
from k2workers.processes import open_files, readiness, report, run_plan
from k2workers.processes.child_status import Published
from k2workers.processes.console import LiveSummary
from k2workers.processes.http_paths import HttpPaths
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.places import Places
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.service_manager import ServiceManager
from k2workers.processes.starting import Starting
from k2workers.processes.status import RunView
from k2workers.rotation.overlaps import Overlaps
from k2workers.rotation.record import RotationRecord
from k2workers.supervision.child import STOP_SIGNALS
from k2workers.supervision.control_messages import Record
from k2workers.supervision.orphans import FIRST, Orphans
from k2workers.supervision.supervisor import Supervisor, SupervisorPolicy
from k2workers.transport.peer import MOST_CONNECTIONS
from k2workers.transport.sockets import mistakes_in

METER_S = 1.0
PLACES_S = 0.5
ONE_STOP_NS = 500_000_000
"""Signals to stop that come so close together are one: ``timeout`` and service managers tell the process and then its whole group."""

_log = structlog.get_logger(__name__)


class Topology:
    """The whole tree of processes of one run."""

    def __init__(self, settings: Settings, places: Places) -> None:
        self.settings = settings
        self.plan = run_plan.RunPlan(settings, places.path, origin_ns=time.monotonic_ns())
        self._places = places
        self.supervisor = Supervisor(
            self.plan.control_endpoint,
            SupervisorPolicy(allowances=[market.allowance for market in self.plan.markets]),
            on_record=self._on_record,
            on_dead=self._on_dead,
            on_fatal=self._on_fatal,
        )
        self._overlaps = Overlaps()
        self._rotations: list[RotationRecord] = []
        """Each, if there will be a report: a feed runs for months."""
        self._stop = asyncio.Event()
        self._told_to_stop_ns: int | None = None
        self._time_over = False
        """Whether the run has ended because its time was over."""
        self._fatal: K2Error | None = None
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._meter = ResourceMeter(settings.environment)
        self._feeds = [MarketFeed(market, self.supervisor) for market in self.plan.markets]
        self.view = RunView(settings, self.supervisor, self._feeds, self._meter)
        self._http = HttpPaths(settings, self.supervisor, self._feeds, self.view, self._meter)
        self._starting = Starting(self.plan, self.supervisor, self._feeds, self._records)
        self._service = ServiceManager(os.environ, self.view.reasons)
        # None of these is worth the feed: they are tried for ever.
        self._measuring = Every(METER_S, self._measure, "measure", give_up=None)
        self._others = [
            Every(PLACES_S, self._keep_places, "places", give_up=None),
            Every(METER_S, self._http.look, "page_view", give_up=None),
        ]
        if self._service.listens:
            self._others.append(Every(self._service.period_s, self._service.tell, "service_manager", give_up=None))
        if os.getpid() == FIRST:
            self._others.append(Every(METER_S, Orphans().bury, "orphans", give_up=None))

    async def run(self) -> int:
        """Start everything, serve until stopped, stop everything; 0 if all of it was clean."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            # Who runs us with nohup wants us to stay.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._on_signal, number)
        await self._take_ports()
        self.supervisor.start()
        for duty in (self._measuring, *self._others):
            duty.start()
        if self.plan.connections < MOST_CONNECTIONS:
            _log.warning(
                "few_files",
                limit=open_files.limit(),
                peers_a_port=self.plan.connections,
                note=f"a higher limit of open files (ulimit -n) lets {MOST_CONNECTIONS} peers connect to each port",
            )
        _log.info("started", http=self._http.url, shards=self.plan.shards, run_dir=str(self._places.path))
        _log.info("native_lane", **native.told(wanted=self.settings.native == "auto"))
        try:
            async with LiveSummary(self.view.status):
                await self._serve()
            return await self._finish()
        finally:
            for duty in (self._measuring, *self._others):
                duty.stop()
            for feed in self._feeds:
                feed.stop()
            self.supervisor.kill_all()
            await self._http.stop()

    async def _serve(self) -> None:
        """Start the children and serve, until told to stop or the time is over. Raises what keeps a child from serving."""
        loop = asyncio.get_running_loop()
        starting, stopping = loop.create_task(self._starting.run()), loop.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, timeout=self._left_s(), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                await asyncio.wait({stopping}, timeout=self._left_s())
            self._time_over = not stopping.done()
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)

    def _left_s(self) -> float | None:
        """What is left of the run's time, which counts from its start; None without a limit."""
        limit_s = self.settings.duration_s
        return None if limit_s is None else max(0.0, limit_s - self.view.age_s)

    # ── start ───────────────────────────────────────────────────────────────────────────────────────────

    async def _take_ports(self) -> None:
        """Begin to answer HTTP. ConfigError tells of every port that is taken, also those that children will need."""
        names = ("publish_endpoint", "snapshot_endpoint")
        mistakes = mistakes_in({name: getattr(self.settings, name) for name in names})
        try:
            await self._http.start()
        except ConfigError as error:
            mistakes.insert(0, str(error))
        if mistakes:
            await self._http.stop()
            raise ConfigError("\n".join(mistakes))
        self._places.tell_http(self._http.url)

    # ── end ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _finish(self) -> int:
        _log.info("stopping")
        self._service.tell_end()
        served_s, unready = self.view.age_s, self.view.reasons()
        self._measuring.stop(last_turn=True)
        restarts = {name: state.restarts for name, state in self.supervisor.states().items()}
        complaints = (
            [] if await self.supervisor.stop() else ["a process was killed or failed while it ended: see the log"]
        )
        demonstration, truth = self.plan.demonstration, None
        if demonstration is not None:
            streams = {feed.plan.name: feed.plan.streams_of(feed.symbols.symbols) for feed in self._feeds}
            truth = demonstration.truth(self._records, streams, restarts)
        if self._fatal is not None:
            complaints.append(str(self._fatal))
        complaints += self._unserved(unready) if self._time_over else []
        if self.settings.report and not self._write_report(served_s, complaints, unready, truth):
            complaints.append("the report could not be written")
        level = _log.error if complaints else _log.info
        level(
            "stopped", clean=not complaints, served_s=round(served_s, 1), **({"why": complaints} if complaints else {})
        )
        if self._fatal is not None:
            raise self._fatal
        if demonstration is not None and truth is not None:
            demonstration.tell(truth, self.view.rotated, self._records)
        return 1 if complaints else 0

    def _unserved(self, unready: list[str]) -> list[str]:
        """Of which venues nothing was served, and why."""
        found = []
        for feed in self._feeds:
            if not self._published.events_published or not feed.received():
                what = f"nothing of {feed.plan.apart}" if feed.plan.apart else "nothing"
                found.append(f"{what} was served: {'; '.join([*unready, *feed.obstacles()]) or 'no event came'}")
        return found

    def _write_report(
        self, served_s: float, complaints: list[str], unready: list[str], truth: dict[str, Any] | None
    ) -> bool:
        content = report.build(
            venue=self.view.venue,
            shards=len(self.view.workers),
            symbols=self.view.symbols,
            duration_s=served_s,
            complaints=complaints,
            unready=unready,
            workers=self.view.figures(),
            published=self._published,
            rotations=self._rotations,
            truth=truth,
        )
        return report.write(Path(self.settings.report), content)

    @property
    def _published(self) -> Published:
        """What the aggregator counted until its end; nothing if it did not come to that."""
        return msgspec.convert(self._records.get((run_plan.AGGREGATOR, "published"), {}), Published)

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────

    def _keep_places(self) -> None:
        self._places.restore()
        self.supervisor.restore_control()

    def _measure(self) -> None:
        self._meter.measure({"parent": os.getpid(), **self.supervisor.pids()})
        for name in self.view.workers:
            if (beat := self.supervisor.beat(name)) is not None:
                self._meter.count(name, self.supervisor.counted(name).get("events_received", 0), beat.at_ns)
        states = self.supervisor.states()
        self._meter.flush({name: state.restarts for name, state in states.items()}, self._overlaps.count)
        for feed in self._feeds:
            self._meter.flush_venue(feed.plan.name, feed.permissions, feed.looks, feed.symbols.counts())
        with_metrics = {run_plan.AGGREGATOR, *run_plan.OBSERVERS, *self.view.workers}
        self._meter.flush_not_kept(
            pid for name, pid in self.supervisor.pids().items() if name in with_metrics and states[name].ready
        )
        self._meter.flush_readiness(readiness.counts(self.view.unready()))

    def _on_signal(self, number: signal.Signals) -> None:
        now_ns = time.monotonic_ns()
        if self._told_to_stop_ns is None:
            self._told_to_stop_ns = now_ns
        elif number != signal.SIGHUP and now_ns - self._told_to_stop_ns >= ONE_STOP_NS:
            _log.warning("forced_stop")
            self.supervisor.kill_all()
            outlet.settle()
            os._exit(130)
        self._stop.set()

    def _on_record(self, record: Record) -> None:
        self._http.heard(record)
        if record.name == run_plan.BOOKS:
            self._tell_of_books(record)
        elif record.name == run_plan.DISK_RING:
            self._tell_of_disk_ring(record)
        if record.kind == "rotation":
            self.view.rotated += 1
            rotation = msgspec.convert(record.data, RotationRecord)
            self._overlaps.ended(rotation)
            if self.settings.report:
                self._rotations.append(rotation)
        else:
            self._records[record.name, record.kind] = record.data

    def _tell_of_books(self, record: Record) -> None:
        self.view.books_refused = record.data["error"] if record.kind == "refused" else ""
        if record.kind == "refused":
            _log.error("books_not_kept", **record.data, note="the feed goes on without them; it is tried again")
        elif record.kind == "listening":
            _log.info("keeping_books", endpoint=record.data["books"])

    def _tell_of_disk_ring(self, record: Record) -> None:
        self.view.disk_ring_refused = record.data["error"] if record.kind == "refused" else ""
        if record.kind == "refused":
            _log.error("disk_ring_not_kept", **record.data, note="the feed goes on without it; it is tried again")
        elif record.kind == "listening":
            _log.info("keeping_disk_ring", endpoint=record.data["disk_ring"])

    def _on_dead(self, name: str, pid: int) -> None:
        metric_files.bury(pid)

    def _on_fatal(self, error: K2Error) -> None:
        self._fatal = self._fatal or error
        self._stop.set()


async def main(settings: Settings, places: Places) -> int:
    """The parent's main; the exit code."""
    return await Topology(settings, places).run()
