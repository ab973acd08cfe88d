"""Owns the first steps of a run: the forkserver, logs, the run directory, the environment that the metrics library reads."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from k2workers import metrics
from k2workers.errors import ConfigError
from k2workers.files import directories
from k2workers.logs import outlet
from k2workers.logs.inflow import Inflow
from k2workers.processes import open_files
from k2workers.supervision import child

if TYPE_CHECKING:
    from k2workers.config import Settings

PRELOAD = [
    "k2workers.logs.log",
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "encodings.idna",
    "k2workers.processes.forkserver_imports",
]
"""What the forkserver imports, in this order: ``log`` keeps structlog small if it is the first to import it; those in the middle
each worker would load for itself at its first REST request; ``forkserver_imports`` freezes everything before it."""


def prepare() -> None:
    """Start the forkserver before the settings are read: it imports the children's modules meanwhile, which takes longest."""
    # Only that it is set counts when the forkserver imports; each child is told the directory at its start.
    os.environ.setdefault(metrics.DIRECTORY_VARIABLE, os.devnull)
    open_files.raise_limit()
    outlet.take_over()
    with contextlib.ExitStack() as starting:
        if sys.stdout is sys.stderr and sys.stdout.isatty():
            starting.enter_context(Inflow(sys.stdout.write).from_all_begun_here())
        child.start_server(PRELOAD, directories.for_a_moment(os.environ))


def run(settings: Settings, settings_file: Path | None = None) -> int:
    """Run until stopped; the exit code. ``settings_file`` is the one that was read, for the log. Raises ConfigError for a user's mistake, BootError if a child cannot serve."""
    # Imported here, as below: the forkserver is at work on the other processor already.
    from k2workers import event_loop
    from k2workers.logs import log
    from k2workers.processes import places

    log.configure(settings.log_level, settings.log_format, process="parent")
    _tell_exposure(settings)
    if not settings.demo:
        _tell_proxies(settings)
    with places.held(settings) as held:
        _prepare_metrics(held.path / "metrics")
        if settings_file is not None:
            import structlog

            structlog.get_logger(__name__).info("settings_file", path=str(settings_file.resolve()))
        # Only now: prometheus_client chooses its multiprocess mode when it is imported. And not in the loop: until ``Topology`` runs there, a signal ends the program at once.
        from k2workers.processes import topology

        return event_loop.run(topology.main(settings, held))


def _tell_exposure(settings: Settings) -> None:
    import structlog

    from k2workers.processes import exposure

    if found := exposure.open_to_others(settings):
        structlog.get_logger(__name__).warning("open_to_others", settings=found, note=exposure.ADVICE)


def _tell_proxies(settings: Settings) -> None:
    """Log through which proxies the venues are reached. Raises ConfigError for one that cannot be used, before any child meets it."""
    import structlog

    from k2workers.network.proxies import proxy_for

    for own in map(settings.of_venue, settings.venue):
        for url in (own.websocket_url, own.rest_url):
            proxy = proxy_for(url)
            if proxy is not None:
                structlog.get_logger(__name__).info("proxy", to=url, through=proxy.address, variable=proxy.variable)


def _prepare_metrics(directory: Path) -> None:
    """Make the directory of the processes' metric files, empty it, and name it to every process to come. Raises ConfigError if there can be none."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for stale in directory.glob("*.db"):
            stale.unlink()
    except OSError as error:
        raise ConfigError(f"run_dir: {str(directory)!r} in it cannot be used ({error.strerror})") from None
    os.environ[metrics.DIRECTORY_VARIABLE] = str(directory)
