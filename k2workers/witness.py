"""Owns the independent count under ``--demo``: a subscriber like any other, in a process of its own.

It knows only what it received over ZeroMQ. ``compare`` holds that against what the exchange says it sent; neither side
asks the pipeline about itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any

import msgspec
import uvloop

from k2workers import log
from k2workers.events import CHAINED, SCHEMA_OF, Gap
from k2workers.supervision import control
from k2workers.supervision.child import guard_parent
from k2workers.transport.subscriber import Lost, Message, Subscriber

QUIET_S = 0.3
SUBSCRIBE_S = 10.0


class WitnessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to subscribe, and to which prefix."""

    endpoint: str
    prefix: str
    log_level: str = "info"
    log_format: str = "auto"


class TopicCount(msgspec.Struct):
    """What arrived of one topic. ``ranges`` are the ids of a chained topic, joined while they follow on."""

    received: int = 0
    duplicated: int = 0
    reordered: int = 0
    gaps: int = 0
    last_id: int = -1
    ranges: list[list[int]] = msgspec.field(default_factory=list)


class Witness:
    """Counts messages by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, TopicCount] = {}
        self.lost_batches = 0

    def take(self, item: Message | Lost) -> None:
        """Count one item of the subscription."""
        if isinstance(item, Lost):
            self.lost_batches += item.count
            return
        count = self.topics.setdefault(item.topic, TopicCount())
        event = item.event
        if isinstance(event, Gap):
            count.gaps += 1
            return
        first_id, last_id = event.first_id, event.last_id
        if first_id <= count.last_id:
            covered = any(low <= first_id and last_id <= high for low, high in count.ranges)
            if covered or SCHEMA_OF[type(event)] not in CHAINED:
                count.duplicated += 1
                return
            count.reordered += 1
        count.received += 1
        if SCHEMA_OF[type(event)] in CHAINED:
            if count.ranges and first_id == count.ranges[-1][1] + 1:
                count.ranges[-1][1] = last_id
            else:
                count.ranges.append([first_id, last_id])
        count.last_id = max(count.last_id, last_id)

    def result(self) -> dict[str, Any]:
        """The count, as plain data."""
        return {"topics": msgspec.to_builtins(self.topics), "lost_batches": self.lost_batches}


def compare(emitted: Mapping[str, Mapping[str, Any]], received: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Both counts by topic → {emitted, received, lost, duplicated, reordered} over all topics.

    Lost are events: where both sides know id ranges, ids that were sent and are in no received range also count, so
    that a wrong event cannot stand in for a missing one.
    """
    totals = {"emitted": 0, "received": 0, "lost": 0, "duplicated": 0, "reordered": 0}
    for topic, sent in emitted.items():
        got = received.get(topic, {})
        arrived = int(got.get("received", 0))
        missing_events = max(0, int(sent["emitted"]) - arrived)
        missing_ids = _uncovered(sent.get("ranges") or [], got.get("ranges") or [])
        totals["emitted"] += int(sent["emitted"])
        totals["received"] += arrived
        totals["lost"] += missing_events or min(missing_ids, int(sent["emitted"]))
        totals["duplicated"] += int(got.get("duplicated", 0)) + max(0, arrived - int(sent["emitted"]))
        totals["reordered"] += int(got.get("reordered", 0))
    return totals


def _uncovered(sent: list[list[int]], got: list[list[int]]) -> int:
    """How many ids of ``sent`` are in no range of ``got``."""
    missing = 0
    have = sorted(got)
    for first, last in sent:
        at = first
        for low, high in have:
            if high < at:
                continue
            if low > last:
                break
            missing += max(0, low - at)
            at = max(at, high + 1)
        missing += max(0, last + 1 - at)
    return missing


def main(name: str, control_endpoint: str, settings: WitnessSettings) -> None:
    """Entry of the witness process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.configure(settings.log_level, settings.log_format, process=name)
    uvloop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: WitnessSettings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    guard_parent(lambda: loop.call_soon_threadsafe(stop.set))
    client = control.ControlClient(name, control_endpoint)
    await client.start(lambda message: stop.set() if isinstance(message, control.Drain | control.Stop) else None)
    witness = Witness()
    async with Subscriber([settings.prefix], settings.endpoint, high_water_mark=1_000_000) as subscriber:
        await subscriber.wait_subscribed(SUBSCRIBE_S)
        client.send(control.Ready(name))
        beating = loop.create_task(_beat(client))
        stopping = loop.create_task(stop.wait())
        while not stopping.done():
            await _take_until_quiet(witness, subscriber, stopping)
        await _take_until_quiet(witness, subscriber, None)
        beating.cancel()
    client.send(control.Record(name, "received", witness.result()))
    await client.close()


async def _take_until_quiet(witness: Witness, subscriber: Subscriber, stopping: asyncio.Task[Any] | None) -> None:
    """Count what comes; return once nothing has come for a moment, or soon after ``stopping`` is done."""
    while stopping is None or not stopping.done():
        try:
            async with asyncio.timeout(QUIET_S):
                item = await anext(subscriber)
        except TimeoutError:
            return
        witness.take(item)


async def _beat(client: control.ControlClient) -> None:
    while True:
        client.send(control.Beat(client.name, os.getpid(), {}, {}))
        await asyncio.sleep(0.5)
