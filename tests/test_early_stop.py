"""A signal that comes before a command has handlers of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from k2workers.config import SETTINGS
from k2workers.early_stop import FLAG, VARIABLE, asked_for
from k2workers.setting_sources import variable_of
from tests.support.waiting import WAIT_S, wait_for
from tests.system.support import PROGRAM, ROOT


def told(report: str) -> str:
    return f"k2workers: stopped before the feed began; no report was written to {report}\n"


def opened(pipe: Path) -> IO[bytes] | None:
    """Its writing end, if somebody reads."""
    with contextlib.suppress(OSError):
        return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
    return None


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_whoever_stops_a_run_before_it_began_is_told_of_the_report(by: str, tmp_path: Path) -> None:
    """The signal comes while its settings file is read."""
    pipe, report = tmp_path / "pipe", tmp_path / "report.json"
    os.mkfifo(pipe)
    words = [*PROGRAM, "--demo", "--config", str(pipe)]
    environment = {**os.environ, **({VARIABLE: str(report)} if by == "variable" else {})}
    if by == "flag":
        words += [FLAG, str(report)]
    with (
        subprocess.Popen(
            words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as running,
        contextlib.ExitStack() as stack,
    ):

        def writing() -> IO[bytes] | None:
            """Its writing end once somebody reads; never, if the program has ended."""
            end = opened(pipe)
            assert end is not None or running.poll() is None, running.communicate()
            return end

        stack.callback(wait_for("the file being read", writing).close)
        running.terminate()
        _, said = running.communicate(timeout=WAIT_S)
    assert running.returncode == 0
    assert said == told(str(report))
    assert not report.exists()


def test_a_signal_finds_its_handler_before_the_command_line_is_imported(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from k2workers import early_stop
early_stop.install(sys.argv[1:], {})
early_stop.expect_report(sys.argv[1])
os.kill(os.getpid(), signal.SIGINT)
"""
    for report, words in (("r.json", told("r.json")), ("", "")):
        ended = subprocess.run(
            [sys.executable, "-c", script, report], cwd=ROOT, capture_output=True, text=True, check=True, timeout=WAIT_S
        )
        assert ended.stderr == words


@pytest.mark.parametrize(
    ("words", "environ", "path"),
    [
        (["--demo", "--report", "a"], {VARIABLE: "b"}, "a"),
        (["--report=a", "--demo"], {}, "a"),
        (["--demo"], {VARIABLE: "b"}, "b"),
        (["--demo", "--reports", "a"], {}, ""),
        (["--report"], {}, ""),
        ([], {}, ""),
        ([], {VARIABLE: "b"}, "b"),
        (["tail", "--report", "a"], {VARIABLE: "b"}, ""),
    ],
)
def test_the_words_of_the_command_line_ask_for_a_report_before_the_environment(
    words: list[str], environ: dict[str, str], path: str
) -> None:
    assert asked_for(words, environ) == path


def test_it_is_the_flag_and_the_variable_of_the_setting() -> None:
    assert (SETTINGS["report"].flag, variable_of("report")) == (FLAG, VARIABLE)
