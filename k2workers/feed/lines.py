"""Owns a route's lines, from the permission to connect to the last byte: how each one connects, subscribes, gets more streams, and ends.

Which lines there are to be is decided elsewhere (``k2workers.rotation``); what becomes of them is reported there.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from k2workers.errors import VenueError, VenueRefused
from k2workers.every import beside
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.gathering import Gathering
from k2workers.feed.intake import Intake
from k2workers.feed.line import Line
from k2workers.feed.message_rate import MessageRate
from k2workers.feed.rotation_permission import Grants
from k2workers.feed.subscription import Subscriptions
from k2workers.rotation.inputs import Advanced, Closed, Failed, Grant, Opened
from k2workers.rotation.policy import SILENT, STALE
from k2workers.venues.venue import Reply, Route, Venue

AUDIT_NS = 60_000_000_000
"""How often the venue is asked which streams the line has that carries the feed."""

DEFECT = "defect"
"""The cause of an end that an error of ours brought about."""

CAUSES = (STALE, SILENT, DEFECT, *(f"closed_{code}" for code in (1000, 1001, 1002, 1006, 1008, 1009, 1011, 1012, 1013)))
"""The causes of an end that are to be expected; a venue may close with any other code."""

Report = Callable[[Advanced | Opened | Failed | Closed], None]

_log = structlog.get_logger(__name__)


class Lines:
    """The lines of one route, by number. Everything that is under way on a line ends with the line.

    Every line carries all streams of the route. ``report`` is called when a line advances, opens or ends, but not for an end that the caller asked for.
    """

    def __init__(
        self,
        settings: FeedSettings,
        venue: Venue,
        route: Route,
        *,
        grants: Grants,
        intake: Intake,
        report: Report,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.names = [spec.name for spec in route.specs]
        self.subscriptions = Subscriptions(venue, settings.connect_timeout_s)
        self.replies = 0
        """Messages that answered requests of ours."""
        self.failure = ""
        """Why the newest attempt to make one failed; empty if it did not."""
        self.audit_due_ns = 0
        self._settings = settings
        self._venue = venue
        self._route = route
        self._on_other_path = False
        self._grants = grants
        self._intake = intake
        self._report = report
        self._ssl = ssl_context
        self._connected: dict[int, Line] = {}
        self._closing: dict[int, Line] = {}
        self._under_way: dict[int, set[asyncio.Task[None]]] = {}
        """What is being done on a line that is not closing."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone_bytes = self._gone_frames = 0

    # ── what is asked of it ─────────────────────────────────────────────────────────────────────────────

    def open(self, number: int, attempt: int, starved_since_ns: int | None) -> None:
        """Connect a line and subscribe everything on it; a starved feed asks for permission first."""
        self._do(number, self._bring_up(number, attempt, starved_since_ns), lambda: self._broke(number))

    def close(self, number: int, code: int, reason: str, grant: Grant | None) -> None:
        """Close a line; what it still delivers counts. ``grant`` is given back when it is closed."""
        self._cancel(number)
        line = self._connected.pop(number, None)
        if line is not None:
            self._closing[number] = line
            self._spawn(self._retire(line, code, reason, grant), lambda: None)
        elif grant is not None:
            grant.done()

    def drop(self, number: int) -> None:
        """End a line at once, without a closing handshake."""
        self._cancel(number)
        line = self._connected.pop(number, None)
        if line is not None:
            line.abort()
            self._count_gone(line)
        self._count()

    def add(self, names: Sequence[str]) -> None:
        """Subscribe these streams too, on every line."""
        self.names += names
        for number, line in self._connected.items():
            self._do(number, self._add(line, names))

    def carried_by(self, number: int) -> None:
        """This line carries the feed from now on. It was subscribed just now, so there is nothing to audit yet."""
        self.audit_due_ns = time.monotonic_ns() + AUDIT_NS

    def audit(self, number: int, now_ns: int) -> None:
        """Ask the venue, every minute, what it has subscribed on the line that carries the feed; subscribe the rest."""
        if now_ns >= self.audit_due_ns:
            self.audit_due_ns = now_ns + AUDIT_NS
            self._do(number, self.subscriptions.audit(self._connected[number]))

    def ended(self, number: int, cause: str) -> None:
        """A line has ended by itself, or is treated as ended."""
        if number not in self._connected:
            return  # we closed or dropped it ourselves
        self.drop(number)
        self._report(Closed(number, cause))

    async def stop(self) -> None:
        """End all work; returns when every line that is being closed is closed."""
        for number in list(self._under_way):
            self._cancel(number)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── what is known of them ───────────────────────────────────────────────────────────────────────────

    def get(self, number: int | None) -> Line | None:
        """The line of this number, if it is connected."""
        return self._connected.get(number) if number is not None else None

    def withheld(self, standby: int | None, primary: int | None) -> set[str]:
        """The streams that would end if the standby took over: the venue refuses them on it, and not on the primary."""
        new, old = self.get(standby), self.get(primary)
        return self.subscriptions.withheld(new, old) if new is not None and old is not None else set()

    @property
    def traffic(self) -> tuple[int, int]:
        """(bytes, messages) received on all lines so far."""
        lines = [*self._connected.values(), *self._closing.values()]
        return (
            self._gone_bytes + sum(line.bytes_received for line in lines),
            self._gone_frames + sum(line.frames_received for line in lines),
        )

    @property
    def data_messages(self) -> int:
        """Messages received so far that answer no request of ours: an audit's answer would make a line look alive that brings nothing."""
        return self.traffic[1] - self.replies

    def on_reply(self, number: int, reply: Reply) -> None:
        """Take a control reply of the venue."""
        self.replies += 1
        line = self._connected.get(number)
        if line is not None:
            self.subscriptions.on_reply(line, reply)

    # ── how they come up, and go ────────────────────────────────────────────────────────────────────────

    async def _bring_up(self, number: int, attempt: int, starved_since_ns: int | None) -> None:
        grant = None if starved_since_ns is None else await self._grants.ask("connect", starved_since_ns)
        try:
            self._report(Advanced(number))
            line = await self._connect(number)
            self._connected[number] = line
            self._count()
            all_taken = await self.subscriptions.begin(line, self.names, lambda: self._report(Advanced(number)))
        except VenueError as error:
            self.failure = str(error)
            _log.warning("connection_failed", line=number, error=self.failure, attempt=attempt)
            self.drop(number)
            self._report(Failed(number))
            return
        finally:
            if grant is not None:
                grant.done()
        self.failure = ""
        self._report(Opened(number))
        if all_taken and self._connected.get(number) is line:
            await self.subscriptions.try_refused(line)

    async def _connect(self, number: int) -> Line:
        """Connect, and report to the parent how the venue answered."""
        own = self._settings
        line = Line(
            number,
            self._route.url(own.url, other=self._on_other_path),
            self._intake.on_messages,
            self.ended,
            Gathering(own.gather_ns),
            MessageRate(self._route.limits.subscribe_rate),
            None if self._intake.plain is None else self._intake.take,
        )
        try:
            await line.open(
                ssl_context=self._ssl,
                timeout_s=own.connect_timeout_s,
                close_timeout_s=own.close_timeout_s,
                read_refusal=self._venue.read_refusal,
                ca_setting=self._venue.ca_bundle_setting,
            )
        except VenueError as error:
            if isinstance(error, VenueRefused) and self._route.other_path:
                self._on_other_path = not self._on_other_path
            self._grants.answered(error)
            raise
        self._grants.answered(None)
        return line

    async def _add(self, line: Line, names: Sequence[str]) -> None:
        await self.subscriptions.add(line, names)

    async def _retire(self, line: Line, code: int, reason: str, grant: Grant | None) -> None:
        try:
            await line.close(code, reason)
        finally:
            line.abort()
            del self._closing[line.number]
            self._count_gone(line)
            self._count()
            if grant is not None:
                grant.done()

    # ── small steps ─────────────────────────────────────────────────────────────────────────────────────

    def _count(self) -> None:
        self._intake.several_lines(len(self._connected) + len(self._closing) > 1)

    def _count_gone(self, line: Line) -> None:
        self._gone_bytes += line.bytes_received
        self._gone_frames += line.frames_received

    def _cancel(self, number: int) -> None:
        for task in self._under_way.pop(number, ()):
            if task is not asyncio.current_task():  # one that reports its own failure ends by itself
                task.cancel()

    def _broke(self, number: int) -> None:
        """What brings a line up broke off by a defect of ours: without a word the machine would wait for ever."""
        if number in self._connected:
            self.ended(number, DEFECT)
        else:
            self._report(Failed(number))

    def _do(
        self, number: int, work: Coroutine[Any, Any, None], on_failure: Callable[[], object] = lambda: None
    ) -> None:
        tasks, task = self._under_way.setdefault(number, set()), self._spawn(work, on_failure)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _spawn(self, work: Coroutine[Any, Any, None], on_failure: Callable[[], object]) -> asyncio.Task[None]:
        task = beside(work, "lines", on_failure)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
