"""Owns the live summary on a terminal: one row a shard, drawn again every second below the log lines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

REFRESH_S = 1.0


class LiveSummary:
    """Draws ``get_status()`` (see ``topology.Topology.status``) while it is open; does nothing without a terminal."""

    def __init__(self, get_status: Callable[[], dict[str, Any]]) -> None:
        self._get_status = get_status
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty():
            self._drawing = asyncio.get_running_loop().create_task(self._draw())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drawing

    async def _draw(self) -> None:
        # Imported here: a run without a terminal does not pay for it.
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        with Live(console=console, auto_refresh=False, transient=False, redirect_stderr=True) as live:
            # Log handlers hold the old stderr; while the table is drawn, lines must go above it.
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.setStream(sys.stderr)
            try:
                while True:
                    live.update(table(self._get_status()), refresh=True)
                    await asyncio.sleep(REFRESH_S)
            finally:
                for handler in logging.getLogger().handlers:
                    if isinstance(handler, logging.StreamHandler):
                        handler.setStream(sys.__stderr__)


def table(status: dict[str, Any]) -> Any:
    """The summary as a rich table that fits 80 columns."""
    from rich.table import Table

    source = "DEMO (embedded exchange)" if status["demo"] else status["venue"]
    waiting = f"  waiting for {status['waiting_for']}" if status["waiting_for"] else ""
    view = Table(
        title=f"k2workers  {source}  up {status['uptime_s']:.0f} s  {status['symbols']} symbols  "
        f"{status['events_per_s']:,.0f} events/s  {status['rotations']} rotations{waiting}",
        title_justify="left",
    )
    for column in ("shard", "state", "events/s", "age s", "next s", "rotated", "dups", "gaps", "restarts", "MB"):
        view.add_column(column, justify="left" if column == "state" else "right")
    for worker in status["workers"]:
        view.add_row(
            str(worker["shard"]),
            str(worker.get("state", "starting")) if worker["alive"] else "restarting",
            f"{worker['events_per_s']:,.0f}",
            f"{worker.get('connection_age_s', 0):.0f}",
            f"{worker.get('next_rotation_s', 0):.0f}",
            str(worker.get("rotations", 0)),
            str(worker["duplicates"]),
            str(worker["gaps"]),
            str(worker["restarts"]),
            f"{worker['rss_bytes'] / 1e6:.0f}",
        )
    return view
