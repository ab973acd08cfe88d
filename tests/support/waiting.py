"""How tests wait: for what must happen, with an end that only a broken program reaches, however busy the machine is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

WAIT_S = 120.0
"""Far longer than anything takes that a test waits for."""
LOOK_S = 0.01


def wait_for(what: str, condition: Callable[[], Any], limit_s: float = WAIT_S) -> Any:
    """The first true answer of ``condition``; fails with ``what`` after the limit."""
    deadline_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"never happened within {limit_s} s: {what}"
        time.sleep(LOOK_S)
    return found


async def until(condition: Callable[[], object]) -> None:
    """Return once ``condition`` is true; the loop runs meanwhile. Raises TimeoutError if it never is."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(LOOK_S)
