"""Owns the live connection of one route of a shard: performs what the rotation machine decides, and tells it what happened.

The machine (``k2workers.rotation``) holds the rules, ``lines.py`` the sockets, ``rotation_permission.py`` the question to the parent, ``liveness.py`` the
judgement of a line's silence, ``topic_watch.py`` that of its topics; here they meet, with the clock. Nothing here knows the machine's states.
"""

from __future__ import annotations

import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import structlog

from k2workers import wire
from k2workers.every import Every
from k2workers.feed.feed_settings import FeedSettings
from k2workers.feed.intake import Intake
from k2workers.feed.lines import CAUSES, Lines
from k2workers.feed.liveness import LOOK_NS, LineWatch
from k2workers.feed.plain_lane import FrameOutlet
from k2workers.feed.rotation_permission import Grants, RotationPermission
from k2workers.feed.silence import LookUrgency, MarketView, Silence
from k2workers.feed.topic_watch import TopicWatch
from k2workers.rotation import actions, inputs
from k2workers.rotation.machine import RotationMachine
from k2workers.rotation.policy import REASONS, SILENT_STREAM
from k2workers.rotation.record import Cut, RotationRecord, record_of
from k2workers.venues.venue import Route, StreamSpec, Venue

TICK_S = 0.05
"""How often deadlines are looked at. One timer for all of them costs less than keeping each one armed."""

ABSENT_NS = 1_000_000_000
"""Turns that come so far apart show that this process stood still, and not the venue: what waits in the sockets is read first."""

_log = structlog.get_logger(__name__)


class Driver:
    """The feed over one route. ``start`` it inside a running loop; ``stop`` returns when all lines are closed.

    ``push`` takes one bundle of batches, ``frames`` those that the native lane encodes; ``on_record`` gets the record of every rotation.
    """

    def __init__(
        self,
        settings: FeedSettings,
        venue: Venue,
        route: Route,
        *,
        grants: Grants,
        push: Callable[[list[wire.Batch]], object],
        on_record: Callable[[RotationRecord], None],
        observe_latency: Callable[[int], None],
        ssl_context: ssl.SSLContext | None = None,
        frames: FrameOutlet | None = None,
    ) -> None:
        self.settings = settings
        self.intake = Intake(
            venue.codec(route.specs),
            hold_ns=settings.hold_ns,
            push=push,
            on_reply=lambda line, reply: self.lines.on_reply(line, reply),  # noqa: PLW0108 - the lines come after it
            on_notice=lambda line: self._input(inputs.Notice(line)),
            observe_latency=observe_latency,
            frames=frames if settings.native == "auto" else None,
        )
        self.lines = Lines(
            settings, venue, route, grants=grants, intake=self.intake, report=self._input, ssl_context=ssl_context
        )
        self.machine = RotationMachine(settings.rotation_policy, settings.next_due_ns, random.random)
        self.silence = Silence(settings.slots)
        self.topics = TopicWatch(self.silence, self.intake, route.specs, venue.evidence)
        self.reconnects: Counter[str] = Counter(dict.fromkeys(CAUSES, 0))
        self.rotations: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self.on_live: Callable[[], None] = lambda: None
        """Called when a line begins to carry the feed and has not proven that it continues the one before: what happened meanwhile is unknown."""
        self.on_withheld: Callable[[list[int]], None] = lambda _: None
        """Called with the indexes of topics of which the venue may have what no line delivered."""
        self._permission = RotationPermission(grants, self._permitted)
        self._venue = venue
        self.route = route
        self._on_record = on_record
        self._watch = LineWatch(settings.stale_after_ns, route.limits.ping_interval_ns)
        self._look_ns = 0
        self._ticked_ns = 0
        self._reads_first = False
        """Whether this turn judges nothing, because we stood still before it."""
        self._ticking = Every(TICK_S, self._tick, "feed")

    # ── outside ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._input(inputs.Start())
        self._ticked_ns = time.monotonic_ns()
        self._ticking.start()

    async def stop(self) -> None:
        """Close every line with 1000 and push what arrives until the venue's close replies."""
        self._input(inputs.Stop())
        self._ticking.stop()
        await self._permission.stop()
        await self.lines.stop()
        self.intake.expire(2**63 - 1)

    def rotate(self, reason: str) -> None:
        """Ask for a rotation now, whatever the schedule says."""
        self._input(inputs.Wanted(reason))

    def add_streams(self, specs: Sequence[StreamSpec]) -> None:
        """Serve these streams too, from now on, on every line."""
        self.topics.add_streams(specs)
        self.intake.add_streams(specs)
        self.lines.add([spec.name for spec in specs])

    @property
    def live(self) -> bool:
        """Whether a primary carries the feed."""
        return self.machine.carries_feed

    @property
    def fresh(self) -> bool:
        """Whether the primary was heard from lately, and since this process stood still last."""
        line, now_ns = self.lines.get(self.machine.primary), time.monotonic_ns()
        overdue = now_ns - self._ticked_ns > ABSENT_NS  # who asks before the next turn is the first to notice
        return line is not None and not overdue and self._watch.fresh(line.last_read_ns, now_ns)

    @property
    def market_quiet(self) -> bool:
        """Whether the line that carries the feed brings nothing because the venue has nothing."""
        return self._watch.quiet

    @property
    def data_expected(self) -> bool:
        """Whether the line brings data so often that it will be missed."""
        return self._watch.learned

    @property
    def look_wanted(self) -> LookUrgency:
        """Whether a look at the whole market is wanted."""
        if not self.live:
            return LookUrgency.NO
        return LookUrgency.AT_ONCE if self._watch.asking else self.silence.look_wanted(time.monotonic_ns())

    def seen(self, view: MarketView) -> None:
        """Judge all silences by a look at the market."""
        if not self.live:
            return  # the next line begins without
        now_ns = time.monotonic_ns()
        news = self.topics.seen(view, now_ns)
        was_quiet = self.market_quiet
        self._watch.answered(view.asked_ns, news, now_ns, view.next_ns)
        if self.market_quiet and not was_quiet:
            _log.warning("market_quiet", note="nothing comes, and the venue has nothing: the connection is kept")

    @property
    def lifetime_s(self) -> float:
        """How long the primary has carried the feed; 0 while there is none."""
        return self.machine.lifetime_ns(time.monotonic_ns()) / 1e9

    @property
    def next_rotation_s(self) -> float:
        """Time to the next planned rotation; 0 when it is due or there is no primary."""
        return self.machine.next_rotation_ns(time.monotonic_ns()) / 1e9

    # ── what the machine is told ────────────────────────────────────────────────────────────────────────

    def _input(self, given: inputs.Input) -> None:
        wanted = self.machine.handle(given, time.monotonic_ns())
        if not wanted:
            return  # as after most ticks
        # All are performed, whichever of them fails: the machine counts on it. The failure goes on to whoever gave the input.
        with contextlib.ExitStack() as performing:
            for action in reversed(wanted):
                performing.callback(self._PERFORM[type(action)], self, action)

    def _permitted(self, reason: str, grant: inputs.Grant | None) -> None:
        self._input(inputs.Rotate(reason, grant, self.intake.duplicates, self.intake.missing))

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        absent_ns = now_ns - self._ticked_ns
        # Not twice in a row: on a host that is always late deadlines still end.
        self._reads_first = absent_ns > ABSENT_NS and not self._reads_first
        self._ticked_ns = now_ns
        if self._reads_first:
            self.intake.latency_ns = None  # what tells no time of the venue may have waited
            self._watch.stood_still(absent_ns, now_ns)
            self.silence.stood_still(absent_ns, now_ns)
            return
        self.intake.expire(now_ns)
        self._input(inputs.Tick(bool(self.lines.withheld(self.machine.standby, self.machine.primary))))
        self._give_up_silent(now_ns)
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            self.intake.look_at_kinds(now_ns)
            self._look(now_ns)

    def _give_up_silent(self, now_ns: int) -> None:
        line = self.lines.get(self.machine.carrier)
        if line is None:
            return
        data_messages, latency_ns = self.lines.data_messages, self.intake.latency_ns
        if cause := self._watch.look(line.last_read_ns, data_messages, now_ns, latency_ns):
            self.lines.ended(line.number, cause)

    def _look(self, now_ns: int) -> None:
        """Once a second: topics that bring nothing, and whether the venue still has our subscriptions."""
        line = self.lines.get(self.machine.carrier)
        if line is None:
            return
        found = self.topics.look(self.lines.subscriptions.refused, now_ns)
        if found.silent:
            topics = [self.intake.topics[topic_index].topic for topic_index in found.silent]
            _log.warning("streams_silent", count=len(topics), topics=topics[:10])
        if found.fetch:
            self.on_withheld(found.fetch)
        if found.rotate:
            self.rotate(SILENT_STREAM)
        self.lines.audit(line.number, now_ns)

    # ── what it wants done ──────────────────────────────────────────────────────────────────────────────

    def _open_line(self, action: actions.OpenLine) -> None:
        with contextlib.ExitStack() as unless_begun:
            unless_begun.callback(self._input, inputs.Failed(action.line))
            self.lines.open(action.line, action.attempt, action.starved_since_ns)
            unless_begun.pop_all()

    def _lost(self, action: actions.LineLost) -> None:
        if action.primary:
            self.reconnects[action.cause] += 1
        _log.warning("connection_lost", line=action.line, cause=action.cause, primary=action.primary)

    def _now_live(self, action: actions.NowLive) -> None:
        self._carried_by(action.line)
        self.on_live()
        _log.info("connection_live", line=action.line, next_rotation_s=round(self.next_rotation_s, 1))

    def _rotation_begun(self, action: actions.RotationBegun) -> None:
        self.intake.proof = action.proof
        told = {"reason": action.reason, "line": action.line, "lifetime_seconds": round(action.lifetime_ns / 1e9, 3)}
        _log.info("binance_connection_rotation_triggered", exchange=self._venue.name, **told)

    def _promoted(self, action: actions.Promoted) -> None:
        intake = self.intake
        self._carried_by(action.line)
        self.rotations[action.rotation.reason] += 1
        pairs = enumerate(zip(intake.topics, intake.standing, strict=False))
        cut = Cut(
            now_ns=time.monotonic_ns(),
            wall_ns=time.time_ns(),
            topics=len(intake.topics),
            duplicates=intake.duplicates,
            missing=intake.missing,
            last_ids=[(at, topic.topic, lane.last_id) for at, (topic, lane) in pairs if topic.continuity.chained],
        )
        self._on_record(record_of(action, cut, self.settings.shard, self.route.name))
        if not action.complete:
            self.on_live()  # the old line may have taken with it what the new one did not deliver

    def _rotation_given_up(self, action: actions.RotationGivenUp) -> None:
        _log.warning("connection_rotation_given_up", reason=action.reason, kept=action.kept)

    def _rotation_over(self, action: actions.RotationOver) -> None:
        self.intake.proof = None
        if action.grant is not None:
            action.grant.done()

    def _carried_by(self, line: int) -> None:
        """Another line carries the feed, newly subscribed."""
        self.intake.primary = line
        self.lines.carried_by(line)
        now_ns = time.monotonic_ns()
        self._watch.renewed(now_ns)
        self.silence.renewed(now_ns)

    _PERFORM: ClassVar[Mapping[type[actions.Action], Callable[..., None]]] = {
        actions.OpenLine: _open_line,
        actions.CloseLine: lambda self, do: self.lines.close(do.line, do.code, do.reason, do.grant),
        actions.AbandonLine: lambda self, do: self.lines.drop(do.line),
        actions.RequestRotation: lambda self, do: self._permission.ask(do.reason),
        actions.WithdrawRequest: lambda self, _: self._permission.withdraw(),
        actions.LineLost: _lost,
        actions.NowLive: _now_live,
        actions.RotationBegun: _rotation_begun,
        actions.Promoted: _promoted,
        actions.RotationGivenUp: _rotation_given_up,
        actions.RotationOver: _rotation_over,
    }
