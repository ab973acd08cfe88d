"""Owns which files of a recording count: those that a manifest names. What was merged, or is just being made, is there beside them for a while and counts once.

A file is put into its place first, then the manifest names it, and names those no longer that were merged into it; they are removed last. So at each moment every row is in one
file that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from k2workers.recording import journal, layout, manifest
from k2workers.recording.layout import FilePlace
from k2workers.recording.manifest import FileTold, Manifest
from k2workers.recording.parquet_file import ParquetReader, RecordingUnreadable

NOT_NAMED = "no manifest names it"


class RowsFound(NamedTuple):
    """Where the rows of one file are: in it, or in the one that it was merged into, from row ``begin`` on, so many (None: all)."""

    path: Path
    told: FileTold | None
    begin: int = 0
    many: int | None = None


class Catalog(msgspec.Struct):
    """The files of a recording, in order: ``named`` by a manifest, which ``told`` has; ``loose`` are named by none, and nothing explains why."""

    named: list[FilePlace]
    loose: list[FilePlace]
    spare: list[FilePlace]
    """Were merged into another, or are being made, or were when their program ended."""
    told: dict[Path, FileTold]
    unreadable: dict[Path, str]
    """Manifests, and why."""
    unknown: list[Path]

    @property
    def files(self) -> list[FilePlace]:
        """All of which there may be rows."""
        return sorted([*self.named, *self.loose], key=lambda file: file.order)


def look(to: Path) -> Catalog:
    """What is there."""
    waiting = journal.segments(journal.folder_of(to))  # before the rest: what is removed meanwhile is in files by then
    files, paths, unknown = layout.files_under(to)
    manifests: dict[Path, Manifest] = {}
    unreadable: dict[Path, str] = {}
    for path in paths:
        try:
            manifests[path] = manifest.read(path)
        except (OSError, ValueError) as error:
            unreadable[path] = str(error)
    told = {path.parent / file.name: file for path, each in manifests.items() for file in each.files}
    named = sorted((place for path in told if (place := layout.place_of(to, path))), key=lambda file: file.order)
    others = [file for file in files if file.path not in told and not (file.plain and file.segment in waiting)]
    merged = [file for file in others if file.first is not None]
    spare = [
        file for file in others if _is_spare(file, manifests.get(layout.manifest_beside(file.path)), named, merged)
    ]
    return Catalog(named, [file for file in others if file not in spare], spare, told, unreadable, unknown)


def _is_spare(file: FilePlace, tells: Manifest | None, named: list[FilePlace], merged: list[FilePlace]) -> bool:
    """Whether it is known why nothing names it. A manifest that began anew, for the last one was lost, does not know of files before it."""
    if tells is None:
        return any(_holds(other, file) for other in merged if other is not file)
    if any(file.path.name in each.parts for each in tells.files):
        return True
    if file.first is not None:
        return any(_holds(file, part) for part in named)
    return file.addition > 0 and any(_is_behind(file, other) for other in named)


def _is_behind(addition: FilePlace, file: FilePlace) -> bool:
    return (addition.topic, addition.day, addition.segment) == (file.topic, file.day, file.segment)


def _holds(merged: FilePlace, file: FilePlace) -> bool:
    """Whether a file of which no manifest tells is in another: one that was merged is whole when it has its name."""
    if (merged.topic, merged.day) != (file.topic, file.day) or merged.first is None:
        return False
    begin = file.first or file.segment
    return merged.first <= begin and (file.segment, file.addition) <= (merged.segment, merged.addition)


def check(path: Path, told: FileTold | None) -> None:
    """Raises RecordingUnreadable for a file that is not what its manifest says, OSError for one that cannot be read."""
    if told is None:
        raise RecordingUnreadable(NOT_NAMED)
    try:
        digest = manifest.digest_of(path)
    except FileNotFoundError:
        raise RecordingUnreadable("its manifest names it, and it is not there") from None
    if digest != told.blake2b:
        raise RecordingUnreadable("its content is not that of which its manifest has the checksum")


def opened(
    place: FilePlace, told: FileTold | None = None, checked: Callable[[RowsFound], None] = lambda _: None
) -> ParquetReader:
    """Its rows, wherever they are by now, if ``checked`` does not raise. Raises RecordingUnreadable, OSError."""
    rows = _rows_of(place, told)
    while True:
        try:
            checked(rows)
            return ParquetReader(rows.path, rows.begin, rows.many)
        except (OSError, RecordingUnreadable):
            before, rows = rows, _rows_of(place, told)
            if rows == before:
                raise


def _rows_of(place: FilePlace, told: FileTold | None) -> RowsFound:
    if not place.path.exists():
        try:
            files = manifest.read(layout.manifest_beside(place.path)).files
        except (OSError, ValueError):
            files = []
        for file in files:
            if place.path.name in file.parts:
                return RowsFound(place.path.with_name(file.name), file, *file.parts[place.path.name])
    return RowsFound(place.path, told)
