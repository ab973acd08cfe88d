"""Checks are made all at once, each has an end, and none hides another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from k2workers.doctor.diagnosis import Diagnosis, Grade
from k2workers.doctor.examination import Check, examine_all, in_thread
from k2workers.errors import ConfigError

GOOD = Diagnosis("good", Grade.OK, "it is")


async def good() -> Sequence[Diagnosis]:
    return [GOOD]


async def never() -> Sequence[Diagnosis]:
    await asyncio.Event().wait()
    return []


async def mistaken() -> Sequence[Diagnosis]:
    raise ConfigError("port = 1: taken")


async def defective() -> Sequence[Diagnosis]:
    raise KeyError("oops")


async def timed_out() -> Sequence[Diagnosis]:
    raise TimeoutError("of its own")


async def test_one_that_fails_or_does_not_end_hides_no_other() -> None:
    looks = (never, good, mistaken, defective, timed_out, good)
    checks = [Check(look.__name__, look, "it is stuck", "somewhere") for look in looks]
    stuck, first, mistake, defect, own, last = await examine_all(checks, limit_s=0.05)
    assert first == last == GOOD
    assert stuck == Diagnosis("never", Grade.FAILED, "no answer within 0.05 s", "it is stuck", "somewhere")
    assert mistake == Diagnosis("mistaken", Grade.FAILED, "port = 1: taken", venue="somewhere")
    assert defect.grade is own.grade is Grade.FAILED
    assert "KeyError: 'oops'" in defect.found and "report" in defect.advice
    assert "TimeoutError: of its own" in own.found


async def test_all_are_under_way_at_once() -> None:
    met = asyncio.Barrier(3)

    async def meet() -> Sequence[Diagnosis]:
        await met.wait()
        return [GOOD]

    assert await examine_all([Check("meet", meet, "")] * 3) == [GOOD] * 3


async def test_what_is_stuck_in_the_system_keeps_nobody_waiting() -> None:
    gone, left = threading.Event(), threading.Event()

    def stuck() -> Sequence[Diagnosis]:
        gone.wait()
        left.set()
        return [GOOD]

    (found,) = await examine_all([Check("disk", in_thread(stuck), "a server has gone")], limit_s=0.05)
    assert found.advice == "a server has gone"
    gone.set()
    assert left.wait(60)
    await asyncio.sleep(0)  # its answer comes when nobody waits for it, and disturbs nobody


@pytest.mark.parametrize("error", [ConfigError("no place"), OSError("no disk")])
async def test_what_a_thread_raises_is_told(error: Exception) -> None:
    def fail() -> Sequence[Diagnosis]:
        raise error

    (found,) = await examine_all([Check("place", in_thread(fail), "")])
    assert found.grade is Grade.FAILED
    assert str(error) in found.found


async def test_an_end_of_the_whole_is_no_finding() -> None:
    async def cancelled() -> Sequence[Diagnosis]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await examine_all([Check("x", cancelled, "")])
