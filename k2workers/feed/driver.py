"""Owns a shard's live connection: performs what the rotation machine decides, on real lines.

The machine (``rotation.py``) holds the rules; this file holds sockets, timers and grants, and reports back what
happened as inputs. Nothing here decides when to rotate, reconnect or promote.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from k2workers import wire
from k2workers.errors import VenueError
from k2workers.feed import rotation, schedule
from k2workers.feed.intake import Intake
from k2workers.feed.line import Line
from k2workers.feed.liveness import LOOK_NS, DataWatch, SilenceWatch
from k2workers.feed.overlap import Overlap
from k2workers.feed.pace import Pace
from k2workers.feed.record import RotationRecord
from k2workers.feed.rotating import Grants, Rotating
from k2workers.feed.settings import FeedSettings
from k2workers.feed.subscription import Audit, Subscriptions
from k2workers.venues.venue import Codec, Reply, StreamSpec, Venue

MIN_DATA_SILENCE_NS = 5_000_000_000
"""A line without any data for less than this is never given up."""

TICK_S = 0.05
"""How often deadlines are looked at. One timer for all of them costs less than keeping each one armed."""

_log = structlog.get_logger(__name__)


class Driver:
    """One shard's feed. ``start`` it inside a running loop; ``stop`` returns when all lines are closed.

    ``push`` takes one bundle of batches; ``on_record`` gets the record of every rotation.
    """

    def __init__(
        self,
        settings: FeedSettings,
        venue: Venue,
        specs: Sequence[StreamSpec],
        *,
        grants: Grants,
        push: Callable[[list[wire.Batch]], object],
        on_record: Callable[[RotationRecord], None],
        observe_latency: Callable[[int], None],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.settings = settings
        self.reconnects: Counter[str] = Counter()
        self.rotations: Counter[str] = Counter({rotation.SCHEDULED: 0})
        self._venue = venue
        self.specs = specs
        self._grants = grants
        self._on_record = on_record
        self._ssl = ssl_context
        codec: Codec = venue.codec(specs)
        self.intake = Intake(
            codec,
            hold_ns=settings.hold_ns,
            push=push,
            on_reply=self._on_reply,
            on_notice=lambda line: self._input(rotation.Notice(line)),
            observe_latency=observe_latency,
        )
        self.machine = rotation.RotationMachine(
            settings.rotation_policy,
            self._next_due_ns,
            random.random,
        )
        self._lines: dict[int, Line] = {}
        self._closing: dict[int, Line] = {}
        self.subscriptions = Subscriptions(venue, settings.connect_timeout_s)
        self._bringing_up: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._requesting: asyncio.Task[None] | None = None
        self._rotating: Rotating | None = None
        self.silence = SilenceWatch()
        self.on_live: Callable[[], None] = lambda: None
        """Called when a line begins to carry the feed after there was none: what happened meanwhile is unknown."""
        self.on_silent: Callable[[list[int]], None] = lambda _: None
        """Called with streams that are suspiciously silent while others are not."""
        self._data = DataWatch(min_silence_ns=MIN_DATA_SILENCE_NS, max_silence_ns=settings.stale_after_ns)
        self._look_ns = 0
        self.audit = Audit(venue, [spec.name for spec in specs])
        self._primary_since_ns = 0
        self._starved_since_ns = 0
        self._retired_bytes = self._retired_frames = 0
        self._replies = 0
        """Messages that answered our requests: the audit's would make a line look alive on which no symbol trades."""
        self._timer: asyncio.TimerHandle | None = None
        self._perform: dict[type[rotation.Action], Callable[[Any], None]] = {
            rotation.OpenLine: self._open_line,
            rotation.CloseLine: self._close_line,
            rotation.AbandonLine: self._abandon_line,
            rotation.RequestRotation: self._request_rotation,
            rotation.Promoted: self._promoted,
        }

    # ── outside ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._starved_since_ns = time.monotonic_ns()
        self._input(rotation.Start())
        self._tick()

    async def stop(self) -> None:
        """Close every line with 1000 and push what arrives until the venue's close replies."""
        self._input(rotation.Stop())
        if self._timer is not None:
            self._timer.cancel()
        for task in [*self._bringing_up.values(), self._requesting]:
            if task is not None:
                task.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self.intake.expire(2**63 - 1)

    def rotate(self, reason: str) -> None:
        """Ask for a rotation now, outside the schedule."""
        if self.machine.state is rotation.State.LIVE:
            self._request_rotation(rotation.RequestRotation(reason))

    def add_streams(self, specs: Sequence[StreamSpec]) -> None:
        """Serve these as well, from now on and on every line."""
        names = [spec.name for spec in specs]
        self.specs = [*self.specs, *specs]
        self.intake.add_streams(specs)
        self.audit.add(names)
        for line in self._lines.values():
            self._spawn(self._subscribe_later(line, names))

    @property
    def live(self) -> bool:
        """Whether a primary carries the feed."""
        return self.machine.state in {rotation.State.LIVE, rotation.State.WARMING, rotation.State.OVERLAP}

    @property
    def fresh(self) -> bool:
        """Whether the primary was heard from within three quarters of the stale limit: longer than from one ping to the next."""
        line = self._lines.get(self.machine.primary) if self.machine.primary is not None else None
        return line is not None and time.monotonic_ns() - line.last_read_ns < self.settings.stale_after_ns * 3 // 4

    @property
    def lifetime_s(self) -> float:
        """How long the primary has carried the feed; 0 while there is none."""
        return (time.monotonic_ns() - self._primary_since_ns) / 1e9 if self.live else 0.0

    @property
    def next_rotation_s(self) -> float:
        """Time to the next planned rotation; 0 when it is due or there is no primary."""
        return max(0.0, (self.machine.due_ns - time.monotonic_ns()) / 1e9) if self.live else 0.0

    @property
    def traffic(self) -> tuple[int, int]:
        """(bytes, messages) received on all lines so far."""
        lines = [*self._lines.values(), *self._closing.values()]
        return (
            self._retired_bytes + sum(line.bytes_received for line in lines),
            self._retired_frames + sum(line.frames_received for line in lines),
        )

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────

    def _next_due_ns(self, now_ns: int) -> int:
        own = self.settings
        return schedule.next_due_ns(
            now_ns, shard=own.shard, shards=own.shards, lifetime_ns=own.lifetime_ns, origin_ns=own.origin_ns
        )

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        self.intake.expire(now_ns)
        overlap = self.intake.overlap
        if self.machine.state is rotation.State.OVERLAP and overlap is not None and overlap.complete(now_ns):
            self._input(rotation.Proven())
        self._drop_stale(now_ns)
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            self._look(now_ns)
        self._input(rotation.Tick())
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _drop_stale(self, now_ns: int) -> None:
        line = self._lines.get(self.machine.primary or 0)
        if line is None or not line.opened_ns or not self.live:
            return
        if now_ns - line.last_read_ns >= self.settings.stale_after_ns:
            self._ended(line.number, "stale")
        elif self._data.look(self.traffic[1] - self._replies, now_ns):
            # Pings come, so the connection lives; the venue acknowledged our subscriptions and sends nothing.
            self._ended(line.number, "silent")

    def _look(self, now_ns: int) -> None:
        """Once a second: streams that fell silent, and whether the venue still has our subscriptions."""
        line = self._lines.get(self.machine.primary or 0)
        if line is None or not self.live:
            return
        silent = self.silence.look([lane.last_id for lane in self.intake.lanes], now_ns)
        if silent:
            _log.warning("streams_silent", topics=[self.intake.topics[stream].topic for stream in silent][:10])
            self.on_silent(silent)
        self.audit.look(line, now_ns)

    def _input(self, given: rotation.Input) -> None:
        before, primary = self.machine.state, self.machine.primary
        for action in self.machine.handle(given, time.monotonic_ns()):
            self._perform[type(action)](action)
        after = self.machine.state
        if after is before or after is not rotation.State.LIVE:
            return
        if before is rotation.State.CONNECTING:
            self._now_live()
        elif self.machine.primary == primary and self._rotating is not None:
            _log.warning("connection_rotation_given_up", reason=self._rotating.reason, kept=primary)
            self._end_rotation()

    def _now_live(self) -> None:
        self._end_rotation()
        self._primary_since_ns = time.monotonic_ns()
        self._starved_since_ns = 0
        self.intake.primary = self.machine.primary
        self._data.renewed(self._primary_since_ns)
        self.audit.renewed(self._primary_since_ns)
        self.on_live()
        _log.info("connection_live", line=self.machine.primary, next_rotation_s=round(self.next_rotation_s, 1))

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────

    def _open_line(self, action: rotation.OpenLine) -> None:
        task = self._spawn(self._bring_up(action))
        self._bringing_up[action.line] = task
        task.add_done_callback(lambda _: self._bringing_up.pop(action.line, None))

    async def _bring_up(self, action: rotation.OpenLine) -> None:
        number, own = action.line, self.settings
        grant = await self._grants.ask("connect", self._starved_since_ns) if action.starved else None
        line = Line(
            number, self._venue.ws_url(own.url), self.intake.on_messages, self._ended, Pace(self.settings.gather_ns)
        )
        try:
            self._input(rotation.Advanced(number))
            await self._shake_hands(line)
            self._lines[number] = line
            self._count_lines()
            names = self.subscriptions.not_refused([spec.name for spec in self.specs])
            await self.subscriptions.establish(line, names, lambda: self._input(rotation.Advanced(number)))
        except VenueError as error:
            _log.warning("connection_failed", line=number, error=str(error), attempt=self.machine.attempt)
            self._forget(number)
            self._input(rotation.Closed(number, "connect_failed"))
            return
        except asyncio.CancelledError:
            line.abort()
            raise
        finally:
            if grant is not None:
                grant.done()
        self._opened(number)
        self._try_refused(line)

    async def _shake_hands(self, line: Line) -> None:
        """Connect the line; the parent learns how the venue answered."""
        own = self.settings
        try:
            await line.open(
                ssl_context=self._ssl,
                timeout_s=own.connect_timeout_s,
                close_timeout_s=own.close_timeout_s,
                read_refusal=self._venue.read_refusal,
            )
        except VenueError as error:
            self._grants.answered(error)
            raise
        self._grants.answered(None)

    def _opened(self, number: int) -> None:
        rotating, overlap = self._rotating, self.intake.overlap
        if number == self.machine.standby and rotating is not None and overlap is not None:
            rotating.opened_ns, rotating.opened_monotonic_ns = time.time_ns(), time.monotonic_ns()
            overlap.acknowledged(rotating.opened_monotonic_ns)
        self._input(rotation.Opened(number))

    def _close_line(self, action: rotation.CloseLine) -> None:
        line = self._lines.pop(action.line, None)
        if line is None:
            self._cancel_bring_up(action.line)
            return
        self._closing[action.line] = line
        self._spawn(self._retire(line, action))

    async def _retire(self, line: Line, action: rotation.CloseLine) -> None:
        try:
            await line.close(action.code, action.reason)
        finally:
            line.abort()
            self._count_traffic(self._closing.pop(line.number, None))
            self._count_lines()
            if self._rotating is None or self.machine.standby is None:
                self._end_rotation()

    def _abandon_line(self, action: rotation.AbandonLine) -> None:
        self._cancel_bring_up(action.line)
        self._forget(action.line)

    def _request_rotation(self, action: rotation.RequestRotation) -> None:
        if self._requesting is None:
            self._requesting = self._spawn(self._ask_to_rotate(action.reason))

    async def _ask_to_rotate(self, reason: str) -> None:
        # A venue about to close lines will not wait for other shards' turns: such a rotation is only spaced.
        urgent = reason == rotation.SERVER_SHUTDOWN
        try:
            grant = await self._grants.ask("connect" if urgent else "rotate", time.monotonic_ns() if urgent else 0)
        finally:
            self._requesting = None
        if self.machine.state is not rotation.State.LIVE or self._rotating is not None:
            if grant is not None:
                grant.done()
            return
        self._rotating = Rotating(
            reason,
            grant,
            time.time_ns(),
            duplicates_before=self.intake.duplicates,
            missing_before=self.intake.missing,
        )
        self.intake.overlap = Overlap(self.settings.min_overlap_ns)
        _log.info(
            f"{self._venue.name}_connection_rotation_triggered",
            reason=reason,
            line=self.machine.primary,
            lifetime_seconds=round(self.lifetime_s, 3),
        )
        self._input(rotation.Rotate(reason))

    def _promoted(self, action: rotation.Promoted) -> None:
        rotating, overlap, now_ns = self._rotating, self.intake.overlap, time.monotonic_ns()
        self.intake.overlap = None
        self.intake.primary = action.line
        self._data.renewed(now_ns)
        self.audit.renewed(now_ns)
        lifetime_s, self._primary_since_ns = self.lifetime_s, now_ns
        self.rotations[action.reason] += 1
        if rotating is None or overlap is None:
            return
        record = rotating.record(
            self.intake, overlap, self.settings.shard, action, lifetime_s=lifetime_s, streams=len(self.specs)
        )
        self._on_record(record)
        if not action.complete:
            self._end_rotation()

    # ── what lines report ───────────────────────────────────────────────────────────────────────────────

    def _ended(self, number: int, cause: str) -> None:
        if number not in self._lines:
            return  # we closed or dropped it ourselves
        was_primary = number == self.machine.primary
        if was_primary:
            self._starved_since_ns = time.monotonic_ns()
            self.reconnects[cause] += 1
        _log.warning("connection_lost", line=number, cause=cause, primary=was_primary)
        self._forget(number)
        self._cancel_bring_up(number)
        self._input(rotation.Closed(number, cause))

    def _on_reply(self, number: int, reply: Reply) -> None:
        self._replies += 1
        if not self.subscriptions.on_reply(number, reply):
            missing, line = self.audit.on_reply(reply, self.subscriptions.refused), self._lines.get(number)
            if line is None:
                return
            self._try_refused(line)
            if missing:
                _log.warning("subscriptions_lost", line=number, streams=missing[:10], count=len(missing))
                self._spawn(self.subscriptions.try_to(line, missing))

    def _try_refused(self, line: Line) -> None:
        """Steadily: what the venue refuses may be taken some day."""
        if self.subscriptions.refused:
            self._spawn(self.subscriptions.try_refused(line))

    async def _subscribe_later(self, line: Line, names: list[str]) -> None:
        """Subscribe these as soon as what the line was opened for is subscribed."""
        if (bringing_up := self._bringing_up.get(line.number)) is not None:
            await asyncio.wait([bringing_up])
        if self._lines.get(line.number) is line:
            await self.subscriptions.try_to(line, names)

    # ── small steps ─────────────────────────────────────────────────────────────────────────────────────

    def _end_rotation(self) -> None:
        if self._rotating is not None and self._rotating.grant is not None:
            self._rotating.grant.done()
        self._rotating = None
        self.intake.overlap = None

    def _forget(self, number: int) -> None:
        line = self._lines.pop(number, None)
        if line is not None:
            line.abort()
            self._count_traffic(line)
        self._count_lines()

    def _count_traffic(self, line: Line | None) -> None:
        if line is not None:
            self._retired_bytes += line.bytes_received
            self._retired_frames += line.frames_received

    def _count_lines(self) -> None:
        self.intake.several_lines(len(self._lines) + len(self._closing) > 1)

    def _cancel_bring_up(self, number: int) -> None:
        task = self._bringing_up.pop(number, None)
        if task is not None:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
