"""Owns the live summary on a terminal: one row a shard, drawn again every second below the log lines."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from k2workers.every import Every
from k2workers.logs import outlet
from k2workers.processes.status import FeedStatus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

REFRESH_S = 1.0

LINES_A_DRAWING = 100
"""Log lines for which the table is drawn again once."""


class LiveSummary:
    """Draws ``get_status()`` while it is open; does nothing without a terminal.

    Only the thread of the terminal's outlet draws, and it waits as long as it must for a terminal that is not read; meanwhile the newest
    status takes the place of the one before it.
    """

    def __init__(self, get_status: Callable[[], FeedStatus]) -> None:
        self._get_status = get_status
        self._terminal = outlet.terminal()
        self._view: Any = None
        self._live: Live | None = None
        # A picture is not worth the feed: it is tried for ever.
        self._drawing = Every(REFRESH_S, self._draw, "summary", give_up=None)

    async def __aenter__(self) -> Self:
        if self._terminal is not None:
            self._drawing.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()
        if self._terminal is not None:
            self._terminal.soon(self._close)

    def _draw(self) -> None:
        assert self._terminal is not None
        self._view = table(self._get_status())
        self._terminal.soon(self._show)

    # ── on the thread of the outlet ─────────────────────────────────────────────────────────────────────

    def _show(self) -> None:
        if self._live is None:
            self._live = self._open()
        self._live.update(self._view, refresh=True)

    def _open(self) -> Live:
        # Imported here: a run without a terminal does not pay for it.
        from rich.console import Console
        from rich.live import Live

        assert self._terminal is not None
        console = Console(file=_Unbuffered(self._terminal.fileno()))  # type: ignore[arg-type]  # it is a text stream
        live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        live.start()
        self._terminal.show_with(lambda lines: _print_above(console, lines), LINES_A_DRAWING)
        return live

    def _close(self) -> None:
        if self._live is not None:
            assert self._terminal is not None
            self._terminal.show_with(None)
            self._live.stop()


class _Unbuffered(io.TextIOBase):
    """Writes to the terminal at once: text in a buffer would be waited for again when the program ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str, /) -> int:
        outlet.write_all(self._fd, text)
        return len(text)

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return True


def _print_above(console: Console, lines: list[str]) -> None:
    from rich.text import Text

    console.print(Text.from_ansi("".join(lines).removesuffix("\n")), soft_wrap=True)


def table(status: FeedStatus) -> Any:
    """The summary as rich draws it: within 80 columns, whatever the figures."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    source = "DEMO (embedded exchange)" if status.demo else status.venue
    rates = f"{status.events_per_s:,.0f} events/s  {status.rotations:,} rotations"
    above = [
        f"k2workers  {source}  up {_duration(status.uptime_s)}",
        f"{status.symbols:,} symbols  {rates}",
        *_shards_by_venue(status),
    ]
    words = list(dict.fromkeys(reason.word.value for reason in status.unready))
    if status.waiting_for:
        above.append(f"waiting for {status.waiting_for}")
    elif words:
        above.append(f"not ready: {', '.join(words)}")
    view = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for column in ("shard", "state", "events/s", "age s", "next s", "rotated", "dups", "gaps", "restarts", "MB"):
        view.add_column(column, justify="left" if column == "state" else "right", no_wrap=True)
    for worker in status.workers:
        figures, told = worker.figures, worker.told
        state = told.state if told is not None else "starting"
        view.add_row(
            str(figures.shard),
            state if worker.alive else "restarting",
            _short(worker.events_per_s),
            _short(told.connection_age_s if told is not None else 0),
            _short(told.next_rotation_s if told is not None else 0),
            _short(told.rotations if told is not None else 0),
            _short(figures.duplicates),
            _short(figures.gaps),
            _short(figures.restarts),
            _short(figures.rss_bytes / 1e6),
        )
    return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in above), view)


def _shards_by_venue(status: FeedStatus) -> Iterator[str]:
    """Whose the shards are, where that is not said by the title."""
    shards = defaultdict[str, list[str]](list)
    for worker in status.workers:
        shards[worker.figures.venue].append(str(worker.figures.shard))
    for venue, numbers in shards.items():
        if venue != status.venue:
            yield f"{venue}: shard{'s' * (len(numbers) > 1)} {' '.join(numbers)}"


def _short(number: float) -> str:
    """The number in seven characters at most."""
    unit = ""
    for larger in ("M", "T"):
        if number >= 999_999.5:
            number, unit = number / 1e6, larger
    return f"{number:,.0f}{unit}"


def _duration(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days} d {hour}:{minute:02}:{second:02}" if days else f"{hour}:{minute:02}:{second:02}"
