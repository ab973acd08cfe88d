"""Owns how the files of one topic are read for an export: those that are what their manifests say, in their order, with what is missing told and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from k2workers.continuity import Continuity
from k2workers.events import Gap
from k2workers.recording import catalog, layout
from k2workers.recording.exports.book_steps import DAY_NS, TimedRow
from k2workers.recording.id_audit import IdAudit
from k2workers.recording.layout import FilePlace
from k2workers.recording.manifest import FileTold
from k2workers.recording.parquet_file import ParquetReader, RecordingUnreadable
from k2workers.recording.row import Loss, Row
from k2workers.sequencing.coverage import NOT_KNOWN

TOLD = 100
"""So many holes of a topic are told one by one; the others are only counted."""


class Window(NamedTuple):
    """The times that are wanted, the last one not among them."""

    from_ns: int = 0
    until_ns: int = 2**63 - 1


ALL = Window()


class RecordedTopic:
    """``rows`` once; then ``audit`` has what of its ids they hold, and ``damaged`` which files could not be read. Holes and damages are told at once."""

    def __init__(
        self,
        topic: str,
        places: Sequence[FilePlace],
        told: Mapping[Path, FileTold],
        tell: Callable[[str], None],
        window: Window = ALL,
    ) -> None:
        self.topic = topic
        self.audit = IdAudit(None)
        self.continuity: Continuity | None = None
        self.damaged: dict[Path, str] = {}
        self.holes = 0
        self._places, self._told, self._tell, self._window = places, told, tell, window
        self._at_ns = 0

    def rows(self) -> Iterator[TimedRow]:
        """The rows up to the end of the window, from the file on in which it begins. In the place of a file that cannot be read comes a loss."""
        for place in self._places:
            file = self._told.get(place.path)
            if file is not None and file.last_received_ns is not None and file.last_received_ns < self._window.from_ns:
                continue
            try:
                yield from self._of_file(place, file)
            except (OSError, RecordingUnreadable) as error:
                self.damaged[place.path] = str(error)
                self._at_ns = max(self._at_ns, _began_ns(file))
                self._tell(f"damaged: {place.path}: {error}")
                yield self._at_ns, Row(None, None, Loss(0, 0, None, None, self._at_ns))
            if self._at_ns >= self._window.until_ns:
                return

    def _of_file(self, place: FilePlace, file: FileTold | None) -> Iterator[TimedRow]:
        reader = catalog.opened(place, file, lambda rows: catalog.check(rows.path, rows.told))
        if self.continuity is None and reader.head.continuity != NOT_KNOWN:
            self.continuity = self.audit.continuity = Continuity.of(reader.head.continuity)
        day, name = -1, ""
        for at_ns, row in self._timed(reader, file):
            self._at_ns = at_ns
            if self._at_ns >= self._window.until_ns:
                return
            if self._at_ns >= self._window.from_ns:
                if self._at_ns // DAY_NS != day:
                    day, name = self._at_ns // DAY_NS, layout.day_of(self._at_ns)
                self.audit.take(row, name)
                if isinstance(row.of, Gap | Loss):
                    self._tell_of(row.of)
            yield self._at_ns, row

    def _timed(self, reader: ParquetReader, file: FileTold | None) -> Iterator[TimedRow]:
        for stretch in reader.stretches():
            yield from zip(stretch.times(self._at_ns or _began_ns(file)), stretch.rows(), strict=True)

    def _tell_of(self, hole: Gap | Loss) -> None:
        self.holes += 1
        if self.holes <= TOLD:
            ids = f"ids {hole.first_id} to {hole.last_id}" if hole.first_id is not None else "ids not known"
            cause = hole.cause if isinstance(hole, Gap) else "lost by the recorder"
            self._tell(f"missing: {self.topic}: {ids}: {cause}")
        if self.holes == TOLD:
            self._tell(f"missing: {self.topic}: there may be more, which are only counted")


def _began_ns(file: FileTold | None) -> int:
    """The first time of a file; 0 if it has none."""
    return (file.first_received_ns if file is not None else None) or 0
