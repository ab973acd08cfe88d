"""Owns how anything periodic, and anything beside it, is done: a failed turn is logged and counted, and the next one comes.

Knows nothing of what is done. A duty written by hand (a timer that sets itself anew, a task that sleeps and repeats) ends for ever with its
first exception, while its process goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from k2workers.errors import StateError

MOST_IN_A_ROW = 20
"""After so many failed turns in a row the duty is given up. That is a second at least, in which a passing cause may pass; then a new
process, which is there in about as long, is worth more than one that does not do its duty."""

FAILED_PAUSE_S = 0.05
"""The next turn after a failed one begins this much later at least, also where the period is 0 or ``soon`` was called."""

GAVE_UP = os.EX_SOFTWARE
"""The exit code of a process that ended because of a duty: 70."""

Duty = Callable[[], Coroutine[Any, Any, None] | None]

failures: Counter[str] = Counter()
"""Failed turns of this process so far, by duty (those without a failure stand at 0): what ``k2_duty_failures_total`` shows."""

_log = structlog.get_logger(__name__)


def end_process(_error: StateError) -> None:
    """End this process, for its parent to start it anew. It does not drain: after such a defect its data cannot be trusted."""
    raise SystemExit(GAVE_UP)


def beside(work: Coroutine[Any, Any, None], name: str, on_failure: Callable[[], object]) -> asyncio.Task[None]:
    """Do this once, beside what goes on; cancelling the task is no failure.

    An error that it does not expect itself is logged (``duty_failed``) and counted, and ``on_failure`` is called, so that whoever waits for
    an outcome gets one.
    """
    failures[name] += 0
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(lambda ended: _over_beside(ended, name, on_failure))
    return task


def _over_beside(task: asyncio.Task[None], name: str, on_failure: Callable[[], object]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        failures[name] += 1
        try:
            _log.error("duty_failed", duty=name, error=f"{type(error).__name__}: {error}", in_a_row=1, exc_info=error)
        finally:
            on_failure()


class Every:
    """Calls ``duty``, a function or a coroutine function, every ``period_s`` on the running loop, from ``start`` to ``stop``.

    Turns *begin* a period apart. One that takes longer is followed by a single one at once: turns that were missed are skipped, and two turns
    never run at the same time. Period 0 is for a duty that itself waits for something.

    This is the one place where ``except Exception`` may carry on. Whatever a turn raises is logged (``duty_failed``) and counted in
    ``failures``, and the next turn comes. After ``most_in_a_row`` failures without a success between them the duty stops
    (``duty_gave_up``) and ``give_up`` is called with a StateError that names it: by default the process ends with ``GAVE_UP``.
    ``give_up`` None is for what must not be able to stop the feed, such as metrics: it is tried for ever.
    """

    def __init__(
        self,
        period_s: float,
        duty: Duty,
        name: str,
        *,
        give_up: Callable[[StateError], object] | None = end_process,
        most_in_a_row: int = MOST_IN_A_ROW,
    ) -> None:
        self.name = name
        self.in_a_row = 0
        """Failed turns since the last good one."""
        self._period_s = period_s
        self._duty = duty
        self._give_up = give_up
        self._most_in_a_row = most_in_a_row
        self._loop: asyncio.AbstractEventLoop | None = None
        """Set from ``start`` to ``stop``."""
        self._begun_s = 0.0
        self._timer: asyncio.Handle | None = None
        """The next turn; None while one is under way."""
        self._turn: asyncio.Task[None] | None = None
        """The turn of a coroutine function that is under way."""
        self._soon = False
        failures[name] += 0

    def start(self, *, at_once: bool = True) -> None:
        """Take the first turn before this returns, or else one period later. Call it inside the loop."""
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()
        if at_once:
            self._begin()
        else:
            self._again()

    def soon(self) -> None:
        """Let the next turn begin in the next iteration of the loop, or when the one under way is over."""
        if self._loop is None or self._soon:
            return
        self._soon = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._begin)

    def stop(self, *, last_turn: bool = False) -> None:
        """No more turns; one under way is cancelled. ``last_turn``: after one more now, which may fail like any other (plain functions only)."""
        if last_turn and self._loop is not None and self._timer is not None:
            self._timer.cancel()
            self._give_up = None
            self._begin()
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    async def stopped(self) -> None:
        """Stop, and wait until the turn that was under way has ended."""
        turn = self._turn
        self.stop()
        if turn is not None:
            await asyncio.wait({turn})

    def _begin(self) -> None:
        loop = self._loop
        assert loop is not None
        self._timer, self._soon, self._begun_s = None, False, loop.time()
        try:
            work = self._duty()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - see the class: nothing periodic dies of one turn
            self._over(error)
            return
        if work is None:
            self._over(None)
        else:
            self._turn = loop.create_task(work, name=self.name)
            self._turn.add_done_callback(self._ended)

    def _ended(self, turn: asyncio.Task[None]) -> None:
        if turn is not self._turn:
            return  # it was stopped
        self._turn = None
        if turn.cancelled() and turn.cancelling():
            self.stop()  # with the whole loop
            return
        self._over(asyncio.CancelledError() if turn.cancelled() else turn.exception())

    def _over(self, error: BaseException | None) -> None:
        if self._loop is not None:
            self._again()  # first: not even a log that cannot be written may keep the next turn from coming
        if error is None:
            self.in_a_row = 0
        else:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        failures[self.name] += 1
        self.in_a_row += 1
        words = f"{type(error).__name__}: {error}"
        give_up = self._give_up if self.in_a_row >= self._most_in_a_row and self._loop is not None else None
        if give_up is not None:
            self.stop()
        try:
            # What is tried for ever must not fill the log.
            if self.in_a_row <= MOST_IN_A_ROW or self.in_a_row % MOST_IN_A_ROW == 0:
                _log.error("duty_failed", duty=self.name, error=words, in_a_row=self.in_a_row, exc_info=error)
            if give_up is not None:
                _log.critical("duty_gave_up", duty=self.name, error=words, in_a_row=self.in_a_row)
        finally:
            if give_up is not None:
                give_up(StateError(f"duty {self.name!r} failed {self.in_a_row} times in a row: {words}"))

    def _again(self) -> None:
        assert self._loop is not None
        period_s = 0 if self._soon else self._period_s
        if self.in_a_row:
            period_s = max(period_s, FAILED_PAUSE_S)
        self._timer = self._loop.call_at(max(self._begun_s + period_s, self._loop.time()), self._begin)
