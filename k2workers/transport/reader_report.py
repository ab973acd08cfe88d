"""Owns what a subscriber tells of itself: to the feed, how far behind it is; in its log, that two publishers speak at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import structlog

from k2workers.transport import replay_server
from k2workers.transport.readers import REPORT_S
from k2workers.transport.reassembly import Reassembly

REFUSAL_AGAIN_S = 60.0
"""While two publishers speak at once, how often that is logged."""

_log = structlog.get_logger(__name__)


class ReaderReport:
    """Times are monotonic. ``name`` is what the feed shows of it (the program's own name and process, if it is empty)."""

    def __init__(self, reassembly: Reassembly, name: str) -> None:
        self._reassembly = reassembly
        self._name = name or f"{Path(sys.argv[0]).name or 'python'} {os.getpid()}"
        self._reported_s = -REPORT_S
        self._refusal_told_s = -REFUSAL_AGAIN_S

    def due(self, now_s: float) -> list[bytes]:
        """What to tell the feed now; empty if that is not due."""
        if now_s - self._reported_s < REPORT_S:
            return []
        self._reported_s = now_s
        counts = len(self._reassembly.ready), self._reassembly.counters.lost_batches
        return [replay_server.READER, self._name.encode(errors="replace"), replay_server.pack(counts)]

    def tell_of_refusal(self, now_s: float) -> None:
        """Log that batches were refused, if some were."""
        refused = self._reassembly.refused_epoch
        if refused is not None and now_s - self._refusal_told_s >= REFUSAL_AGAIN_S:
            self._refusal_told_s, self._reassembly.refused_epoch = now_s, None
            _log.error(
                "two_publishers",
                text="batches of an epoch that was left keep coming and are refused: two publishers speak at once",
                taken_epoch=self._reassembly.epoch,
                refused_epoch=refused,
                refused_batches=self._reassembly.counters.refused_batches,
            )
