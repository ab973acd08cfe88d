"""Owns how checks are made: all at once, each with an end, and none of them hides another. Knows nothing of what they look at."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from k2workers.doctor.diagnosis import Diagnosis, Grade
from k2workers.errors import K2Error

LIMIT_S = 5.0
"""A check that has found nothing by then is told as such."""


class Check(NamedTuple):
    """Something to look at. ``silence`` says what it means, and what to do, if that takes too long; ``venue`` as a finding's."""

    name: str
    look: Callable[[], Awaitable[Sequence[Diagnosis]]]
    silence: str
    venue: str = ""


async def examine_all(checks: Sequence[Check], limit_s: float = LIMIT_S) -> list[Diagnosis]:
    """What all of them find, in their order."""
    looks = [_within(check, limit_s) for check in checks]
    found: list[Diagnosis] = []
    for check, told in zip(checks, await asyncio.gather(*looks, return_exceptions=True), strict=True):
        if isinstance(told, K2Error):  # the words are for the user already
            found.append(Diagnosis(check.name, Grade.FAILED, str(told), venue=check.venue))
        elif isinstance(told, Exception):
            words = f"the check itself failed: {type(told).__name__}: {told}"
            found.append(
                Diagnosis(check.name, Grade.FAILED, words, "a defect of k2workers: please report it", check.venue)
            )
        elif isinstance(told, BaseException):
            raise told
        else:
            found.extend(told)
    return found


async def _within(check: Check, limit_s: float) -> Sequence[Diagnosis]:
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await check.look()
    except TimeoutError:
        if not limit.expired():
            raise
        return [Diagnosis(check.name, Grade.FAILED, f"no answer within {limit_s:g} s", check.silence, check.venue)]


def in_thread(look: Callable[[], Sequence[Diagnosis]]) -> Callable[[], Awaitable[Sequence[Diagnosis]]]:
    """The same as a coroutine function. What is stuck in the system, as on a file server that has gone, keeps nobody waiting, nor the program from its end."""

    async def looked() -> Sequence[Diagnosis]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Diagnosis]] = loop.create_future()

        def settle(found: Sequence[Diagnosis], error: Exception | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def work() -> None:
            found, error = _outcome(look)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, found, error)

        threading.Thread(target=work, name="look", daemon=True).start()
        return await answer

    return looked


def _outcome(look: Callable[[], Sequence[Diagnosis]]) -> tuple[Sequence[Diagnosis], Exception | None]:
    try:
        return look(), None
    except Exception as error:  # noqa: BLE001 - handed on to whoever waits
        return [], error
