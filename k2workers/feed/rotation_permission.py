"""Owns a feed's request to the parent for a rotation. Only one to rotate is open at a time; a more urgent one takes its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from k2workers.errors import VenueError
from k2workers.every import beside
from k2workers.rotation.inputs import Grant
from k2workers.rotation.policy import SERVER_SHUTDOWN


class Grants(Protocol):
    """Where a feed asks before it connects, and says what became of it."""

    async def ask(self, purpose: str, starved_since_ns: int) -> Grant | None:
        """``purpose`` is ``connect`` or ``rotate``; the time is monotonic, and 0 if the feed is not starved.

        None: the parent did not answer, so act without a grant.
        """

    def answered(self, error: VenueError | None) -> None:
        """How the venue answered the handshake that was permitted last; None: it let us in."""


class RotationPermission:
    """``on_permitted`` gets the reason, and the grant to give back afterwards (None if the parent did not answer)."""

    def __init__(self, grants: Grants, on_permitted: Callable[[str, Grant | None], None]) -> None:
        self._grants = grants
        self._on_permitted = on_permitted
        self._urgent = False
        self._task: asyncio.Task[None] | None = None
        """The task that waits for the answer; None: no request is open."""
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, reason: str) -> None:
        """Request a rotation. While a request is open, only an urgent reason makes another one: it does not wait for its turn."""
        # A venue about to close lines will not wait for others' turns: it waits only for the minimum distance between connections.
        urgent = reason == SERVER_SHUTDOWN
        if self._task is not None and not self._task.done() and (self._urgent or not urgent):
            return
        self.withdraw()
        self._urgent = urgent
        self._task = beside(self._wait(reason, urgent=urgent), "rotation_permission", lambda: None)
        self._tasks.add(self._task)
        self._task.add_done_callback(self._tasks.discard)

    def withdraw(self) -> None:
        """Withdraw the request."""
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def stop(self) -> None:
        """Withdraw, and return when that is done."""
        self.withdraw()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait(self, reason: str, *, urgent: bool) -> None:
        grant = await self._grants.ask("connect" if urgent else "rotate", time.monotonic_ns() if urgent else 0)
        if self._task is asyncio.current_task():
            self._task = None
            self._on_permitted(reason, grant)
        elif grant is not None:
            grant.done()  # given in the moment of the withdrawal
