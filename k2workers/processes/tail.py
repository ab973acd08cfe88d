"""Owns what ``k2workers tail`` prints: one readable line an event; on standard error, what keeps events from coming."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from k2workers.errors import ConfigError
from k2workers.transport.deliveries import Lost
from k2workers.transport.items import Message
from k2workers.transport.subscriber import Subscriber

HINT_S = 5.0

ENDING_LOOK_MS = 200
"""How often a line that nobody reads is left to see whether the end is wished for."""


def follow(
    topics: Sequence[str],
    endpoint: str,
    snapshot_endpoint: str,
    books_endpoint: str,
    count: int | None,
    *,
    as_json: bool,
) -> int:
    """Print until ``count`` events, Ctrl-C, SIGTERM, SIGHUP or a closed pipe; the exit code. Raises ConfigError without a standard output."""
    if sys.stdout is None:
        raise ConfigError("tail: standard output is closed, and events are printed there")
    try:
        asyncio.run(_follow(topics, endpoint, snapshot_endpoint, books_endpoint, count, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except BrokenPipeError:
        # The reader (such as head) has enough; nothing may be flushed into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except _NotWritten as error:
        _tell(f"k2workers: error: standard output cannot be written ({error})")
        return 1
    return 0


class _NotWritten(Exception):
    """An event found no room where standard output leads."""


class _Output:
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

    def write(self, line: str) -> None:
        """Write it, however long that takes. Raises CancelledError if nobody reads and the end is wished for."""
        data = f"{line}\n".encode(errors="backslashreplace")
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


def _tell(words: str) -> None:
    """Say it on standard error, if there is one; what is said there is worth no event."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(words, file=sys.stderr, flush=True)


async def _follow(
    topics: Sequence[str],
    endpoint: str,
    snapshot_endpoint: str,
    books_endpoint: str,
    count: int | None,
    *,
    as_json: bool,
) -> None:
    left = count
    output = _Output()

    def tell_of_feed(speaks: bool) -> None:
        words = (
            "the feed is back" if speaks else f"feed lost: nothing heard from {endpoint}; is k2workers running there?"
        )
        _tell(words)

    async with Subscriber(
        topics,
        endpoint,
        snapshot_endpoint=snapshot_endpoint,
        books_endpoint=books_endpoint,
        on_feed=tell_of_feed,
        name=f"tail {os.getpid()}",
    ) as subscriber:
        waiting = set(topics)
        hinting = asyncio.get_running_loop().create_task(_hint(subscriber, waiting, endpoint))
        async for item in subscriber:
            if waiting:
                waiting -= {topic for topic in waiting if item.topic == topic or _under(topic, item.topic)}
            # Not ``print``: unbuffered (PYTHONUNBUFFERED), it drops the rest of a line in whose midst a signal comes.
            output.write(_json(item) if as_json else _line(item))
            if left is not None and isinstance(item, Message):
                left -= 1
                if left <= 0:
                    break
        hinting.cancel()


def _under(prefix: str, topic: str) -> bool:
    return prefix.endswith(".") and topic.startswith(prefix)


async def _hint(subscriber: Subscriber, waiting: set[str], endpoint: str) -> None:
    """Say what is waited for when nothing has come of it for a while, and what does not exist."""
    await subscriber.wait_subscribed(math.inf)
    await asyncio.sleep(HINT_S)
    absent = waiting.intersection(subscriber.absent)
    for topic in sorted(absent):
        _tell(f"{topic} does not exist: {endpoint} has published nothing under it so far")
    if waiting - absent:
        _tell(f"waiting for events of {', '.join(sorted(waiting - absent))} from {endpoint} …")


def _line(item: Message | Lost) -> str:
    if isinstance(item, Lost):
        ids = f", ids {item.first_id} to {item.last_id}" if item.first_id is not None else ""
        return f"LOST {item.topic}: {item.count} batches{ids}"
    at = datetime.fromtimestamp(item.publish_ns / 1e9, UTC).strftime("%H:%M:%S.%f")
    fields = " ".join(f"{name}={_short(value)}" for name, value in _fields(item).items())
    return f"{at} {item.topic} #{item.sequence} {type(item.event).__name__} {fields}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _fields(item: Message) -> dict[str, object]:
    return {name: getattr(item.event, name) for name in item.event.__struct_fields__}


def _json(item: Message | Lost) -> str:
    if isinstance(item, Lost):
        row: dict[str, object] = {
            "lost": item.topic,
            "first": item.first_sequence,
            "last": item.last_sequence,
            "first_id": item.first_id,
            "last_id": item.last_id,
        }
    else:
        row = {
            "topic": item.topic,
            "sequence": item.sequence,
            "publish_ns": item.publish_ns,
            "type": type(item.event).__name__,
            **_fields(item),
        }
    return msgspec.json.encode(row).decode()
