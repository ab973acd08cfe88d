"""How logs look."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from k2workers import log
from tests.support.waiting import WAIT_S

ROOT = Path(__file__).resolve().parents[1]


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
    shown = capsys.readouterr().err
    assert "went_wrong" in shown
    assert "1 / divisor" in shown


def test_elsewhere_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    fail("json")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["process"]) == ("went_wrong", "error", "parent")
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize(
    ("script", "loaded"),
    [("from k2workers import log", "False"), ("import rich; from k2workers import log", "True")],
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
    shown = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["other"]
