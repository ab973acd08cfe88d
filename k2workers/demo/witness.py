"""Owns the independent count under ``--demo``: a subscriber like any other, in a process of its own.

It knows only what it received over ZeroMQ. ``compare`` compares that with what the exchange says it sent; neither side asks the
pipeline about itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from k2workers import event_loop
from k2workers.continuity import Continuity
from k2workers.demo.demo_settings import WitnessSettings
from k2workers.events import Backfilled, BookSnapshot, Event, Gap, GivenUp, Kline, Reset, Void
from k2workers.logs import log
from k2workers.sequencing.ranges import IdRanges
from k2workers.supervision.child_process import ChildProcess
from k2workers.transport.deliveries import Lost
from k2workers.transport.items import Message
from k2workers.transport.subscriber import Subscriber

QUIET_S = 0.3
SUBSCRIBE_S = 60.0
_NEVER_NS = 2**63 - 1


class TopicCount(msgspec.Struct):
    """What arrived of one topic.

    ``ranges`` are the ids that arrived of a chained topic, ``announced`` those in its gaps and losses, ``voids`` those that never
    existed. ``backfilled`` events came late, for a gap announced before; they count as received too.
    """

    received: int = 0
    duplicated: int = 0
    reordered: int = 0
    gaps: int = 0
    backfilled: int = 0
    snapshots: int = 0
    last_id: int = -1
    last_time_ns: int = -1
    ranges: IdRanges = msgspec.field(default_factory=IdRanges)
    announced: IdRanges = msgspec.field(default_factory=IdRanges)
    voids: IdRanges = msgspec.field(default_factory=IdRanges)

    def take(self, event: Event, continuity: Continuity) -> None:
        """Count one event of a topic whose ids continue like this."""
        if isinstance(event, Gap):
            self.gaps += 1
            self.announced.add(event.first_id, event.last_id)
        elif isinstance(event, GivenUp):
            self.announced.add(event.first_id, event.last_id)
        elif isinstance(event, Reset):
            self.last_id, self.ranges, self.announced, self.voids = -1, IdRanges(), IdRanges(), IdRanges()
        elif isinstance(event, Void):
            self.voids.add(event.first_id, event.last_id)
        elif isinstance(event, BookSnapshot):
            self._count_book(event)
        elif isinstance(event, Backfilled):
            self.backfilled += 1
            self._count_ids(event.event, late=True)
        elif isinstance(event, Kline):
            self._count_bar(event)
        elif continuity.chained:
            self._count_ids(event, late=False)
        elif event.first_id <= self.last_id:
            self.duplicated += 1
        else:
            self.received += 1
            self.last_id = event.last_id

    def _count_ids(self, event: Event, *, late: bool) -> None:
        first_id, last_id = event.first_id, event.last_id
        if not isinstance(event, Kline) and self.ranges.within(first_id, last_id):
            self.duplicated += 1
            return
        self.received += 1
        if first_id <= self.last_id and not late:
            self.reordered += 1
        self.last_id = max(self.last_id, last_id)
        self.ranges.add(first_id, last_id)

    def _count_book(self, book: BookSnapshot) -> None:
        self.snapshots += 1
        # It stands for the changes before it that did not come.
        if self.last_id < book.last_id:
            self.announced.add(max(0, self.last_id + 1), book.last_id)
        self.last_id = max(self.last_id, book.last_id)

    def _count_bar(self, bar: Kline) -> None:
        # A bar has many states: the same open time is right as long as the venue's time moves on, or the final state comes.
        time_ns = _NEVER_NS if bar.final else bar.venue_time_ns
        if bar.open_time_ns < self.last_id:
            self.reordered += 1
        elif bar.open_time_ns == self.last_id and time_ns <= self.last_time_ns:
            self.duplicated += 1
        else:
            self.received += 1
            self.last_id, self.last_time_ns = bar.open_time_ns, time_ns

    def as_data(self) -> dict[str, Any]:
        """Plain data."""
        return {
            field: list(value) if isinstance(value := getattr(self, field), IdRanges) else value
            for field in self.__struct_fields__
        }


class Witness:
    """Counts messages by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, TopicCount] = {}
        self.lost_batches = 0

    def take(self, item: Message | Lost) -> None:
        """Count one item of the subscription."""
        if isinstance(item, Lost):
            self.lost_batches += item.count
            if item.first_id is not None and item.last_id is not None:
                self.topics.setdefault(item.topic, TopicCount()).announced.add(item.first_id, item.last_id)
        else:
            self.topics.setdefault(item.topic, TopicCount()).take(item.event, item.continuity)

    def result(self) -> dict[str, Any]:
        """The count, as plain data."""
        return {"topics": {t: count.as_data() for t, count in self.topics.items()}, "lost_batches": self.lost_batches}


class Comparison(msgspec.Struct):
    """Both counts of some topics. ``lost`` are events; ``unannounced`` are lost ids that no gap has named."""

    emitted: int = 0
    received: int = 0
    lost: int = 0
    unannounced: int = 0
    duplicated: int = 0
    reordered: int = 0

    def add(self, sent: Mapping[str, Any], got: Mapping[str, Any]) -> None:
        """Add one topic: what the exchange says it sent, and what arrived."""
        emitted, arrived = int(sent["emitted"]), int(got.get("received", 0))
        self.emitted += emitted
        self.received += arrived
        self.duplicated += int(got.get("duplicated", 0))
        self.reordered += int(got.get("reordered", 0))
        if not sent.get("ranges"):
            self.lost += max(0, emitted - arrived)
            return
        # Ids tell more than counts: a wrong event cannot stand in for a missing one.
        missing = IdRanges((first, last) for first, last in sent["ranges"])
        one_id_each = missing.ids == emitted
        for first, last in got.get("ranges", ()):
            missing.remove(first, last)
        self.lost += missing.ids if one_id_each else max(emitted - arrived, min(1, missing.ids))
        for first, last in got.get("announced", ()):
            missing.remove(first, last)
        self.unannounced += missing.ids


def compare(emitted: Mapping[str, Mapping[str, Any]], received: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Both counts by topic → {emitted, received, lost, unannounced, duplicated, reordered}, and the same by kind."""
    total, kinds = Comparison(), dict[str, Comparison]()
    for topic, sent in emitted.items():
        got = received.get(topic, {})
        total.add(sent, got)
        kinds.setdefault(topic.split(".")[1], Comparison()).add(sent, got)
    return {**msgspec.to_builtins(total), "by_kind": msgspec.to_builtins(kinds)}


def main(name: str, control_endpoint: str, settings: WitnessSettings) -> None:
    """Entry of the witness process."""
    log.configure(settings.logs.level, settings.logs.format, process=name)
    event_loop.run(_serve(name, control_endpoint, settings))


async def _serve(name: str, control_endpoint: str, settings: WitnessSettings) -> None:
    witness = Witness()
    subscriber = Subscriber(
        settings.prefixes,
        settings.endpoint,
        snapshot_endpoint=settings.snapshot_endpoint,
        books_endpoint=None,  # it counts every change, also before the first book
        high_water_mark=1_000_000,
        name="witness",
    )
    async with ChildProcess(name, control_endpoint) as child, subscriber:
        child.beats()
        await subscriber.wait_subscribed(SUBSCRIBE_S)
        child.ready()
        while not child.stopping.is_set():
            await _take_until_quiet(witness, subscriber, child.stopping)
        await _take_until_quiet(witness, subscriber, None)
        child.tell("received", witness.result())


async def _take_until_quiet(witness: Witness, subscriber: Subscriber, stopping: asyncio.Event | None) -> None:
    """Count what comes; return once nothing has come for a moment, or soon after ``stopping`` is set."""
    while stopping is None or not stopping.is_set():
        try:
            async with asyncio.timeout(QUIET_S):
                item = await anext(subscriber)
        except TimeoutError:
            return
        witness.take(item)
