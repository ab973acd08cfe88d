"""Owns the shape of ``--report FILE``: stable keys, figures as counted, nothing estimated.

Pure: the caller hands in what the processes reported. ``truth`` is there only when an embedded exchange ran; it
compares the exchange's own count with an independent subscriber's and uses nothing the pipeline says of itself.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from k2workers.rotation.policy import SCHEDULED


def rotations_summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, the most rotations under way at one moment, and the smallest distance between two starts.

    A rotation is under way from its start (the grant) to its cut. Scheduled ones take turns: ``min_spacing_s`` and ``median_spacing_s``
    are theirs, and None for fewer than two. Those after a notice of the venue go as close together as connections may:
    ``min_spacing_by_reason_s`` shows each reason apart.
    """
    ordered = sorted(records, key=lambda record: int(record["started_ns"]))
    edges = [(int(r["started_ns"]), 1) for r in ordered] + [(int(r["cut_ns"]), -1) for r in ordered]
    under_way = most = 0
    for _, step in sorted(edges):
        under_way += step
        most = max(most, under_way)
    reasons = dict(Counter(str(r["reason"]) for r in ordered))
    spacings_of = {reason: _spacings_s([r for r in ordered if r["reason"] == reason]) for reason in reasons}
    spacings = spacings_of.get(SCHEDULED, [])
    return {
        "count": len(ordered),
        "by_reason": reasons,
        "by_shard": dict(sorted(Counter(int(r["shard"]) for r in ordered).items())),
        "max_concurrent": most,
        "min_spacing_s": round(min(spacings), 3) if spacings else None,
        "median_spacing_s": round(sorted(spacings)[len(spacings) // 2], 3) if spacings else None,
        "min_spacing_by_reason_s": {reason: round(min(s), 3) for reason, s in spacings_of.items() if s},
        "records": list(ordered),
    }


def _spacings_s(ordered: Sequence[Mapping[str, Any]]) -> list[float]:
    starts = [int(record["started_ns"]) for record in ordered]
    return [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(starts)]


def build(
    *,
    venue: str,
    shards: int,
    symbols: Sequence[str],
    duration_s: float,
    complaints: Sequence[str],
    unready: Sequence[str],
    workers: Sequence[Mapping[str, Any]],
    aggregator: Mapping[str, Any],
    rotations: Sequence[Mapping[str, Any]],
    truth: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The report. ``workers`` hold what each shard, and ``aggregator`` what the aggregator counted in all its lives (``latency_us`` is of its last).

    ``complaints`` say why the run was not clean, ``unready`` why the feed was not ready when it was told to end.
    """
    received = sum(int(worker["events_received"]) for worker in workers)
    gaps, gaps_open, gaps_given_up = (int(aggregator.get(name, 0)) for name in ("gaps", "gaps_open", "gaps_given_up"))
    report: dict[str, Any] = {
        "venue": venue,
        "shards": shards,
        "symbols": list(symbols),
        "duration_s": round(duration_s, 3),
        "clean": not complaints,
        "complaints": list(complaints),
        "unready": list(unready),
        "events": {
            "received": received,
            "published": int(aggregator.get("events_published", 0)),
            "duplicates_dropped": sum(int(worker["duplicates"]) for worker in workers),
            "gaps": gaps,
            "gaps_repaired": max(0, gaps - gaps_open - gaps_given_up),
            "gaps_open": gaps_open,
            "gaps_given_up": gaps_given_up,
            "repaired_ids": int(aggregator.get("repaired_ids", 0)),
            "void_ids": int(aggregator.get("void_ids", 0)),
            "resets": int(aggregator.get("resets", 0)),
        },
        "rotations": rotations_summary(rotations),
        "workers": [
            {key: worker[key] for key in ("shard", "pid", "restarts", "rss_bytes", "cpu_s")} for worker in workers
        ],
        "latency_us": dict(aggregator.get("latency_us", {})),
        "continuity": list(aggregator.get("continuity", [])),
    }
    if truth is not None:
        report["truth"] = dict(truth)
    return report


def proof(truth: Mapping[str, Any], rotations: int) -> str:
    """What a demonstration has shown, in plain words."""
    lost = f"lost {truth['lost']:,}" + (f" ({truth['unannounced']:,} of them unannounced)" if truth["lost"] else "")
    return (
        f"The exchange emitted {truth['emitted']:,} events across {rotations:,} rotation{'s' * (rotations != 1)}.\n"
        f"An independent reader received {truth['received']:,}: {lost}, repeated {truth['duplicated']:,}, out of order {truth['reordered']:,}."
    )
