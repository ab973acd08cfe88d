"""A parent, or everybody, that stands still for longer than a child may be silent: a stopped parent, a paused container, a frozen machine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from k2workers.supervision.signs_of_life import SilenceLimits
from tests.support.venue import Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, alive, demo, feed

LONG_S = SilenceLimits().beat_limit_s + 2.0


def stand_still(*processes: psutil.Process) -> None:
    for process in processes:
        process.suspend()
    time.sleep(LONG_S)  # nothing that happens shows that it is over: the time itself is the fault
    for process in processes:
        process.resume()


def received(program: Program) -> int:
    return sum(int(worker["events_received"]) for worker in program.status()["workers"])


def goes_on(program: Program) -> None:
    before = received(program)
    wait_for("readyz 200", lambda: program.http("/readyz")[0] == 200)
    wait_for("events", lambda: received(program) > before)


def complaints(program: Program) -> list[dict[str, object]]:
    return [line for line in program.log if line["level"] in ("warning", "error") and line["event"] != "demo"]


def test_a_parent_that_was_stopped_ends_no_child(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with demo("--report", str(report)) as program:
        program.wait_ready()
        stand_still(psutil.Process(program.process.pid))
        goes_on(program)
        assert complaints(program) == []
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
    truth = json.loads(report.read_text(encoding="utf-8"))["truth"]
    assert (truth["lost"], truth["duplicated"], truth["reordered"]) == (0, 0, 0)


def test_a_whole_feed_that_was_frozen_ends_no_child_and_keeps_its_connections() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.02) as venue, feed(venue, K2_STALE_AFTER_S="5") as program:
        program.wait_ready()
        wait_for(
            "a connection whose silence would be noticed",
            lambda: all(worker.get("data_expected") for worker in program.status()["workers"]),
        )
        handshakes = len(venue.handshakes)
        stand_still(psutil.Process(program.process.pid), *program.remember_family().values())
        goes_on(program)
        assert complaints(program) == []
        assert len(venue.handshakes) == handshakes
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)


@pytest.mark.parametrize("moment", ["a worker dies", "the end"])
def test_a_forkserver_that_was_stopped_alone_keeps_no_child_from_starting_or_ending(moment: str) -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.02) as venue, feed(venue) as program:
        program.wait_ready()
        worker = psutil.Process(program.pid_of("worker-1"))
        forkserver = worker.parent()
        assert forkserver is not None
        forkserver.suspend()
        if moment == "a worker dies":
            worker.kill()
            wait_for("its next life", lambda: program.status()["children"]["worker-1"]["restarts"] == 1)
            goes_on(program)
            forkserver.suspend()
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
        wait_for("the end of all", lambda: not any(map(alive, program.family.values())))
