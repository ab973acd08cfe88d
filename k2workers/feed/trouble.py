"""Owns the count of what a feed had to drop, and the log lines about it: all are counted, few are logged."""

from __future__ import annotations

import time
from collections import Counter

import structlog

SAMPLE_EVERY_NS = 10_000_000_000
"""At most one message of each cause in this time is logged."""

SAMPLE_BYTES = 200

_log = structlog.get_logger(__name__)


class Trouble:
    """Dropped messages, and dropped elements of messages that are lists."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many, by cause."""
        self._logged_ns: dict[str, int] = {}

    def dropped(self, cause: str, message: bytes, detail: str, count: int = 1) -> None:
        """So many were dropped of, or with, this message."""
        self.counts[cause] += count
        now_ns = time.monotonic_ns()
        if now_ns - self._logged_ns.get(cause, -SAMPLE_EVERY_NS) >= SAMPLE_EVERY_NS:
            self._logged_ns[cause] = now_ns
            sample = message[:SAMPLE_BYTES].decode(errors="replace")
            total = self.counts[cause]
            _log.warning("message_dropped", cause=cause, detail=detail, bytes=len(message), sample=sample, total=total)
