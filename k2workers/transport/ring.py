"""Owns the last published frames, bounded by bytes and age, from which subscribers repair their holes. Pure.

The bounds are the settings ``replay_ring_mb`` and ``replay_ring_s``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from k2workers.sequencing.sequencer import Publication
from k2workers.wanted import meant_by

OVERHEAD_BYTES = 200
"""The bytes that an entry costs in addition to its frame: its entries in two queues, and Python's own objects."""


class _TopicFrames:
    """The frames of one topic."""

    __slots__ = ("frames", "last", "newest")

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.newest = 0
        self.last = b""
        """The frame that ``frames`` lost last; the newest of all once it is empty."""


class ReplayRing:
    """The newest frames of all topics. The sequences of one topic are consecutive; the oldest frame of all goes first.

    The very last frame of each topic stays, for those who join late.
    """

    def __init__(self, max_bytes: int, max_age_ns: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._max_age_ns = max_age_ns
        self._order: deque[Publication] = deque()
        self._ended = 0
        """Frames that are no longer held."""
        self._times: deque[tuple[int, int]] = deque()
        """Of each publication its time, and how many frames there were with it, those that are no longer held too."""
        self._topics: dict[str, _TopicFrames] = {}

    def put(self, topic: str, sequence: int, frame: bytes, now_ns: int) -> None:
        """Remember a frame that was just published (monotonic time)."""
        self.put_all([(topic, sequence, frame)], now_ns)

    def put_all(self, published: Sequence[Publication], now_ns: int) -> None:
        """Remember frames that were just published, in order."""
        topics, size = self._topics, OVERHEAD_BYTES * len(published)
        for topic, sequence, frame in published:
            held = topics.get(topic)
            if held is None:
                held = topics[topic] = _TopicFrames()
            held.frames.append(frame)
            held.newest = sequence
            size += len(frame)
        self.bytes += size
        self._order.extend(published)
        self._times.append((now_ns, self._ended + len(self._order)))
        while self.bytes > self._max_bytes:
            self._drop_oldest()
        while self._times and self._times[0][1] <= self._ended:
            self._times.popleft()

    def expire(self, now_ns: int) -> None:
        """Forget what is too old; call it steadily."""
        while self._times and self._times[0][0] < now_ns - self._max_age_ns:
            _, end = self._times.popleft()
            while self._ended < end:
                self._drop_oldest()

    def since(self, topic: str, sequence: int, *, limit_bytes: int, limit_frames: int) -> tuple[int, int, list[bytes]]:
        """Returns (the first sequence that is still held, the newest, the frames from ``sequence`` on within the limits).

        The first is one past the newest if nothing of the topic is held.
        """
        held = self._topics.get(topic) or _TopicFrames()
        first = held.newest + 1 - len(held.frames)
        found: list[bytes] = []
        size = 0
        for frame in islice(held.frames, min(max(0, sequence - first), len(held.frames)), None):
            size += len(frame)
            if found and (size > limit_bytes or len(found) >= limit_frames):
                break
            found.append(frame)
        return first, held.newest, found

    def newest(self, wanted: str) -> dict[str, int]:
        """The newest sequence of one topic, or of all topics that begin with a prefix ending in a dot."""
        return {topic: held.newest for topic, held in self._matching(wanted)}

    def last(self, wanted: str) -> list[bytes]:
        """The last frame of one topic, or of all topics that begin with a prefix ending in a dot."""
        return [held.frames[-1] if held.frames else held.last for _, held in self._matching(wanted)]

    def __len__(self) -> int:
        return len(self._order)

    def _matching(self, wanted: str) -> list[tuple[str, _TopicFrames]]:
        return [(topic, self._topics[topic]) for topic in meant_by(wanted, self._topics)]

    def _drop_oldest(self) -> None:
        topic, _, frame = self._order.popleft()
        held = self._topics[topic]
        held.last = held.frames.popleft()
        self._ended += 1
        self.bytes -= len(frame) + OVERHEAD_BYTES
