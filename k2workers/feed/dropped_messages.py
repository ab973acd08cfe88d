"""Owns the count of dropped messages, and the log lines about them: all are counted, few are logged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

import structlog

from k2workers.feed.readability import Readability
from k2workers.venues.venue import Outcome

SAMPLE_EVERY_NS = 10_000_000_000
"""At most one message of each cause in this time is logged."""

SAMPLE_BYTES = 200

ODD_ELEMENT = "odd_element"
"""The cause of an element of a list that is dropped while the others are taken."""

OUTCOME_CAUSE = {
    outcome: outcome.name.lower() for outcome in (Outcome.MALFORMED, Outcome.UNKNOWN_STREAM, Outcome.UNKNOWN_NOTICE)
}
"""The cause of a message that is dropped whole."""

CAUSES = (*OUTCOME_CAUSE.values(), ODD_ELEMENT)

_log = structlog.get_logger(__name__)


class DroppedMessages:
    """Dropped messages, and dropped elements of messages that are lists."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(CAUSES, 0))
        """How many, by cause."""
        self.readability = Readability()
        self._logged_ns: dict[str, int] = {}
        self._detail: dict[str, str] = {}
        """What was wrong with the last one of each kind."""

    def count(self, cause: str, message: bytes, detail: str, kind: str | None, number: int = 1) -> None:
        """Count ``number`` dropped messages, or elements, of which ``message`` is a sample; ``kind`` is empty if it cannot be told, None if
        they are no data that was asked for.
        """
        self.counts[cause] += number
        now_ns = time.monotonic_ns()
        if kind is not None:
            self.readability.odd(kind, number, now_ns)
            self._detail[kind] = detail
        if now_ns - self._logged_ns.get(cause, -SAMPLE_EVERY_NS) >= SAMPLE_EVERY_NS:
            self._logged_ns[cause] = now_ns
            sample = message[:SAMPLE_BYTES].decode(errors="replace")
            total = self.counts[cause]
            _log.warning("message_dropped", cause=cause, detail=detail, bytes=len(message), sample=sample, total=total)

    def look(self, kinds: Iterable[str], now_ns: int) -> None:
        """See which of the route's kinds cannot be read now, and log what has changed. Time is monotonic."""
        change = self.readability.look(kinds, now_ns)
        for kind in change.lost:
            detail = self._detail.get(kind) or self._detail.get("", "")
            _log.warning("kind_unreadable", kind=kind, detail=detail, odd=self.readability.counts[kind])
        for kind in change.found:
            _log.info("kind_readable_again", kind=kind)
