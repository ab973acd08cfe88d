"""Owns the Parquet files of a recording: written whole or not at all, and read a few rows at a time. What is in them is ``row_table``'s."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from k2workers.errors import K2Error
from k2workers.recording import row_table
from k2workers.recording.layout import UNFINISHED_SUFFIX
from k2workers.recording.row import Row
from k2workers.recording.row_table import Stretch
from k2workers.sequencing.coverage import NOT_KNOWN

FORMAT = 1
ROW_GROUP_BYTES = 32 * 2**20
"""Of a table in memory, at most, that is read as one piece."""

ROWS_AT_ONCE = 4_096
"""So many are made into events together, unless told."""

_KEY = b"k2workers"


class RecordingUnreadable(K2Error):
    """A file is damaged, or not of a recording. The message says which, and why."""

    blame = "user"


class FileHead(msgspec.Struct, frozen=True):
    """What a file says of itself. ``continuity`` is the number of the topic's (``k2workers.continuity``), ``NOT_KNOWN`` if nothing of the venue is in it."""

    format: int
    topic: str
    day: str
    segment: int
    continuity: int = NOT_KNOWN


def write(path: Path, head: FileHead, rows: Sequence[Row]) -> None:
    """Write the file beside its place, to the disk, and then put it there. Raises OSError; then nothing is there."""
    table = row_table.table_of(rows)
    group = max(1, ROW_GROUP_BYTES * len(rows) // max(table.nbytes, 1))
    write_tables(path, head, table.schema, (table.slice(at, group) for at in range(0, len(rows), group)))


def write_tables(
    path: Path, head: FileHead, schema: pa.Schema, tables: Iterable[pa.Table], compression: int | None = None
) -> None:
    """The same with rows that are columns already: each table is a row group. ``compression`` is a level of zstd."""
    schema = schema.with_metadata({_KEY: msgspec.json.encode(head)})
    beside = path.with_name(path.name + UNFINISHED_SUFFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with beside.open("wb") as file:
            with pq.ParquetWriter(
                file,
                schema,
                compression="zstd",
                compression_level=compression,
                store_decimal_as_integer=True,
                **_encodings(schema),
            ) as writer:
                for table in tables:
                    writer.write_table(table.cast(schema), row_group_size=table.num_rows)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Ids and times by their differences; few different values (words, and prices of levels) by number. That is half the bytes, and a fraction of the time."""
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    levels = [
        f"{field.name}.list.element.{part}"
        for field in schema
        if pa.types.is_list(field.type)
        for part in ("price", "quantity")
    ]
    return {"use_dictionary": [*words, *levels], "column_encoding": dict.fromkeys(whole, "DELTA_BINARY_PACKED")}


class ParquetReader:
    """One file, open for reading: ``count`` rows from ``begin`` on, or all. Raises RecordingUnreadable."""

    def __init__(self, path: Path, begin: int = 0, count: int | None = None) -> None:
        self._path = path
        self._begin, self._count = begin, count
        try:
            self._file = pq.ParquetFile(path)
            metadata = self._file.schema_arrow.metadata or {}
            self.head = msgspec.json.decode(metadata[_KEY], type=FileHead)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise RecordingUnreadable(f"{path}: {_reason(error)}") from None
        if self.head.format != FORMAT:
            self.close()
            raise RecordingUnreadable(f"{path}: it has format {self.head.format}, known is {FORMAT}")

    @property
    def count(self) -> int:
        """How many rows."""
        whole: int = self._file.metadata.num_rows
        return whole if self._count is None else self._count

    def rows(self) -> Iterator[Row]:
        """All of them in order; the file is closed at the end."""
        for stretch in self.stretches():
            yield from stretch.rows()

    def stretches(self, rows_at_once: int = ROWS_AT_ONCE) -> Iterator[Stretch]:
        """The same, so many rows at once."""
        for batch in self.batches(rows_at_once):
            try:
                yield row_table.stretch_of(batch)
            except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
                raise RecordingUnreadable(f"{self._path}: {_reason(error)}") from None

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._file.schema_arrow

    def batches(self, at_once: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The same as columns, or some of them."""
        groups, skip = self._groups()
        left = self.count
        try:
            # Threads for so few rows cost twice the time of all of it.
            for batch in self._file.iter_batches(at_once, row_groups=groups, columns=columns, use_threads=False):
                if left <= 0:
                    return
                rows = batch.slice(min(skip, batch.num_rows), left)
                skip, left = max(0, skip - batch.num_rows), left - rows.num_rows
                if rows.num_rows:
                    yield rows
        except (OSError, pa.ArrowException, ValueError) as error:
            raise RecordingUnreadable(f"{self._path}: {_reason(error)}") from None
        finally:
            self.close()

    def _groups(self) -> tuple[list[int], int]:
        """The row groups that are read, and how many rows of the first are passed over."""
        metadata, end = self._file.metadata, self._begin + self.count
        groups: list[int] = []
        at = skip = 0
        for number in range(metadata.num_row_groups):
            after = at + metadata.row_group(number).num_rows
            if after > self._begin and at < end:
                skip = skip if groups else self._begin - at
                groups.append(number)
            at = after
        return groups, skip

    def close(self) -> None:
        """Safe to repeat."""
        self._file.close()


def _reason(error: Exception) -> str:
    return (
        f"no {error} in it"
        if isinstance(error, KeyError)
        else str(error).splitlines()[0]
        if str(error)
        else type(error).__name__
    )
