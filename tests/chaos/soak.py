"""The compressed soak: many rotations under load, each process' memory over time, and the exchange's own count."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.system.support import demo

SAMPLE_S = 2.0
WARM_UP_SHARE = 0.3
"""The first part of the run, in which caches and rings fill, does not count for the slope."""


def run(rotations: int, shards: int, lifetime_s: float, rate: float) -> dict[str, Any]:
    """Rotate so often; the slope of every process' memory in kB a rotation, and the truth about the events."""
    samples: dict[str, list[tuple[int, int]]] = {}
    with tempfile.TemporaryDirectory(prefix="k2-soak-") as directory:
        report = Path(directory) / "report.json"
        with demo(
            "--rotation-lifetime", f"{lifetime_s:g}", "--demo-rate", f"{rate:g}", "--report", str(report), shards=shards
        ) as program:
            program.wait_ready()
            begun_s = time.monotonic()
            while (done := program.status()["rotations"]) < rotations:
                for name, state in program.status()["children"].items():
                    rss = psutil.Process(state["pid"]).memory_info().rss
                    samples.setdefault(name, []).append((done, rss))
                time.sleep(SAMPLE_S)
            program.stop()
        figures = json.loads(report.read_text(encoding="utf-8"))
    return {
        "rotations": figures["rotations"]["count"],
        "by_shard": figures["rotations"]["by_shard"],
        "max_concurrent": figures["rotations"]["max_concurrent"],
        "seconds": round(time.monotonic() - begun_s, 1),
        "truth": {k: v for k, v in figures["truth"].items() if k != "by_kind"},
        "memory": {name: _trend(points) for name, points in sorted(samples.items())},
    }


def _trend(points: list[tuple[int, int]]) -> dict[str, float]:
    """Least squares over the settled part: MB at its begin and end, kB a rotation."""
    settled = points[int(len(points) * WARM_UP_SHARE) :]
    mean_x = sum(x for x, _ in settled) / len(settled)
    mean_y = sum(y for _, y in settled) / len(settled)
    spread = sum((x - mean_x) ** 2 for x, _ in settled) or 1.0
    slope = sum((x - mean_x) * (y - mean_y) for x, y in settled) / spread
    return {
        "begin_mb": round(settled[0][1] / 1e6, 1),
        "end_mb": round(settled[-1][1] / 1e6, 1),
        "kb_a_rotation": round(slope / 1e3, 2),
    }
