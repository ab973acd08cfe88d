"""Owns how the processes are put together: the parent's main.

The parent starts the aggregator, the books process and one worker a shard, and what a demonstration adds to them; it gives connection
grants and serves the one HTTP endpoint; it stops everything in the order in which data flows, and writes the report.
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
from k2workers.errors import BootError, ConfigError, K2Error
from k2workers.every import Every
from k2workers.logs import outlet
from k2workers.metrics import exporter, metric_files
from k2workers.processes import open_files, readiness, report, run_plan
from k2workers.processes.child_status import Published
from k2workers.processes.console import LiveSummary
from k2workers.processes.market_watch import MarketWatch
from k2workers.processes.places import Places
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.status import RunView
from k2workers.processes.symbol_watch import SymbolWatch
from k2workers.rotation.record import RotationRecord
from k2workers.supervision.child import STOP_SIGNALS, ChildSpec
from k2workers.supervision.control_messages import Record
from k2workers.supervision.orphans import FIRST, Orphans
from k2workers.supervision.supervisor import Supervisor, SupervisorPolicy
from k2workers.transport.peer import MOST_CONNECTIONS
from k2workers.transport.sockets import mistakes_in

METER_S = 1.0
MARKET_S = 0.5
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
            SupervisorPolicy(budget=self.plan.budget, weight=self.plan.weight, pauses=self.plan.venue.pauses),
            on_record=self._on_record,
            on_dead=self._on_dead,
            on_fatal=self._on_fatal,
        )
        self._rotations: list[RotationRecord] = []
        """Each, if there will be a report: a feed runs for months."""
        self._stop = asyncio.Event()
        self._told_to_stop_ns: int | None = None
        self._time_over = False
        """Whether the run has ended because its time was over."""
        self._fatal: K2Error | None = None
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._meter = ResourceMeter(settings.environment)
        self._symbols = SymbolWatch(self.plan, self.supervisor)
        self.view = RunView(self.plan, self.supervisor, self._symbols, self._meter)
        self._market = MarketWatch(self.plan, self.supervisor, self._symbols)
        # None of these is worth the feed: they are tried for ever.
        self._measuring = Every(METER_S, self._measure, "measure", give_up=None)
        self._looking = Every(MARKET_S, self._market.turn, "market", give_up=None)
        self._checking = Every(settings.symbol_check_s, self._symbols.check, "symbols", give_up=None)
        self._others = [
            Every(METER_S, self._symbols.remind, "remind", give_up=None),
            Every(PLACES_S, self._keep_places, "places", give_up=None),
        ]
        if os.getpid() == FIRST:
            self._others.append(Every(METER_S, Orphans().bury, "orphans", give_up=None))

    async def run(self) -> int:
        """Start everything, serve until stopped, stop everything; 0 if all of it was clean."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            # Who runs us with nohup wants us to stay.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._on_signal, number)
        server = exporter.MetricsServer(
            self.settings.http_host,
            self.settings.http_port,
            get_status=lambda: self.view.status().as_data(),
            unhealthy=self.view.unhealthy,
            unready=lambda: [reason.line() for reason in self.view.unready()],
            only_here=lambda: self._meter.only_here,
        )
        await self._take_ports(server)
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
        _log.info("started", http=server.url, shards=self.settings.shards, run_dir=str(self._places.path))
        _log.info("native_lane", **native.told(wanted=self.settings.native == "auto"))
        try:
            async with LiveSummary(self.view.status):
                await self._serve()
            return await self._finish()
        finally:
            for duty in (self._measuring, self._looking, self._checking, *self._others):
                duty.stop()
            self.supervisor.kill_all()
            await server.stop()

    async def _serve(self) -> None:
        """Start the children and serve, until told to stop or the time is over. Raises what keeps a child from serving."""
        loop = asyncio.get_running_loop()
        starting, stopping = loop.create_task(self._start_children()), loop.create_task(self._stop.wait())
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

    async def _take_ports(self, server: exporter.MetricsServer) -> None:
        """Begin to answer HTTP. ConfigError tells of every port that is taken, also those that children will need."""
        names = ("publish_endpoint", "snapshot_endpoint")
        mistakes = mistakes_in({name: getattr(self.settings, name) for name in names})
        try:
            await server.start()
        except ConfigError as error:
            mistakes.insert(0, str(error))
        if mistakes:
            await server.stop()
            raise ConfigError("\n".join(mistakes))

    async def _start_children(self) -> None:
        launch, ready = self.supervisor.launch, self.supervisor.wait_ready
        demonstration = self.plan.demonstration
        launch(self.plan.aggregator())
        if demonstration is not None:
            _log.warning("demo", note="events come from the embedded exchange, not from a venue")
            await self._begun(exchange := demonstration.exchange())
            self.plan.point_to(*demonstration.addresses(await self._record(exchange.name, "listening")))
        self.view.waiting_for = "symbols"
        choosing = asyncio.ensure_future(self._symbols.choose())
        serving = asyncio.ensure_future(ready(run_plan.AGGREGATOR))
        try:
            # An aggregator that cannot serve, because its port is taken, ends the program also while the venue is silent.
            await asyncio.wait({choosing, serving}, return_when=asyncio.FIRST_EXCEPTION)
            if serving.done():
                await serving
            specs = self._symbols.begin(await choosing)
            self.view.waiting_for = "aggregator"
            await serving
        finally:
            choosing.cancel()
            serving.cancel()
        listening = await self._record(run_plan.AGGREGATOR, "listening")
        _log.info("publishing", endpoint=listening["publish"], snapshot=listening["snapshot"])
        if self.plan.book_prefixes:
            launch(self.plan.books(listening["publish"], listening["snapshot"]))  # only joiners wait for it
        if demonstration is not None:
            await self._begun(demonstration.witness(listening["publish"], listening["snapshot"]))
        self.view.waiting_for = "workers"
        for spec in specs:
            self.view.shard_names.append(spec.name)
            launch(spec)
        self._looking.start(at_once=False)
        for spec in specs:
            await ready(spec.name)
        self.view.waiting_for = ""
        self._checking.start(at_once=False)

    async def _begun(self, spec: ChildSpec) -> None:
        """Start a child, and wait until it serves."""
        self.supervisor.launch(spec)
        await self.supervisor.wait_ready(spec.name)

    async def _record(self, name: str, kind: str) -> dict[str, Any]:
        """The record of this kind that a child sends just before it says that it is ready."""
        for _ in range(200):
            found = self._records.get((name, kind))
            if found is not None:
                return found
            await asyncio.sleep(0.01)
        raise BootError(f"{name} said nothing of {kind}")

    # ── end ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _finish(self) -> int:
        _log.info("stopping")
        served_s = self.view.age_s
        unready = [reason.line() for reason in self.view.unready()]
        self._measuring.stop(last_turn=True)
        complaints = (
            [] if await self.supervisor.stop() else ["a process was killed or failed while it ended: see the log"]
        )
        demonstration, truth = self.plan.demonstration, None
        if demonstration is not None:
            truth = demonstration.truth(self._records, self.plan.streams_of(self._symbols.symbols))
        if self._fatal is not None:
            complaints.append(str(self._fatal))
        if self._time_over and not self._published.events_published:
            complaints.append(
                f"nothing was served: {'; '.join([*unready, *self.view.venue_trouble()]) or 'no event came'}"
            )
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

    def _write_report(
        self, served_s: float, complaints: list[str], unready: list[str], truth: dict[str, Any] | None
    ) -> bool:
        content = report.build(
            venue=self.plan.venue.name,
            shards=len(self.view.shard_names),
            symbols=self._symbols.symbols,
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
        for name in self.view.shard_names:
            self._meter.count(name, self.supervisor.counted(name).get("events_received", 0))
        states = self.supervisor.states()
        self._meter.flush(
            restarts={name: state.restarts for name, state in states.items()},
            permissions=self.supervisor.permissions,
            market_looks=self._market.looks,
        )
        self._meter.flush_symbols(self._symbols.counts())
        with_metrics = {run_plan.AGGREGATOR, run_plan.BOOKS, *self.view.shard_names}
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
        if record.name == run_plan.BOOKS:
            self._tell_of_books(record)
        if record.kind == "rotation":
            self.view.rotated += 1
            if self.settings.report:
                self._rotations.append(msgspec.convert(record.data, RotationRecord))
        else:
            self._records[record.name, record.kind] = record.data

    def _tell_of_books(self, record: Record) -> None:
        self.view.books_refused = record.data["error"] if record.kind == "refused" else ""
        if record.kind == "refused":
            _log.error("books_not_kept", **record.data, note="the feed goes on without them; it is tried again")
        elif record.kind == "listening":
            _log.info("keeping_books", endpoint=record.data["books"])

    def _on_dead(self, name: str, pid: int) -> None:
        metric_files.bury(pid)

    def _on_fatal(self, error: K2Error) -> None:
        self._fatal = self._fatal or error
        self._stop.set()


async def main(settings: Settings, places: Places) -> int:
    """The parent's main; the exit code."""
    return await Topology(settings, places).run()
