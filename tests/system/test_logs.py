"""What becomes of the feed when nobody reads its log or looks at its terminal, and what those see who do."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.screen import Terminal
from tests.support.waiting import wait_for
from tests.system.support import PROGRAM, Program, free_port

ALL = ("parent", "aggregator", "books", "worker")
TITLE, HEADING = "k2workers  DEMO", re.compile(r"shard.*restarts")

LITTLE_ROOM = """
from k2workers.logs import outlet
outlet.MOST_WAITING = 400
from k2workers.cli import main
main()
"""
"""The program, of which the parent holds three lines for a reader that stands still."""


def rotating(
    *args: str, output: int, errors: bool = True, command: tuple[str, ...] = PROGRAM, **environment: str
) -> Program:
    """The demonstration of two shards that log several lines a second each, and write to this descriptor."""
    http = free_port()
    words = [
        "--demo", "--shards", "2", "--rotation-lifetime", "2", "--log-level", "debug", "--http-port", str(http),
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
    ]  # fmt: skip
    return Program(
        *words, *args, command=command, only={**os.environ, **environment},
        output=output, errors=errors, url=f"http://127.0.0.1:{http}",
    )  # fmt: skip


def rotations(program: Program) -> list[float]:
    """How often each shard has rotated."""
    return [worker.get("rotations", 0) for worker in program.status()["workers"]]


def go_on_unread(program: Program) -> None:
    """Every worker logs more than fits anywhere, and the feed goes on."""
    program.wait_ready()
    wait_for("rotations", lambda: min(rotations(program), default=0) >= 5)
    events = program.status()["published"]
    wait_for("more events", lambda: program.status()["published"] > events + 200)
    wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200)
    program.stop()
    assert program.process.returncode == 0


def test_a_log_that_nobody_reads_stops_no_process() -> None:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    with rotating(output=theirs) as program:
        go_on_unread(program)
    os.close(theirs)
    with os.fdopen(ours) as log:
        first = json.loads(log.readline())
    assert first["process"] == "parent"


def test_a_terminal_that_nobody_reads_stops_no_process() -> None:
    with Terminal() as terminal, rotating(output=terminal.theirs, TERM="xterm") as program:
        go_on_unread(program)


def test_on_a_terminal_the_lines_of_all_processes_scroll_above_one_table(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with Terminal() as terminal:
        terminal.read_on()
        screen = terminal.screen
        with rotating("--report", str(report), output=terminal.theirs, TERM="xterm", NO_COLOR="1") as program:
            program.wait_ready()
            wait_for("rotations", lambda: min(rotations(program), default=0) >= 5)
            program.stop()
            assert program.process.returncode == 0
    lines = screen.lines
    result = json.loads(report.read_text(encoding="utf-8"))
    assert result["truth"]["lost"] == 0, (result["truth"], result["events"], result["rotations"]["records"], lines)
    (title,) = [number for number, line in enumerate(lines) if TITLE in line]
    headings = [number for number, line in enumerate(lines) if HEADING.search(line)]
    assert len(headings) == 1, "\n".join(lines)
    assert lines[-2].startswith("The exchange emitted "), "its proof is the last thing that a demonstration shows"
    assert lines[-1].endswith("lost 0, repeated 0, out of order 0.")
    rotated = [number for number, line in enumerate(lines) if "connection_rotated" in line]
    assert len(rotated) >= 10
    assert max(rotated) < title < headings[0]


def test_logs_go_to_standard_output_where_it_is_no_terminal() -> None:
    ours, theirs = os.pipe()
    lines: list[dict[str, Any]] = []
    with rotating(output=theirs, errors=False) as program, os.fdopen(ours) as log:
        os.close(theirs)
        reading = threading.Thread(target=lambda: lines.extend(map(json.loads, log)))
        reading.start()
        wait_for("rotations", lambda: program.http("/status")[0] == 200 and min(rotations(program), default=0) >= 1)
        program.stop()
        reading.join()
    assert {"parent", "worker-0", "worker-1"} <= {line["process"] for line in lines}
    assert any(line["event"] == "binance_connection_rotation_triggered" for line in lines)
    (proof,) = [line for line in lines if line["event"] == "demonstrated"]
    assert (proof["lost"], proof["duplicated"], proof["reordered"]) == (0, 0, 0)
    assert proof["received"] == proof["emitted"] > 0 and proof["rotations"] > 0
    assert program.raw == [], "nothing went wrong, so nothing is said elsewhere"


def test_what_a_stalled_reader_makes_the_log_lose_is_in_the_metrics_and_told_once_it_reads_on() -> None:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    with rotating(output=theirs, command=(sys.executable, "-c", LITTLE_ROOM)) as program:

        def lost() -> dict[str, float]:
            found = program.metrics("k2_log_lines_dropped_total")
            return {component: n for key, n in found.items() for component in ALL if f'component="{component}"' in key}

        program.wait_ready()
        wait_for(
            "lost lines of the parent, and of none that has room",
            lambda: {**lost(), "parent": 0} == dict.fromkeys(ALL, 0),
        )
        wait_for("rotations, and so a full pipe", lambda: min(rotations(program), default=0) >= 5)
        before = lost()["parent"]
        os.kill(program.pid_of("books"), signal.SIGKILL)  # of which the parent says more than it has room for
        wait_for("lost lines", lambda: lost()["parent"] > before)
        os.close(theirs)
        with os.fdopen(ours) as log:
            told = next(line for line in map(json.loads, log) if line["event"] == "log_lines_dropped")
            assert told["process"] == "parent" and told["count"] >= 1
            reading = threading.Thread(target=log.read)
            reading.start()
            program.stop()
            reading.join()
            assert program.process.returncode == 0
