"""What every child is told at its start and no test of it is about."""

from __future__ import annotations

from k2workers.logs.log import LogSettings

LOGS = LogSettings("info", "json")
