"""The care for real child processes: who is slow is waited for, who is hung is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from structlog.testing import capture_logs

from k2workers import every
from k2workers.backoff import Backoff
from k2workers.errors import BootError, K2Error
from k2workers.every import GAVE_UP
from k2workers.supervision import supervisor as supervisor_module
from k2workers.supervision.child import Child, ChildSpec
from k2workers.supervision.connect_budget import ROTATE
from k2workers.supervision.control_messages import GrantAsked, Record
from k2workers.supervision.permissions import Allowance
from k2workers.supervision.restart import RestartPolicy
from k2workers.supervision.signs_of_life import SilenceLimits
from k2workers.supervision.supervisor import WATCH_S, Supervisor, SupervisorPolicy
from tests.support.waiting import WAIT_S, until

NAMES = ("one", "two", "three")


@contextlib.asynccontextmanager
async def supervising(
    folder: Path, policy: SupervisorPolicy, **hooks: Callable[..., None]
) -> AsyncIterator[Supervisor]:
    hooks = {name: hooks.get(name, lambda *_: None) for name in ("on_record", "on_dead", "on_fatal")}
    supervisor = Supervisor(f"ipc://{folder}/control", policy, **hooks)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.kill_all()
        await supervisor.stop()


def child(name: str, function: str, settings: float = 0.0) -> ChildSpec:
    return ChildSpec(name=name, target=f"tests.supervision.children:{function}", settings=settings)


async def test_a_start_takes_as_long_as_it_takes_while_the_child_is_at_work(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(silence=SilenceLimits(boot_limit_s=1.5))) as supervisor:
        supervisor.launch(child("slow", "serve", 2.0))
        await supervisor.wait_ready("slow")
        assert supervisor.states()["slow"].restarts == 0
        assert await supervisor.stop()


async def test_a_child_that_hangs_before_it_serves_is_reported(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(silence=SilenceLimits(boot_limit_s=1.0))) as supervisor:
        supervisor.launch(child("stuck", "hang"))
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(BootError, match="stuck hung before it served"):
                await supervisor.wait_ready("stuck")


async def test_a_child_that_served_once_and_never_again_is_given_up_with_the_reason(tmp_path: Path) -> None:
    ends: list[K2Error] = []
    spec = ChildSpec(
        name="once",
        target="tests.supervision.children:serve_once",
        settings=str(tmp_path / "mark"),
        restart=RestartPolicy(most_unready=3, period_ns=1_000_000_000, backoff=Backoff(1_000_000, 1_000_000)),
    )
    async with supervising(
        tmp_path, SupervisorPolicy(silence=SilenceLimits(boot_limit_s=0.5)), on_fatal=ends.append
    ) as supervisor:
        supervisor.launch(spec)
        await supervisor.wait_ready("once")
        psutil.Process(supervisor.pids()["once"]).kill()
        await until(lambda: ends, "its end")
        assert "once was started 3 times in a row and never came to serve" in str(ends[0])
        assert "no sign of life" in str(ends[0])


async def test_that_a_whole_host_stood_still_costs_no_child(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(silence=SilenceLimits(beat_limit_s=1.0))) as supervisor:
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


async def test_that_a_whole_host_stood_still_while_children_drain_costs_none(tmp_path: Path) -> None:
    policy = SupervisorPolicy(silence=SilenceLimits(stop_limit_s=1.0), drain_limit_s=2.0)
    async with supervising(tmp_path, policy) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "serve"))
        for name in NAMES:
            await supervisor.wait_ready(name)
        processes = [psutil.Process(pid) for pid in supervisor.pids().values()]
        for process in processes:
            process.suspend()
        stopping = asyncio.ensure_future(supervisor.stop())
        await asyncio.sleep(WATCH_S)
        time.sleep(4.0)  # noqa: ASYNC251 (as above)
        await asyncio.sleep(WATCH_S)
        for process in processes:
            process.resume()
        assert await stopping


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take the processor from others like this")
async def test_a_child_that_the_host_lets_starve_is_not_hung(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(silence=SilenceLimits(beat_limit_s=2.0))) as supervisor:
        supervisor.launch(child("starved", "serve"))
        await supervisor.wait_ready("starved")
        pid, processor = supervisor.pids()["starved"], max(os.sched_getaffinity(0))
        hog = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
        try:
            for greedy, policy in ((hog.pid, os.SCHED_OTHER), (pid, os.SCHED_IDLE)):
                os.sched_setaffinity(greedy, {processor})
                os.sched_setscheduler(greedy, policy, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, hog.pid, -20)
            beat, since_s = supervisor.beat("starved"), time.monotonic()

            def starved() -> bool:
                nonlocal beat, since_s
                if supervisor.beat("starved") is not beat:
                    beat, since_s = supervisor.beat("starved"), time.monotonic()
                return time.monotonic() > since_s + 2.5 * supervisor.policy.silence.beat_limit_s

            await until(starved)
        finally:
            hog.kill()
            await hog.wait()
        assert supervisor.states()["starved"].restarts == 0
        await until(lambda: supervisor.beat("starved") is not beat)
        assert supervisor.pids()["starved"] == pid
        assert await supervisor.stop()


async def test_a_child_that_hangs_while_it_drains_is_ended(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy(silence=SilenceLimits(stop_limit_s=0.5))) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "serve"))
        for name in NAMES:
            await supervisor.wait_ready(name)
        psutil.Process(supervisor.pids()["two"]).suspend()
        assert not await supervisor.stop()
        assert supervisor.pids() == {}


def broken(*_: object) -> None:
    raise ValueError("a defect")


async def test_a_hook_that_fails_ends_no_care(tmp_path: Path) -> None:
    failed_before = every.failures["children"]
    async with supervising(tmp_path, SupervisorPolicy(), on_dead=broken) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "serve"))
        for name in NAMES:
            await supervisor.wait_ready(name)
        for name in NAMES:
            psutil.Process(supervisor.pids()[name]).kill()
        await until(lambda: all(state.restarts == 1 and state.ready for state in supervisor.states().values()))
        assert failed_before < every.failures["children"] <= failed_before + len(NAMES)
        supervisor._on_dead = lambda *_: None
        assert await supervisor.stop()


async def test_a_message_that_cannot_be_dealt_with_makes_the_parent_deaf_to_none(tmp_path: Path) -> None:
    failed_before = every.failures["control"]
    async with supervising(tmp_path, SupervisorPolicy(), on_record=broken) as supervisor:
        supervisor.launch(child("odd", "misheard"))
        await supervisor.wait_ready("odd")
        await until(lambda: every.failures["control"] > failed_before + 3)
        assert supervisor.states()["odd"].restarts == 0
        beat = supervisor.beat("odd")
        await until(lambda: supervisor.beat("odd") is not beat)
        assert await supervisor.stop()


async def test_a_child_whose_duty_fails_for_good_ends_and_is_restarted(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with supervising(tmp_path, SupervisorPolicy()) as supervisor:
            supervisor.launch(child("blind", "give_up"))
            await supervisor.wait_ready("blind")
            first = supervisor.pids()["blind"]
            await until(lambda: supervisor.pids().get("blind", first) != first)
    died = next(line for line in logs if line["event"] == "child_died")
    assert (died["child"], died["pid"], died["exit_code"]) == ("blind", first, GAVE_UP)


async def test_care_that_fails_for_good_is_told_to_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[K2Error] = []
    policy = SupervisorPolicy(most_failures_in_a_row=3, allowances=[Allowance(venue="any")])
    async with supervising(tmp_path, policy, on_fatal=errors.append) as supervisor:
        monkeypatch.setattr(supervisor.permissions["any"], "look", broken)
        await until(lambda: errors)
        assert str(errors[0]).startswith("duty 'permissions' failed 3 times in a row: ValueError: a defect")


async def test_a_start_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervising(tmp_path, SupervisorPolicy()) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "serve"))
        for name in NAMES:
            await supervisor.wait_ready(name)
        failed: list[object] = []

        def fails_once(*arguments: object) -> None:
            failed.append(arguments)
            monkeypatch.setattr(supervisor_module, "Child", Child)
            raise BlockingIOError("no process can be made just now")

        monkeypatch.setattr(supervisor_module, "Child", fails_once)
        for name in NAMES:
            psutil.Process(supervisor.pids()[name]).kill()
        await until(lambda: all(state.restarts == 1 and state.ready for state in supervisor.states().values()))
        assert len(failed) == 1


async def test_what_a_child_counted_before_it_died_still_counts(tmp_path: Path) -> None:
    async with supervising(tmp_path, SupervisorPolicy()) as supervisor:
        supervisor.launch(child("one", "serve"))
        await supervisor.wait_ready("one")
        for lives in range(1, 4):
            await until(
                lambda: (beat := supervisor.beat("one")) is not None and beat.pid == supervisor.pids().get("one")
            )
            before = supervisor.counted("one")["turns"]
            await until(lambda before=before: supervisor.counted("one")["turns"] > before)
            assert supervisor.counted("one")["turns"] >= before >= lives - 1
            psutil.Process(supervisor.pids()["one"]).kill()
            await until(lambda lives=lives: supervisor.states()["one"].restarts == lives)
        await until(lambda: (beat := supervisor.beat("one")) is not None and beat.pid == supervisor.pids().get("one"))
        assert supervisor.counted("one")["lives"] == 4
        assert supervisor.counted("one")["unheard of"] == 0


async def test_what_a_child_says_of_its_books_is_passed_on_to_the_others(tmp_path: Path) -> None:
    heard: list[Record] = []
    async with supervising(tmp_path, SupervisorPolicy(), on_record=heard.append) as supervisor:
        for name in NAMES:
            supervisor.launch(child(name, "tell_books"))
        await until(lambda: {record.name for record in heard} == {*NAMES})
    assert all(record.data["of"] != record.name for record in heard), "not back to itself"


async def test_a_child_that_the_others_can_do_without_is_restarted_for_ever_though_it_never_served(
    tmp_path: Path,
) -> None:
    fatal: list[K2Error] = []
    restart = RestartPolicy(intensity=None, backoff=Backoff(1, 1))
    beside = msgspec.structs.replace(child("beside", "refuse"), restart=restart, vital=False)
    async with supervising(tmp_path, SupervisorPolicy(), on_fatal=fatal.append) as supervisor:
        supervisor.launch(beside)
        await until(lambda: supervisor.states()["beside"].restarts >= 3)
        assert (fatal, supervisor.stopping) == ([], False)
        supervisor.respec(msgspec.structs.replace(beside, target="tests.supervision.children:serve"))
        await until(lambda: supervisor.states()["beside"].ready)
        assert await supervisor.stop()


async def test_a_child_that_aborted_has_other_settings_in_its_later_lives(tmp_path: Path) -> None:
    bare = msgspec.structs.replace(
        child("door", "serve_or_abort"), settings="bare", after_abort="screened", vital=False
    )
    async with supervising(tmp_path, SupervisorPolicy()) as supervisor:
        supervisor.launch(bare)
        for deaths in (1, 2):  # any other death changes nothing
            await until(lambda: supervisor.states()["door"].ready)
            assert supervisor.states()["door"].restarts == deaths
            psutil.Process(supervisor.pids()["door"]).kill()
            await until(lambda deaths=deaths: supervisor.states()["door"].restarts > deaths)
        await until(lambda: supervisor.states()["door"].ready)
        assert await supervisor.stop()


@pytest.mark.parametrize("venues", [("here", "here"), ("here", "there")])
async def test_the_turn_of_a_child_that_died_is_given_to_the_next_whatever_their_venues(
    tmp_path: Path, venues: tuple[str, str]
) -> None:
    policy = SupervisorPolicy(allowances=[Allowance(venue=venue) for venue in dict.fromkeys(venues)])
    async with supervising(tmp_path, policy) as supervisor:
        budgets = [supervisor.permissions[venue].budget for venue in venues]
        for name, venue in zip(NAMES[:2], venues, strict=True):
            supervisor.launch(msgspec.structs.replace(child(name, "serve"), connects_to=venue))
            await supervisor.wait_ready(name)
        process = psutil.Process(supervisor.pids()["one"])
        process.suspend()  # or it would give back at once what it has not asked for
        for name in NAMES[:2]:
            supervisor._on_message(name, GrantAsked(1, 0, ROTATE, 0))
        assert {name for budget in budgets for name in budget.waiting_children()} == {"two"}
        process.kill()
        await until(lambda: not any(budget.waiting for budget in budgets))
