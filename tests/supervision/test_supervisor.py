"""The care for real child processes: who is slow is waited for, who is hung is not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from k2workers.errors import BootError
from k2workers.supervision.child import ChildSpec
from k2workers.supervision.supervisor import WATCH_S, Supervisor, SupervisorPolicy
from tests.support.waiting import until

NAMES = ("one", "two", "three")


@contextlib.asynccontextmanager
async def supervising(folder: Path, policy: SupervisorPolicy) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(
        f"ipc://{folder}/control", policy, on_record=lambda _: None, on_dead=lambda *_: None, on_fatal=lambda _: None
    )
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.kill_all()
        await supervisor.stop()


def child(name: str, function: str, settings: float = 0.0) -> ChildSpec:
    return ChildSpec(name=name, target=f"tests.supervision.children:{function}", settings=settings)


async def test_a_start_takes_as_long_as_it_takes_while_the_child_is_at_work(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(boot_limit_s=3.0)) as supervisor:
        supervisor.launch(child("slow", "serve", 4.0))
        await supervisor.wait_ready("slow")
        assert supervisor.states()["slow"]["restarts"] == 0
        assert await supervisor.stop()


async def test_a_child_that_hangs_before_it_serves_is_told(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(boot_limit_s=1.0)) as supervisor:
        supervisor.launch(child("stuck", "hang"))
        with pytest.raises(BootError, match="stuck hung before it served"):
            await supervisor.wait_ready("stuck")


async def test_that_a_whole_host_stood_still_costs_no_child(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(beat_limit_s=1.0)) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "serve"))
        for name in NAMES:
            await supervisor.wait_ready(name)
        processes = [psutil.Process(pid) for pid in supervisor.pids().values()]
        for process in processes:
            process.suspend()
        time.sleep(2.0)  # noqa: ASYNC251 (on purpose in the loop's thread: the parent stands still too)
        await asyncio.sleep(3 * WATCH_S)  # and it is the first to go on
        for process in processes:
            process.resume()
        beats = {name: supervisor.beat(name) for name in NAMES}
        await until(lambda: all(supervisor.beat(name) is not beats[name] for name in NAMES))
        assert await supervisor.stop()


async def test_a_child_that_hangs_while_it_drains_is_ended(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(stop_limit_s=0.5)) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "serve"))
        for name in NAMES:
            await supervisor.wait_ready(name)
        psutil.Process(supervisor.pids()["two"]).suspend()
        assert not await supervisor.stop()
        assert supervisor.pids() == {}
