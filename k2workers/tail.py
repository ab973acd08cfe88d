"""Owns what ``k2workers tail`` prints: one readable line an event; on standard error, what keeps events from coming."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from k2workers import outlet
from k2workers.transport.deliveries import Lost
from k2workers.transport.subscriber import Message, Subscriber

HINT_S = 5.0


def follow(
    topics: Sequence[str],
    endpoint: str,
    snapshot_endpoint: str,
    books_endpoint: str,
    count: int | None,
    *,
    as_json: bool,
) -> int:
    """Print until ``count`` events, Ctrl-C, SIGTERM or a closed pipe; the exit code."""
    try:
        asyncio.run(_follow(topics, endpoint, snapshot_endpoint, books_endpoint, count, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except BrokenPipeError:
        # The reader (such as head) has enough; nothing may be flushed into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


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
    this_task = asyncio.current_task()
    assert this_task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this_task.cancel)

    def tell_of_feed(speaks: bool) -> None:
        words = (
            "the feed is back" if speaks else f"feed lost: nothing heard from {endpoint}; is k2workers running there?"
        )
        print(words, file=sys.stderr, flush=True)

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
            outlet.write_all(sys.stdout.fileno(), f"{_json(item) if as_json else _line(item)}\n")
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
        print(f"{topic} does not exist: {endpoint} has published nothing under it so far", file=sys.stderr, flush=True)
    if waiting - absent:
        print(
            f"waiting for events of {', '.join(sorted(waiting - absent))} from {endpoint} …",
            file=sys.stderr,
            flush=True,
        )


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
