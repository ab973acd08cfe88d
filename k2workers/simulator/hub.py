"""Owns who is subscribed to what, the frames on their way, and the count of what was really sent.

An event counts as emitted only if its frame was given to at least one open, subscribed connection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from k2workers.simulator.streams import CONTIGUOUS, kind_of
from k2workers.simulator.symbol import Emission


def text_frame(payload: bytes) -> bytes:
    """One unmasked, final WebSocket text frame, as a server sends it (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


class Subscriber(Protocol):
    """A connection as the hub sees it."""

    combined: bool
    unit: int
    pending: list[bytes]

    @property
    def open(self) -> bool: ...

    def flush(self) -> None: ...


class Truth:
    """What was sent of one stream: how many events, which ids; ranges only where ids form a chain."""

    __slots__ = ("contiguous", "emitted", "first_id", "kind", "last_id", "ranges")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.contiguous = kind in CONTIGUOUS
        self.emitted = 0
        self.first_id = self.last_id = -1
        self.ranges: list[list[int]] = []

    def count(self, first_id: int, last_id: int) -> None:
        """Records one sent event."""
        if not self.emitted:
            self.first_id = first_id
        self.emitted += 1
        if self.contiguous:
            if self.ranges and self.ranges[-1][1] + 1 == first_id:
                self.ranges[-1][1] = last_id
            else:
                self.ranges.append([first_id, last_id])
        self.last_id = last_id

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "emitted": self.emitted,
            "first_id": self.first_id,
            "last_id": self.last_id,
            "ranges": self.ranges,
        }


class Hub:
    """Delivers each event to the connections that want it: one text per time unit and form, one write per tick."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        self.truth: dict[str, Truth] = {}
        self.events = 0
        self._subscribers: dict[str, dict[Subscriber, None]] = {}

    def subscribe(self, connection: Subscriber, names: Iterable[str]) -> None:
        """Adds subscriptions; a repeated one changes nothing."""
        for name in names:
            self._subscribers.setdefault(name, {})[connection] = None
            self.wanted.add(name)

    def unsubscribe(self, connection: Subscriber, names: Iterable[str]) -> None:
        """Ends subscriptions; unknown ones are ignored, as the venue does."""
        for name in names:
            holders = self._subscribers.get(name)
            if holders is not None:
                holders.pop(connection, None)
                if not holders:
                    del self._subscribers[name]
                    self.wanted.discard(name)

    def deliver(self, emissions: Iterable[Emission]) -> None:
        """Sends the events of one tick, in order."""
        dirty: dict[Subscriber, None] = {}
        for name, first_id, last_id, render in emissions:
            holders = self._subscribers.get(name)
            if not holders:
                continue
            texts: dict[int, str] = {}
            frames: dict[tuple[int, bool], bytes] = {}
            sent = False
            for connection in holders:
                if not connection.open:
                    continue
                form = connection.unit, connection.combined
                frame = frames.get(form)
                if frame is None:
                    unit, combined = form
                    text = texts.get(unit)
                    if text is None:
                        text = texts[unit] = render(unit)
                    if combined:
                        text = f'{{"stream":"{name}","data":{text}}}'
                    frame = frames[form] = text_frame(text.encode())
                connection.pending.append(frame)
                dirty[connection] = None
                sent = True
            if sent:
                self._count(name, first_id, last_id)
        for connection in dirty:
            connection.flush()

    def _count(self, name: str, first_id: int, last_id: int) -> None:
        truth = self.truth.get(name)
        if truth is None:
            truth = self.truth[name] = Truth(kind_of(name))
        truth.count(first_id, last_id)
        self.events += 1

    def truth_report(self) -> Mapping[str, Any]:
        """The reply of /_exchange/truth."""
        return {"topics": {name: truth.as_json() for name, truth in self.truth.items()}}
