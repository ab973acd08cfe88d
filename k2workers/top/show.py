"""Owns the command ``top``: a picture that changes in its place on a terminal, elsewhere one snapshot as text or JSON."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from typing import Any

import msgspec
from rich.console import Console

from k2workers import health
from k2workers.errors import ConfigError, FeedSilent
from k2workers.files.directories import have_temporary
from k2workers.processes.line_output import LineOutput, printing
from k2workers.processes.topic_page import MOST_SHOWN
from k2workers.top.feed_stream import AGAIN_S, FeedStream, NotGiven
from k2workers.top.keys import Keys
from k2workers.top.picture import Seen, picture
from k2workers.top.shard_table import LETTERS
from k2workers.top.terminal import OwnScreen, can_draw
from k2workers.top.view import FeedView

DRAW_S = 1.0
SNAPSHOT_S = 15.0
"""A feed answers within this time, or not at all."""


def show(url: str, *, json: bool) -> int:
    """Show the feed until q or as any command that prints (``line_output``); the exit code.

    Raises FeedSilent where one snapshot is wanted and nothing answers.
    """
    with contextlib.suppress(ConfigError):  # nothing can be written: then no run lives here either
        have_temporary(os.environ)
    top = Top(url)
    return printing("top", lambda: top.snapshot(json=json) if json or not can_draw(os.environ) else top.live())


class Top:
    """What is shown of one feed; without a ``url``, of the one that began last on this machine."""

    def __init__(self, url: str) -> None:
        self._view = FeedView(time.monotonic())
        self._stream = FeedStream(lambda: url or health.address(os.environ), self._hear)
        self._changed = asyncio.Event()
        self._typed = asyncio.Event()
        self._keys = Keys(LETTERS)
        self._rows = 24

    def _hear(self, name: str, data: bytes) -> None:
        try:
            self._view.take(name, data, time.monotonic())
        except msgspec.MsgspecError as error:
            raise NotGiven(f"its messages are not understood; is it another version? ({error})") from None
        if name == "now":
            self._changed.set()

    def _seen(self) -> Seen:
        at_ms = time.time_ns() // 1_000_000
        return Seen(self._view, url=self._stream.url, why=self._stream.why, at_ms=at_ms, now_s=time.monotonic())

    async def snapshot(self, *, json: bool) -> None:
        """One picture as text, or its content as JSON. Raises FeedSilent."""
        output = LineOutput()
        listening = asyncio.ensure_future(self._stream.once())
        waiting = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({listening, waiting}, timeout=SNAPSHOT_S, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        waiting.cancel()
        if self._view.now is None:
            why = self._stream.why or "it says nothing"
            raise FeedSilent(f"no feed answers at {self._stream.url}: {why}; is k2workers running there? (flag --url)")
        if json:
            parts = {
                name: msgspec.Raw(self._view.raw[name]) for name in ("watch", "happened") if name in self._view.raw
            }
            whole = msgspec.json.decode(self._view.raw["now"], type=dict[str, msgspec.Raw])
            output.write(msgspec.json.encode({**whole, **parts}).decode())
            return
        columns, _ = shutil.get_terminal_size((100, 24))
        console = Console(width=columns, color_system=None, force_terminal=False)
        for line in picture(self._seen(), console, None, None):
            output.write(line.rstrip())

    async def live(self) -> None:
        """The picture as it changes, until q."""
        output = LineOutput()
        tasks: list[asyncio.Future[None]] = [
            asyncio.ensure_future(self._stream.follow()),
            asyncio.ensure_future(self._search()),
        ]
        try:
            with OwnScreen(output, self._press, self._changed.set) as screen:
                while not self._keys.ended:
                    self._changed.clear()
                    columns, self._rows = screen.size
                    console = Console(width=columns, force_terminal=True, file=sys.stdout, highlight=False)
                    keys = self._keys if screen.has_keys else None
                    screen.draw(picture(self._seen(), console, self._rows - 1, keys))
                    await self._wait(tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _wait(self, tasks: list[asyncio.Future[None]]) -> None:
        """Until something is to be drawn. Raises what went wrong in the tasks."""
        waiting = asyncio.ensure_future(self._changed.wait())
        every: list[asyncio.Future[Any]] = [waiting, *tasks]
        await asyncio.wait(every, timeout=DRAW_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in tasks:
            if task.done():
                task.result()

    def _press(self, pressed: str) -> None:
        before = self._keys.search
        self._keys.press(pressed)
        if self._keys.search != before:
            self._view.found = None
            self._typed.set()
        self._changed.set()

    async def _search(self) -> None:
        """Ask for the topics that are searched for, as long as some are."""
        while True:
            wanted = self._keys.search
            if wanted:
                with contextlib.suppress(NotGiven):  # the verdict says that it does not answer
                    found = await self._stream.topics(wanted, min(MOST_SHOWN, max(1, self._rows)))
                    if wanted == self._keys.search:
                        self._view.found = found
                        self._changed.set()
            self._typed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S if self._keys.search else None):
                    await self._typed.wait()
