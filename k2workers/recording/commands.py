"""Owns the commands on recordings: their flags and words. ``cli`` imports this when one of them is asked for."""

from __future__ import annotations

import importlib.util
import math
import signal
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import structlog
from cyclopts import Parameter

from k2workers import venues
from k2workers.errors import ConfigError
from k2workers.logs import log, outlet
from k2workers.recording.exports.sources import FORMATS
from k2workers.transport.endpoint import DEFAULT, mistakes_of_flags, next_endpoint

if TYPE_CHECKING:
    from k2workers.recording.verification import RestFetched

MAX_TOGETHER_MS = 60_000
"""Of a replay."""


def _need_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("pyarrow, which reads and writes Parquet, is not installed; install k2workers[parquet]")


def _ready(problems: list[str], log_format: str, process: str) -> None:
    """Refuse what is wrong, or else set up the log."""
    if log_format not in log.FORMATS:
        problems.append(f"log_format = {log_format!r}: allowed: {', '.join(log.FORMATS)} (flag --log-format)")
    if problems:
        raise ConfigError("\n".join(problems))
    _need_pyarrow()
    outlet.take_over()
    log.configure("info", log_format, process=process)


def record(
    *topics: str,
    to: Annotated[Path, Parameter(name="--to")],
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    file_minutes: float = 60.0,
    log_format: str = log.FORMATS[0],
) -> int:
    """Write topics to Parquet files, each event once, whatever ends the program; what a file does not hold it names.

    Parameters
    ----------
    topics
        Exact names, or prefixes that end in a dot; everything of all venues unless given.
    to
        The directory; one recorder a directory.
    endpoint
        Where the feed publishes.
    snapshot_endpoint
        Where it answers for what was missed; the next port unless given.
    books_endpoint
        Where it gives whole order books; the port after that unless given.
    file_minutes
        How long what was taken waits in the journal before it is made into files; 256 MB do not wait.
    log_format
        auto, console or json.
    """
    problems = mistakes_of_flags(
        topics, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint
    )
    if not 0.01 <= file_minutes <= 1440:
        problems.append(f"file_minutes = {file_minutes:g}: allowed: ≥ 0.01 and ≤ 1440 (flag --file-minutes)")
    _ready(problems, log_format, "record")
    from k2workers.recording.recorder import RecorderSettings
    from k2workers.recording.recorder import record as run

    wanted = topics or (*(f"{name}." for name in venues.NAMES), "status.")
    return run(
        RecorderSettings(
            to=to, topics=wanted, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint,
            file_s=60 * file_minutes,
        )
    )  # fmt: skip


def verify(directory: Path, /, *, against: str = "", config: str = "", json: bool = False) -> int:
    """Prove what a recording holds: of each topic and day the ids expected, present, missing and twice; books replayed; damaged files named.

    The exit code is 0 if nothing is missing that no row names, nothing is there twice, every book continues and every file could be read; else 1.

    Parameters
    ----------
    directory
        What was recorded to.
    against
        REST: before that, ask the venues for the trades, aggregate trades and final bars that are named or missing, and write what comes behind the files that lack them.
    config
        Settings file (TOML) of the venues' addresses, with against only; config/k2workers.toml if it exists. The environment (K2_BINANCE_REST_URL, ...) goes before it.
    json
        One JSON object.
    """
    if against not in ("", "REST"):
        raise ConfigError(f"against = {against!r}: allowed: REST (flag --against)")
    if config and not against:
        raise ConfigError(f"config = {config!r}: allowed only together with against (flag --config)")
    _need_pyarrow()
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
    """Merge the files of each topic and day into one: the same rows in the same order. Also while it is recorded to, or replayed.

    The exit code is 1 if files were left as they are because they are damaged or unknown.

    Parameters
    ----------
    directory
        What was recorded to.
    day
        One day, such as 2026-11-27; all but today (UTC) unless given.
    json
        One JSON object.
    """
    if day and not _is_day(day):
        raise ConfigError(f"day = {day!r}: allowed: a day such as 2026-11-27 (flag --day)")
    _need_pyarrow()
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


def replay(
    directory: Path,
    /,
    *topics: str,
    speed: str = "1",
    start: Annotated[str, Parameter(name="--from")] = "",
    together_ms: float = 100.0,
    endpoint: str = DEFAULT,
    snapshot_endpoint: str = "",
    books_endpoint: str = "",
    log_format: str = log.FORMATS[0],
) -> int:
    """Publish a recording as a feed does, from when the first subscriber is there; status.replay says that it is one.

    Parameters
    ----------
    directory
        What was recorded to.
    topics
        Exact names, or prefixes that end in a dot; everything unless given.
    speed
        How many times faster than it was recorded; max is as fast as subscribers take it.
    start
        From which time on, such as 2026-11-27T12:00 (UTC unless it says another zone).
    together_ms
        Events of one topic that were recorded within so many ms, and are due, are published together; with 0 those of all topics come in their exact order.
    endpoint
        Where to publish.
    snapshot_endpoint
        Where to answer for what was missed; the next port unless given.
    books_endpoint
        Where to give whole order books; the port after that unless given.
    log_format
        auto, console or json.
    """
    snapshot_endpoint = snapshot_endpoint or next_endpoint(endpoint)
    books_endpoint = books_endpoint or next_endpoint(snapshot_endpoint)
    problems = mistakes_of_flags(
        topics, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint, books_endpoint=books_endpoint
    )
    if not directory.is_dir():
        problems.append(f"'{directory}': no such directory; allowed: one that was recorded to")
    times, from_ns = _speed(speed), _time_ns(start)
    if times == 0:
        problems.append(f"speed = {speed!r}: allowed: a number above 0, or max (flag --speed)")
    if from_ns < 0:
        problems.append(f"from = {start!r}: allowed: a time such as 2026-11-27T12:00 (flag --from)")
    if not 0 <= together_ms <= MAX_TOGETHER_MS:
        problems.append(f"together_ms = {together_ms:g}: allowed: ≥ 0 and ≤ {MAX_TOGETHER_MS} (flag --together-ms)")
    _ready(problems, log_format, "replay")
    from k2workers.recording.playback import PlaybackSettings, play

    return play(
        PlaybackSettings(
            directory=directory, topics=topics, endpoint=endpoint, snapshot_endpoint=snapshot_endpoint,
            books_endpoint=books_endpoint, speed=times, from_ns=from_ns, together_ns=int(together_ms * 1e6),
        )
    )  # fmt: skip


def export(
    directory: Path,
    /,
    *topics: str,
    to: Annotated[Path, Parameter(name="--to")],
    form: Annotated[str, Parameter(name="--format")],
    start: Annotated[str, Parameter(name="--from")] = "",
    until: str = "",
    replace: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write a recording as files of other people's tools, one a day for each symbol, and tell what they lack.

    The exit code is 0 if every file of the recording could be read and nothing is missing that no row names, nor there twice; else 1.

    Parameters
    ----------
    directory
        What was recorded to.
    topics
        Exact names, or prefixes that end in a dot; everything that the format has a place for unless given.
    to
        The directory to write to.
    form
        hftbacktest (trades and book of a symbol in one .npz), or tardis-csv (CSV with gzip in the columns of Tardis.dev).
    start
        From which time on, such as 2026-11-27T12:00 (UTC unless it says another zone); a book is whole then.
    until
        Up to which time, which is not in it.
    replace
        Write files that are there already anew.
    json
        One JSON object.
    """
    problems = mistakes_of_flags(topics, endpoint=DEFAULT)
    if not directory.is_dir():
        problems.append(f"'{directory}': no such directory; allowed: one that was recorded to")
    elif to.resolve().is_relative_to(directory.resolve()):
        problems.append(f"to = '{to}': allowed: a place outside of the recording (flag --to)")
    from_ns, until_ns = _time_ns(start), _time_ns(until)
    if from_ns < 0:
        problems.append(f"from = {start!r}: allowed: a time such as 2026-11-27T12:00 (flag --from)")
    if until_ns < 0 or (until and 0 <= until_ns <= from_ns):
        problems.append(f"until = {until!r}: allowed: a time such as 2026-11-27T12:00, after --from (flag --until)")
    if form not in FORMATS:
        problems.append(f"format = {form!r}: allowed: {', '.join(FORMATS)} (flag --format)")
    if problems:
        raise ConfigError("\n".join(problems))
    _need_pyarrow()
    from k2workers.recording.exports.export_run import ExportSettings
    from k2workers.recording.exports.export_run import export as run
    from k2workers.recording.exports.exported import lines
    from k2workers.recording.exports.recorded_topic import Window

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)  # what is not finished is removed
    window = Window(from_ns, until_ns) if until else Window(from_ns)
    settings = ExportSettings(directory=directory, to=to, form=form, topics=topics, window=window, replace=replace)
    found = run(settings, lambda line: print(line, file=sys.stderr))
    print(msgspec.json.encode(found).decode() if json else "\n".join(lines(found)))
    return 0 if found.whole else 1


def _speed(word: str) -> float | None:
    """None for as fast as it is taken; 0 for what is none."""
    if word == "max":
        return None
    try:
        speed = float(word)
    except ValueError:
        return 0.0
    return speed if 0 < speed < math.inf else 0.0


def _time_ns(word: str) -> int:
    """The time; 0 without a word, -1 for what is none."""
    if not word:
        return 0
    try:
        time = datetime.fromisoformat(word)
    except ValueError:
        return -1
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) * 10**9 + time.microsecond * 1_000
