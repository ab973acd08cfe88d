"""Owns the aggregator process: bundles of all workers in, numbered batches out to any number of subscribers."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import msgspec
import structlog
import uvloop
import zmq

from k2workers import log, wire
from k2workers.events import Heartbeat
from k2workers.metrics.instruments import AGGREGATOR, Instruments, LatencyHistogram
from k2workers.sequencing.sequencer import Sequencer
from k2workers.supervision import control
from k2workers.supervision.child import guard_parent
from k2workers.transport.publisher import Publisher
from k2workers.transport.pull import BatchPuller
from k2workers.transport.replay import LastValues, LastValueServer
from k2workers.transport.subscriber import HEARTBEAT_TOPIC

HEARTBEAT_S = 0.25
QUIET_S = 0.2
"""A draining aggregator is done when no bundle has come for this long: the workers have gone before it."""

DRAIN_LIMIT_S = 2.0

_log = structlog.get_logger(__name__)


class AggregatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where it pulls and publishes, and how much may wait for a slow subscriber (batches)."""

    pull_endpoint: str
    publish_endpoint: str
    snapshot_endpoint: str
    subscriber_high_water_mark: int = 100_000
    environment: str = "dev"
    log_level: str = "info"
    log_format: str = "auto"


class Aggregator:
    """The data path: ``on_bundle`` numbers and publishes every batch. Sockets open at construction."""

    def __init__(self, settings: AggregatorSettings, epoch: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.sequencer = Sequencer(epoch)
        self.last_values = LastValues()
        self.latency = LatencyHistogram()
        self.batches = 0
        self.bytes = 0
        self.unreadable = 0
        self.heard_ns = time.monotonic_ns()
        self.publisher = Publisher(
            self._context, settings.publish_endpoint, high_water_mark=settings.subscriber_high_water_mark
        )
        self.snapshots = LastValueServer(self._context, settings.snapshot_endpoint, self.last_values)
        self.puller = BatchPuller(self._context, settings.pull_endpoint)

    def start(self) -> None:
        """Begin to pull and publish, inside the running loop."""
        self.snapshots.start()
        self.puller.start(self.on_bundle)

    def on_bundle(self, frames: list[bytes]) -> None:
        """Number and publish the batches of one bundle."""
        now_ns = time.time_ns()
        for frame in frames:
            try:
                stamped = self.sequencer.stamp(frame, now_ns)
            except wire.WireError as error:
                self.unreadable += 1
                _log.error("batch_unreadable", error=str(error), total=self.unreadable)
                continue
            for outgoing in stamped:
                self.publisher.publish(outgoing)
                self.batches += 1
                self.bytes += len(outgoing)
            if stamped:
                topic = frame[: frame.index(b" ")].decode()
                self.last_values.put(topic, stamped[-1])
                received_ns = wire.newest_received_ns(frame)
                if received_ns is not None:
                    self.latency.observe(now_ns - received_ns)
        self.heard_ns = time.monotonic_ns()

    def heartbeat(self) -> None:
        """Tell subscribers that we live, and read the news of subscriptions."""
        now_ns = time.time_ns()
        for frame in self.sequencer.stamp(wire.encode_batch(HEARTBEAT_TOPIC, [Heartbeat(now_ns)]), now_ns):
            self.publisher.publish(frame)
        self.publisher.subscriptions()

    async def drain(self) -> None:
        """Publish what still comes, until nothing has come for a moment."""
        deadline_s = time.monotonic() + DRAIN_LIMIT_S
        while time.monotonic() < deadline_s and time.monotonic_ns() - self.heard_ns < QUIET_S * 1e9:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Close all sockets; what subscribers can still take within the linger time reaches them."""
        self.puller.close()
        self.snapshots.close()
        self.publisher.close()
        self._context.term()

    def summary(self) -> dict[str, object]:
        """Everything counted so far, for the report."""
        return {
            "events_published": self.sequencer.events,
            "gaps": self.sequencer.gaps,
            "old_events": self.sequencer.old_events,
            "latency_us": {
                name: self.latency.quantile_us(quantile)
                for name, quantile in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
            },
            "continuity": [
                {
                    "topic": topic,
                    "first_id": state.first_id,
                    "last_id": state.last_id,
                    "count": state.count,
                    "missing": state.missing,
                }
                for topic, state in sorted(self.sequencer.topics.items())
                if state.chained
            ],
        }


def main(name: str, control_endpoint: str, settings: AggregatorSettings) -> None:
    """Entry of the aggregator process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.configure(settings.log_level, settings.log_format, process=name)
    uvloop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: AggregatorSettings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    guard_parent(lambda: loop.call_soon_threadsafe(stop.set))
    aggregator = Aggregator(settings, epoch=time.time_ns())
    aggregator.start()
    client = control.ControlClient(name, control_endpoint)
    await client.start(lambda message: stop.set() if isinstance(message, control.Drain | control.Stop) else None)
    client.send(
        control.Record(
            name,
            "listening",
            {"publish": aggregator.publisher.endpoint, "snapshot": aggregator.snapshots.endpoint},
        )
    )
    client.send(control.Ready(name))
    instruments = Instruments(AGGREGATOR, environment=settings.environment, component="aggregator")
    steady = loop.create_task(_steady(aggregator, client, instruments))
    await stop.wait()
    await aggregator.drain()
    steady.cancel()
    _flush(aggregator, instruments)
    client.send(control.Record(name, "published", aggregator.summary()))
    aggregator.close()
    await client.close()


async def _steady(aggregator: Aggregator, client: control.ControlClient, instruments: Instruments) -> None:
    turn = 0
    while True:
        aggregator.heartbeat()
        if turn % 2 == 0:
            sequencer = aggregator.sequencer
            counters: dict[str, int | float] = {
                "events_published": sequencer.events,
                "gaps": sequencer.gaps,
                "old_events": sequencer.old_events,
            }
            client.send(control.Beat(client.name, os.getpid(), counters, {"topics": len(sequencer.topics)}))
        if turn % 4 == 0:
            _flush(aggregator, instruments)
        turn += 1
        await asyncio.sleep(HEARTBEAT_S)


def _flush(aggregator: Aggregator, instruments: Instruments) -> None:
    sequencer = aggregator.sequencer
    instruments.flush(
        {
            "k2_events_published": sequencer.events,
            "k2_batches_published": aggregator.batches,
            "k2_bytes_published": aggregator.bytes,
            "k2_sequence_gaps": sequencer.gaps,
            "k2_old_events_dropped": sequencer.old_events,
            "k2_published_topics": len(sequencer.topics),
            "k2_publish_latency_seconds": aggregator.latency,
        }
    )
