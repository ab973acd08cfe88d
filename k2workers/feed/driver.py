"""Owns a shard's live connection: performs what the rotation machine decides, and tells it what happened.

The machine (``rotation.py``) holds the rules, ``lines.py`` the sockets, ``asking.py`` the question to the parent; here they meet, with
the clock. Nothing here decides when to rotate, reconnect or promote.
"""

from __future__ import annotations

import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from k2workers import wire
from k2workers.every import Every
from k2workers.feed import rotation, schedule
from k2workers.feed.asking import Asking
from k2workers.feed.intake import Intake
from k2workers.feed.lines import CONNECT_FAILED, Lines
from k2workers.feed.liveness import LOOK_NS, DataWatch, SilenceWatch
from k2workers.feed.overlap import Overlap
from k2workers.feed.record import RotationRecord
from k2workers.feed.rotating import Grant, Grants, Rotating
from k2workers.feed.settings import FeedSettings
from k2workers.venues.venue import StreamSpec, Venue

MIN_DATA_SILENCE_NS = 5_000_000_000
"""A line without any data for less than this is never given up."""

AUDIT_NS = 60_000_000_000
"""How often the venue is asked which streams the primary has."""

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
        self.intake = Intake(
            venue.codec(specs),
            hold_ns=settings.hold_ns,
            push=push,
            on_reply=lambda line, reply: self.lines.on_reply(line, reply),  # noqa: PLW0108 - the lines come after it
            on_notice=lambda line: self._input(rotation.Notice(line)),
            observe_latency=observe_latency,
        )
        names = [spec.name for spec in specs]
        self.lines = Lines(
            settings, venue, names, grants=grants, intake=self.intake, report=self._report, ssl_context=ssl_context
        )
        self.machine = rotation.RotationMachine(settings.rotation_policy, self._next_due_ns, random.random)
        self._asking = Asking(grants, self._begin_rotation)
        self._venue_name = venue.name
        self._on_record = on_record
        self._init_state()
        self._perform: dict[type[rotation.Action], Callable[[Any], None]] = {
            rotation.OpenLine: self._open_line,
            rotation.CloseLine: self._close_line,
            rotation.AbandonLine: lambda action: self.lines.drop(action.line),
            rotation.RequestRotation: lambda action: self.rotate(action.reason),
            rotation.Promoted: self._promoted,
        }

    def _init_state(self) -> None:
        """What the feed has come to."""
        self.reconnects: Counter[str] = Counter()
        self.rotations: Counter[str] = Counter({rotation.SCHEDULED: 0})
        self.silence = SilenceWatch()
        self.on_live: Callable[[], None] = lambda: None
        """Called when a line begins to carry the feed after there was none: what happened meanwhile is unknown."""
        self.on_silent: Callable[[list[int]], None] = lambda _: None
        """Called with streams that are suspiciously silent while others are not."""
        self._data = DataWatch(min_silence_ns=MIN_DATA_SILENCE_NS, max_silence_ns=self.settings.stale_after_ns)
        self._rotating: Rotating | None = None
        """The rotation under way: while the standby warms, and through the overlap."""
        self._until_closed: dict[int, Grant] = {}
        """The permission of a rotation whose old line is not closed yet, by the line."""
        self._look_ns = self._audit_ns = 0
        self._primary_since_ns = self._starved_since_ns = 0
        self._ticking = Every(TICK_S, self._tick, "feed")

    # ── outside ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._starved_since_ns = time.monotonic_ns()
        self._input(rotation.Start())
        self._ticking.start()

    async def stop(self) -> None:
        """Close every line with 1000 and push what arrives until the venue's close replies."""
        self._input(rotation.Stop())
        self._ticking.stop()
        await self._asking.stop()
        await self.lines.stop()
        self.intake.expire(2**63 - 1)

    def rotate(self, reason: str) -> None:
        """Ask for a rotation now, whatever the schedule says."""
        if self.machine.state is rotation.State.LIVE and self.machine.primary is not None:
            self._asking.ask(self.machine.primary, reason)

    def add_streams(self, specs: Sequence[StreamSpec]) -> None:
        """Serve these as well, from now on and on every line."""
        self.intake.add_streams(specs)
        self.lines.add([spec.name for spec in specs])

    @property
    def live(self) -> bool:
        """Whether a primary carries the feed."""
        return self.machine.state in {rotation.State.LIVE, rotation.State.WARMING, rotation.State.OVERLAP}

    @property
    def fresh(self) -> bool:
        """Whether the primary was heard from within three quarters of the stale limit: longer than from one ping to the next."""
        line = self.lines.get(self.machine.primary)
        return line is not None and time.monotonic_ns() - line.last_read_ns < self.settings.stale_after_ns * 3 // 4

    @property
    def lifetime_s(self) -> float:
        """How long the primary has carried the feed; 0 while there is none."""
        return (time.monotonic_ns() - self._primary_since_ns) / 1e9 if self.live else 0.0

    @property
    def next_rotation_s(self) -> float:
        """Time to the next planned rotation; 0 when it is due or there is no primary."""
        return max(0.0, (self.machine.due_ns - time.monotonic_ns()) / 1e9) if self.live else 0.0

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────

    def _next_due_ns(self, now_ns: int) -> int:
        own = self.settings
        return schedule.next_due_ns(
            now_ns, shard=own.shard, shards=own.shards, lifetime_ns=own.lifetime_ns, origin_ns=own.origin_ns
        )

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        self.intake.expire(now_ns)
        if self.machine.state is rotation.State.OVERLAP and self._standby_has_all(now_ns):
            self._input(rotation.Proven())
        self._drop_stale(now_ns)
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            self._look(now_ns)
        self._input(rotation.Tick())

    def _standby_has_all(self, now_ns: int) -> bool:
        overlap = self.intake.overlap
        # A stream that the venue refuses on the new line can prove nothing; the old line still brings it, so it stays.
        withheld = self.lines.withheld(self.machine.standby, self.machine.primary)
        return overlap is not None and overlap.complete(now_ns) and not withheld

    def _drop_stale(self, now_ns: int) -> None:
        line = self.lines.get(self.machine.primary)
        if line is None or not self.live:
            return
        if now_ns - line.last_read_ns >= self.settings.stale_after_ns:
            self.lines.ended(line.number, "stale")
        elif self._data.look(self.lines.traffic[1] - self.lines.replies, now_ns):
            # Pings come, so the connection lives; the venue acknowledged our subscriptions and sends nothing.
            # Its answers to our requests do not count: the audit's would make a line look alive on which no symbol trades.
            self.lines.ended(line.number, "silent")

    def _look(self, now_ns: int) -> None:
        """Once a second: streams that fell silent, and whether the venue still has our subscriptions."""
        line = self.lines.get(self.machine.primary)
        if line is None or not self.live:
            return
        silent = self.silence.look([lane.last_id for lane in self.intake.lanes], now_ns)
        if silent:
            _log.warning("streams_silent", topics=[self.intake.topics[stream].topic for stream in silent][:10])
            self.on_silent(silent)
        if now_ns >= self._audit_ns:
            self._audit_ns = now_ns + AUDIT_NS
            self.lines.audit(line.number)

    # ── the machine ─────────────────────────────────────────────────────────────────────────────────────

    def _input(self, given: rotation.Input) -> None:
        before = self.machine.state
        actions = self.machine.handle(given, time.monotonic_ns())
        self._asking.only_for(self.machine.primary)
        for action in actions:
            self._perform[type(action)](action)
        after = self.machine.state
        if self._rotating is not None and after not in rotation.ROTATING:
            self._give_up_rotation(self._rotating)
        if before is rotation.State.CONNECTING and after is rotation.State.LIVE:
            self._now_live()

    def _report(self, given: rotation.Advanced | rotation.Opened | rotation.Closed) -> None:
        """What became of a line."""
        if isinstance(given, rotation.Opened):
            rotating, overlap = self._rotating, self.intake.overlap
            if given.line == self.machine.standby and rotating is not None and overlap is not None:
                rotating.opened_ns, rotating.opened_monotonic_ns = time.time_ns(), time.monotonic_ns()
                overlap.acknowledged(rotating.opened_monotonic_ns)
        elif isinstance(given, rotation.Closed) and given.cause != CONNECT_FAILED:
            was_primary = given.line == self.machine.primary
            if was_primary:
                self._starved_since_ns = self._starved_since_ns or time.monotonic_ns()
                self.reconnects[given.cause] += 1
            _log.warning("connection_lost", line=given.line, cause=given.cause, primary=was_primary)
        self._input(given)

    def _now_live(self) -> None:
        self._starved_since_ns = 0
        self._carried_by(self.machine.primary)
        self.on_live()
        _log.info("connection_live", line=self.machine.primary, next_rotation_s=round(self.next_rotation_s, 1))

    def _carried_by(self, line: int | None) -> None:
        """Another line is the primary, newly subscribed."""
        now_ns = time.monotonic_ns()
        self.intake.primary = line
        self._primary_since_ns = now_ns
        self._data.renewed(now_ns)
        self._audit_ns = now_ns + AUDIT_NS

    # ── actions ─────────────────────────────────────────────────────────────────────────────────────────

    def _open_line(self, action: rotation.OpenLine) -> None:
        starved_since_ns = self._starved_since_ns if action.starved else None
        self.lines.open(action.line, attempt=self.machine.attempt, starved_since_ns=starved_since_ns)

    def _close_line(self, action: rotation.CloseLine) -> None:
        self.lines.close(action.line, action.code, action.reason, self._until_closed.pop(action.line, None))

    def _begin_rotation(self, reason: str, grant: Grant | None) -> None:
        """The parent permits it."""
        intake = self.intake
        self._rotating = Rotating(
            reason, grant, time.time_ns(), duplicates_before=intake.duplicates, missing_before=intake.missing
        )
        intake.overlap = Overlap(self.settings.min_overlap_ns)
        _log.info(
            f"{self._venue_name}_connection_rotation_triggered",
            reason=reason,
            line=self.machine.primary,
            lifetime_seconds=round(self.lifetime_s, 3),
        )
        self._input(rotation.Rotate(reason))

    def _promoted(self, action: rotation.Promoted) -> None:
        rotating, overlap, lifetime_s = self._rotating, self.intake.overlap, self.lifetime_s
        self._carried_by(action.line)
        self.rotations[action.reason] += 1
        if rotating is None or overlap is None:
            return
        record = rotating.record(
            self.intake,
            overlap,
            self.settings.shard,
            action,
            lifetime_s=lifetime_s,
            streams=len(self.lines.names),
        )
        self._rotating = self.intake.overlap = None
        if rotating.grant is not None and action.complete:
            self._until_closed[action.old_line] = rotating.grant
        elif rotating.grant is not None:
            rotating.grant.done()
        self._on_record(record)

    def _give_up_rotation(self, rotating: Rotating) -> None:
        """It ended without a promotion: what it was permitted is given back at once."""
        if self.machine.state is rotation.State.LIVE:
            _log.warning("connection_rotation_given_up", reason=rotating.reason, kept=self.machine.primary)
        if rotating.grant is not None:
            rotating.grant.done()
        self._rotating = self.intake.overlap = None
