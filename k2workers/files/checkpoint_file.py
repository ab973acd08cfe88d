"""Owns the checkpoint file of one run: read once at the start, then written steadily, on a thread. Knows nothing of what it is for.

A failure is logged and counted; it never stops the feed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from k2workers.errors import CheckpointUnusable
from k2workers.every import beside
from k2workers.files import checkpoint
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.tally import Tally

WARN_EVERY_NS = 60_000_000_000

_log = structlog.get_logger(__name__)


class CheckpointFile:
    """Writes and reads the file at ``path``; ``sources`` and ``max_age_s`` tell which content may be continued from, ``run`` whose tally."""

    def __init__(self, path: Path, sources: checkpoint.Sources, max_age_s: float, run: str = "") -> None:
        self.failures = 0
        self._path = path
        self._sources = sources
        self._run = run
        self._max_age_ns = int(max_age_s * 1e9)
        self._warned_ns = -WARN_EVERY_NS
        self._saving: asyncio.Task[None] | None = None

    def read(self) -> checkpoint.Checkpoint:
        """The positions of an earlier life; none if there was none, or if its file cannot be used."""
        try:
            content = self._path.read_bytes()
            recalled = checkpoint.decode(content, self._sources, self._max_age_ns, time.time_ns(), self._run)
        except FileNotFoundError:
            return checkpoint.Checkpoint(0, {})
        except (OSError, CheckpointUnusable) as error:
            epoch = error.epoch if isinstance(error, CheckpointUnusable) else 0
            _log.warning("checkpoint_unusable", path=str(self._path), reason=str(error), then="a fresh start")
            return checkpoint.Checkpoint(epoch, {})
        _log.info("resumed", path=str(self._path), topics=len(recalled.positions))
        return recalled

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return self._saving is not None and not self._saving.done()

    def save(
        self,
        epoch: int,
        positions: dict[str, PublishedPosition],
        tally: Tally,
        on_saved: Callable[[], None] = lambda: None,
    ) -> None:
        """Write these, on a thread, and call ``on_saved`` once they are safe; only while it is not ``busy``."""
        content = checkpoint.encode(self._sources, epoch, positions, time.time_ns(), self._run, tally)
        self._saving = beside(self._write(content, on_saved), "checkpoint", lambda: None)

    async def settle(self) -> None:
        """Wait for the write that is under way."""
        if self._saving is not None:
            await asyncio.wait({self._saving})

    async def _write(self, content: bytes, on_saved: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(checkpoint.write, self._path, content)
        except OSError as error:
            self.failures += 1
            now_ns = time.monotonic_ns()
            if now_ns - self._warned_ns >= WARN_EVERY_NS:
                self._warned_ns = now_ns
                _log.warning("checkpoint_failed", path=str(self._path), error=str(error), total=self.failures)
        else:
            on_saved()
