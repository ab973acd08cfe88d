"""Owns what ``k2workers tail`` prints: each event that is wanted, in the form that is wanted; on standard error, what keeps events from coming."""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import Callable

import msgspec

from k2workers.processes.conditions import Condition
from k2workers.processes.event_rows import CsvTable, json_row, line
from k2workers.processes.line_output import LineOutput, hint, printing, tell, words_of_feed
from k2workers.transport.deliveries import Lost
from k2workers.transport.items import Message
from k2workers.transport.subscriber import Subscriber
from k2workers.wanted import wants


class Form(enum.Enum):
    """How events are printed."""

    LINES = "lines"
    JSON = "json"
    CSV = "csv"


class TailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of which topics to print, and how; ``count``: stop after so many; ``since_ns``: begin at this time, if the feed keeps a disk ring."""

    topics: tuple[str, ...]
    endpoint: str
    snapshot_endpoint: str = ""
    books_endpoint: str = ""
    disk_ring_endpoint: str = ""
    since_ns: int | None = None
    conditions: list[Condition] = []
    count: int | None = None
    form: Form = Form.LINES


def follow(settings: TailSettings) -> int:
    """Print until enough came, Ctrl-C, SIGTERM, SIGHUP or a closed pipe; the exit code.

    Raises ConfigError without a standard output, for a time if the feed keeps no disk ring, and for events of several types in one table.
    """
    return printing("tail", lambda: _follow(settings))


async def _follow(settings: TailSettings) -> None:
    topics, endpoint, left = settings.topics, settings.endpoint, settings.count
    output = LineOutput()
    write = _writer(settings.form)
    async with Subscriber(
        topics,
        endpoint,
        snapshot_endpoint=settings.snapshot_endpoint,
        books_endpoint=settings.books_endpoint,
        disk_ring_endpoint=settings.disk_ring_endpoint,
        since=settings.since_ns,
        on_feed=lambda speaks: tell(words_of_feed(speaks=speaks, endpoint=endpoint)),
        name=f"tail {os.getpid()}",
    ) as subscriber:
        waiting = set(topics)
        hinting = asyncio.get_running_loop().create_task(hint(subscriber, waiting, endpoint))
        async for item in subscriber:
            if waiting:
                waiting -= {topic for topic in waiting if wants([topic])(item.topic)}
            if isinstance(item, Message) and not all(condition.holds(item) for condition in settings.conditions):
                continue
            lines = write(item)
            for each in lines:
                # Not ``print``: unbuffered (PYTHONUNBUFFERED), it drops the rest of a line in whose midst a signal comes.
                output.write(each)
            if left is not None and lines and isinstance(item, Message):
                left -= 1
                if left <= 0:
                    break
        hinting.cancel()


def _writer(form: Form) -> Callable[[Message | Lost], list[str]]:
    """What makes lines of an item."""
    if form is not Form.CSV:
        write = json_row if form is Form.JSON else line
        return lambda item: [write(item)]
    table = CsvTable()

    def rows(item: Message | Lost) -> list[str]:
        found = table.rows(item)
        if not found:
            tell(line(item))
        return found

    return rows
