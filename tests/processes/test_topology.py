"""The parent in this process: real children and sockets, from the start to the report, and what it tells of them meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from k2workers import metrics
from k2workers.config import Settings
from k2workers.demo.demonstration import EXCHANGE, WITNESS
from k2workers.errors import BootError, ConfigError
from k2workers.processes import places, run_plan
from k2workers.processes.topology import Topology
from k2workers.supervision.control_messages import Record
from tests.processes.test_status import WHOLE, WORKER
from tests.support.told import rotated
from tests.support.waiting import WAIT_S, until

FREE = "tcp://127.0.0.1:*"


@pytest.fixture
async def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Makes a parent that has its places, and any free ports; whatever the test left of it is ended."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(directory))
    async with contextlib.AsyncExitStack() as held:

        def make(**others: Any) -> Topology:
            settings = Settings(**{
                "run_dir": str(tmp_path / "run"), "demo": True, "shards": 2, "symbols": ["BTCUSDT", "ETHUSDT"], "streams": ["trade"],
                "http_port": 0, "publish_endpoint": FREE, "snapshot_endpoint": FREE, "books_endpoint": FREE, **others,
            })  # fmt: skip
            parent = Topology(settings, held.enter_context(places.held(settings)))
            held.push_async_callback(parent.supervisor.stop)
            return parent

        yield make


@contextlib.asynccontextmanager
async def running(parent: Topology) -> AsyncIterator[asyncio.Task[int]]:
    """Its run; whatever the test left is ended."""
    run = asyncio.ensure_future(parent.run())
    try:
        async with asyncio.timeout(WAIT_S):
            yield run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_a_demonstration_serves_until_it_is_told_to_stop_and_reports_that_nothing_is_lost(
    made: Any, tmp_path: Path
) -> None:
    parent = made(report=str(tmp_path / "report.json"))
    with capture_logs() as logs:
        async with running(parent) as run:
            assert (parent.view.status().ready, parent.view.status().waiting_for) == (False, "start")
            await until(lambda: parent.view.status().ready and parent.view.status().published > 10)
            status = parent.view.status()
            assert [worker.alive for worker in status.workers] == [True, True]
            assert {*status.children} == {
                EXCHANGE, run_plan.AGGREGATOR, WITNESS, *(f"worker-{n}" for n in range(2)),
            }  # fmt: skip
            assert list(status.as_data()) == list(WHOLE)
            assert [list(row) for row in status.as_data()["workers"]] == [list(WORKER)] * 2
            assert parent.view.unhealthy() == []
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)  # as a terminal and a service manager do together
            assert await run == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["truth"]["emitted"] > 10
    assert (report["truth"]["lost"], report["truth"]["duplicated"], report["truth"]["reordered"]) == (0, 0, 0)
    assert [worker["restarts"] for worker in report["workers"]] == [0, 0]
    said = {line["event"]: line for line in logs}
    assert said["stopped"]["clean"]
    assert said["demonstrated"]["lost"] == 0
    assert parent.supervisor.pids() == {}


async def test_a_run_whose_time_is_over_before_anything_was_served_says_so(made: Any) -> None:
    with capture_logs() as logs:
        async with running(made(duration_s=0.001)) as run:
            assert await run == 1
    stopped = next(line for line in logs if line["event"] == "stopped")
    assert not stopped["clean"]
    assert stopped["why"][-1].startswith("nothing was served: ")


async def test_what_ends_the_program_is_raised_once_all_children_have_ended(made: Any) -> None:
    parent = made()
    async with running(parent) as run:
        await until(parent.supervisor.pids)
        parent._on_fatal(BootError("the first reason"))
        parent._on_fatal(BootError("what follows from it"))
        with pytest.raises(BootError, match="the first reason"):
            await run
    assert parent.supervisor.pids() == {}


async def test_a_report_that_cannot_be_written_is_a_complaint_and_its_truth_is_in_the_log(
    made: Any, tmp_path: Path
) -> None:
    parent = made(report=str(tmp_path / "report.json"))
    (tmp_path / "report.json").mkdir()
    with capture_logs() as logs:
        assert not parent._write_report(1.0, [], [], {"lost": 0})
    (line,) = logs
    assert (line["event"], line["truth"]) == ("report_not_written", {"lost": 0})


async def test_every_port_that_is_taken_is_told_at_once_and_no_child_is_started(made: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [each.getsockname()[1] for each in (first, second)]
        parent = made(http_port=ports[0], publish_endpoint=f"tcp://127.0.0.1:{ports[1]}")
        async with running(parent) as run:
            with pytest.raises(ConfigError) as refused:
                await run
    told = str(refused.value).splitlines()
    assert [str(port) in line for port, line in zip(ports, told, strict=True)] == [True, True]
    assert parent.supervisor.pids() == {}


@pytest.mark.parametrize("report", ["", "report.json"])
async def test_records_of_rotations_are_counted_and_kept_only_for_a_report(
    made: Any, report: str, tmp_path: Path
) -> None:
    parent = made(report=report and str(tmp_path / report))
    for shard in range(3):
        parent._on_record(Record("worker-0", "rotation", msgspec.to_builtins(rotated(shard))))
    assert parent.view.status().rotations == 3
    assert len(parent._rotations) == (3 if report else 0)


async def test_why_no_disk_ring_is_kept_is_shown_until_it_is(made: Any) -> None:
    parent = made()
    parent._on_record(Record(run_plan.DISK_RING, "refused", {"error": "the port is taken"}))
    assert parent.view.status().as_data()["disk_ring"] == {"error": "the port is taken"}
    parent._on_record(Record(run_plan.DISK_RING, "listening", {"disk_ring": "tcp://127.0.0.1:1"}))
    assert parent.view.status().as_data()["disk_ring"] == {}
    await parent._http.stop()


async def test_why_no_books_are_kept_is_shown_until_they_are(made: Any) -> None:
    parent = made()
    parent._on_record(Record(run_plan.BOOKS, "refused", {"error": "the port is taken"}))
    assert parent.view.status().as_data()["books"] == {"error": "the port is taken"}
    parent._on_record(Record(run_plan.BOOKS, "listening", {"books": "tcp://127.0.0.1:1"}))
    await parent._http.stop()
    assert parent.view.status().as_data()["books"] == {}
