"""Owns the one order in which rows of all topics of a recording come: that of the times at which we learned of them, and in each topic its own."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from k2workers.recording import catalog
from k2workers.recording.layout import FilePlace
from k2workers.recording.parquet_file import RecordingUnreadable
from k2workers.recording.row import Row
from k2workers.sequencing.coverage import NOT_KNOWN

_log = structlog.get_logger(__name__)


class Moment(NamedTuple):
    """One row, its topic, how that continues (``NOT_KNOWN`` if the files so far do not say), and when it comes, which never goes back."""

    at_ns: int
    topic: str
    continuity: int
    row: Row


def moments(directory: Path, topics: Sequence[str] = (), from_ns: int = 0) -> Iterator[Moment]:
    """All rows of these topics and prefixes, or of all; the files that ended before ``from_ns`` are not read. A file that cannot be read is logged and left out."""
    there = catalog.look(directory)
    for path, reason in there.unreadable.items():
        _log.warning("manifest_unreadable", path=str(path), error=reason)
    ended = {path: file.last_received_ns or 0 for path, file in there.told.items()}
    streams = [
        _of_topic(topic, [place for place in places if ended.get(place.path, from_ns) >= from_ns])
        for topic, places in itertools.groupby(there.files, lambda file: file.topic)
        if not topics or any(topic == each or (each.endswith(".") and topic.startswith(each)) for each in topics)
    ]
    return heapq.merge(*streams, key=lambda moment: moment.at_ns)


def _of_topic(topic: str, places: list[FilePlace]) -> Iterator[Moment]:
    at_ns, continuity = 0, NOT_KNOWN
    for place in places:
        try:
            reader = catalog.opened(place)
            if reader.head.continuity != NOT_KNOWN:
                continuity = reader.head.continuity
            for row in reader.rows(few=True):
                at_ns = at_ns if row.fetched else max(at_ns, row.taken_ns)
                yield Moment(at_ns, topic, continuity, row)
        except (OSError, RecordingUnreadable) as error:
            _log.error("file_left_out", error=str(error))
