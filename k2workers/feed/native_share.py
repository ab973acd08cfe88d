"""Owns the word about a native lane that leaves much to Python: nothing is lost by it, but the speed is, and a venue that writes otherwise is why."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

UNKNOWN_KIND = "unknown"
"""Of messages without a shape: replies, notices, and all kinds that only Python reads."""

LOOK_NS = 60_000_000_000
"""How often the share is looked at."""

MOST_LEFT = 0.01
"""So much of a minute's messages may be left to Python without a word."""

ENOUGH = 1_000
"""Of fewer messages in a minute no share is told."""

Counts = Mapping[tuple[str, str], int]

_log = structlog.get_logger(__name__)


class NativeShare:
    """Tells in the log, once a minute, if more than ``MOST_LEFT`` of the messages of kinds with a shape went through Python."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts
        self._before: Counts = {}
        self._due_ns = 0

    def look(self, now_ns: int) -> None:
        """Call it every second or so (monotonic time)."""
        if now_ns < self._due_ns:
            return
        counts, first = self._counts(), not self._due_ns
        self._due_ns = now_ns + LOOK_NS
        since = {key: count - self._before.get(key, 0) for key, count in counts.items() if key[0] != UNKNOWN_KIND}
        self._before = counts
        total = sum(since.values())
        left = {key: count for key, count in since.items() if key[1] and count}
        if not first and total >= ENOUGH and sum(left.values()) > MOST_LEFT * total:
            most = sorted(left.items(), key=lambda item: -item[1])[:5]
            told = {f"{kind}, {why}": count for (kind, why), count in most}
            _log.info("native_fallbacks", share=round(sum(left.values()) / total, 3), messages=total, left=told)
