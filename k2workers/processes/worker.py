"""Owns the worker process: one shard's feed, its socket to the aggregator, its beats to the parent.

A worker that loses its parent, or is told to drain, closes its lines with 1000, pushes what it received and exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from k2workers import event_loop, every, venues, wire
from k2workers.continuity import RECORDS
from k2workers.events import Status
from k2workers.feed.driver import Driver
from k2workers.feed.shard import Shard
from k2workers.feed.silence import MarketView
from k2workers.feed.topic_watch import Unserved
from k2workers.feed.venue_clock import VenueClock
from k2workers.logs import log, outlet
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import WORKER
from k2workers.metrics.last_rise import LastRise
from k2workers.metrics.latency import LatencyHistogram, RecentLatency
from k2workers.network.tls import client_context
from k2workers.processes.child_settings import WorkerSettings
from k2workers.processes.child_status import QUANTILES, LatencyUs, LineStatus, WorkerCounters, WorkerStatus
from k2workers.rotation.record import RotationRecord
from k2workers.supervision import control_messages
from k2workers.supervision.child import settle_memory
from k2workers.supervision.child_process import ChildProcess
from k2workers.supervision.gate import Gate
from k2workers.supervision.permission_client import PermissionClient
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_sender import BundleSender
from k2workers.venues.market_evidence import SymbolSeen

NAMED = 20
"""How many refused streams, and unserved topics, /status names; the metrics count all."""

DRAIN_S = 3.0
WELCOME_S = 1.0
"""How long a starting worker waits for the aggregator to tell where its topics stand."""

_log = structlog.get_logger(__name__)


class Worker:
    """One shard. ``run`` returns when the shard has drained."""

    def __init__(self, name: str, control_endpoint: str, settings: WorkerSettings) -> None:
        self.name = name
        self.settings = settings
        self._control_endpoint = control_endpoint
        self._welcomed = asyncio.Event()
        self._latency = LatencyHistogram()
        self._last_events = LastRise()
        self._recent = RecentLatency(self._latency)
        self._venue_clock = VenueClock()
        self._shard: Shard | None = None
        self._venue = venues.load(settings.venue)
        self._instruments = Instruments(
            WORKER,
            environment=settings.environment,
            component="worker",
            exchange=self._venue.name,
            shard=str(settings.feed.shard),
        )

    async def run(self) -> None:
        """Serve until told to stop, then drain."""
        async with ChildProcess(self.name, self._control_endpoint, self._on_message) as child:
            await self._run(child)

    async def _run(self, child: ChildProcess) -> None:
        settings, venue = self.settings, self._venue
        gate = Gate(venue.pauses)
        wss, https = settings.feed.url.startswith("wss:"), settings.rest_url.startswith("https:")
        context = client_context(settings.ca_bundle, venue.ca_bundle_setting) if wss or https else None
        bundle_sender = BundleSender(
            settings.bundle_endpoint, f"{self.name}{bundle_protocol.LIFE.decode()}{secrets.token_hex(8)}"
        )
        history = venue.history(settings.rest_url, context if https else None, settings.book_levels)
        shard = Shard(
            settings.feed,
            venue,
            venue.stream_specs(settings.kinds, settings.symbols),
            history=history,
            permissions=lambda slot: PermissionClient(child.client, settings.feed.shard, slot, settings.alone, gate),
            push=bundle_sender.push,
            on_record=lambda record: self._on_rotation(record, child, bundle_sender),
            observe_latency=self._observe_latency,
            ssl_context=context if wss else None,
            frames=bundle_sender,
        )
        with contextlib.closing(bundle_sender):
            async with history:
                await self._serve(shard, bundle_sender, child)

    async def _serve(self, shard: Shard, bundle_sender: BundleSender, child: ChildProcess) -> None:
        """Serve, and drain when told to."""
        bundle_sender.start(
            reached=shard.reached,
            open_gaps=shard.open_gaps,
            begun=shard.begun,
            on_welcome=lambda welcome: self._on_welcome(shard, welcome),
            on_holes=shard.reopen,
            on_forgotten=shard.announce,
        )
        await self._await_welcome()
        shard.start()
        self._shard = shard  # only now: streams that are added sooner would begin anew
        child.ready()
        settle_memory()
        child.beats(lambda: self._status(shard), lambda: _counters(shard))
        child.metrics(lambda: self._flush_metrics(shard, bundle_sender))
        await child.stopping.wait()
        try:
            await shard.stop()
        finally:
            await bundle_sender.drain(DRAIN_S)

    async def _await_welcome(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WELCOME_S):
                await self._welcomed.wait()
        if not self._welcomed.is_set():
            _log.warning("no_welcome", waited_s=WELCOME_S, then="starts without knowing what was published before")

    def _on_welcome(self, shard: Shard, welcome: bundle_protocol.Welcome) -> None:
        shard.published(welcome.positions)
        self._welcomed.set()

    def _on_message(self, message: Any) -> None:
        if isinstance(message, control_messages.Serve):
            self._serve_as_well([symbol for symbol in message.symbols if symbol not in self.settings.symbols])
        elif isinstance(message, control_messages.MarketSeen) and self._shard is not None:
            symbols = {symbol: SymbolSeen(*seen) for symbol, seen in message.symbols.items()}
            self._shard.seen(MarketView(message.asked_ns, symbols, message.next_ns))
        elif isinstance(message, control_messages.BooksKept):
            self._publish_books(message)

    def _publish_books(self, kept: control_messages.BooksKept) -> None:
        wanted = self._shard.publish_books(kept.under, frozenset(kept.topics)) if self._shard is not None else 0
        if wanted:
            _log.info("books_wanted", count=wanted)

    def _serve_as_well(self, symbols: list[str]) -> None:
        if not symbols or self._shard is None:
            return  # not yet: the parent says it again
        specs = [spec for spec in self._venue.stream_specs(self.settings.kinds, symbols) if spec.symbol]
        if not self._shard.add_streams(specs):
            return
        self.settings = msgspec.structs.replace(self.settings, symbols=(*self.settings.symbols, *symbols))
        _log.info("symbols_added", symbols=symbols[:20], count=len(symbols))

    def _on_rotation(self, record: RotationRecord, child: ChildProcess, bundle_sender: BundleSender) -> None:
        data = msgspec.to_builtins(record)
        handovers = data.pop("handovers")
        _log.info("connection_rotated", **data)
        topic = f"status.rotation.{record.shard}"
        bundle_sender.push([wire.batch_of(topic, [Status("rotation", data, time.time_ns())], RECORDS.number)])
        child.tell("rotation", {**data, "handovers": handovers})

    def _status(self, shard: Shard) -> WorkerStatus:
        total = shard.total
        unserved = {topic: why for feed in shard for topic, why in feed.driver.topics.unserved.items()}
        counts = Counter(unserved.values())
        return WorkerStatus(
            shard=self.settings.feed.shard,
            state=shard.weakest.machine.state.value,
            live=shard.live,
            fresh=shard.fresh,
            symbols=len(self.settings.symbols),
            connection_age_s=round(shard.lifetime_s, 1),
            next_rotation_s=round(shard.next_rotation_s, 1),
            rotations=total(lambda feed: feed.driver.rotations.total()),
            reconnects=total(lambda feed: feed.driver.reconnects.total()),
            gaps_open=total(lambda feed: feed.backfiller.repairs.gaps_owed(feed.driver.silence.at_rest)),
            gaps_doubted=total(lambda feed: feed.backfiller.repairs.gaps_doubted),
            books=total(lambda feed: feed.intake.books),
            books_missing=total(lambda feed: feed.intake.books_missing(feed.driver.silence.at_rest)),
            weight_wanted=total(lambda feed: feed.backfiller.weight_wanted),
            repairs_waiting=total(lambda feed: feed.backfiller.repairs.planner.waiting),
            clock_ahead_s=round(self._venue_clock.ahead_s(time.monotonic_ns()), 3),
            kinds_unreadable=shard.kinds_unreadable,
            streams_silent=counts[Unserved.SILENT],
            streams_unproven=counts[Unserved.UNPROVEN],
            streams_quiet=total(lambda feed: len(feed.driver.silence.quiet)),
            streams_learned=total(lambda feed: feed.driver.silence.learned),
            data_expected=shard.data_expected,
            market_quiet=shard.market_quiet,
            look_wanted=shard.look_wanted,
            streams=total(lambda feed: len(feed.driver.lines.names)),
            streams_refused_count=len(shard.refused),
            streams_refused=dict(itertools.islice(shard.refused.items(), NAMED)),
            streams_seen=total(lambda feed: feed.driver.topics.streams_seen),
            lines=[_line(feed.driver) for feed in shard],
            received=dict(_received(shard)),
            latency_us=LatencyUs(*self._recent.quantiles_us(QUANTILES, time.monotonic_ns())),
            topics_unserved=dict(itertools.islice(unserved.items(), NAMED)),
        )

    def _observe_latency(self, latency_ns: int) -> None:
        self._latency.observe(latency_ns)
        if latency_ns < 0:
            self._venue_clock.was_ahead(-latency_ns, time.monotonic_ns())

    def _flush_metrics(self, shard: Shard, bundle_sender: BundleSender) -> None:
        total, by_label = shard.total, shard.by_label
        events = _received(shard)
        self._instruments.flush(
            {
                "k2_binance_connection_rotations": by_label(lambda feed: feed.driver.rotations),
                "k2_binance_connection_lifetime_seconds": shard.lifetime_s,
                "k2_binance_connection_next_rotation_seconds": shard.next_rotation_s,
                "k2_binance_connection_up": float(shard.live),
                "k2_binance_reconnects": by_label(lambda feed: feed.driver.reconnects),
                "k2_events_received": events,
                "k2_last_event_timestamp_seconds": self._last_events.look(events, time.time()),
                "k2_duplicates_dropped": by_label(lambda feed: feed.intake.duplicates_by_kind()),
                "k2_outliers_dropped": by_label(lambda feed: feed.intake.outliers_by_kind()),
                "k2_agg_links_broken": total(lambda feed: feed.intake.links_broken),
                "k2_gaps": by_label(lambda feed: feed.intake.gaps_by_kind()),
                "k2_missing_ids": total(lambda feed: feed.intake.missing),
                "k2_messages_dropped": by_label(lambda feed: feed.intake.dropped.counts),
                "k2_messages_unreadable": by_label(lambda feed: feed.intake.unreadable_by_kind()),
                "k2_native_messages": by_label(lambda feed: feed.intake.taken_natively()),
                "k2_native_fallbacks": by_label(lambda feed: feed.intake.left_to_python()),
                "k2_bytes_received": total(lambda feed: feed.driver.lines.traffic[0]),
                "k2_frames_received": total(lambda feed: feed.driver.lines.traffic[1]),
                "k2_push_queue_bundles": bundle_sender.counters.pending_bundles,
                "k2_push_back_pressured": bundle_sender.counters.back_pressured,
                "k2_push_refused": bundle_sender.counters.bundles_refused,
                "k2_push_kept_bytes": bundle_sender.counters.kept_bytes,
                "k2_push_resent": bundle_sender.counters.resent,
                "k2_push_forgotten": bundle_sender.counters.forgotten,
                "k2_rest_requests": shard.requests,
                "k2_rest_rows_dropped": shard.rows_dropped,
                "k2_streams_silent": total(lambda feed: len(feed.driver.silence.silent)),
                "k2_streams_unproven": total(lambda feed: len(feed.driver.silence.unproven)),
                "k2_streams_quiet": total(lambda feed: len(feed.driver.silence.quiet)),
                "k2_streams_refused": len(shard.refused),
                "k2_subscriptions_lost": total(lambda feed: feed.driver.lines.subscriptions.lost),
                "k2_holes_waiting": total(lambda feed: feed.backfiller.repairs.planner.waiting),
                "k2_gaps_doubted": total(lambda feed: feed.backfiller.repairs.gaps_doubted),
                "k2_books_missing": total(lambda feed: feed.intake.books_missing(feed.driver.silence.at_rest)),
                "k2_topics": total(lambda feed: len(feed.intake.standing)),
                "k2_receive_latency_seconds": self._latency,
                "k2_venue_clock_ahead_seconds": self._venue_clock.ahead_s(time.monotonic_ns()),
                "k2_duty_failures": every.failures,
                "k2_log_lines_dropped": outlet.dropped(),
            }
        )


def _received(shard: Shard) -> Mapping[str, int]:
    """Events so far, by kind."""
    return {**shard.by_label(lambda feed: feed.intake.events_by_kind()), **shard.polling.events}


def _line(driver: Driver) -> LineStatus:
    return LineStatus(
        route=driver.route.name,
        state=driver.machine.state.value,
        live=driver.live,
        age_s=round(driver.lifetime_s, 1),
        next_rotation_s=round(driver.next_rotation_s, 1),
        failure=driver.lines.failure,
    )


def _counters(shard: Shard) -> dict[str, int]:
    return msgspec.structs.asdict(
        WorkerCounters(
            events_received=shard.total(lambda feed: feed.intake.events) + shard.polling.events.total(),
            duplicates=shard.total(lambda feed: feed.intake.duplicates),
            gaps=shard.total(lambda feed: feed.intake.gaps),
        )
    )


def main(name: str, control_endpoint: str, settings: WorkerSettings) -> None:
    """Entry of the worker process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    structlog.contextvars.bind_contextvars(shard=settings.feed.shard)
    event_loop.run(_run(name, control_endpoint, settings))


async def _run(name: str, control_endpoint: str, settings: WorkerSettings) -> None:
    await Worker(name, control_endpoint, settings).run()
