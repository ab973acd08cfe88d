"""An event loop whose clock leaps: hours of timers in a moment, always in the same order."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

NEVER_S = 1e6


class _Leaping(selectors.SelectSelector):
    """Waits for nothing: the time that would be waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_000_000_000_000

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > NEVER_S:
            raise RuntimeError("nothing will ever happen any more")
        if timeout > 0:
            self.now_ns += int(timeout * 1e9) + 1  # never a little too early, again and again
        return []


@contextlib.contextmanager
def _told_by(selector: _Leaping) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: selector.now_ns / 1e9)
        patch.setattr(time, "monotonic_ns", lambda: selector.now_ns)
        patch.setattr(time, "time_ns", lambda: selector.now_ns + 10**18)
        yield


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run to the end, in no time."""
    selector = _Leaping()
    loop = asyncio.SelectorEventLoop(selector)
    with _told_by(selector):
        try:
            loop.run_until_complete(main())
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
