"""Owns how the many small files of a topic and day become few: the same rows in the same order, in one file as far as they may stand together.

Nothing of a row changes, also not the books at the heads of files: they stay where they were, and prove what they proved. A file that is damaged, that no manifest names, or whose segment waits in
the journal is left as it is, and nothing is merged across it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from k2workers.errors import ConfigError
from k2workers.recording import additions, catalog, journal, layout, manifest, merged_columns, parquet_file
from k2workers.recording.layout import FilePlace
from k2workers.recording.manifest import FileTold
from k2workers.recording.parquet_file import FORMAT, ROW_GROUP_BYTES, FileHead, ParquetReader, RecordingUnreadable
from k2workers.sequencing.coverage import NOT_KNOWN

COMPRESSION = 9
"""Of zstd: what is written once and kept may take its time."""

GROUP_BYTES = ROW_GROUP_BYTES // 4
"""Of a row group: what is in memory at a time is some times as much, and larger ones save a third of a percent."""

BATCH_ROWS = 16_384
"""So many rows are read at once."""


class FilePart(msgspec.Struct, frozen=True):
    """A file that may be merged with those beside it."""

    place: FilePlace
    told: FileTold
    continuity: int


class Compacted(msgspec.Struct):
    """What was done: ``files`` of so many ``bytes`` became ``into``. ``damaged`` ones were left as they are."""

    rows: int = 0
    files: int = 0
    bytes: int = 0
    into: int = 0
    into_bytes: int = 0
    damaged: dict[str, str] = msgspec.field(default_factory=dict)
    unknown: list[str] = msgspec.field(default_factory=list)


def compact(to: Path, wanted: str = "", but: str = "") -> Compacted:
    """Merge the files of this day, or of all days but one. Raises ConfigError if that cannot be, OSError if there is no room."""
    if not to.is_dir():
        raise ConfigError(f"'{to}': no such directory; allowed: one that was recorded to")
    with additions.changing(to):
        there, found = catalog.look(to), Compacted()
        found.unknown = [layout.name_of(to, path) for path in there.unknown]
        found.damaged = {layout.name_of(to, path): reason for path, reason in there.unreadable.items()}
        found.damaged |= {layout.name_of(to, file.path): catalog.NOT_NAMED for file in there.loose}
        waiting = journal.segments(journal.folder_of(to))
        for (_, day), places in itertools.groupby(there.files, lambda file: (file.topic, file.day)):
            if wanted in ("", day) and day != but:
                for run in _runs(to, [*places], there.told, min(waiting, default=0), found.damaged):
                    if len(run) > 1:
                        _merge(to, run, found)
    return found


def lines(found: Compacted) -> Iterator[str]:
    """What was done, in words."""
    yield from (f"damaged: {path}: {reason}" for path, reason in sorted(found.damaged.items()))
    yield from (f"unknown: {path}" for path in found.unknown)
    yield f"{found.files:,} files of {found.bytes:,} bytes became {found.into:,} of {found.into_bytes:,}; rows {found.rows:,}"


def _runs(
    to: Path, places: Sequence[FilePlace], told: dict[Path, FileTold], waiting: int, damaged: dict[str, str]
) -> Iterator[list[FilePart]]:
    """The files of a topic and day that become one each: those that follow each other, and continue in the same way."""
    may = [place.path in told and not (waiting and place.segment >= waiting) for place in places]
    run: list[FilePart] = []
    known = NOT_KNOWN
    for place, free in zip(places, may, strict=True):
        part = _part(to, place, told[place.path], damaged) if free and may.count(True) > 1 else None
        before, known = known, known if part is None or part.continuity == NOT_KNOWN else part.continuity
        if part is None or known != before:
            yield run
            run = []
        if part is not None:
            run.append(part)
    yield run


def _part(to: Path, place: FilePlace, told: FileTold, damaged: dict[str, str]) -> FilePart | None:
    """None, and named, if it cannot be read."""
    try:
        catalog.check(place.path, told)
        reader = ParquetReader(place.path)
        reader.close()
    except (OSError, RecordingUnreadable) as error:
        damaged[layout.name_of(to, place.path)] = str(error)
        return None
    return FilePart(place, told, reader.head.continuity)


def _merge(to: Path, run: Sequence[FilePart], found: Compacted) -> None:
    first, last = run[0].place, run[-1].place
    path = layout.merged_of(first, last)
    continuity = next((part.continuity for part in run if part.continuity != NOT_KNOWN), NOT_KNOWN)
    head = FileHead(FORMAT, last.topic, last.day, last.segment, continuity)
    schema = _schema(run)
    try:
        parquet_file.write_tables(path, head, schema, _groups(run, schema), COMPRESSION)
        _compare(path, run, schema)
    except RecordingUnreadable as error:
        path.unlink(missing_ok=True)
        found.damaged[layout.name_of(to, last.path)] = str(error)
        return
    told = manifest.told_of_merged(path, [part.told for part in run])
    if additions.commit(to, path, told, [part.told for part in run]):
        found.rows += told.count
        found.files += len(run)
        found.bytes += sum(part.told.bytes for part in run)
        found.into += 1
        found.into_bytes += told.bytes


def _schema(run: Sequence[FilePart]) -> pa.Schema:
    """The columns of the merged file. Raises RecordingUnreadable."""
    schemas = [pq.read_schema(part.place.path) for part in run]
    names = merged_columns.differing(schemas)
    if names:
        schemas = [_valued(part, schema, names) for part, schema in zip(run, schemas, strict=True)]
    return merged_columns.schema_of(schemas)


def _valued(part: FilePart, schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    columns = [name for name in names if name in schema.names]
    batches = ParquetReader(part.place.path).batches(BATCH_ROWS, columns)
    return merged_columns.valued(schema, batches) if columns else schema


def _groups(run: Sequence[FilePart], schema: pa.Schema) -> Iterator[pa.Table]:
    """All rows, in pieces that fit into memory: each becomes a row group."""
    piece: list[pa.RecordBatch] = []
    size = 0
    for part in run:
        for batch in ParquetReader(part.place.path).batches(BATCH_ROWS):
            piece.append(merged_columns.as_in(batch, schema))
            size += piece[-1].nbytes
            if size >= GROUP_BYTES:
                yield pa.Table.from_batches(piece, schema)
                piece, size = [], 0
    if piece:
        yield pa.Table.from_batches(piece, schema)


def _compare(path: Path, run: Sequence[FilePart], schema: pa.Schema) -> None:
    """What was written is read again before its parts are removed. Raises RecordingUnreadable."""
    with pq.ParquetFile(path) as written:
        for number, group in enumerate(_groups(run, schema)):
            if not written.read_row_group(number).cast(schema).equals(group):
                raise RecordingUnreadable(f"{path}: its rows are not those of its parts")
