"""Owns the proof of a rotation: has every active stream continued on the standby? Pure.

A stream is *active* when the primary delivered an event of it since the standby's subscriptions were
acknowledged, and *proven* when the standby has delivered an id at most one past the last id accepted so
far. A stream on which nothing happened meanwhile can prove nothing and blocks nothing: it is counted as quiet.
A short minimum overlap covers the venue starting to deliver a little after it acknowledged.
"""

from __future__ import annotations


class OverlapProof:
    """The book-keeping of one overlap; a stream is known by the index of its topic."""

    def __init__(self, min_overlap_ns: int) -> None:
        self._min_overlap_ns = min_overlap_ns
        self._acknowledged_ns: int | None = None
        self._unproven: dict[int, int] = {}
        self._standby_first: dict[int, int] = {}
        self._proven: set[int] = set()

    def acknowledged(self, now_ns: int) -> None:
        """The venue acknowledged every subscription of the standby: from now on streams count as active."""
        self._acknowledged_ns = now_ns

    def primary_delivered(self, topic_index: int, last_id: int) -> None:
        """The primary delivered up to ``last_id`` of this stream."""
        if self._acknowledged_ns is not None and topic_index not in self._proven:
            self._unproven[topic_index] = last_id
            self._judge(topic_index)

    def standby_delivered(self, topic_index: int, first_id: int) -> None:
        """The standby delivered an event that begins with ``first_id``."""
        if topic_index not in self._proven:
            self._standby_first.setdefault(topic_index, first_id)
            self._judge(topic_index)

    def _judge(self, topic_index: int) -> None:
        first, last = self._standby_first.get(topic_index), self._unproven.get(topic_index)
        # A standby that delivered where the primary did not (yet) is no proof: the primary may lag behind it.
        if first is not None and last is not None and first <= last + 1:
            self._proven.add(topic_index)
            del self._unproven[topic_index]

    def complete(self, now_ns: int) -> bool:
        """Whether the standby may take over."""
        begun = self._acknowledged_ns
        return begun is not None and not self._unproven and now_ns >= begun + self._min_overlap_ns

    def standby_first_id(self, topic_index: int) -> int | None:
        """The first id that the standby delivered of this stream, if any."""
        return self._standby_first.get(topic_index)

    @property
    def proven(self) -> int:
        """How many streams have continued on the standby."""
        return len(self._proven)

    @property
    def unproven(self) -> int:
        """How many active streams have not."""
        return len(self._unproven)
