"""Where a run keeps what lies in the file system: full, cleaned, gone, taken, or of no use from the beginning."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes.support import Program, feed
from tests.support.namespace import on_small_file_system
from tests.support.venue import Venue
from tests.support.waiting import wait_for


@contextlib.contextmanager
def serving(*command: str, **environment: str) -> Iterator[Program]:
    """One shard of one symbol, ready."""
    with Venue(["AAAUSDT"]) as venue, feed(venue, shards=1, command=command, **environment) as program:
        program.wait_ready()
        yield program


def restart(program: Program, name: str) -> None:
    """Kill a child, and wait until the next one serves."""
    before = program.pid_of(name)
    psutil.Process(before).kill()

    def serves() -> bool:
        assert program.process.poll() is None, "".join(program.raw)
        state = program.status()["children"][name]
        return state["ready"] and state["pid"] != before

    wait_for(f"a new {name} that serves", serves)
    wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200)


def received(program: Program) -> float:
    """Events of all lives of the worker, as /metrics tells."""
    return sum(program.metrics("k2_events_received_total").values())


def flows(program: Program) -> None:
    """Events come, and /metrics tells of them."""
    before, published = received(program), program.status()["published"]
    assert before > 0
    wait_for("more events in /metrics", lambda: received(program) > before)
    wait_for("more events published", lambda: program.status()["published"] > published)


def writes(filler: io.RawIOBase) -> bool:
    """Whether there was room for more."""
    try:
        return bool(filler.write(bytes(4096)))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise


def fill(folder: Path) -> None:
    """Write until the file system is full."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        while writes(filler):
            pass


def test_a_full_file_system_under_the_run_directory_stops_nothing_and_hides_no_metric(tmp_path: Path) -> None:
    with serving(*on_small_file_system(tmp_path), K2_RUN_DIR=str(tmp_path / "run")) as program:
        wait_for("metrics of the worker", lambda: received(program) > 0)
        fill(Path(f"/proc/{program.process.pid}/root{tmp_path}"))
        before = received(program)
        for name in ("worker-0", "aggregator"):
            restart(program, name)
        assert received(program) >= before, "what a dead worker counted is kept"
        flows(program)
        program.stop()
        assert program.process.returncode == 0


@pytest.mark.parametrize("place", ["the run directory", "every temporary directory"])
def test_directories_that_a_cleaner_removes_stop_nothing_and_hide_no_metric(tmp_path: Path, place: str) -> None:
    run_dir, temporary = tmp_path / "run", tmp_path / "temporary"
    temporary.mkdir()
    with serving(K2_RUN_DIR=str(run_dir), TMPDIR=str(temporary)) as program:
        wait_for("metrics of the worker", lambda: received(program) > 0)
        shutil.rmtree(run_dir if place == "the run directory" else temporary)
        for name in ("worker-0", "aggregator"):
            restart(program, name)
        flows(program)
        program.stop()
        assert program.process.returncode == 0


def test_a_worker_that_dies_leaves_no_file(tmp_path: Path) -> None:
    with serving(K2_RUN_DIR=str(tmp_path)) as program:
        wait_for("metrics of the worker", lambda: received(program) > 0)
        wait_for("the checkpoint", (tmp_path / "checkpoint").exists)
        before = sorted(os.walk(tmp_path))
        restart(program, "worker-0")
        flows(program)
        assert sorted(os.walk(tmp_path)) == before
