"""Owns the table of mutants: every row breaks the recovery glue so that data would be lost, repeated or silenced, or a bound is gone."""

from __future__ import annotations

from tests.mutants.rows import arbiter, books, lines, link, native, outputs, processes, repairs, subscribers, values

TABLE = (
    *link.ROWS,
    *subscribers.ROWS,
    *arbiter.ROWS,
    *books.ROWS,
    *repairs.ROWS,
    *lines.ROWS,
    *processes.ROWS,
    *outputs.ROWS,
    *values.ROWS,
    *native.ROWS,
)
"""Every mutant, by what it breaks."""
