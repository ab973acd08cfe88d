"""Owns the first steps of a run: logs, the run directory, and the environment that the metrics library reads at import."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import uvloop

from k2workers import log
from k2workers.config import Settings

METRICS_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def run(settings: Settings) -> int:
    """Run until stopped; the exit code. Raises ConfigError for a user's mistake, BootError if a child cannot serve."""
    log.configure(settings.log_level, settings.log_format, process="parent")
    run_dir = Path(settings.run_dir) if settings.run_dir else Path(tempfile.mkdtemp(prefix="k2workers-"))
    try:
        _prepare_metrics(run_dir / "metrics")
        return uvloop.run(_main(settings, run_dir))
    finally:
        if not settings.run_dir:
            shutil.rmtree(run_dir, ignore_errors=True)


def _prepare_metrics(directory: Path) -> None:
    """Make the directory of the processes' metric files, empty it, and name it to every process to come."""
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("*.db"):
        stale.unlink()
    os.environ[METRICS_DIRECTORY_VARIABLE] = str(directory)


async def _main(settings: Settings, run_dir: Path) -> int:
    # Imported only now: prometheus_client chooses its multiprocess mode when it is imported.
    from k2workers.topology import Topology

    return await Topology(settings, run_dir).run()
