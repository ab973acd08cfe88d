"""How logs look, and where they go."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from k2workers.logs import log, outlet
from tests.support.waiting import WAIT_S

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(fmt: str) -> None:
    log.configure("info", fmt, process="parent")
    try:
        divisor = 0
        1 / divisor
    except ZeroDivisionError:
        structlog.get_logger("test").error("went_wrong", exc_info=True)


def test_a_traceback_on_a_terminal_shows_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    fail("console")
    shown = capsys.readouterr().out
    assert "went_wrong" in shown
    assert "1 / divisor" in shown


def test_elsewhere_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    fail("json")
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"], line["process"]) == ("went_wrong", "error", "parent")
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize(
    ("script", "loaded"),
    [("from k2workers.logs import log", "False"), ("import rich; from k2workers.logs import log", "True")],
)
def test_logs_do_not_load_rich_and_leave_it_to_others(script: str, loaded: str) -> None:
    script += "\nimport sys; print('rich' in sys.modules); import rich.console"
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=WAIT_S
    )
    assert found.stdout.strip() == loaded


def test_a_librarys_steps_are_not_logged_even_when_ours_are(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("debug", "json", process="parent")
    for name in ("httpcore.http11", "websockets.client", "other"):
        logging.getLogger(name).debug(name)
    shown = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["other"]


class Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


TERMINAL, FILE = "terminal", "file"


@pytest.mark.parametrize(
    ("out", "err", "to", "auto", "console"),
    [
        (FILE, FILE, "out", "json", "console"),
        (FILE, TERMINAL, "out", "json", "console"),
        (TERMINAL, FILE, "err", "json", "console"),
        (TERMINAL, TERMINAL, "out", log.COLOURS, log.COLOURS),
        (None, FILE, "err", "json", "console"),
        (None, TERMINAL, "err", log.COLOURS, log.COLOURS),
        (FILE, None, "out", "json", "console"),
        (None, None, "", "json", "console"),
    ],
)
def test_logs_go_where_no_terminal_is_and_are_coloured_only_on_one(
    out: str | None, err: str | None, to: str, auto: str, console: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = {"out": out and Stream(terminal=out == TERMINAL), "err": err and Stream(terminal=err == TERMINAL)}
    monkeypatch.setattr(sys, "stdout", streams["out"])
    monkeypatch.setattr(sys, "stderr", streams["err"])
    formats = {fmt: log.here(fmt) for fmt in (*log.FORMATS, log.COLOURS)}
    assert formats == {"auto": auto, "console": console, "json": "json", log.COLOURS: log.COLOURS}
    log.configure("info", "auto", process="parent")
    structlog.get_logger("test").info("told")
    assert [name for name, stream in streams.items() if stream and "told" in stream.getvalue()] == [to] * bool(to)


def test_dropped_lines_are_told_by_a_line_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    stdout = outlet.Outlet(theirs)
    monkeypatch.setattr(sys, "stdout", stdout)
    log.configure("info", "auto", process="worker-3")
    logger = structlog.get_logger("test")
    while not stdout.dropped:
        logger.info("something", text="x" * 500)
    with os.fdopen(ours) as pipe:
        line = next(json.loads(line) for line in pipe if "dropped" in line)
        stdout.flush()
    os.close(theirs)
    assert {name: line[name] for name in ("event", "level", "process", "count")} == {
        "event": "log_lines_dropped", "level": "warning", "process": "worker-3", "count": 1,
    }  # fmt: skip
    assert "timestamp" in line
