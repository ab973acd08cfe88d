"""Owns the commands that make, prove and merge a recording: their flags and words. ``cli`` imports this when one of them is asked for."""

from __future__ import annotations

import importlib.util
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import structlog
from cyclopts import Parameter

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.logs import log, outlet
from k2workers.transport.endpoint import DEFAULT, mistakes_of_flags

if TYPE_CHECKING:
    from k2workers.recording.verification import RestFetched


def need_pyarrow() -> None:
    """Raises ConfigError without it."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("pyarrow, which reads and writes Parquet, is not installed; install k2workers[parquet]")


def ready(problems: list[str], log_format: str, process: str) -> None:
    """Refuse what is wrong, or else set up the log."""
    if log_format not in log.FORMATS:
        problems.append(f"log_format = {log_format!r}: allowed: {', '.join(log.FORMATS)} (flag --log-format)")
    if problems:
        raise ConfigError("\n".join(problems))
    need_pyarrow()
    outlet.take_over()
    log.configure("info", log_format, process=process)


def record(
    *topics: str,
    to: Annotated[Path, Parameter(name="--to")],
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    disk_ring_endpoint: str = "",
    file_minutes: float = 60.0,
    log_format: str = log.FORMATS[0],
) -> int:
    """Write topics to Parquet files, each event once, however the program ends. The files name what they lack.

    Parameters
    ----------
    topics
        Exact names, or prefixes that end in a dot. By default everything of all venues.
    to
        The directory to write to. Each recorder needs its own.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it replays what was missed. By default the next port.
    books_endpoint
        Where it answers with whole order books. By default the port after that.
    disk_ring_endpoint
        Where its disk ring answers, if it keeps one. By default the port after that.
    file_minutes
        How long events stay in the journal before they are written to files. 256 MB are written at once.
    log_format
        auto, console or json.
    """
    problems = mistakes_of_flags(
        topics, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint, disk_ring_endpoint=disk_ring_endpoint,
    )  # fmt: skip
    if not 0.01 <= file_minutes <= 1440:
        problems.append(f"file_minutes = {file_minutes:g}: allowed: ≥ 0.01 and ≤ 1440 (flag --file-minutes)")
    ready(problems, log_format, "record")
    from k2workers.recording.recorder import RecorderSettings
    from k2workers.recording.recorder import record as run

    wanted = topics or (*(f"{name}." for name in venues.NAMES), "status.")
    return run(
        RecorderSettings(
            to=to, topics=wanted, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint,
            disk_ring_endpoint=disk_ring_endpoint, file_s=60 * file_minutes,
        )
    )  # fmt: skip


def verify(directory: Path, /, *, against: str = "", config: str = "", json: bool = False) -> int:
    """Prove what a recording holds: for each topic and day, the ids expected, present, missing and twice. It replays books and names damaged files.

    The exit code is 0 if rows name everything that is missing, nothing is there twice, every book continues and every file could be read; else 1.

    Parameters
    ----------
    directory
        The directory of the recording.
    against
        REST: first ask the venues for trades, aggregate trades and final bars that are named or missing, and write what they return behind the files that lack them.
    config
        Settings file (TOML) with the venues' addresses, only together with --against. By default config/k2workers.toml if it exists. The environment (K2_BINANCE_REST_URL, ...) wins over it.
    json
        Print one JSON object.
    """
    if against not in ("", "REST"):
        raise ConfigError(f"against = {against!r}: allowed: REST (flag --against)")
    if config and not against:
        raise ConfigError(f"config = {config!r}: allowed only together with against (flag --config)")
    need_pyarrow()
    from k2workers.recording import verification

    fetched = _refill(directory, Path(config) if config else None) if against else None
    found = verification.verify(directory)
    found.fetched = fetched
    print(msgspec.json.encode(found).decode() if json else "\n".join(verification.lines(found)))
    return 0 if found.whole and not (fetched and fetched.stopped) else 1


def _refill(directory: Path, config: Path | None) -> RestFetched:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the output is what was found
    from k2workers import config as configuration
    from k2workers.network.tls import client_context
    from k2workers.recording import refill
    from k2workers.supervision.weight_budget import WeightPolicy

    settings = configuration.load({}, config)

    def asked(name: str) -> refill.AskedVenue:
        venue, own = venues.load(name), settings.of_venue(name)
        https = own.rest_url.startswith("https:")
        context = client_context(own.ca_bundle, venue.ca_bundle_setting) if https else None
        weight = WeightPolicy(limit=venue.limits.rest_weight_per_minute, share=own.rest_weight_share)
        return refill.AskedVenue(venue, venue.history(own.rest_url, context, own.book_levels), weight)

    try:
        return refill.refill(directory, asked, lambda words: print(words, file=sys.stderr))
    except OSError as error:
        raise ConfigError(
            f"'{directory}': nothing can be added ({error.strerror}); allowed: a directory that can be written, with room"
        ) from None


def compact(directory: Path, /, *, day: str = "", json: bool = False) -> int:
    """Merge the files of each topic and day into one, with the same rows in the same order. It may run during a recording or a replay.

    The exit code is 1 if damaged or unknown files were left unmerged.

    Parameters
    ----------
    directory
        The directory of the recording.
    day
        One day, such as 2026-11-27. By default all days but today (UTC).
    json
        Print one JSON object.
    """
    if day and not _is_day(day):
        raise ConfigError(f"day = {day!r}: allowed: a day such as 2026-11-27 (flag --day)")
    need_pyarrow()
    from k2workers.recording import compaction, layout

    try:
        found = compaction.compact(directory, day, "" if day else layout.day_of(time.time_ns()))
    except OSError as error:
        raise ConfigError(
            f"'{directory}': its files cannot be merged ({error.strerror}); allowed: a directory that can be written, with room"
        ) from None
    print(msgspec.json.encode(found).decode() if json else "\n".join(compaction.lines(found)))
    return 1 if found.damaged or found.unknown else 0


def _is_day(word: str) -> bool:
    try:
        return date.fromisoformat(word).isoformat() == word
    except ValueError:
        return False
