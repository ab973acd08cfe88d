"""Owns the question to the parent whether to rotate: one at a time, for one line; withdrawn with that line, repeated if it becomes urgent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from k2workers.feed.rotating import Grant, Grants
from k2workers.feed.rotation import SERVER_SHUTDOWN


class Asking:
    """``on_permitted`` gets the reason, and the permission to give back (none if nobody answered)."""

    def __init__(self, grants: Grants, on_permitted: Callable[[str, Grant | None], None]) -> None:
        self._grants = grants
        self._on_permitted = on_permitted
        self._line: int | None = None
        """The line that is to be replaced; None: nothing is asked."""
        self._urgent = False
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, line: int, reason: str) -> None:
        """Ask to replace this line. Asked already, only an urgent reason is news: it does not wait for its turn."""
        # A venue about to close lines will not wait for other shards' turns: such a rotation is only spaced.
        urgent = reason == SERVER_SHUTDOWN
        if self._line == line and (self._urgent or not urgent):
            return
        self.withdraw()
        self._line, self._urgent = line, urgent
        self._task = asyncio.get_running_loop().create_task(self._wait(reason, urgent=urgent))
        self._tasks.add(self._task)
        self._task.add_done_callback(self._tasks.discard)

    def only_for(self, line: int | None) -> None:
        """This line carries the feed now: what was asked for another one is withdrawn."""
        if self._line != line:
            self.withdraw()

    def withdraw(self) -> None:
        """Ask no longer."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._line = None

    async def stop(self) -> None:
        """Withdraw, and return when that is done."""
        self.withdraw()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait(self, reason: str, *, urgent: bool) -> None:
        grant = await self._grants.ask("connect" if urgent else "rotate", time.monotonic_ns() if urgent else 0)
        if self._task is asyncio.current_task():
            self._task = self._line = None
            self._on_permitted(reason, grant)
        elif grant is not None:
            grant.done()  # given in the moment of the withdrawal
