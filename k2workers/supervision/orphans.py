"""Owns the burial of foreign processes: as the first process of a container we are left with whatever others leave behind.

Docker's health checks and ``docker exec`` do. Without it each stays in the table of processes for ever.
"""

from __future__ import annotations

import contextlib
import os

import psutil

FIRST = 1
"""The process id of a container's first process."""


class Orphans:
    """Make it when our own children have been started: those are looked after by whoever started them."""

    def __init__(self) -> None:
        self._ours = {child.pid for child in psutil.Process().children()}

    def bury(self) -> None:
        """Take the exit codes of those that have ended, so that they may go."""
        for child in psutil.Process().children():
            if child.pid not in self._ours:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, os.WNOHANG)
