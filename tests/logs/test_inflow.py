"""What children print goes out line by line where their parent prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.waiting import WAIT_S

ROOT = Path(__file__).resolve().parents[2]


def run(child: str, end: str) -> list[str]:
    script = f"""
import atexit, subprocess, sys
lines = []
atexit.register(lambda: sys.stdout.writelines(line.strip()[:20] + str(len(line)) + chr(10) for line in lines))
from k2workers.logs.inflow import Inflow
with Inflow(lines.append).from_all_begun_here():
    child = subprocess.Popen([sys.executable, "-c", {child!r}])
print("ours", flush=True)
{end}
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, check=True, timeout=WAIT_S, capture_output=True
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_lines_come_whole_from_both_outputs_and_all_that_was_said_before_the_end_comes() -> None:
    child = "import os; os.write(1, b'a' * 70_000 + '\\u20ac'.encode() + b'\\n'); [os.write(2, b'b\\n') for _ in range(500)]; os.write(1, b'cut')"
    ours, first, *others = run(child, "child.wait()")
    assert ours == "ours"
    assert first == "a" * 20 + "70002"
    assert others == ["b2"] * 500


def test_bytes_that_are_no_text_are_shown_and_end_nothing() -> None:
    _, *lines = run("import os; os.write(1, b'\\xff\\n'); os.write(1, b'next\\n')", "child.wait()")
    assert [line[:4] for line in lines] == ["\\xff", "next"]


def test_an_end_that_comes_while_the_child_still_runs_waits_for_nothing() -> None:
    _, first = run(
        "import sys; print('said', flush=True); sys.stdin.read()", "import time\nwhile not lines: time.sleep(0.01)"
    )
    assert first.startswith("said")
