"""Owns what of the deliveries a program has been given: an event, a batch, or a batch in columns at a time; and so where it stands. Pure."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from k2workers.continuity import Continuity
from k2workers.events import Event
from k2workers.transport.columns import Arrays, Read, StandardArrays, columns_of
from k2workers.transport.deliveries import Delivery, Lost, MessageBatch, MessageColumns
from k2workers.transport.kept_books import KeptBooks
from k2workers.transport.position import Position
from k2workers.transport.reassembly import Reassembly

Given = TypeVar("Given", MessageBatch, MessageColumns, Lost, MessageBatch | MessageColumns | Lost)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One event of one topic. ``sequence`` is its batch's number in the topic; ``publish_ns`` wall-clock ns."""

    topic: str
    sequence: int
    publish_ns: int
    event: Event
    continuity: Continuity
    """How the ids of the topic continue; ``continuity.guarantee`` is what that lets you rely on."""


class Items:
    """Each method gives the next item in its form, or None if there is none; they may be mixed. ``books`` are kept of what was given."""

    def __init__(self, reassembly: Reassembly, books: KeptBooks | None = None) -> None:
        self._reassembly = reassembly
        self._books = books
        self._ready = reassembly.ready
        self._begun: Delivery | None = None
        """The batch that is being given, an event at a time."""
        self._begun_at = 0
        self._arrays: Arrays = StandardArrays()

    def message(self) -> Message | Lost | None:
        """The next event."""
        batch = self._begun[0] if self._begun is not None else None
        while not isinstance(batch, MessageBatch) or self._begun_at >= len(batch.events):
            if not self._ready:
                return None
            item, before = self._ready.popleft()
            if isinstance(item, Lost):
                self._begun = None
                return self._kept(item)
            batch = item.batch() if isinstance(item, MessageColumns) else item
            self._begun, self._begun_at = (batch, before), 0
        event = batch.events[self._begun_at]
        self._begun_at += 1
        if self._books is not None:
            self._books.take_event(batch.topic, event, batch.continuity)
        return Message(batch.topic, batch.sequence, batch.publish_ns, event, batch.continuity)

    def batch(self) -> MessageBatch | Lost | None:
        """The next batch, or the rest of the one that was begun."""
        item = self._next()
        return item.batch() if isinstance(item, MessageColumns) else item

    def columns(self) -> MessageColumns | MessageBatch | Lost | None:
        """The same in columns, if its events are the venue's data."""
        item = self._next()
        return columns_of(item, self._arrays) or item if isinstance(item, MessageBatch) else item

    def prefer_columns(self, read: Read | None, arrays: Arrays) -> None:
        """From now on ``columns`` is what is asked for, as a rule: they are made with these."""
        self._reassembly.read_columns, self._arrays = read, arrays

    def keep_frames(self) -> None:
        """From now on batches that are given as they came have their frames."""
        self._reassembly.keep_frames = True

    def position(self) -> Position:
        """Where the program stands: everything that was given."""
        return self._reassembly.position(self._begun, self._begun_at)

    def _next(self) -> MessageBatch | MessageColumns | Lost | None:
        begun, self._begun = self._begun, None
        if begun is not None and isinstance(begun[0], MessageBatch) and self._begun_at < len(begun[0].events):
            return self._kept(msgspec.structs.replace(begun[0], events=begun[0].events[self._begun_at :], frame=b""))
        return self._kept(self._ready.popleft()[0]) if self._ready else None

    def _kept(self, item: Given) -> Given:
        if self._books is not None:
            self._books.take(item)
        return item
