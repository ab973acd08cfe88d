"""Owns where the files of a recording are, and next to them a manifest for each topic and day. Reads no file.

``VENUE/KIND/DAY/SYMBOL.SEGMENT.parquet`` was made from a segment of the journal, ``SYMBOL.SEGMENT+2.parquet`` was added behind it later, and ``SYMBOL.FIRST-SEGMENT.parquet`` is what was merged of all from
one to the other. What counts of them is ``catalog``'s.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

SUFFIX, MANIFEST_SUFFIX, UNFINISHED_SUFFIX = ".parquet", ".manifest.json", ".new"
JOURNAL, LOCK = "journal", "recorder.lock"
"""What else is there."""

_ESCAPED = {"%": "%25", "/": "%2F", "\0": "%00"}
_NUMBERS = re.compile(r"(?:([0-9]+)-)?([0-9]+)(?:\+([0-9]+))?")
_NS = 10**9


class FilePlace(NamedTuple):
    """Where one file is; ``segment`` is the last of the journal's that is in it, and so its place among those of its topic.

    ``addition``: which one of those that were added behind it. ``first``: the first segment, of one that was merged; else None.
    """

    topic: str
    day: str
    segment: int
    path: Path
    addition: int = 0
    first: int | None = None

    @property
    def plain(self) -> bool:
        """Whether it was made from one segment, as a recorder does."""
        return self.first is None and not self.addition

    @property
    def order(self) -> tuple[str, int, str, int]:
        """By which all files are sorted."""
        return self.topic, self.segment, self.day, self.addition


def day_of(time_ns: int) -> str:
    """The day of a time, in UTC."""
    return datetime.fromtimestamp(time_ns // _NS, UTC).strftime("%Y-%m-%d")


def folder_of(to: Path, topic: str, day: str) -> Path:
    """Where a topic's files of a day are."""
    venue, kind, _ = _parts(topic)
    return to / venue / kind / day


def file_of(to: Path, topic: str, day: str, segment: int) -> Path:
    """A topic's file of one segment."""
    return folder_of(to, topic, day) / f"{_parts(topic)[2]}.{segment:08}{SUFFIX}"


def addition_to(place: FilePlace, number: int) -> Path:
    """A file that is added behind this one and others with its segment and day."""
    return place.path.with_name(f"{_symbol_of(place.path)}.{place.segment:08}+{number}{SUFFIX}")


def merged_of(first: FilePlace, last: FilePlace) -> Path:
    """What the files of a topic and day from one to another are merged into."""
    begin, added = first.first or first.segment, f"+{last.addition}" if last.addition else ""
    return last.path.with_name(f"{_symbol_of(last.path)}.{begin:08}-{last.segment:08}{added}{SUFFIX}")


def manifest_beside(path: Path) -> Path:
    """The manifest that tells of this file."""
    return path.with_name(_symbol_of(path) + MANIFEST_SUFFIX)


def manifest_of(to: Path, topic: str, day: str) -> Path:
    """What tells about a topic's files of a day."""
    return folder_of(to, topic, day) / f"{_parts(topic)[2]}{MANIFEST_SUFFIX}"


def files_under(to: Path) -> tuple[list[FilePlace], list[Path], list[Path]]:
    """The recorded files, the manifests, and those that are neither, nor anything that a recorder needs or left unfinished."""
    files: list[FilePlace] = []
    manifests: list[Path] = []
    strange: list[Path] = []
    for path in _all_under(to):
        place = place_of(to, path)
        if path.name.endswith(MANIFEST_SUFFIX):
            manifests.append(path)
        elif place is not None:
            files.append(place)
        elif path.suffix != UNFINISHED_SUFFIX:
            strange.append(path)
    return sorted(files, key=lambda file: file.order), sorted(manifests), sorted(strange)


def name_of(to: Path, path: Path) -> str:
    """What a file is called wherever it is told of."""
    return path.relative_to(to).as_posix()


def newest_segment(to: Path) -> int:
    """The highest number of a segment that is in files; 0 if there are none."""
    return max((file.segment for file in files_under(to)[0]), default=0)


def newest_before(to: Path, topic: str, day: str, segment: int) -> Path | None:
    """A topic's newest file before that of this day and segment; a segment may have files of several days.

    The newest day need not have it: a clock that was ahead for a while leaves a day that is to come, or a later one than most of what followed. So one day more than the first that has some is looked at.
    """
    venue, kind, symbol = _parts(topic)
    days = to / venue / kind
    newest: FilePlace | None = None
    for each in sorted(days.iterdir() if days.is_dir() else (), reverse=True):
        named = each.glob(f"{glob.escape(symbol)}.*{SUFFIX}")
        places = [place for path in named if (place := place_of(to, path)) is not None]
        earlier = [place for place in places if place.topic == topic and (place.segment, place.day) < (segment, day)]
        before = newest
        newest = max([*earlier, *([newest] if newest is not None else [])], key=lambda place: place.order, default=None)
        if earlier and before is not None and each.name < day:
            break
    return newest.path if newest is not None else None


def _parts(topic: str) -> tuple[str, str, str]:
    """Venue, kind and symbol as names of files. Whatever a topic is called, it has three that are not hidden."""
    parts = [*topic.split(".", 2), "-", "-"][:3]
    safe = ["".join(_ESCAPED.get(letter, letter) for letter in part) for part in parts]
    venue, kind, symbol = (f"%2E{part[1:]}" if part.startswith(".") else part or "-" for part in safe)
    return venue, kind, symbol


def place_of(to: Path, path: Path) -> FilePlace | None:
    """What the name of a file says; None if it is none of a recording."""
    parts = path.relative_to(to).parts
    symbol, _, numbers = path.name.removesuffix(SUFFIX).rpartition(".")
    found = _NUMBERS.fullmatch(numbers)
    if len(parts) != 4 or path.suffix != SUFFIX or found is None or not symbol:
        return None
    topic = ".".join([*parts[:2], symbol])
    for plain, escaped in reversed([*_ESCAPED.items(), (".", "%2E")]):
        topic = topic.replace(escaped, plain)
    first, segment, addition = found.groups()
    return FilePlace(topic, parts[2], int(segment), path, int(addition or 0), int(first) if first else None)


def _symbol_of(path: Path) -> str:
    return path.name.removesuffix(SUFFIX).rpartition(".")[0]


def _all_under(to: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(to):
        inside = Path(folder).relative_to(to).parts
        if inside[:1] != (JOURNAL,):
            yield from (Path(folder, name) for name in names if inside or name != LOCK)
