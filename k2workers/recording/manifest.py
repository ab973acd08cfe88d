"""Owns what is told of a topic's files of one day: counts, ids, times and checksums, in JSON next to them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from k2workers.events import COUNTED_TYPES, Backfilled, Event
from k2workers.files import checkpoint
from k2workers.recording.row import Row


class FileTold(msgspec.Struct, frozen=True):
    """One file. ``rows`` counts by type, those that came late among them in ``late``; ids are the venue's, None if it has no event of the venue; times are our own, of receiving."""

    name: str
    segment: int
    bytes: int
    blake2b: str
    """Of its content, 16 bytes in hexadecimal digits."""
    rows: dict[str, int]
    late: int = 0
    first_id: int | None = None
    last_id: int | None = None
    first_received_ns: int | None = None
    last_received_ns: int | None = None
    addition: int = 0
    """Which one it is of those that were added behind its segment later."""
    parts: dict[str, tuple[int, int]] = {}
    """The names of the files that were merged into it: which of its rows is the first of each, and how many it has."""

    @property
    def count(self) -> int:
        """How many rows."""
        return sum(self.rows.values())


class Manifest(msgspec.Struct, frozen=True):
    """A topic's files of a day, in their order, and what they have together."""

    topic: str
    day: str
    files: list[FileTold] = []
    rows: dict[str, int] = {}
    first_id: int | None = None
    last_id: int | None = None

    def having(self, told: FileTold) -> Manifest:
        """The same with this file, also in place of one of the same name, and of those that were merged into it."""
        others = (file for file in self.files if file.name != told.name and file.name not in told.parts)
        files = sorted([*others, told], key=lambda file: (file.segment, file.addition))
        rows: Counter[str] = Counter()
        for file in files:
            rows.update(file.rows)
        firsts = [file.first_id for file in files if file.first_id is not None]
        lasts = [file.last_id for file in files if file.last_id is not None]
        return Manifest(
            self.topic, self.day, files, dict(rows), firsts[0] if firsts else None, lasts[-1] if lasts else None
        )


def digest_of(path: Path) -> str:
    """The checksum of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def told_of(path: Path, segment: int, rows: Sequence[Row], addition: int = 0) -> FileTold:
    """What there is to tell of a file that was written with these rows."""
    events = [row.of for row in rows if isinstance(row.of, Event) and type(row.of) in COUNTED_TYPES and not row.late]
    times = [row.taken_ns for row in rows if row.timed]
    return FileTold(
        name=path.name,
        segment=segment,
        bytes=path.stat().st_size,
        blake2b=digest_of(path),
        rows=dict(Counter(type(row.event).__name__ for row in rows)),
        late=sum(isinstance(row.of, Backfilled) for row in rows),
        first_id=events[0].first_id if events else None,
        last_id=events[-1].last_id if events else None,
        first_received_ns=min(times, default=None),
        last_received_ns=max(times, default=None),
        addition=addition,
    )


def told_of_merged(path: Path, parts: Sequence[FileTold]) -> FileTold:
    """What there is to tell of a file that was written with the rows of these, in their order."""
    rows: Counter[str] = Counter()
    places: dict[str, tuple[int, int]] = {}
    for part in parts:
        begin = rows.total()
        places |= {name: (begin + first, count) for name, (first, count) in part.parts.items()}
        places[part.name] = begin, part.count
        rows.update(part.rows)
    return FileTold(
        name=path.name,
        segment=parts[-1].segment,
        bytes=path.stat().st_size,
        blake2b=digest_of(path),
        rows=dict(rows),
        late=sum(part.late for part in parts),
        first_id=next((part.first_id for part in parts if part.first_id is not None), None),
        last_id=next((part.last_id for part in reversed(parts) if part.last_id is not None), None),
        first_received_ns=min((ns for part in parts if (ns := part.first_received_ns) is not None), default=None),
        last_received_ns=max((ns for part in parts if (ns := part.last_received_ns) is not None), default=None),
        addition=parts[-1].addition,
        parts=places,
    )


def read(path: Path) -> Manifest:
    """Read one. Raises OSError or ValueError."""
    return msgspec.json.decode(path.read_bytes(), type=Manifest)


def add(path: Path, topic: str, day: str, told: FileTold) -> None:
    """Tell of a file too. Raises OSError. A manifest that cannot be read begins anew."""
    try:
        earlier = read(path)
    except (FileNotFoundError, ValueError):
        earlier = Manifest(topic, day)
    checkpoint.write(path, msgspec.json.format(msgspec.json.encode(earlier.having(told)), indent=1) + b"\n")
