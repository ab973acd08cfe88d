"""How tests wait: for what must happen, with an end that only a broken program reaches, however busy the machine is."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

WAIT_S = float(os.environ.get("K2_TEST_WAIT_S", "120"))
"""Far longer than anything takes that a test waits for; ``scripts/mutants`` waits less."""
LOOK_S = 0.01

T = TypeVar("T")
Condition = Callable[..., T | None]
"""Asked without arguments; those that it could take are variables of a loop, bound as defaults."""
Words = str | Callable[[], str]


def wait_for(what: str, condition: Condition[T], limit_s: float = WAIT_S) -> T:
    """The first true answer of ``condition``; fails with ``what`` after the limit."""
    deadline_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, _words(what, limit_s)
        time.sleep(LOOK_S)
    return found


@overload
async def until(condition: Condition[Awaitable[T | None]], what: Words = "", limit_s: float = WAIT_S) -> T: ...
@overload
async def until(condition: Condition[T], what: Words = "", limit_s: float = WAIT_S) -> T: ...
async def until(condition: Condition[Any], what: Words = "", limit_s: float = WAIT_S) -> Any:
    """The first true answer of ``condition``, which may be one to await; the loop runs meanwhile. Fails like ``wait_for``."""
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            while not (found := await _answer(condition)):
                await asyncio.sleep(LOOK_S)
            return found
    except TimeoutError:
        assert not limit.expired(), _words(what() if callable(what) else what, limit_s)
        raise


async def _answer(condition: Condition[Any]) -> Any:
    found = condition()
    return await found if inspect.isawaitable(found) else found


def _words(what: str, limit_s: float) -> str:
    return f"never happened within {limit_s:g} s: {what or 'what the test waits for'}"
