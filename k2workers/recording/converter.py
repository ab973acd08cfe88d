"""Owns the process that turns ended segments of the journal into files, next to the recorder, which goes on taking meanwhile."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from k2workers.recording import journal

AGAIN_S = 30.0
"""So long after a conversion that failed, such as for want of room, comes the next; the segments wait."""

_log = structlog.get_logger(__name__)


class Converter:
    """Call ``look`` steadily, inside the loop; ``finish`` at the end."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._running: asyncio.Task[bool] | None = None
        self._pause_until_s = 0.0
        self._failed = False

    def look(self, newest: int) -> None:
        """Begin to convert the segments below this one, if there are any and nothing is under way."""
        now_s = asyncio.get_running_loop().time()
        if self._running is not None and self._running.done():
            if not self._running.result():
                self._pause_until_s = now_s + AGAIN_S
            self._running = None
        if self._running is None and now_s >= self._pause_until_s and self._ended(newest):
            self._running = asyncio.create_task(self._convert(newest))

    async def finish(self, newest: int) -> bool:
        """Convert all of them now. Whether that could be done."""
        if self._running is not None:
            await self._running
            self._running = None
        return not self._ended(newest) or await self._convert(newest)

    def _ended(self, newest: int) -> bool:
        return any(number < newest for number in journal.segments(journal.folder_of(self._to)))

    async def _convert(self, newest: int) -> bool:
        safe_path = ["-P"] if sys.flags.safe_path else []
        process = await asyncio.create_subprocess_exec(
            sys.executable, *safe_path, "-m", "k2workers.recording", str(self._to), str(newest),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the recorder, which ends when this is done
        )  # fmt: skip
        _, words = await process.communicate()
        if process.returncode and not self._failed:
            reason = words.decode(errors="replace").strip().rpartition("\n")[2]
            _log.error(
                "conversion_failed", to=str(self._to), error=reason, note="segments wait in the journal; tried again"
            )
        elif self._failed and not process.returncode:
            _log.warning("conversion_goes_on", to=str(self._to))
        self._failed = bool(process.returncode)
        return not self._failed
