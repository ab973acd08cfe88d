"""Owns what is kept of one topic while it is published: how far it came, and what of it is still to be published. Pure."""

from __future__ import annotations

import contextlib

from k2workers import wire
from k2workers.events import Kline
from k2workers.sequencing.coverage import NO_ID, Coverage, PublishedPosition
from k2workers.wire import Batch


class TopicState(Coverage):
    """What has been taken of one topic: which ids, and what of it is still to be published."""

    __slots__ = ("_next", "count", "first_id", "last_bar", "sequence", "topic", "waiting", "whole")

    def __init__(self, topic: str, earlier: PublishedPosition | None = None) -> None:
        super().__init__(*(() if earlier is None else (earlier.last_id, earlier.open, earlier.closed)))
        self.whole = earlier is not None and earlier.whole
        self._next = (NO_ID, NO_ID) if earlier is None else (earlier.last_id, earlier.next_id)
        """An id, and the ``next_id`` of a position that ends there."""
        self.last_bar: Batch | None = None
        """Bars up to the newest one; decoded only when their position is asked for."""
        self.topic = topic
        self.sequence = 0
        self.first_id: int | None = None
        self.count = 0
        self.waiting: list[Batch] = []
        """Taken and not published yet, in order."""

    def position(self) -> PublishedPosition:
        """Where a later life continues."""
        next_id = self._next_id() if self.bars else NO_ID
        return PublishedPosition(
            self.last_id, list(self.open), self.continuity_number, self.whole, next_id, list(self.closed)
        )

    def begin_anew(self, number: int, first_new_id: int) -> None:
        super().begin_anew(number, first_new_id)
        self.first_id, self.count, self.whole = None, 0, False

    @property
    def next_id(self) -> int:
        """The id that must come next. Among bars it is when the next bar opens, or when the last one did if it is not final."""
        return self._next_id() if self.bars else self.last_id + 1

    def _next_id(self) -> int:
        if self.last_bar is not None:
            with contextlib.suppress(wire.WireError):  # whoever reads it will say so
                bar = wire.decode_batch(self.last_bar)[-1]
                if isinstance(bar, Kline):
                    self._next = bar.open_time_ns, bar.next_open_ns if bar.final else bar.open_time_ns
            self.last_bar = None
        last_id, next_id = self._next
        # Otherwise a Gap or a Void came after the bar.
        return next_id if last_id == self.last_id else self.last_id + 1
