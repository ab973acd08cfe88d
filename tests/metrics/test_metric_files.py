"""The files of this process' figures where the file system is full. They are tried in a process of its own, which the kernel may end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.namespace import on_small_file_system
from tests.support.waiting import WAIT_S
from tests.system.support import ROOT

FLUSH = """
import os, sys
from pathlib import Path
from k2workers.metrics.exporter import render
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import PARENT

full, name = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) / "filler", sys.argv[1]

def shows():
    return {line for line in render(instruments.only_here).decode().splitlines() if line.startswith(name)}

def flush(count):
    instruments.flush({name: {f"worker-{number}": float(number) for number in range(count)}})
    lines = shows()
    assert len(lines) == count and any(line.endswith(f" {count - 1}.0") for line in lines), lines

instruments = Instruments(PARENT, environment="test", component="parent")
flush(3)
with full.open("wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        pass
flush(3)
assert instruments.only_here is None
for _ in range(2):
    flush(400)
    assert instruments.only_here is not None
full.unlink()
flush(400)
assert instruments.only_here is None
flush(1_000)
assert instruments.only_here is None
"""
"""One process' figures become more while there is no room, and again when there is."""


KILLED = """
import os, signal
os.posix_fallocate = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from k2workers.metrics.metric_files import OwnFiles
OwnFiles().renew()
"""
BURIED = """
import sys
from k2workers.metrics.exporter import render
from k2workers.metrics.metric_files import bury
render()
bury(int(sys.argv[1]))
"""


def test_a_process_that_is_killed_while_it_makes_its_files_does_no_harm_to_who_reads_them(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, env=environment) as killed:
        assert killed.wait(WAIT_S) == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".reserved"]
    buried = [sys.executable, "-c", BURIED, str(killed.pid)]
    subprocess.run(buried, cwd=ROOT, env=environment, timeout=WAIT_S, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["k2_process_resident_memory_bytes", "k2_child_restarts"])
def test_figures_that_become_more_than_there_is_room_for_stay_in_the_process_until_there_is(
    tmp_path: Path, name: str
) -> None:
    counted = "_total" if name == "k2_child_restarts" else ""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    program = FLUSH.replace("startswith(name)", f'startswith(name + "{counted}{{")')
    done = subprocess.run(
        [*on_small_file_system(tmp_path), sys.executable, "-P", "-c", program, name],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert done.stdout.count("metrics_not_kept") == done.stdout.count("metrics_kept_again") == 1, done.stdout


CLEANED = """
import os
from pathlib import Path
from k2workers.metrics.flushing import Instruments
from k2workers.metrics.instruments import PARENT

instruments = Instruments(PARENT, environment="test", component="parent")
directory, seen = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), []
for count in range(5):
    instruments.flush({"k2_child_restarts": {"worker-0": float(count)}})
    opened = [path for path in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if path.startswith(str(directory))]
    seen.append(len(opened))
    for path in directory.iterdir():
        path.unlink()
assert 0 < max(seen) == seen[0], seen
"""
"""A cleaner removes the files again and again."""


def test_files_that_a_cleaner_removed_are_not_kept_open(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-c", CLEANED]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
