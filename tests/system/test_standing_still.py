"""A parent, or everybody, that stands still for longer than a child may be silent: a stopped parent, a paused container, a frozen machine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from k2workers.processes.readiness import Word
from k2workers.supervision.control_messages import BEAT_FRESH_S
from k2workers.supervision.signs_of_life import SilenceLimits
from tests.support.venue import Venue
from tests.support.waiting import wait_for
from tests.system.support import Program, alive, demo, feed

LONG_S = SilenceLimits().beat_limit_s + 2.0
OLD_S = BEAT_FRESH_S + 1.0


def suspended(*processes: psutil.Process, seconds: float = LONG_S) -> None:
    for process in processes:
        process.suspend()
    time.sleep(seconds)  # nothing that happens shows that it is over: the time itself is the fault


def stand_still(*processes: psutil.Process, seconds: float = LONG_S) -> None:
    suspended(*processes, seconds=seconds)
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


def unready(program: Program) -> set[str]:
    """The reasons that /readyz gives: none if the parent has too much to do to name any. It must not say that all is well."""
    code, text = program.http("/readyz")
    assert code == 503, text
    return set(json.loads(text)["reasons"]) if text.startswith("{") else set()


def test_a_parent_that_stood_still_does_not_answer_from_what_its_children_told_before_that() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.02) as venue, feed(venue) as program:
        program.wait_ready()
        parent, mute = psutil.Process(program.process.pid), psutil.Process(program.pid_of("worker-0"))
        suspended(parent, mute, seconds=OLD_S)
        parent.resume()

        def others_are_heard() -> bool:
            return [reason.partition(" has ")[0] for reason in unready(program)] == ["process_down: worker-0"]

        wait_for("a word of all others", others_are_heard)
        assert program.status()["children"]["worker-0"]["last_beat_s"] >= OLD_S
        mute.resume()
        goes_on(program)


def test_a_feed_that_was_frozen_is_not_ready_before_something_has_flowed_since() -> None:
    with Venue(["AAAUSDT", "BBBUSDT"], every_s=0.02) as venue, feed(venue) as program:
        program.wait_ready()
        wait_for(
            "connections that will miss data",
            lambda: all(worker.get("data_expected") for worker in program.status()["workers"]),
        )
        venue.withholds = lambda _connection, _stream: True
        all_has_come(program)
        stand_still(psutil.Process(program.process.pid), *program.remember_family().values(), seconds=OLD_S)
        stale = {f"{Word.STALE_CONNECTION.value}: worker-{shard}" for shard in range(2)}
        wait_for("a word of both", lambda: stale <= {reason.partition(" has ")[0] for reason in unready(program)})
        venue.withholds = lambda _connection, _stream: False
        goes_on(program)


def all_has_come(program: Program) -> None:
    """Wait until each worker has beaten without anything new."""

    def told() -> dict[int, tuple[float, int]]:
        rows = program.status()["workers"]
        return {row["shard"]: (row["connection_age_s"], row["events_received"]) for row in rows}

    before = told()

    def has_come() -> bool:
        nonlocal before
        now = told()
        if any(now[shard][0] == before[shard][0] for shard in before):
            return False  # no later beat
        same, before = all(now[shard][1] == before[shard][1] for shard in before), now
        return same

    wait_for("a beat without anything new", has_come)


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
