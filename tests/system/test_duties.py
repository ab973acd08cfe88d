"""Failures of what the program does periodically: shown, survived, and where nothing else helps its end with a reason."""

from __future__ import annotations

import sys

from k2workers.every import GAVE_UP
from tests.support.waiting import wait_for
from tests.system.support import Program, alive, free_port

DEFECT = """
import functools, os
os.environ["PROMETHEUS_MULTIPROC_DIR"] = os.devnull  # as at the start of any run, before the library is imported
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.supervision.permissions import Permissions
def broken(*_):
    raise TypeError("a defect")
assert {place}
{place} = broken
from k2workers.processes import topology
topology.SupervisorPolicy = functools.partial(topology.SupervisorPolicy, most_failures_in_a_row=3)
from k2workers.cli import main
main()
"""


def with_defect(place: str) -> Program:
    arguments = [
        "--demo", "--shards", "1", "--http-port", "0", "--log-format", "json",
        "--publish-endpoint", f"tcp://127.0.0.1:{free_port()}", "--snapshot-endpoint", f"tcp://127.0.0.1:{free_port()}",
    ]  # fmt: skip
    return Program(*arguments, command=(sys.executable, "-c", DEFECT.format(place=place)))


def test_measurements_that_fail_are_counted_and_the_feed_goes_on_and_ends_in_order() -> None:
    with with_defect("ResourceMeter.flush_venue") as program:
        program.wait_ready()

        def failures(component: str, duty: str) -> float | None:
            found = program.metrics("k2_duty_failures_total")
            fitting = [v for k, v in found.items() if f'component="{component}"' in k and f'duty="{duty}"' in k]
            return fitting[0] if fitting else None

        wait_for("a second failure", lambda: (failures("parent", "measure") or 0) >= 2)
        assert failures("parent", "children") == 0
        wait_for("a worker's", lambda: failures("worker", "feed") == 0)
        wait_for("the aggregator's", lambda: failures("aggregator", "checkpoint") == 0)
        program.stop()
        assert program.process.returncode == 0, "".join(program.raw)
        assert {line["duty"] for line in program.logged("duty_failed")} == {"measure"}


def test_a_parent_that_can_permit_nothing_ends_with_its_reason_and_every_child_in_order() -> None:
    with with_defect("Permissions.look") as program:

        def ended() -> bool:
            program.remember_family()
            return program.process.poll() is not None

        wait_for("its end", ended)
        program.join()
        assert program.process.returncode == GAVE_UP, "".join(program.raw)
        assert [line["duty"] for line in program.logged("duty_gave_up")] == ["permissions"]
        assert [line for line in program.raw if line.startswith("k2workers: error")] == [
            "k2workers: error: duty 'permissions' failed 3 times in a row: TypeError: a defect\n"
        ]
        wait_for("no process left", lambda: not any(alive(process) for process in program.family.values()))
