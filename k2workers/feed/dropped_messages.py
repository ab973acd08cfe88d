"""Owns the count of dropped messages, and the log lines about them: all are counted, few are logged."""

from __future__ import annotations

import time
from collections import Counter

import structlog

SAMPLE_EVERY_NS = 10_000_000_000
"""At most one message of each cause in this time is logged."""

SAMPLE_BYTES = 200

_log = structlog.get_logger(__name__)


class DroppedMessages:
    """Dropped messages, and dropped elements of messages that are lists."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many, by cause."""
        self._logged_ns: dict[str, int] = {}

    def count(self, cause: str, message: bytes, detail: str, number: int = 1) -> None:
        """Count ``number`` dropped messages, or elements, of which ``message`` is a sample."""
        self.counts[cause] += number
        now_ns = time.monotonic_ns()
        if now_ns - self._logged_ns.get(cause, -SAMPLE_EVERY_NS) >= SAMPLE_EVERY_NS:
            self._logged_ns[cause] = now_ns
            sample = message[:SAMPLE_BYTES].decode(errors="replace")
            total = self.counts[cause]
            _log.warning("message_dropped", cause=cause, detail=detail, bytes=len(message), sample=sample, total=total)
