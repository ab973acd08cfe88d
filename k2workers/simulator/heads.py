"""Owns how far each stream had come at any second of the last two minutes. Pure; times are seconds of the caller's clock.

A subscriber's reader asks what was sent some time ago and should have arrived by now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Protocol

SAMPLE_S = 1.0
KEPT = 120
"""Samples of one stream; only a change makes one."""

Head = tuple[int, int]
"""(how often the ids of the stream began anew, the newest id)"""


class Sent(Protocol):
    """What was sent of a stream so far."""

    lives: int
    last_id: int


class Heads:
    """The newest id of each stream by time. Call ``sample`` as often as you like; it looks once a second."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, Head]]] = {}
        self._due_s = 0.0

    def sample(self, streams: Mapping[str, Sent], now_s: float) -> None:
        """Note where the streams are now."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + SAMPLE_S
        for name, sent in streams.items():
            samples = self._samples.setdefault(name, deque(maxlen=KEPT))
            head = sent.lives, sent.last_id
            if not samples or samples[-1][1] != head:
                samples.append((now_s, head))

    def at(self, time_s: float) -> dict[str, Head]:
        """Where each stream was at the last look up to this time; those that had sent nothing are left out."""
        found = {}
        for name, samples in self._samples.items():
            index = bisect_right(samples, time_s, key=lambda sample: sample[0])
            if index:
                found[name] = samples[index - 1][1]
        return found
