"""Owns who is subscribed to what, the frames on their way, and the count of what was really sent.

An event counts as emitted if its frame was given to at least one open, subscribed connection, or withheld from it by a
fault. Of streams whose ids form a chain, what happened while nobody listened counts too, once somebody listens again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from k2workers.simulator.damage import damaged, frame
from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.heads import Heads
from k2workers.simulator.stand_in import Emission, Form, Streams


class HubConnection(Protocol):
    """A connection as the hub sees it."""

    pending: list[bytes]
    delayed: list[bytes]
    muted: str | None
    """Streams whose names end so are subscribed, count as sent, and never come."""

    @property
    def open(self) -> bool: ...

    @property
    def form(self) -> Form: ...

    def flush(self) -> None: ...


MOST_RANGES = 1_000
"""Of each stream. The oldest are forgotten, and counted as forgotten, if a chain breaks more often than that."""


class Truth:
    """What was sent of one stream: how many events, which ids; ranges only where ids form a chain."""

    __slots__ = (
        "_unheard", "_unheard_events", "chained", "emitted", "first_id", "kind", "last_id", "lives", "ranges",
        "ranges_forgotten",
    )  # fmt: skip

    def __init__(self, kind: str, *, chained: bool) -> None:
        self.kind = kind
        self.chained = chained
        self.emitted = 0
        self.first_id = self.last_id = -1
        self.lives = 0
        """How often the ids began anew; ranges are those of the last life."""
        self.ranges: list[list[int]] = []
        self.ranges_forgotten = 0
        self._unheard: list[list[int]] = []
        self._unheard_events = 0

    def count(self, first_id: int, last_id: int) -> None:
        """Records one sent event, and before it what nobody heard."""
        if self._unheard_events:
            self._count_unheard()
        if last_id < self.last_id:
            self.lives += 1
            self.ranges.clear()
        if not self.emitted:
            self.first_id = first_id
        self.emitted += 1
        if self.chained:
            self._extend(self.ranges, first_id, last_id)
        self.last_id = last_id

    def miss(self, first_id: int, last_id: int) -> None:
        """Notes an event of a chain that nobody heard; it counts once somebody listens again."""
        self._unheard_events += 1
        self._extend(self._unheard, first_id, last_id)

    def _count_unheard(self) -> None:
        self.emitted += self._unheard_events
        for first, last in self._unheard:
            self._extend(self.ranges, first, last)
        self._unheard_events = 0
        self._unheard.clear()

    def _extend(self, ranges: list[list[int]], first_id: int, last_id: int) -> None:
        if ranges and ranges[-1][1] + 1 == first_id:
            ranges[-1][1] = last_id
            return
        ranges.append([first_id, last_id])
        if len(ranges) > MOST_RANGES:
            del ranges[0]
            self.ranges_forgotten += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "emitted": self.emitted,
            "first_id": self.first_id,
            "last_id": self.last_id,
            "ranges": self.ranges,
            "ranges_forgotten": self.ranges_forgotten,
        }


class Hub:
    """Delivers each event to the connections that want it: one text per form, one write per tick."""

    def __init__(self, faults: FaultSet, streams: Streams) -> None:
        self.wanted: set[str] = set()
        self.truth: dict[str, Truth] = {}
        self.events = 0
        self.heads = Heads()
        self._faults = faults
        self._streams = streams
        self._subscribers: dict[str, dict[HubConnection, None]] = {}

    def subscribe(self, connection: HubConnection, names: Iterable[str]) -> None:
        """Adds subscriptions; a repeated one changes nothing."""
        for name in names:
            self._subscribers.setdefault(name, {})[connection] = None
            self.wanted.add(name)

    def unsubscribe(self, connection: HubConnection, names: Iterable[str]) -> None:
        """Ends subscriptions; unknown ones are ignored, as the venue does. The market of a stream goes on without them.

        A name that never brought an event is forgotten with its last subscriber: clients may ask for any number of them.
        """
        for name in names:
            holders = self._subscribers.get(name)
            if holders is None:
                continue
            holders.pop(connection, None)
            if not holders and name not in self.truth:
                del self._subscribers[name]
                self.wanted.discard(name)

    def deliver(self, emissions: Iterable[Emission]) -> None:
        """Sends the events of one tick, in order."""
        dirty: dict[HubConnection, None] = {}
        faults, now_s = self._faults, time.monotonic()
        for emission in emissions:
            name, first_id, last_id, _ = emission
            holders = [c for c in self._subscribers.get(name, ()) if c.open]
            if not holders:
                self._unheard(name, first_id, last_id)
                continue
            self._count(name, first_id, last_id)
            if not faults.messages:
                self._send(emission, holders)
            elif not faults.withheld(name, now_s):
                self._send_damaged(emission, holders, now_s)
            for connection in holders:
                dirty[connection] = None
        for connection in dirty:
            connection.flush()
        self.heads.sample(self.truth, now_s)

    def _send(self, emission: Emission, holders: list[HubConnection]) -> None:
        frames: dict[Form, bytes] = {}
        for connection in holders:
            if connection.muted is not None and emission.stream.endswith(connection.muted):
                continue
            form = connection.form
            made = frames.get(form)
            if made is None:
                made = frames[form] = frame(self._streams.message(emission, form))
            connection.pending.append(made)

    def _send_damaged(self, emission: Emission, holders: list[HubConnection], now_s: float) -> None:
        for connection in holders:
            if connection.muted is not None and emission.stream.endswith(connection.muted):
                continue
            struck = self._faults.strikes(emission.stream, now_s)
            payload = self._streams.message(emission, connection.form)
            frames, late = damaged(payload, struck, self._faults.random, self._streams.glitched)
            delayed, connection.delayed = connection.delayed, frames if late else []
            connection.pending += delayed if late else [*frames, *delayed]

    def _unheard(self, name: str, first_id: int, last_id: int) -> None:
        truth = self.truth.get(name)
        if truth is not None and truth.chained:
            truth.miss(first_id, last_id)

    def _count(self, name: str, first_id: int, last_id: int) -> None:
        truth = self.truth.get(name)
        if truth is None:
            kind = self._streams.kind_of(name)
            truth = self.truth[name] = Truth(kind, chained=self._streams.chained(kind))
        truth.count(first_id, last_id)
        self.events += 1

    def truth_report(self) -> Mapping[str, Any]:
        """The reply of /_exchange/truth."""
        return {"topics": {name: truth.as_json() for name, truth in self.truth.items()}}
