"""Owns the proof of a rotation: has every active stream continued on the standby? Pure.

A stream is *active* when the primary delivered an event of it since the standby's subscriptions were
acknowledged, and *proven* when the standby has delivered an id at most one past the last id accepted so
far. A stream on which nothing happened meanwhile can prove nothing and blocks nothing: it is counted as quiet.
A short minimum overlap covers the venue starting to deliver a little after it acknowledged.
"""

from __future__ import annotations


class Proof:
    """The book-keeping of one overlap; streams are the caller's integer keys."""

    def __init__(self, min_overlap_ns: int) -> None:
        self._min_overlap_ns = min_overlap_ns
        self._acknowledged_ns: int | None = None
        self._unproven: dict[int, int] = {}
        self._standby_first: dict[int, int] = {}
        self._proven: set[int] = set()

    def acknowledged(self, now_ns: int) -> None:
        """The venue acknowledged every subscription of the standby: from now on streams count as active."""
        self._acknowledged_ns = now_ns

    def primary_delivered(self, stream: int, last_id: int) -> None:
        """The primary delivered up to ``last_id`` of this stream."""
        if self._acknowledged_ns is not None and stream not in self._proven:
            self._unproven[stream] = last_id
            self._judge(stream)

    def standby_delivered(self, stream: int, first_id: int) -> None:
        """The standby delivered an event that begins with ``first_id``."""
        if stream not in self._proven:
            self._standby_first.setdefault(stream, first_id)
            self._judge(stream)

    def _judge(self, stream: int) -> None:
        first, last = self._standby_first.get(stream), self._unproven.get(stream)
        # A standby that delivered where the primary did not (yet) is no proof: the primary may lag behind it.
        if first is not None and last is not None and first <= last + 1:
            self._proven.add(stream)
            del self._unproven[stream]

    def complete(self, now_ns: int) -> bool:
        """Whether the standby may take over."""
        begun = self._acknowledged_ns
        return begun is not None and not self._unproven and now_ns >= begun + self._min_overlap_ns

    def standby_first_id(self, stream: int) -> int | None:
        """The first id that the standby delivered of this stream, if any."""
        return self._standby_first.get(stream)

    @property
    def proven(self) -> int:
        """How many streams have continued on the standby."""
        return len(self._proven)

    @property
    def unproven(self) -> int:
        """How many active streams have not."""
        return len(self._unproven)
