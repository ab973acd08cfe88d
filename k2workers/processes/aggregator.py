"""Owns the aggregator process: bundles of all workers in, numbered batches out to any number of subscribers."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import msgspec
import structlog
import zmq

from k2workers import event_loop, every, wire
from k2workers.continuity import RECORDS
from k2workers.events import HEARTBEAT_TOPIC, Heartbeat
from k2workers.every import Every
from k2workers.files.checkpoint import Checkpoint
from k2workers.files.checkpoint_file import CheckpointFile
from k2workers.logs import log, outlet
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import AGGREGATOR
from k2workers.metrics.latency import LatencyHistogram, RecentLatency
from k2workers.processes import subscriber_figures
from k2workers.processes.child_settings import AggregatorSettings
from k2workers.processes.child_status import (
    QUANTILES,
    AggregatorStatus,
    GapFigures,
    LatencyUs,
    Published,
    TopicContinuity,
)
from k2workers.sequencing import native_sequencer
from k2workers.sequencing.sequencer import Sequencer
from k2workers.supervision.child import settle_memory
from k2workers.supervision.child_process import ChildProcess
from k2workers.transport.bundle_protocol import BUNDLE_BEGIN, MAKER
from k2workers.transport.bundle_receiver import BundleReceiver
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.peer_watch import LOOK_S
from k2workers.transport.publisher import Publisher
from k2workers.transport.relay import SALTS, Relay, begun
from k2workers.transport.replay_server import POLICY, ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.transport.sockets import restore_paths

HEARTBEAT_S = 0.25
PLACES_S = 0.5
CHECKPOINT_S = 1.0

QUIET_S = 0.2
"""A draining aggregator is done when no bundle has come for this long: the workers have gone before it."""

DRAIN_LIMIT_S = 2.0
MAX_NAMED = 20
"""Subscribers that are named in a beat (those furthest behind), and topics with open gaps."""

_log = structlog.get_logger(__name__)


def _numbers(earlier: Checkpoint, *, native: bool) -> Sequencer:
    """Those of this life, after the last checkpoint."""
    return begun(
        earlier.epoch,
        earlier.positions,
        time.time_ns(),
        secrets.randbelow(SALTS),
        earlier.tally,
        native_sequencer.sequencer if native else Sequencer,
    )


class Aggregator:
    """The sockets of the data path, open at construction, with the clock; what becomes of bundles is decided in ``transport/relay.py``."""

    def __init__(self, settings: AggregatorSettings) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.checkpoint_file = CheckpointFile(
            Path(settings.checkpoint), settings.sources, settings.checkpoint_max_age_s, settings.run
        )
        self.sequencer = _numbers(self.checkpoint_file.read(), native=settings.native)
        self.latency = LatencyHistogram()
        self._recent = RecentLatency(self.latency)
        self.heartbeats = 0
        self._received_ns: int | None = None
        """When the first bundle of this turn was read from its worker's socket."""
        self._heard = False
        """Whether a bundle of a worker came in this turn; for those who make theirs of what is published no drain waits."""
        self.heard_ns = time.monotonic_ns()
        self.publisher = Publisher(
            self._context,
            settings.publish_endpoint,
            high_water_mark=settings.subscriber_high_water_mark,
            # More than that nobody could be given again.
            policy=PeerPolicy(owed_bytes=settings.replay_bytes, connections=settings.connections),
            screened_in=settings.screened_in,
        )
        self.ring = ReplayRing(settings.replay_bytes, int(settings.replay_age_s * 1e9))
        self.snapshots = ReplayServer(
            self._context,
            settings.snapshot_endpoint,
            self.ring,
            self.sequencer.epoch,
            policy=msgspec.structs.replace(POLICY, connections=settings.connections),
            screened_in=settings.screened_in,
            disk_ring=settings.ring_on_disk,
        )
        self.bundle_receiver = BundleReceiver(self._context, settings.bundle_endpoint)
        self.relay = Relay(
            self.sequencer, self.ring, self.bundle_receiver, self.checkpoint_file, self.publisher.publish
        )
        self._duties = self._made_duties()

    def _made_duties(self) -> tuple[Every, ...]:
        return (
            Every(HEARTBEAT_S, self.heartbeat, "heartbeat"),
            Every(LOOK_S, self.look, "peers", give_up=None),
            Every(CHECKPOINT_S, lambda: self.relay.checkpoint(time.monotonic_ns()), "checkpoint"),
        )

    def start(self) -> None:
        """Begin to receive and publish, inside the running loop."""
        self.publisher.start()
        self.snapshots.start()
        self.bundle_receiver.start(self.on_bundle, self.publish, self.relay.hello, self.on_frame)
        for duty in self._duties:
            duty.start()

    def on_frame(self, worker: bytes, frame: bytes) -> bool:
        """Take one bundle as it is, if it simply continues: whether it was; it is published at the end of the turn."""
        if not self.relay.take_plain(frame, BUNDLE_BEGIN):
            return False
        if not worker.startswith(MAKER):
            if self._received_ns is None:
                self._received_ns = wire.newest_received_ns(frame)
            self._heard = True
        return True

    def on_bundle(self, worker: bytes, batches: list[wire.Batch]) -> None:
        """Take one bundle; it is published at the end of the turn."""
        relay = self.relay
        relay.take(worker, batches, time.time_ns())
        if relay.cause:
            _log.error("batch_unreadable", error=relay.cause, total=relay.unreadable)
            relay.cause = ""
        if worker.startswith(MAKER):
            return
        if self._received_ns is None and batches:
            self._received_ns = wire.newest_received_ns(batches[-1].events)
        self._heard = True

    def publish(self) -> None:
        """Number and publish what was received since the last call."""
        published_ns, now_ns = time.time_ns(), time.monotonic_ns()
        self.relay.publish(published_ns, now_ns)
        if self._heard:
            self._heard, self.heard_ns = False, now_ns
        # The first bundle of a turn waited longest, and all of it was read from the worker's socket at the same time.
        if self._received_ns is not None:
            self.latency.observe(published_ns - self._received_ns)
            self._received_ns = None

    async def last_checkpoint(self) -> None:
        """Write where every topic stands, once everything has been given to subscribers."""
        await self.checkpoint_file.settle()
        self.checkpoint_file.save(self.sequencer.epoch, self.sequencer.positions(), self.sequencer.tally())
        await self.checkpoint_file.settle()

    def heartbeat(self) -> None:
        """Publish a heartbeat."""
        self.heartbeats += 1
        beat, now_ns = self.heartbeats, time.time_ns()
        batch = wire.batch_of(HEARTBEAT_TOPIC, [Heartbeat(now_ns)], RECORDS.number)
        self.publisher.publish(wire.publication(batch, epoch=self.sequencer.epoch, sequence=beat, publish_ns=now_ns))
        self.ring.expire(time.monotonic_ns())

    def look(self) -> None:
        """Cut loose what does harm to the sockets that anybody may reach."""
        self.publisher.look()
        self.snapshots.watch.look()

    def status(self) -> AggregatorStatus:
        """How it stands now."""
        totals, now_ns = self.sequencer.tally().totals(), time.monotonic_ns()
        return AggregatorStatus(
            events_published=totals.pop("events"),
            subscribers=subscriber_figures.shown(self.publisher, self.snapshots, now_ns),
            gaps=GapFigures(gaps_open=self.sequencer.gaps_open, **totals),
            missing=self.sequencer.missing(MAX_NAMED),
            topics=len(self.sequencer.topics),
            ring_bytes=self.ring.bytes,
            latency_us=LatencyUs(*self._recent.quantiles_us(QUANTILES, now_ns)),
        )

    async def drain(self) -> None:
        """Publish what still comes, until nothing has come for a moment; then cease."""
        deadline_s = time.monotonic() + DRAIN_LIMIT_S
        while time.monotonic() < deadline_s and time.monotonic_ns() - self.heard_ns < QUIET_S * 1e9:
            await asyncio.sleep(0.02)
        for duty in self._duties:
            duty.stop()

    async def close(self) -> None:
        """Close all sockets; what subscribers can still take within the linger time reaches them."""
        self.bundle_receiver.close()
        self.snapshots.close()
        self.publisher.close()
        await asyncio.to_thread(self._context.term)  # what lingers may pass through this loop
        for port in (self.snapshots.port, self.publisher.port):
            await port.settle()

    def published(self) -> Published:
        """Everything counted so far, for the report."""
        totals = self.sequencer.tally().totals()
        return Published(
            events_published=totals.pop("events"),
            **totals,
            gaps_open=self.sequencer.gaps_open,
            latency_us=LatencyUs(*map(self.latency.quantile_us, QUANTILES)),
            continuity=[
                TopicContinuity(
                    topic=topic,
                    first_id=state.first_id,
                    last_id=state.last_id,
                    count=state.count,
                    missing=state.open.ids,
                    guarantee=state.continuity.guarantee.value,
                )
                for topic, state in sorted(self.sequencer.topics.items())
                if state.chained
            ],
        )


def main(name: str, control_endpoint: str, settings: AggregatorSettings) -> None:
    """Entry of the aggregator process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    event_loop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: AggregatorSettings) -> None:
    aggregator = Aggregator(settings)
    aggregator.start()
    async with ChildProcess(name, control_endpoint) as child:
        child.tell("listening", {"publish": aggregator.publisher.endpoint, "snapshot": aggregator.snapshots.endpoint})
        child.ready()
        settle_memory()
        instruments = Instruments(AGGREGATOR, environment=settings.environment, component="aggregator")
        child.beats(aggregator.status)
        child.metrics(lambda: _flush(aggregator, instruments))
        child.does(Every(PLACES_S, restore_paths, "places", give_up=None))
        await child.stopping.wait()
        await aggregator.drain()
        await aggregator.last_checkpoint()
        child.tell("published", msgspec.to_builtins(aggregator.published()))
    await aggregator.close()


def _flush(aggregator: Aggregator, instruments: Instruments) -> None:
    sequencer = aggregator.sequencer
    instruments.flush(
        {
            "k2_events_published": sequencer.events,
            "k2_batches_published": aggregator.relay.batches,
            "k2_bytes_published": aggregator.relay.bytes,
            "k2_gaps_published": sequencer.gaps,
            "k2_gaps_open": sequencer.gaps_open,
            "k2_repaired_ids": sequencer.repaired_ids,
            "k2_void_ids": sequencer.void_ids,
            "k2_gaps_given_up": {
                "yes": sequencer.gaps_given_up - sequencer.unproven_gaps_given_up,
                "no": sequencer.unproven_gaps_given_up,
            },
            "k2_resets": sequencer.resets,
            "k2_replay_ring_bytes": aggregator.ring.bytes,
            "k2_replayed_batches": aggregator.snapshots.replayed,
            "k2_checkpoint_failures": aggregator.checkpoint_file.failures,
            "k2_batches_unreadable": aggregator.relay.unreadable,
            "k2_old_events_dropped": sequencer.old_events,
            "k2_native_bundles": sequencer.plain_bundles,
            "k2_native_bundle_fallbacks": sequencer.left_bundles,
            "k2_published_topics": len(sequencer.topics),
            "k2_publish_latency_seconds": aggregator.latency,
            **subscriber_figures.counted(aggregator.publisher, aggregator.snapshots, time.monotonic_ns()),
            "k2_duty_failures": every.failures,
            "k2_log_lines_dropped": outlet.dropped(),
        }
    )
