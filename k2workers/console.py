"""Owns the live summary on a terminal: one row a shard, drawn again every second below the log lines."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from k2workers.every import Every

if TYPE_CHECKING:
    from rich.live import Live

REFRESH_S = 1.0


class LiveSummary:
    """Draws ``get_status()`` (see ``topology.Topology.status``) while it is open; does nothing without a terminal."""

    def __init__(self, get_status: Callable[[], dict[str, Any]]) -> None:
        self._get_status = get_status
        self._live: Live | None = None
        # A picture is not worth the feed: it is tried for ever.
        self._drawing = Every(REFRESH_S, self._draw, "summary", give_up=None)

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty():
            self._drawing.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()
        if self._live is not None:
            drawn_over = sys.stderr
            with contextlib.suppress(OSError):  # the terminal may be gone; the run ends in order all the same
                self._live.stop()
            _move_log(drawn_over, sys.stderr)

    def _draw(self) -> None:
        view = table(self._get_status())
        if self._live is None:
            self._live = _open()
        self._live.update(view, refresh=True)


def _open() -> Live:
    # Imported here: a run without a terminal does not pay for it.
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(stderr=True), auto_refresh=False, transient=False, redirect_stderr=True)
    stderr = sys.stderr
    live.start()
    # Log handlers hold the old stderr; while the table is drawn, lines must go above it.
    _move_log(stderr, sys.stderr)
    return live


def _move_log(old: TextIO, new: TextIO) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is old:
            handler.setStream(new)


def table(status: dict[str, Any]) -> Any:
    """The summary as a rich table that fits 80 columns."""
    from rich.table import Table

    source = "DEMO (embedded exchange)" if status["demo"] else status["venue"]
    words = list(dict.fromkeys(reason["reason"] for reason in status["unready"]))
    unready = f"  not ready: {', '.join(words)}" if words else ""
    waiting = f"  waiting for {status['waiting_for']}" if status["waiting_for"] else unready
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
