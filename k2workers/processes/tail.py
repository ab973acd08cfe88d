"""Owns what ``k2workers tail`` prints: one readable line an event; on standard error, what keeps events from coming."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from k2workers.processes.line_output import LineOutput, hint, printing, tell, words_of_feed
from k2workers.transport.deliveries import Lost
from k2workers.transport.items import Message
from k2workers.transport.subscriber import Subscriber


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
    return printing(
        "tail", lambda: _follow(topics, endpoint, snapshot_endpoint, books_endpoint, count, as_json=as_json)
    )


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
    output = LineOutput()
    async with Subscriber(
        topics,
        endpoint,
        snapshot_endpoint=snapshot_endpoint,
        books_endpoint=books_endpoint,
        on_feed=lambda speaks: tell(words_of_feed(speaks=speaks, endpoint=endpoint)),
        name=f"tail {os.getpid()}",
    ) as subscriber:
        waiting = set(topics)
        hinting = asyncio.get_running_loop().create_task(hint(subscriber, waiting, endpoint))
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
