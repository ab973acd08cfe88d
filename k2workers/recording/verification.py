"""Owns what ``verify`` finds in a recording and how it is told: each topic and day proven, and the files that could not be read, while the rest is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from k2workers.continuity import Continuity, Repair
from k2workers.errors import ConfigError
from k2workers.recording import catalog, journal, journal_records, layout
from k2workers.recording.book_audit import BookAudit, BookFigures
from k2workers.recording.catalog import RowsFound
from k2workers.recording.id_audit import DayFigures, IdAudit
from k2workers.recording.journal_records import POSITION
from k2workers.recording.layout import FilePlace
from k2workers.recording.manifest import FileTold
from k2workers.recording.parquet_file import RecordingUnreadable
from k2workers.sequencing.coverage import NOT_KNOWN


class TopicFound(msgspec.Struct):
    """What the files of one topic hold; ``guarantee`` is what its ids can prove, empty if nothing of the venue is there."""

    topic: str
    guarantee: str
    files: int
    days: dict[str, DayFigures]
    books: BookFigures | None = None


class RestFetched(msgspec.Struct):
    """What came of asking: rows that are in files now, among them those that say that ids never existed (``void``); what could not be asked to its end, and why."""

    requests: int = 0
    rows: int = 0
    void: int = 0
    stopped: list[str] = msgspec.field(default_factory=list)


class RecordingFound(msgspec.Struct):
    """Everything. ``damaged`` files could not be read, or are not what their manifest says, ``unknown`` ones are none of a recording."""

    whole: bool
    topics: list[TopicFound]
    damaged: dict[str, str]
    unknown: list[str]
    journal_bytes: int
    """What waits to be made into files, and is looked at by nobody before that."""
    fetched: RestFetched | None = None
    """What was asked of the venues before, if anything was."""


def verify(to: Path) -> RecordingFound:
    """Read all of it. Raises ConfigError for a directory that is not there."""
    if not to.is_dir():
        raise ConfigError(f"'{to}': no such directory; allowed: one that was recorded to")
    there = catalog.look(to)
    damaged = {layout.name_of(to, path): reason for path, reason in there.unreadable.items()}
    folder = journal.folder_of(to)
    topics = [
        _topic_found(to, topic, list(places), there.told, damaged)
        for topic, places in itertools.groupby(there.files, lambda file: file.topic)
    ]
    damaged |= {
        layout.name_of(to, path): "a part of the journal that could be read only in part"
        for path in folder.glob(f"*{journal.DAMAGED_SUFFIX}")
    }
    unknown = [layout.name_of(to, path) for path in there.unknown]
    whole = not damaged and not unknown and all(_is_whole(topic) for topic in topics)
    return RecordingFound(whole, topics, damaged, unknown, waiting_bytes(to))


def waiting_bytes(to: Path) -> int:
    """How much of the journal is not made into files yet."""
    folder = journal.folder_of(to)
    return sum(_waiting(journal.path_of(folder, number)) for number in journal.segments(folder))


def lines(found: RecordingFound) -> Iterator[str]:
    """What was found, in words: a line for each topic and day, then what is wrong with files, then the sum."""
    for topic in found.topics:
        for day, figures in topic.days.items():
            yield f"{topic.topic} {day}: {_words(figures, topic.guarantee)}"
        if topic.books is not None:
            yield f"{topic.topic} books: {_named(topic.books)}"
    yield from (f"damaged: {path}: {reason}" for path, reason in sorted(found.damaged.items()))
    yield from (f"unknown: {path}" for path in found.unknown)
    if found.fetched is not None:
        asked = found.fetched
        yield f"REST: requests {asked.requests:,}, rows that came {asked.rows:,}, void among them {asked.void:,}"
        yield from (f"stopped: {reason}" for reason in asked.stopped)
    if found.journal_bytes:
        yield f"journal: {found.journal_bytes} bytes that the recorder has not made into files yet"
    every = [figures for topic in found.topics for figures in topic.days.values()]
    sums = {name: sum(getattr(figures, name) for figures in every) for name in ("rows", "missing", "twice", "named")}
    yield f"{'whole' if found.whole else 'NOT WHOLE'}: {len(found.topics)} topics, " + _listed(sums)


def _words(figures: DayFigures, guarantee: str) -> str:
    counts = msgspec.structs.asdict(figures)
    always = {name: counts.pop(name) for name in ("rows", "expected", "present", "missing", "twice")}
    if not figures.expected:
        del always["expected"], always["missing"]
    rest = {name: count for name, count in counts.items() if count}
    return f"{guarantee or 'records'}: " + _listed(always | rest)


def _named(figures: BookFigures) -> str:
    return _listed(msgspec.structs.asdict(figures))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())


def _topic_found(
    to: Path, topic: str, places: list[FilePlace], told: dict[Path, FileTold], damaged: dict[str, str]
) -> TopicFound:
    ids, books = IdAudit(None), None
    continuity: Continuity | None = None
    checked: set[Path] = set()
    for place in places:
        try:
            reader = catalog.opened(place, told.get(place.path), lambda rows: _checked(rows, checked))
            if reader.head.continuity != NOT_KNOWN and continuity is None:
                continuity = ids.continuity = Continuity.of(reader.head.continuity)
                books = BookAudit() if continuity.repair is Repair.BOOK and continuity.chained else None
            if books is not None:
                books.begin_file()
            for row in reader.rows():
                ids.take(row, place.day)
                if books is not None:
                    books.take(row)
        except (OSError, RecordingUnreadable) as error:
            damaged[layout.name_of(to, place.path)] = str(error)
    guarantee = continuity.guarantee.value if continuity is not None else ""
    return TopicFound(topic, guarantee, len(places), dict(ids.days()), books.figures if books is not None else None)


def _checked(rows: RowsFound, before: set[Path]) -> None:
    """Each file once, however many others were merged into it."""
    if rows.path not in before:
        catalog.check(rows.path, rows.told)
        before.add(rows.path)


def _waiting(segment: Path) -> int:
    with journal.content_of(segment) as content:
        return sum(end - begin for letter, begin, end in journal_records.records(content) if letter != POSITION)


def _is_whole(topic: TopicFound) -> bool:
    books = topic.books or BookFigures()
    return not books.broken and not books.differing and not any(day.missing or day.twice for day in topic.days.values())
