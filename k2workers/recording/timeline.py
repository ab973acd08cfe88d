"""Owns the one order in which rows of all topics of a recording come: that of the times at which we learned of them, and in each topic its own."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from k2workers.recording import catalog
from k2workers.recording.layout import FilePlace
from k2workers.recording.parquet_file import ROWS_AT_ONCE, RecordingUnreadable
from k2workers.recording.playback_pace import EVER_NS
from k2workers.recording.row import Kept
from k2workers.recording.row_table import Stretch
from k2workers.sequencing.coverage import NOT_KNOWN
from k2workers.wanted import wants

ROWS_IN_MEMORY, FEW_ROWS = 200_000, 256
"""Of all topics together, and of each at least."""

_log = structlog.get_logger(__name__)


class Run(NamedTuple):
    """Rows of one topic that come one after the other: of one type, all of them late or none, and all of them the recorder's ``own`` or none.

    ``continuity`` is how the topic continues (``NOT_KNOWN`` if the files so far do not say), and ``at_ns`` when the first one comes.
    """

    at_ns: int
    topic: str
    continuity: int
    own: bool
    of: list[Kept]


class Timeline:
    """All rows of these topics and prefixes, or of all; the files that ended before ``from_ns`` are not read, but for those without a time. A file that cannot be read is logged and left out.

    A row never comes before another that we learned of earlier, but for rows within ``together_ns`` from the first of them: those come topic after topic.
    Within a topic times are those of ``Stretch.times``; a row without one that has none before it comes at 0.
    """

    def __init__(self, directory: Path, topics: Sequence[str] = (), from_ns: int = 0, together_ns: int = 0) -> None:
        there = catalog.look(directory)
        for path, reason in there.unreadable.items():
            _log.warning("manifest_unreadable", path=str(path), error=reason)
        ended = {path: file.last_received_ns for path, file in there.told.items()}
        matches = wants(topics)
        found = [
            (topic, [place for place in places if (ended.get(place.path) or from_ns) >= from_ns])
            for topic, places in itertools.groupby(there.files, lambda file: file.topic)
            if not topics or matches(topic)
        ]
        rows_at_once = min(max(ROWS_IN_MEMORY // max(len(found), 1), FEW_ROWS), ROWS_AT_ONCE)
        lines = (_Line(topic, places, rows_at_once) for topic, places in found)
        self._heap = [(line.at_ns, number, line) for number, line in enumerate(lines) if line.rows]
        heapq.heapify(self._heap)
        self._together_ns = together_ns
        self._together_until_ns = 0

    @property
    def next_ns(self) -> int | None:
        """When the next row comes; None after the last one."""
        return self._heap[0][0] if self._heap else None

    def take(self, until_ns: int, most: int) -> Run:
        """The next rows, so many at most, of those that come up to this time: the next one must."""
        heap = self._heap
        at_ns, number, line = heap[0]
        if at_ns >= self._together_until_ns:
            self._together_until_ns = at_ns + self._together_ns
        before_ns = EVER_NS
        if len(heap) > 1:
            other_ns, other, _ = min(heap[1:3])
            before_ns = max(self._together_until_ns, other_ns + (number < other))
        run = line.take(min(before_ns, until_ns + 1), most)
        if line.rows:
            heapq.heapreplace(heap, (line.at_ns, number, line))
        else:
            heapq.heappop(heap)
        return run


class _Line:
    """One topic: the rows that come next are in memory; none if there are no more. ``at_ns`` is when the first of them comes, which never goes back."""

    __slots__ = ("_at", "_continuity", "_ends", "_stretch", "_stretches", "_times", "at_ns", "rows", "topic")

    def __init__(self, topic: str, places: list[FilePlace], rows_at_once: int) -> None:
        self.topic = topic
        self.at_ns = self.rows = self._at = 0
        self._continuity = NOT_KNOWN
        self._stretches = self._read(places, rows_at_once)
        self._load()

    def take(self, before_ns: int, most: int) -> Run:
        """The rows before this time, so many at most and only alike ones, but the first one in any case."""
        stretch, at, times = self._stretch, self._at, self._times
        end = self._ends[0]
        if at + 1 < end:
            end = bisect_left(times, before_ns, at + 1, min(end, at + most))
        run = Run(self.at_ns, self.topic, self._continuity, stretch.published[at] is None, stretch.of[at:end])
        if end == self._ends[0]:
            self._ends.pop(0)
        self._at, self.rows = end, len(times) - end
        if self.rows:
            self.at_ns = times[end]
        else:
            self._load()
        return run

    def _load(self) -> None:
        stretch = next((each for each in self._stretches if each.of), None)
        if stretch is None:
            self.rows = 0
            return
        times = stretch.times(self.at_ns)
        self._stretch, self._times, self._ends, self._at = stretch, times, list(stretch.ends), 0
        self.at_ns, self.rows = times[0], len(times)

    def _read(self, places: list[FilePlace], rows_at_once: int) -> Iterator[Stretch]:
        for place in places:
            try:
                reader = catalog.opened(place)
                if reader.head.continuity != NOT_KNOWN:
                    self._continuity = reader.head.continuity
                yield from reader.stretches(rows_at_once)
            except (OSError, RecordingUnreadable) as error:
                _log.error("file_left_out", error=str(error))
