"""Owns the last published frames, bounded by bytes and age, from which subscribers repair their holes. Pure."""

from __future__ import annotations

from collections import deque
from itertools import islice

OVERHEAD_BYTES = 200
"""What an entry costs beside its frame: its places in two queues, and Python's own."""


class ReplayRing:
    """The newest frames of all topics. The sequences of one topic are consecutive; the oldest frame of all goes first."""

    def __init__(self, max_bytes: int, max_age_ns: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._max_age_ns = max_age_ns
        self._order: deque[tuple[int, str, int]] = deque()
        self._frames: dict[str, deque[bytes]] = {}
        self._newest: dict[str, int] = {}

    def put(self, topic: str, sequence: int, frame: bytes, now_ns: int) -> None:
        """Remember a frame that was just published (monotonic time)."""
        frames = self._frames.get(topic)
        if frames is None:
            frames = self._frames[topic] = deque()
        frames.append(frame)
        self._newest[topic] = sequence
        size = len(frame) + OVERHEAD_BYTES
        self._order.append((now_ns, topic, size))
        self.bytes += size
        while self.bytes > self._max_bytes:
            self._drop_oldest()

    def expire(self, now_ns: int) -> None:
        """Forget what is too old; call it steadily."""
        while self._order and self._order[0][0] < now_ns - self._max_age_ns:
            self._drop_oldest()

    def since(self, topic: str, sequence: int, *, limit_bytes: int, limit_frames: int) -> tuple[int, list[bytes]]:
        """(the first sequence that is still held, frames from ``sequence`` on as far as the limits allow).

        The first is one past the newest if nothing of the topic is held.
        """
        frames = self._frames.get(topic, ())
        first = self._newest.get(topic, 0) + 1 - len(frames)
        found: list[bytes] = []
        size = 0
        for frame in islice(frames, max(0, sequence - first), None):
            size += len(frame)
            if found and (size > limit_bytes or len(found) >= limit_frames):
                break
            found.append(frame)
        return first, found

    def newest(self, wanted: str) -> dict[str, int]:
        """The newest sequence of one topic, or of all topics that begin with a prefix ending in a dot."""
        if not wanted.endswith("."):
            return {wanted: self._newest[wanted]} if wanted in self._newest else {}
        return {topic: sequence for topic, sequence in self._newest.items() if topic.startswith(wanted)}

    def __len__(self) -> int:
        return len(self._order)

    def _drop_oldest(self) -> None:
        _, topic, size = self._order.popleft()
        self._frames[topic].popleft()
        self.bytes -= size
