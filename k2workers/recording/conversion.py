"""Owns how an ended segment of the journal becomes files: a Parquet file for each of its topics, a line in its manifest, and then the segment is removed.

The same segment gives the same files under the same names, whenever and however often: who was ended in the midst of it begins it again, and nothing is there twice. Each file
of book changes begins with a whole book, if the one before it ended with one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from k2workers import wire
from k2workers.continuity import Continuity, Repair
from k2workers.events import BookSnapshot, Event
from k2workers.files.lock_file import LockFile
from k2workers.recording import journal, journal_records, layout, manifest, parquet_file
from k2workers.recording.journal_records import BATCH, LOSS, POSITION, RESTART, JournalRecord
from k2workers.recording.parquet_file import FileHead, ParquetReader, RecordingUnreadable
from k2workers.recording.row import Loss, Restart, Row
from k2workers.sequencing.coverage import NOT_KNOWN
from k2workers.sequencing.order_book import OrderBook

LOOK_AGAIN_S = 0.1
"""How often one who waits for another conversion to end looks."""

_loss = msgspec.msgpack.Decoder(tuple[str, Loss])
_restart = msgspec.msgpack.Decoder(tuple[str, Restart])


def convert(to: Path, below: int) -> list[str]:
    """Turn the segments with numbers below this into files; one program at a time does. The names of damaged ones. Raises OSError."""
    folder = journal.folder_of(to)
    with alone(to):
        return [
            name for number in journal.segments(folder) if number < below and (name := _convert(to, folder, number))
        ]


@contextlib.contextmanager
def alone(to: Path) -> Iterator[None]:
    """While nobody else changes a manifest; waits until that is so. Raises OSError."""
    lock = LockFile(journal.folder_of(to) / "conversion.lock")
    while lock.take():
        time.sleep(LOOK_AGAIN_S)
    try:
        yield
    finally:
        lock.close()


def _convert(to: Path, folder: Path, number: int) -> str:
    path, places = journal.path_of(folder, number), set()
    with journal.content_of(path) as content:
        by_topic, whole = _by_topic(content)
        for topic, found in by_topic.items():
            for day, records in _by_day(content, found, partial(layout.newest_before, to, topic, "", number)):
                _write(to, topic, day, number, content, records)
                places.add(layout.folder_of(to, topic, day))
    for place in places:
        journal.sync_folder(place)
    if whole:
        path.unlink()
        return ""
    damaged = path.with_name(path.name + journal.DAMAGED_SUFFIX)
    path.replace(damaged)
    return damaged.name


def _by_topic(content: memoryview) -> tuple[dict[str, list[JournalRecord]], bool]:
    """The records of each topic, and whether all of the segment could be read."""
    found: dict[str, list[JournalRecord]] = {}
    end, last = 0, b""
    for record in journal_records.records(content):
        end, last = record.end, record.letter
        if last != POSITION:
            found.setdefault(_topic_of(content, record), []).append(record)
    return found, end == len(content) and last == POSITION


def _by_day(
    content: memoryview, found: list[JournalRecord], newest_before: Callable[[], Path | None]
) -> Iterator[tuple[str, list[JournalRecord]]]:
    """The records of a topic by the day on which they were published; a clock that was set back moves nothing to a day before.

    What the recorder says for itself goes with what follows, for after a pause that may have been published on a day before; if nothing does, with the file before.
    """
    day, records, own = "", list[JournalRecord](), list[JournalRecord]()
    for record in found:
        own.append(record)
        if record.letter != BATCH:
            continue
        its_day = layout.day_of(_time_of(content, record))
        if its_day > day:
            if records:
                yield day, records
            day, records = its_day, []
        records += own
        own = []
    if not records:
        before = newest_before()
        day = before.parent.name if before is not None else layout.day_of(_time_of(content, own[0]))
    yield day, records + own


def _topic_of(content: memoryview, record: JournalRecord) -> str:
    data = bytes(content[record.begin : record.end])
    if record.letter == BATCH:
        return data[: data.find(b" ")].decode()
    return _loss.decode(data)[0] if record.letter == LOSS else _restart.decode(data)[0]


def _time_of(content: memoryview, record: JournalRecord) -> int:
    data = bytes(content[record.begin : record.end])
    if record.letter == BATCH:
        return wire.read_header(data).publish_ns
    return (_loss if record.letter == LOSS else _restart).decode(data)[1].at_ns


def _rows(content: memoryview, found: list[JournalRecord]) -> Iterator[Row]:
    for letter, begin, end in found:
        data = bytes(content[begin:end])
        if letter == BATCH:
            header = wire.read_header(data)
            for event in wire.decode_events(data, header):
                yield Row(header.sequence, header.publish_ns, event)
        elif letter == LOSS:
            yield Row(None, None, _loss.decode(data)[1])
        elif letter == RESTART:
            yield Row(None, None, _restart.decode(data)[1])


def _write(to: Path, topic: str, day: str, number: int, content: memoryview, found: list[JournalRecord]) -> None:
    continuity = next((_continuity(content, record) for record in found if record.letter == BATCH), NOT_KNOWN)
    rows = list(_rows(content, found))
    if (
        continuity != NOT_KNOWN
        and Continuity.of(continuity).repair is Repair.BOOK
        and not isinstance(rows[0].of, BookSnapshot)
    ):
        book = book_before(layout.newest_before(to, topic, day, number))
        if book.whole:
            rows.insert(0, Row(None, None, book.snapshot()))
    path = layout.file_of(to, topic, day, number)
    parquet_file.write(path, FileHead(parquet_file.FORMAT, topic, day, number, continuity), rows)
    manifest.add(layout.manifest_of(to, topic, day), topic, day, manifest.told_of(path, number, rows))


def _continuity(content: memoryview, record: JournalRecord) -> int:
    return wire.read_header(bytes(content[record.begin : record.end])).continuity


def book_before(path: Path | None) -> OrderBook:
    """The book of a topic as its last file leaves it; not whole if that does not tell."""
    book = OrderBook()
    if path is not None:
        try:
            for row in ParquetReader(path).rows():
                follow(book, row)
        except RecordingUnreadable:
            book.lose()
    return book


def follow(book: OrderBook, row: Row) -> None:
    """The next row of a topic of book changes."""
    if isinstance(row.of, Loss):
        book.lose()
    elif isinstance(row.of, Event):
        book.take(row.of)
