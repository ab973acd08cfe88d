"""Owns the shape of ``--report FILE`` (stable keys, figures as counted, nothing estimated), and writes the file.

The caller hands in what the processes reported. ``truth`` is there only when an embedded exchange ran; it
compares the exchange's own count with an independent subscriber's and uses nothing the pipeline says of itself.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from k2workers.processes.child_status import Published
from k2workers.processes.status import WorkerFigures
from k2workers.rotation.policy import SCHEDULED
from k2workers.rotation.record import RotationRecord

_log = structlog.get_logger(__name__)


def rotations_summary(records: Sequence[RotationRecord]) -> dict[str, Any]:
    """Counts, the most rotations under way at one moment, and the smallest distance between two starts.

    A rotation is under way from its start (the grant) to its cut. Scheduled ones take turns: ``min_spacing_s`` and ``median_spacing_s``
    are theirs, and None for fewer than two. Those after a notice of the venue go as close together as connections may:
    ``min_spacing_by_reason_s`` shows each reason apart.
    """
    ordered = sorted(records, key=lambda record: record.started_ns)
    edges = [(record.started_ns, 1) for record in ordered] + [(record.cut_ns, -1) for record in ordered]
    under_way = most = 0
    for _, step in sorted(edges):
        under_way += step
        most = max(most, under_way)
    reasons = dict(Counter(record.reason for record in ordered))
    spacings_of = {reason: _spacings_s([r for r in ordered if r.reason == reason]) for reason in reasons}
    spacings = spacings_of.get(SCHEDULED, [])
    return {
        "count": len(ordered),
        "by_reason": reasons,
        "by_shard": dict(sorted(Counter(record.shard for record in ordered).items())),
        "max_concurrent": most,
        "min_spacing_s": round(min(spacings), 3) if spacings else None,
        "median_spacing_s": round(sorted(spacings)[len(spacings) // 2], 3) if spacings else None,
        "min_spacing_by_reason_s": {reason: round(min(s), 3) for reason, s in spacings_of.items() if s},
        "records": msgspec.to_builtins(ordered),
    }


def _spacings_s(ordered: Sequence[RotationRecord]) -> list[float]:
    starts = [record.started_ns for record in ordered]
    return [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(starts)]


def build(
    *,
    venue: str,
    shards: int,
    symbols: Sequence[str],
    duration_s: float,
    complaints: Sequence[str],
    unready: Sequence[str],
    workers: Sequence[WorkerFigures],
    published: Published,
    rotations: Sequence[RotationRecord],
    truth: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The report. ``published`` is what the aggregator counted until its end.

    ``complaints`` say why the run was not clean, ``unready`` why the feed was not ready when it was told to end.
    """
    report: dict[str, Any] = {
        "venue": venue,
        "shards": shards,
        "symbols": list(symbols),
        "duration_s": round(duration_s, 3),
        "clean": not complaints,
        "complaints": list(complaints),
        "unready": list(unready),
        "events": {
            "received": sum(worker.events_received for worker in workers),
            "published": published.events_published,
            "duplicates_dropped": sum(worker.duplicates for worker in workers),
            "gaps": published.gaps,
            "gaps_repaired": max(0, published.gaps - published.gaps_open - published.gaps_given_up),
            "gaps_open": published.gaps_open,
            "gaps_given_up": published.gaps_given_up,
            "repaired_ids": published.repaired_ids,
            "void_ids": published.void_ids,
            "resets": published.resets,
        },
        "rotations": rotations_summary(rotations),
        "workers": [
            {key: getattr(worker, key) for key in ("shard", "venue", "pid", "restarts", "rss_bytes", "cpu_s")}
            for worker in workers
        ],
        "latency_us": msgspec.to_builtins(published.latency_us) or {},
        "continuity": msgspec.to_builtins(published.continuity),
    }
    if truth is not None:
        report["truth"] = dict(truth)
    return report


def write(path: Path, content: Mapping[str, Any]) -> bool:
    """Write the report; whether that could be done, which is logged, with the truth either way."""
    try:
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        _log.error("report_not_written", path=str(path), error=error.strerror, truth=content.get("truth"))
        return False
    _log.info("report_written", path=str(path), truth=content.get("truth"))
    return True
