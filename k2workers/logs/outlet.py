"""Owns the way of text out of a process: whoever prints or logs never waits for those who read it.

Text waits in a bounded queue for a thread that alone may be kept waiting, by a full pipe, a stopped terminal or a slow disk. What does
not fit is dropped and counted. (``logging.handlers.QueueListener`` does the same for log records alone; but it waits for ever
when it is stopped, and tells of a full queue by a traceback on the very stream that nobody reads.)
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

MOST_WAITING = 2**18
"""Characters that may wait: some 500 lines. Once there is no room, all is dropped until half of it is free."""

END_S = 1.0
"""The end of a process waits for so long after the last sign that somebody reads, and no longer than ``END_LIMIT_S``."""

END_LIMIT_S = 2.0

Show = Callable[[list[str]], None]
"""Takes lines to where they are read. It may wait as long as it must, and raises OSError for lines that are lost."""

_outlets: list[Outlet] = []
"""Those of this process."""


class Outlet(io.TextIOBase):
    """A text stream that takes the place of ``sys.stdout`` or ``sys.stderr``; only ``settle`` waits, and not for long.

    ``notice`` makes the line that tells how many lines were dropped right before it.
    """

    def __init__(self, fd: int) -> None:
        self.dropped = 0
        """Lines that were lost so far."""
        self.notice: Callable[[int], str] = lambda count: f"k2workers: {count} lines dropped: nobody read them\n"
        self._fd = fd
        self._show: Show = self._write_all
        self._at_once = 1
        self._begun = ""
        """A line whose end has not come."""
        self._queue: deque[str | Callable[[], None]] = deque()
        self._waiting = 0
        """Characters in the queue, and those on their way."""
        self._left = 0
        """The same in lines and other things to do."""
        self._told = 0
        """How many of the dropped lines were told."""
        self._failed = False
        """Whether the last lines were lost on their way."""
        self._thread: threading.Thread | None = None
        # One thread may come twice: a finalizer prints whenever it likes.
        self._changed = threading.Condition(threading.RLock())

    def write(self, text: str, /) -> int:
        """Take text; whole lines go out."""
        with self._changed:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._offer(line + "\n")
        return len(text)

    def flush(self) -> None:
        """As ``settle``, which is right at the end of a process; where an event loop runs, nothing."""
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            return
        self.settle()

    def settle(self) -> None:
        """Wait until all has been shown: as long as somebody reads, and not for long."""
        with self._changed:
            if self._begun:
                self.write("\n")
            now_s = time.monotonic()
            limit_s, end_s, left = now_s + END_LIMIT_S, now_s + END_S, self._left
            while self._left and now_s < min(end_s, limit_s):
                self._changed.wait(min(end_s, limit_s) - now_s)
                now_s = time.monotonic()
                if self._left != left:
                    end_s, left = now_s + END_S, self._left

    def close(self) -> None:
        """Nothing: Python does it while its threads already stand still, perhaps with the lock."""

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Where the text goes."""
        return self._fd

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return os.isatty(self._fd)

    def show_with(self, show: Show | None, at_once: int = 1) -> None:
        """From now on have this show the lines, so many at once at most, or None as at the beginning. Call it on the outlet's thread, where it
        is called too."""
        self._show, self._at_once = show or self._write_all, at_once

    def soon(self, work: Callable[[], None]) -> None:
        """Do this on the outlet's thread, after the lines before it, unless it waits there already. It may raise OSError."""
        with self._changed:
            if work not in self._queue:
                self._enqueue(work)

    def _write_all(self, lines: list[str]) -> None:
        write_all(self._fd, "".join(lines))

    def _offer(self, line: str) -> None:
        dropping = self.dropped > self._told
        if self._waiting + len(line) > (MOST_WAITING // 2 if dropping else MOST_WAITING):
            self.dropped += 1
            return
        if dropping and not self._failed:
            self._tell()
        self._enqueue(line)

    def _tell(self) -> None:
        count, self._told = self.dropped - self._told, self.dropped
        self._enqueue(self.notice(count))

    def _enqueue(self, item: str | Callable[[], None]) -> None:
        self._queue.append(item)
        self._waiting += len(item) if isinstance(item, str) else 0
        self._left += 1
        self._changed.notify_all()
        if self._thread is None or not self._thread.is_alive():
            # In the context of whoever printed first: there stands what each log line says of its process.
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._run,), name="outlet", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            lines, work = self._next()
            shown = False
            try:
                with contextlib.suppress(OSError):
                    if work is None:
                        self._show(lines)
                    else:
                        work()
                    shown = True
            finally:
                self._over(lines, shown=shown)

    def _next(self) -> tuple[list[str], Callable[[], None] | None]:
        """Lines to show, or else something to do; waits for it."""
        with self._changed:
            while not self._queue:
                self._changed.wait()
            lines: list[str] = []
            while self._queue and len(lines) < self._at_once:
                item = self._queue.popleft()
                if isinstance(item, str):
                    lines.append(item)
                elif lines:
                    self._queue.appendleft(item)
                    break
                else:
                    return lines, item
            return lines, None

    def _over(self, lines: list[str], *, shown: bool) -> None:
        with self._changed:
            self._waiting -= sum(map(len, lines))
            self._left -= len(lines) or 1
            if lines:
                self._failed = not shown
                self.dropped += 0 if shown else len(lines)
            if shown and self.dropped > self._told and not self._queue:
                self._tell()  # who reads need not wait for the next line to learn of it
            self._changed.notify_all()


def write_all(fd: int, text: str) -> None:
    """Write it, however long that takes. Raises OSError if there is nobody who could read it."""
    data = text.encode(errors="backslashreplace")
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # somebody who has the same file made it so
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()


def take_over() -> None:
    """From now on all that this process prints goes through outlets, until Python ends its threads."""
    atexit.register(_give_back, sys.stdout, sys.stderr)
    for name, fd in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            continue  # closed by whoever started us
        for known in _outlets:
            if os.path.sameopenfile(known.fileno(), fd):
                setattr(sys, name, known)
                break
        else:
            _outlets.append(Outlet(fd))
            setattr(sys, name, _outlets[-1])


def _give_back(stdout: TextIO, stderr: TextIO) -> None:
    settle()
    sys.stdout, sys.stderr = stdout, stderr


def terminal() -> Outlet | None:
    """The terminal on which this process shows what goes on, if there is one."""
    return next((outlet for outlet in _outlets if outlet is sys.stdout and outlet.isatty()), None)


def settle() -> None:
    """As ``Outlet.settle``: before an end that Python does not see."""
    for outlet in _outlets:
        outlet.settle()


def dropped() -> int:
    """Lines of this process that were lost so far."""
    return sum(outlet.dropped for outlet in _outlets)
