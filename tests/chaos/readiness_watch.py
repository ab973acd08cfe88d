"""Owns the look at a running feed's readiness: asks it twice a second, and what was sent and received meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self

from tests.chaos.promise import PATIENCE_S, Promise, waits_for_weight
from tests.chaos.rig import Rig
from tests.support.waiting import until

LOOK_S = 0.5
CATCH_UP_S = 5.0
"""A subscriber that comes back, or is slow, has this long to read what it missed."""


class ReadinessWatch:
    """``async with ReadinessWatch(rig) as watch:`` holds the feed to its word meanwhile."""

    def __init__(self, rig: Rig) -> None:
        self.promise = Promise()
        self._rig = rig

    async def __aenter__(self) -> Self:
        self.promise.begin(await self._rig.heads(0.0))
        self._looking = asyncio.get_running_loop().create_task(self._look())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking

    async def _look(self) -> None:
        while True:
            due = await self._rig.heads(PATIENCE_S)
            reasons = await self._rig.unready()
            said_s = time.monotonic()
            if not reasons:
                await self._all_is_read(time.time_ns())
            here = self._rig.following_s() > CATCH_UP_S
            self.promise.sample(said_s, reasons, due, self._rig.observer.reached() if here else None)
            await asyncio.sleep(LOOK_S)

    async def _all_is_read(self, until_ns: int) -> None:
        """Wait until the observer has read all that was published by then, as the first thing shows that was published later.

        How fast the observer reads is not the feed's doing. One that publishes nothing is judged all the same.
        """
        with contextlib.suppress(AssertionError):
            await until(lambda: self._rig.observer.published_ns >= until_ns, limit_s=CATCH_UP_S)

    async def see_it_out(self, limit_s: float) -> None:
        """Wait until the feed has been ready for as long as it takes for all that was sent to be due.

        It is unready for at most ``limit_s``, without the time in which the venue's weight is waited for; past it ``promise.wrong`` tells of it.
        """
        unready_s, ready_s, before_s = 0.0, 0.0, time.monotonic()
        while unready_s < limit_s and ready_s < PATIENCE_S + 2 * LOOK_S:
            await asyncio.sleep(LOOK_S / 2)
            if self._looking.done():
                self._looking.result()
            passed_s, before_s = time.monotonic() - before_s, time.monotonic()
            ready_s = 0.0 if self.promise.reasons else ready_s + passed_s
            counts = bool(self.promise.reasons) and not waits_for_weight(self.promise.reasons)
            unready_s += passed_s if counts else 0.0
