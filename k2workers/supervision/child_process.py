"""Owns what every child process does alike: it says hello, beats, keeps its metrics up to date, hears that it is to end, and hands over its last words.

What it serves meanwhile, and how it drains, is its main's own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from k2workers.every import Every
from k2workers.supervision.child import guard_parent
from k2workers.supervision.control_channel import ControlClient
from k2workers.supervision.control_messages import AnyControlMessage, Beat, Drain, Ready, Record

BEAT_S = 0.5
METRICS_S = 1.0


class ChildProcess:
    """A child towards its parent. Use it with ``async with``, in the child's loop; ``hear`` is called with the parent's other messages.

    ``stopping`` is set when the child is to end: the parent says so, or is gone. What was begun here goes on while it drains; at the end come
    a last turn of the metrics and a last beat, unless it ends with an error.
    """

    def __init__(
        self, name: str, control_endpoint: str, hear: Callable[[AnyControlMessage], object] = lambda _message: None
    ) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        self.client = ControlClient(name, control_endpoint)
        self._hear = hear
        self._duties: list[Every] = []
        self._reports: list[Every] = []
        """Duties whose last turn, at the end, tells the last figures."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        guard_parent(lambda: loop.call_soon_threadsafe(self.stopping.set))
        await self.client.start(self._take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for duty in self._duties:
            duty.stop()
        for duty in self._reports:
            duty.stop(last_turn=kind is None)
        await self.client.close()

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Tell the parent of something that happened."""
        self.client.send(Record(self.name, kind, data))

    def ready(self) -> None:
        """Tell the parent that it serves now."""
        self.client.send(Ready(self.name))

    def beats(self, status: Callable[[], Any] = lambda: None, counters: Callable[[], Mapping[str, int]] = dict) -> None:
        """Beat from now on, with what these say: see ``control_messages.Beat``."""

        def beat() -> None:
            at_ns = time.monotonic_ns()  # first: what follows is no older than this
            self.client.send(Beat(self.name, os.getpid(), dict(counters()), status(), at_ns))

        self._reports.append(_begun(Every(BEAT_S, beat, "beat")))

    def metrics(self, flush: Callable[[], None]) -> None:
        """Have ``flush`` called steadily from now on."""
        self._reports.append(_begun(Every(METRICS_S, flush, "metrics", give_up=None)))

    def does(self, *duties: Every) -> None:
        """Begin these too; they stop at the end."""
        self._duties += [_begun(duty) for duty in duties]

    def _take(self, message: AnyControlMessage) -> None:
        if isinstance(message, Drain):
            self.stopping.set()
        else:
            self._hear(message)


def _begun(duty: Every) -> Every:
    duty.start()
    return duty
