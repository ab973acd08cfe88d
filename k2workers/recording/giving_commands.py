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
