"""Owns the commands that give a recording to others, ``replay`` and ``export``: their flags and words. ``cli`` imports this when one of them is asked for."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from k2workers.errors import ConfigError
from k2workers.logs import log
from k2workers.recording.commands import need_pyarrow, ready
from k2workers.recording.exports.sources import FORMATS
from k2workers.recording.playback_pace import EVER_NS
from k2workers.transport.endpoint import DEFAULT, mistakes_of_flags, next_endpoint
from k2workers.written_time import time_ns

MAX_TOGETHER_MS = 60_000
SLOWEST, FASTEST = 0.001, 1_000_000
"""Of a replay."""


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
    """Publish a recording as a feed does. It starts when the first subscriber is there; status.replay says that it is a replay.

    Parameters
    ----------
    directory
        The directory of the recording.
    topics
        Exact names, or prefixes that end in a dot. By default everything.
    speed
        How many times as fast as it was recorded; max: as fast as subscribers receive.
    start
        The time to begin at, such as 2026-11-27T12:00 (UTC unless it names another zone).
    together_ms
        Events of one topic that were recorded within so many ms, and are due, are published together. With 0, events of all topics come in their exact order.
    endpoint
        Where to publish.
    snapshot_endpoint
        Where to replay what subscribers missed. By default the next port.
    books_endpoint
        Where to answer with whole order books. By default the port after that.
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
        problems.append(f"speed = {speed!r}: allowed: {SLOWEST} to {FASTEST}, or max (flag --speed)")
    if from_ns < 0:
        problems.append(f"from = {start!r}: allowed: a time such as 2026-11-27T12:00 (flag --from)")
    if not 0 <= together_ms <= MAX_TOGETHER_MS:
        problems.append(f"together_ms = {together_ms:g}: allowed: ≥ 0 and ≤ {MAX_TOGETHER_MS} (flag --together-ms)")
    ready(problems, log_format, "replay")
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
    """Write a recording as files for other people's tools, one per symbol and day, and report what they lack.

    The exit code is 0 if every file of the recording could be read, rows name everything that is missing, and nothing is there twice; else 1.

    Parameters
    ----------
    directory
        The directory of the recording.
    topics
        Exact names, or prefixes that end in a dot. By default everything that the format has a place for.
    to
        The directory to write to.
    form
        hftbacktest (trades and book of a symbol in one .npz), or tardis-csv (CSV with gzip in the columns of Tardis.dev).
    start
        The time to begin at, such as 2026-11-27T12:00 (UTC unless it names another zone). Books are whole from there on.
    until
        The time to end before.
    replace
        Overwrite existing files.
    json
        Print one JSON object.
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
    need_pyarrow()
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
    return speed if SLOWEST <= speed <= FASTEST else 0.0


def _time_ns(word: str) -> int:
    """The time; 0 without a word, -1 for what is none, or later than a file can tell (the year 2262)."""
    found = time_ns(word) if word else 0
    return found if found is not None and found < EVER_NS else -1
