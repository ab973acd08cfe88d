"""Owns how the columns of several files of a topic become those of one, with nothing of a value lost. Knows no file.

Files differ where a type of event came in some only, or where their texts had other numbers of decimals. A column that is missing is null there; decimals of one scale stay decimals; where scales differ, or some
are texts already, all are texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from k2workers.recording import row_table

MOST_DIGITS = 38
LAST = "received_ns"
"""The last column of each file."""

_LEVEL = ("price", "quantity")


def schema_of(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of one file that has the rows of files with these."""
    types = _types_of(schemas)
    types[LAST] = types.pop(LAST)
    return pa.schema([(name, _with_text(_together(found))) for name, found in types.items()])


def differing(schemas: Iterable[pa.Schema]) -> list[str]:
    """The columns that are not of the same type wherever they are: of these it counts what ``valued`` says."""
    return [name for name, found in _types_of(schemas).items() if any(kind != found[0] for kind in found)]


def valued(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Schema:
    """The schema of a file, but that texts without a single value are none: they would make texts of the decimals of others. The batches have some of its columns, all of their rows."""
    types = _types_of(
        pa.schema([(name, _valued(batch.column(name))) for name in batch.schema.names]) for batch in batches
    )
    return pa.schema([(field.name, _together(types.get(field.name, [field.type]))) for field in schema])


def as_in(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows in the columns of the merged file."""
    there = batch.schema.names
    columns = [
        _as(batch.column(field.name), field.type) if field.name in there else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)


def _types_of(schemas: Iterable[pa.Schema]) -> dict[str, list[pa.DataType]]:
    types: dict[str, list[pa.DataType]] = {}
    for schema in schemas:
        for field in schema:
            types.setdefault(field.name, []).append(field.type)
    return types


def _together(types: Sequence[pa.DataType]) -> pa.DataType:
    """The type that holds the values of all; null holds none."""
    different = list(dict.fromkeys(kind for kind in types if not pa.types.is_null(kind)))
    if not different:
        return pa.null()
    if all(pa.types.is_list(kind) for kind in different):
        return _list_of([_together([kind.value_type.field(name).type for kind in different]) for name in _LEVEL])
    if len(different) == 1:
        return different[0]
    if all(pa.types.is_decimal(kind) for kind in different) and len({kind.scale for kind in different}) == 1:
        return pa.decimal128(MOST_DIGITS, different[0].scale)
    return pa.string()


def _with_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return _list_of([_with_text(kind.value_type.field(name).type) for name in _LEVEL])
    return pa.string() if pa.types.is_null(kind) else kind


def _list_of(types: Sequence[pa.DataType]) -> pa.DataType:
    return pa.list_(pa.struct(list(zip(_LEVEL, types, strict=True))))


def _valued(column: pa.Array) -> pa.DataType:
    kind = column.type
    if pa.types.is_list(kind):
        flat = _flat(column)
        return _list_of([_valued(flat.field(name)) for name in _LEVEL])
    return pa.null() if pa.types.is_string(kind) and column.null_count == len(column) else kind


def _as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_list(kind):
        flat, offsets = _flat(column), column.offsets
        parts = [_as(flat.field(name), kind.value_type.field(name).type) for name in _LEVEL]
        levels = pa.StructArray.from_arrays(parts, fields=list(kind.value_type))
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(pc.subtract(offsets, offsets[0]), levels, type=kind, mask=mask)
    if pa.types.is_decimal(column.type) and pa.types.is_string(kind):
        return row_table.texts_of(column)
    return column.cast(kind)


def _flat(column: pa.ListArray) -> pa.StructArray:
    """The levels of all books."""
    begin, end = column.offsets[0].as_py(), column.offsets[-1].as_py()
    return column.values.slice(begin, end - begin)
