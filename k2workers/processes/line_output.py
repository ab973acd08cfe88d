"""Owns how a command prints what comes: whole lines on standard output, words on standard error, and an end that waits for no reader."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from k2workers.errors import ConfigError, K2Error
from k2workers.transport.subscriber import Subscriber

HINT_S = 5.0

ENDING_LOOK_MS = 200
"""How often a line that nobody reads is left to see whether the end is wished for."""


def printing(command: str, work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Do the work of this command until its end, Ctrl-C, SIGTERM, SIGHUP or a closed pipe; the exit code. Raises ConfigError without a standard output."""
    need_output(command)
    try:
        asyncio.run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except BrokenPipeError:
        _give_up_output()
    except _NotWritten as error:
        tell(f"k2workers: error: standard output cannot be written ({error})")
        return 1
    return 0


def need_output(command: str) -> None:
    """Raises ConfigError without a standard output. Ask before there is an event loop: its descriptors would take the place."""
    if sys.stdout is None:
        raise ConfigError(f"{command}: standard output is closed, and what it tells is printed there")


def print_whole(command: str, text: str) -> None:
    """Print all that a command tells, at once; a reader may have enough of it. Raises ConfigError if it cannot be written."""
    need_output(command)
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _give_up_output()
    except OSError as error:
        _give_up_output()
        raise ConfigError(f"{command}: standard output cannot be written ({error.strerror})") from None


def _give_up_output() -> None:
    """The reader (such as head) has enough, or there is no room: nothing may be flushed into it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _NotWritten(Exception):
    """An event found no room where standard output leads."""


class LineOutput:
    """Standard output, to which whole lines are written, and the wish to end, which does not wait for whoever reads them.

    Own it in the task that prints: that task is cancelled by a signal. A signal that comes while a line is written leaves it whole, unless nobody reads.
    """

    def __init__(self) -> None:
        self._fd = sys.stdout.fileno()
        self._ending = False
        self._room = select.poll()
        self._room.register(self._fd, select.POLLOUT)
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def end(*_: object) -> None:
            self._ending = True
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(task.cancel)

        # Not the loop's own handlers: they would wait for a line that nobody reads.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, end)

    def write(self, line: str, end: str = "\n") -> None:
        """Write it, however long that takes. Raises CancelledError if nobody reads and the end is wished for."""
        data = f"{line}{end}".encode(errors="backslashreplace")
        while data:
            if self._room.poll(ENDING_LOOK_MS):
                # So much fits into a pipe that has room at all, without waiting.
                data = data[self._write(data[: select.PIPE_BUF]) :]
            elif self._ending:
                raise asyncio.CancelledError

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # somebody who has the same file made it so
            return 0
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _NotWritten(error.strerror) from None


def tell(words: str) -> None:
    """Say it on standard error, if there is one; what is said there is worth no event."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(words, file=sys.stderr, flush=True)


def words_of_feed(*, speaks: bool, endpoint: str) -> str:
    """That a feed is heard again, or no longer."""
    return "the feed is back" if speaks else f"feed lost: nothing heard from {endpoint}; is k2workers running there?"


async def hint(subscriber: Subscriber, waiting: set[str], endpoint: str) -> None:
    """Say what is waited for when nothing has come of it for a while, and what does not exist."""
    try:
        await subscriber.wait_subscribed(math.inf)
    except K2Error:
        return  # whoever waits for items is told the same
    await asyncio.sleep(HINT_S)
    absent = waiting.intersection(subscriber.absent)
    for topic in sorted(absent):
        tell(f"{topic} does not exist: {endpoint} has published nothing under it so far")
    if waiting - absent:
        tell(f"waiting for events of {', '.join(sorted(waiting - absent))} from {endpoint} …")
