"""The live summary on a real terminal: it comes again after any failure, and what becomes of it is nothing to the run."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from k2workers import every
from k2workers.console import LiveSummary
from tests.support.waiting import until

STATUS: dict[str, Any] = {
    "demo": False, "venue": "binance", "uptime_s": 1.0, "waiting_for": "", "symbols": 1, "events_per_s": 2.0, "rotations": 3,
    "workers": [], "unready": [],
}  # fmt: skip


class Terminal:
    """What is written to ``sys.stderr`` meanwhile."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.stderr = os.fdopen(theirs, "w")
        self._open = True

    def read(self) -> str:
        try:
            return os.read(self._ours, 65_536).decode()
        except BlockingIOError:
            return ""

    def hang_up(self) -> None:
        """The window is closed: what is written now is an error."""
        if self._open:
            self._open = False
            os.close(self._ours)


@contextlib.contextmanager
def on_a_terminal() -> Iterator[Terminal]:
    """In the test itself: pytest gives each of its phases a stderr of its own."""
    with pytest.MonkeyPatch.context() as patch:
        made = Terminal()
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stderr", made.stderr)
        try:
            yield made
        finally:
            made.hang_up()
            with contextlib.suppress(OSError):
                made.stderr.close()


async def test_a_picture_that_could_not_be_drawn_is_drawn_again() -> None:
    asked = 0

    def status() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("a defect")
        return STATUS

    failed_before = every.failures["summary"]
    with on_a_terminal() as terminal:
        async with LiveSummary(status):
            await until(lambda: "2 events/s" in terminal.read())
    assert every.failures["summary"] == failed_before + 1


async def test_a_terminal_that_is_gone_does_not_disturb_the_end_of_the_run() -> None:
    with on_a_terminal() as terminal:
        stderr = sys.stderr
        async with LiveSummary(lambda: STATUS):
            await until(lambda: "2 events/s" in terminal.read())
            terminal.hang_up()
        assert sys.stderr is stderr
