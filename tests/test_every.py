"""What is done periodically goes on whatever one turn raises, and a duty that fails for good is given up in plain sight."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import k2workers
from k2workers import every
from k2workers.errors import StateError
from k2workers.every import GAVE_UP, MOST_IN_A_ROW, Every
from k2workers.metrics.instruments import AGGREGATOR, PARENT, WORKER
from tests.support.waiting import until

SHORT_S = 0.001
HOUR_S = 3_600.0


class Work:
    """A duty: fails in the turns (from 1) of which ``fails`` says so."""

    def __init__(self, fails: Callable[[int], bool] = lambda _: False) -> None:
        self.turns = 0
        self._fails = fails

    def plain(self) -> None:
        self.turns += 1
        if self._fails(self.turns):
            raise ValueError(f"turn {self.turns}")

    async def waiting(self) -> None:
        await asyncio.sleep(0)
        self.plain()


class Held:
    """A duty whose turns end when they may; ``begun`` and ``at_once`` tell how many began, and ran together at most."""

    def __init__(self) -> None:
        self.begun = self.under_way = self.at_once = 0
        self.may_end = asyncio.Semaphore(0)

    async def turn(self) -> None:
        self.begun += 1
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            await self.may_end.acquire()
        finally:
            self.under_way -= 1


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time can be put forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


async def some_iterations() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", ["plain", "waiting"])
async def test_a_failed_turn_is_told_and_counted_and_the_next_one_comes(kind: str) -> None:
    work = Work(fails=lambda turn: turn in (1, 2, 4))
    duty = Every(SHORT_S, getattr(work, kind), f"told {kind}")
    assert every.failures[duty.name] == 0
    with capture_logs() as logs:
        duty.start()
        await until(lambda: work.turns >= 6)
        duty.stop()
    assert every.failures[duty.name] == 3
    told = [(line["event"], line["duty"], line["error"], line["in_a_row"]) for line in logs]
    assert told == [
        ("duty_failed", duty.name, "ValueError: turn 1", 1),
        ("duty_failed", duty.name, "ValueError: turn 2", 2),
        ("duty_failed", duty.name, "ValueError: turn 4", 1),
    ]


@pytest.mark.parametrize("kind", ["plain", "waiting"])
async def test_it_is_given_up_after_so_many_failures_without_a_success_between(kind: str) -> None:
    work = Work(fails=lambda turn: turn != MOST_IN_A_ROW)
    errors: list[StateError] = []
    duty = Every(SHORT_S, getattr(work, kind), "broken", give_up=errors.append)
    with capture_logs() as logs:
        duty.start()
        await until(lambda: errors)
        await some_iterations()
    assert work.turns == 2 * MOST_IN_A_ROW
    (error,) = errors
    assert str(error) == f"duty 'broken' failed {MOST_IN_A_ROW} times in a row: ValueError: turn {work.turns}"
    assert [line["event"] for line in logs].count("duty_gave_up") == 1


@pytest.mark.parametrize("kind", ["plain", "waiting"])
def test_by_default_the_process_ends_with_a_code_of_its_own(kind: str) -> None:
    async def serve() -> None:
        Every(0, getattr(Work(fails=lambda _: True), kind), "broken").start()
        await asyncio.Event().wait()

    with pytest.raises(SystemExit) as ended:
        asyncio.run(serve())
    assert ended.value.code == GAVE_UP
    assert GAVE_UP not in (0, 1, 2)


async def test_what_is_not_worth_the_process_is_tried_for_ever_and_does_not_fill_the_log() -> None:
    turns = 5 * MOST_IN_A_ROW
    work = Work(fails=lambda turn: turn <= turns)
    duty = Every(0, work.plain, "picture", give_up=None)
    with capture_logs() as logs:
        duty.start()
        await until(lambda: work.turns > turns)
        duty.stop()
    assert every.failures["picture"] == turns
    assert {line["event"] for line in logs} == {"duty_failed"}
    assert [line["in_a_row"] for line in logs] == [
        *range(1, MOST_IN_A_ROW + 1),
        *range(2 * MOST_IN_A_ROW, turns + 1, MOST_IN_A_ROW),
    ]


async def test_a_turn_in_which_something_was_cancelled_has_failed_like_any_other() -> None:
    def plain() -> None:
        turns.append("plain")
        raise asyncio.CancelledError

    async def waiting() -> None:
        turns.append("waiting")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    turns: list[str] = []
    duties = [Every(SHORT_S, plain, "cancels", give_up=None), Every(SHORT_S, waiting, "cancelled", give_up=None)]
    for duty in duties:
        duty.start()
    await until(lambda: turns.count("plain") > 2 and turns.count("waiting") > 2)
    for duty in duties:
        duty.stop()
    assert every.failures["cancels"] >= 2
    assert every.failures["cancelled"] >= 2


def test_turns_that_were_overrun_are_left_out() -> None:
    async def stand_still() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Clock)
        work = Work()
        duty = Every(HOUR_S, work.plain, "late")
        duty.start(at_once=False)
        await some_iterations()
        assert work.turns == 0
        loop.ahead_s += 10 * HOUR_S
        await some_iterations()
        assert work.turns == 1
        loop.ahead_s += HOUR_S
        await some_iterations()
        assert work.turns == 2
        duty.stop()
        loop.ahead_s += HOUR_S
        await some_iterations()
        assert work.turns == 2

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(stand_still())


async def test_two_turns_never_run_at_the_same_time() -> None:
    held = Held()
    duty = Every(0, held.turn, "slow")
    duty.start()
    await until(lambda: held.begun)
    await some_iterations()
    assert held.begun == 1
    for begun in (2, 3):
        held.may_end.release()
        await until(lambda begun=begun: held.begun == begun)
    assert held.at_once == 1
    await duty.stopped()
    assert held.under_way == 0
    await some_iterations()
    assert held.begun == 3
    assert every.failures["slow"] == 0


async def test_a_turn_that_is_wanted_soon_comes_at_once_and_alone() -> None:
    work = Work()
    duty = Every(HOUR_S, work.plain, "early")
    duty.soon()
    await some_iterations()
    assert work.turns == 0  # not started
    duty.start()
    assert work.turns == 1
    for turns in range(2, 5):
        duty.soon()
        duty.soon()
        await some_iterations()
        assert work.turns == turns
    duty.stop()
    duty.soon()
    await some_iterations()
    assert work.turns == 4


async def test_a_turn_that_is_wanted_during_another_comes_after_it() -> None:
    held = Held()
    duty = Every(HOUR_S, held.turn, "during")
    duty.start()
    await until(lambda: held.begun)
    duty.soon()
    await some_iterations()
    assert held.begun == 1
    held.may_end.release()
    await until(lambda: held.begun == 2)
    held.may_end.release()
    await some_iterations()
    assert held.begun == 2
    await duty.stopped()


async def test_the_turns_keep_their_period_after_one_that_was_wanted_soon() -> None:
    work = Work()
    duty = Every(SHORT_S, work.plain, "after")
    duty.start()
    for _ in range(100):
        duty.soon()
        await some_iterations()
    wanted = work.turns
    assert wanted > 100
    await until(lambda: work.turns > wanted + 1, limit_s=60)
    duty.stop()


async def test_a_last_turn_may_fail_like_any_other() -> None:
    work = Work(fails=lambda turn: turn == 2)
    duty = Every(HOUR_S, work.plain, "last")
    duty.start()
    duty.stop(last_turn=True)
    assert work.turns == 2
    assert every.failures["last"] == 1
    duty.stop(last_turn=True)
    assert work.turns == 2


def test_the_end_of_the_whole_loop_is_no_failure() -> None:
    async def main() -> None:
        Every(0, Held().turn, "to the end").start()
        await some_iterations()

    asyncio.run(main())
    assert every.failures["to the end"] == 0


def test_every_process_with_metrics_shows_the_failures() -> None:
    for rows in (WORKER, AGGREGATOR, PARENT):
        assert rows["k2_duty_failures"].label == "duty"


def test_nothing_else_carries_on_after_any_exception() -> None:
    """A handler of all exceptions (or a suppression) either raises again or stands in ``Every``, or is the doctor's: one of its checks that fails is shown as that, and hides no other."""
    found = []
    for path in Path(k2workers.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and _takes_all(node.type) and not _raises_again(node.body):
                found.append(path.name)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                found += [path.name for argument in node.args if _takes_all(argument)]
    assert sorted(found) == ["every.py", "examination.py"]


async def test_a_group_of_tasks_that_fails_is_a_failed_turn() -> None:
    work = Work(lambda turn: turn == 1)

    async def turn() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work.waiting())
            group.create_task(asyncio.sleep(0))

    failed_before = every.failures["group"]
    duty = Every(SHORT_S, turn, "group")
    duty.start()
    await until(lambda: work.turns > 2)
    duty.stop()
    assert every.failures["group"] == failed_before + 1


async def test_one_that_was_stopped_in_the_middle_of_a_turn_can_be_started_again() -> None:
    held = Held()
    duty = Every(SHORT_S, held.turn, "again")
    duty.start()
    await until(lambda: held.begun == 1)
    duty.stop()
    duty.start()
    await until(lambda: held.begun == 2)
    held.may_end.release()
    await until(lambda: held.begun == 3)
    duty.stop()


async def test_the_last_turn_of_all_gives_nothing_up() -> None:
    given_up: list[StateError] = []
    duty = Every(HOUR_S, Work(lambda _: True).plain, "last", give_up=given_up.append)
    duty.start()
    duty.in_a_row = MOST_IN_A_ROW - 1
    duty.stop(last_turn=True)
    assert given_up == []


def test_nothing_else_is_periodic_by_hand() -> None:
    """No function sets a timer for itself, and no loop without an end sleeps."""
    found = [
        f"{path.stem}.{node.name}"
        for path in Path(k2workers.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (_arms_itself(node) or _sleeps_for_ever(node))
    ]
    # A subscriber lives in its user's process, and so does ``top``: what fails there is raised where the program waits, and nothing is counted.
    # The loop that runs duties waits for the forkserver whenever a child starts: who wakes that one stands beside it.
    assert sorted(found) == ["child._keep_server_awake", "feed_stream.follow", "subscriber._tick_later"]


def _arms_itself(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        ast.unparse(call.func).endswith(("call_later", "call_at", "call_soon"))
        and any(ast.unparse(argument).split(".")[-1] == function.name for argument in call.args)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
    )


def _sleeps_for_ever(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(loop, ast.While)
        and isinstance(loop.test, ast.Constant)
        and not any(isinstance(step, ast.Return | ast.Break) for step in ast.walk(loop))
        and any(isinstance(call, ast.Call) and ast.unparse(call.func).endswith("sleep") for call in ast.walk(loop))
        for loop in ast.walk(function)
    )


def _takes_all(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(name is None or ast.unparse(name) in ("Exception", "BaseException") for name in names)


def _raises_again(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Raise) and body[-1].exc is None
