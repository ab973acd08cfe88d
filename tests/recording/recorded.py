"""The recorder as a user runs it, and what its journal has reached, seen from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from k2workers import Backfilled, Event, Position
from k2workers.recording import catalog, journal, journal_records
from k2workers.recording.parquet_file import ParquetReader
from k2workers.recording.playback_pace import EVER_NS
from k2workers.recording.row import Row
from k2workers.recording.timeline import Run, Timeline
from tests.system.support import Program


def recorder(
    to: Path, publish: int, *topics: str, replay: int | None = None, books: int | None = None, file_minutes: float = 60
) -> Program:
    """``record``, with the feed's other ports if they are not the next ones."""
    ports = ["--endpoint", f"tcp://127.0.0.1:{publish}"]
    ports += ["--snapshot-endpoint", f"tcp://127.0.0.1:{replay or publish + 1}"]
    ports += ["--books-endpoint", f"tcp://127.0.0.1:{books or publish + 2}"]
    return Program(
        "record", "--to", str(to), *ports, "--log-format", "json", "--file-minutes", str(file_minutes), *topics
    )


def reached(to: Path) -> Position:
    """The last position that is on the disk."""
    folder = journal.folder_of(to)
    for number in reversed(journal.segments(folder)):
        with journal.content_of(journal.path_of(folder, number)) as content:
            if (last := journal_records.last_position(content)) is not None and last.end > last.begin:
                return Position.from_bytes(bytes(content[last.begin : last.end]))
    return Position()


def rows(to: Path) -> dict[str, list[Row]]:
    """Every row of the files, by topic."""
    found: dict[str, list[Row]] = {}
    for place in catalog.look(to).named:
        found.setdefault(place.topic, []).extend(ParquetReader(place.path).rows())
    return found


def events(to: Path, but: Sequence[str] = ("status.",)) -> dict[str, list[Any]]:
    """What the feed published, by topic, without what the recorder wrote itself."""
    return {
        topic: [row.of for row in found if row.sequence is not None and isinstance(row.of, Event | Backfilled)]
        for topic, found in rows(to).items()
        if not topic.startswith(tuple(but))
    }


def played(to: Path) -> Iterator[Run]:
    """What a replay takes, each row by itself: how many come together depends on the files."""
    timeline = Timeline(to)
    while timeline.next_ns is not None:
        yield timeline.take(EVER_NS, 1)
