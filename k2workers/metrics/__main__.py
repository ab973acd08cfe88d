"""Prints the page of all metrics, as ``README.md`` next to it shows it: ``python -m k2workers.metrics``."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from prometheus_client import Counter

from k2workers.metrics.disk_ring_rows import DISK_RING
from k2workers.metrics.instruments import (
    AGGREGATOR,
    ANY_PROCESS,
    BASE_LABELS,
    BOOKS,
    PARENT,
    WORKER,
    MetricRow,
)

HEAD = f"""# All metrics

Generated from the table in `instruments.py` by `python -m k2workers.metrics`; a test compares. Which of them to watch,
and what they mean for an operator, is in [Health and metrics](../HEALTH.md#metrics-to-watch). All of them carry
{", ".join(f"`{label}`" for label in BASE_LABELS)}; some have further labels.
"""

OF = {
    "Each process": ANY_PROCESS,
    "Workers": WORKER,
    "The aggregator": AGGREGATOR,
    "The books process": BOOKS,
    "The disk ring's process": DISK_RING,
    "The parent": PARENT,
}
"""The tables by the process that has them."""


def page() -> str:
    """The whole page, in Markdown."""
    return HEAD + "".join(
        f"\n## {title}\n\n| metric | type | says |\n|---|---|---|\n"
        + "".join(_row(name, row) for name, row in rows.items() if rows is ANY_PROCESS or name not in ANY_PROCESS)
        for title, rows in OF.items()
    )


def shown_name(name: str, row: MetricRow) -> str:
    """As ``/metrics`` has it, with its own label."""
    return name + ("_total" if row.type is Counter else "") + (f"{{{','.join(row.labels)}}}" if row.label else "")


def names() -> Mapping[str, MetricRow]:
    """Every metric by the name that it is shown under."""
    return {shown_name(name, row): row for rows in OF.values() for name, row in rows.items()}


def _row(name: str, row: MetricRow) -> str:
    return f"| `{shown_name(name, row)}` | {row.type.__name__.lower()} | {row.help} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
