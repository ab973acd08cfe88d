"""A capture program as SUBSCRIBING.md advises: what it was given and its position are saved together, and it goes on from there.

    python -m tests.chaos.capture FILE ENDPOINT SNAPSHOT_ENDPOINT BOOKS_ENDPOINT TOPIC…

The file is a row of records, each its length and then (position, items) in MessagePack. What was cut off by a death in the middle of
a record was not saved: the next life drops it and is given it again. SIGTERM: the last record is written, then it ends.
``read`` reads the file of a program that runs or has ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from k2workers import Lost, MessageBatch, Position, Subscriber
from k2workers.events import LATE, SCHEMA_OF, SCHEMAS, Backfilled, Event
from tests.chaos.ledger import Ledger

SAVE_S = 0.2
_LENGTH = struct.Struct(">I")


class Given(msgspec.Struct, array_like=True, tag="given"):
    """Events of one topic and one schema, as they were given."""

    topic: str
    schema: int
    events: list[msgspec.Raw]


class Missed(msgspec.Struct, array_like=True, tag="lost"):
    """A ``Lost``."""

    topic: str
    first_id: int | None
    last_id: int | None
    batches: int


class Record(msgspec.Struct, array_like=True):
    """What was given since the record before, and the position after it."""

    position: bytes
    items: list[Given | Missed]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
_events = {number: msgspec.msgpack.Decoder(kind).decode for number, kind in SCHEMAS.items()}


def written(item: MessageBatch | Lost) -> list[Given | Missed]:
    """The item as the file has it."""
    if isinstance(item, Lost):
        return [Missed(item.topic, item.first_id, item.last_id, item.count)]
    rows: list[Given | Missed] = []
    for event in item.events:
        late = isinstance(event, Backfilled)
        inner = event.event if isinstance(event, Backfilled) else event
        schema = SCHEMA_OF[type(inner)] + LATE * late
        raw = msgspec.Raw(_encode(inner))
        if rows and isinstance(rows[-1], Given) and rows[-1].schema == schema:
            rows[-1].events.append(raw)
        else:
            rows.append(Given(item.topic, schema, [raw]))
    return rows


def framed(position: Position, items: list[Given | Missed]) -> bytes:
    """A record as the file has it."""
    body = _encode(Record(position.to_bytes(), items))
    return _LENGTH.pack(len(body)) + body


def bodies(file: BinaryIO, begin: int = 0) -> Iterator[tuple[int, int]]:
    """(begin, end) of each whole record from this offset on."""
    size = file.seek(0, os.SEEK_END)
    while begin + _LENGTH.size <= size:
        file.seek(begin)
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        end = begin + _LENGTH.size + length
        if end > size:
            return
        yield begin + _LENGTH.size, end
        begin = end


def _read_record(file: BinaryIO, begin: int, end: int) -> Record:
    file.seek(begin)
    return _decode(file.read(end - begin))


def read(path: Path, ledger: Ledger, begin: int = 0) -> int:
    """Judge what the file has from this offset on; returns the offset to go on from."""
    with path.open("rb") as file:
        for place in list(bodies(file, begin)):
            begin = place[1]
            for item in _read_record(file, *place).items:
                if isinstance(item, Missed):
                    ledger.lose(item.topic, item.first_id, item.last_id, item.batches)
                    continue
                for raw in item.events:
                    ledger.take(item.topic, _event(item.schema, raw))
    return begin


def _event(schema: int, raw: msgspec.Raw) -> Event:
    return _events[schema](raw) if schema < LATE else Backfilled(_events[schema - LATE](raw))


def last_position(path: Path) -> Position | None:
    """What the program saved last; the rest of an unfinished record is cut off."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        places = list(bodies(file))
        saved = _read_record(file, *places[-1]).position if places else None
    os.truncate(path, places[-1][1] if places else 0)
    return None if saved is None else Position.from_bytes(saved)


async def capture(path: Path, endpoint: str, snapshot_endpoint: str, books_endpoint: str, topics: list[str]) -> None:
    """Until SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    position = last_position(path)
    pending: list[Given | Missed] = []
    with path.open("ab") as file:
        async with Subscriber(
            topics,
            endpoint,
            snapshot_endpoint=snapshot_endpoint,
            books_endpoint=books_endpoint,
            position=position,
        ) as subscriber:  # fmt: skip

            async def follow() -> None:
                async for item in subscriber.batches():
                    pending.extend(written(item))

            def save() -> None:
                file.write(framed(subscriber.position(), pending))
                file.flush()
                pending.clear()

            following = loop.create_task(follow())
            while not stop.is_set() and not following.done():
                stopping = loop.create_task(stop.wait())
                await asyncio.wait({stopping, following}, timeout=SAVE_S, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if subscriber.position().topics:
                    save()
            if following.done():
                following.result()
            following.cancel()


if __name__ == "__main__":
    saved, publish, replay, books, *topics = sys.argv[1:]
    asyncio.run(capture(Path(saved), publish, replay, books, topics))
