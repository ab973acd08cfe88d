"""Owns what a recording is made of: rows of one topic, in the order in which they were taken. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from k2workers.events import ROW_OF, Backfilled, Event, Void
from k2workers.transport.deliveries import Lost


class Loss(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the feed published and the recorder could no longer have (``transport.deliveries.Lost``), and when it was told (``at_ns``)."""

    first_sequence: int
    last_sequence: int
    first_id: int | None
    last_id: int | None
    at_ns: int

    @classmethod
    def of(cls, lost: Lost, at_ns: int) -> Loss:
        """As the subscriber told it."""
        return cls(lost.first_sequence, lost.last_sequence, lost.first_id, lost.last_id, at_ns)


class Restart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """About here the topic goes on in another life: of the feed, or of the recorder. Nothing need be missing because of it."""

    cause: str
    at_ns: int


FEED_RESTARTED, RECORDER_RESTARTED = "feed", "recorder"

Kept = Event | Loss | Restart


class Row(NamedTuple):
    """One of them. ``sequence`` is that of the batch it came in, and ``publish_ns`` when that was published; None for what the recorder wrote itself:
    losses, restarts, the book at the head of a file, and what was fetched later.
    """

    sequence: int | None
    publish_ns: int | None
    of: Kept

    @property
    def late(self) -> bool:
        """Whether it fills a gap, or corrects what was said of its ids."""
        return isinstance(self.of, Backfilled)

    @property
    def fetched(self) -> bool:
        """Whether it was asked of the venue after the recording: the time at which we learned of it is none of the recording."""
        return self.sequence is None and isinstance(self.of, Backfilled | Void)

    @property
    def timed(self) -> bool:
        """Whether its time is one of the feed: not that at which the venue was asked later, nor that at which the recorder said something for itself."""
        return not self.fetched and not isinstance(self.of, Loss | Restart)

    @property
    def event(self) -> Kept:
        """It, or the event with which a gap was filled."""
        return self.of.event if isinstance(self.of, Backfilled) else self.of

    @property
    def taken_ns(self) -> int:
        """When we learned of it."""
        event = self.event
        if isinstance(event, Loss | Restart):
            return event.at_ns
        time_ns: int = getattr(event, ROW_OF[type(event)].learned)
        return time_ns
