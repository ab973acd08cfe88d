"""Owns what the status page shows: the live parts that its viewers are sent, and what is remembered of the run for whoever opens it later.

It reads what the parent knows anyway; ``look`` is all that it does while nobody looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import msgspec

from k2workers.metrics.http_answers import JSON, HttpAnswer
from k2workers.page.annals import Ailment, Annals
from k2workers.page.line_history import LineHistory
from k2workers.page.rates import Rates
from k2workers.page.trail import Columns, Trail
from k2workers.processes import run_plan
from k2workers.processes.child_status import AggregatorStatus, LatencyUs, WorkerStatus, told
from k2workers.processes.market_feed import MarketFeed
from k2workers.processes.page_now import ConnectsShown, Now
from k2workers.processes.readiness import Reason
from k2workers.processes.resource_meter import ResourceMeter
from k2workers.processes.status import RunView
from k2workers.processes.topic_page import FeedKnows
from k2workers.processes.worth_a_look import worth_a_look
from k2workers.rotation.record import RotationRecord
from k2workers.supervision.child import ChildState
from k2workers.supervision.control_messages import BEAT_FRESH_S, Beat
from k2workers.supervision.supervisor import Supervisor
from k2workers.venues.topics import topic_of

_encode = msgspec.json.Encoder().encode


class PageView:
    """Call ``look`` about once a second and say which rotations there were (``rotated``), on the loop of the parent. ``parts`` are for viewers."""

    def __init__(
        self, view: RunView, supervisor: Supervisor, feeds: Sequence[MarketFeed], meter: ResourceMeter
    ) -> None:
        self._view = view
        self._supervisor = supervisor
        self._feeds = feeds
        self._meter = meter
        self._annals = Annals(time.time_ns() // 1_000_000)
        self._lines = LineHistory()
        self._trail = Trail()
        self._rates = Rates()

    # ── what is remembered ──────────────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """Note how it stands."""
        now_ms = time.time_ns() // 1_000_000
        self._judge(self._view.unready(), now_ms)
        states = self._supervisor.states()
        restarts = {name: state.restarts for name, state in states.items()}
        self._annals.count("restart", restarts, "was restarted", now_ms)
        worst: list[float] = []
        for feed in self._feeds:
            for name in feed.shards:
                self._look_at(feed, name, states[name], now_ms, worst)
        latency = self._publish_latency(states.get(run_plan.AGGREGATOR))
        figures = {f"rate {kind}": rate for kind, rate in self._rates.a_second().items()}
        self._trail.add(
            now_ms,
            {
                **figures,
                "read p99": max(worst, default=None),
                "publish p50": latency.p50 if latency is not None else None,
                "publish p99": latency.p99 if latency is not None else None,
            },
        )

    def _judge(self, unready: Sequence[Reason], now_ms: int) -> None:
        ailments = [Ailment(reason.word.value, reason.where, reason.text) for reason in unready]
        self._annals.look(ailments, now_ms)

    def _of_this_life(self, name: str, state: ChildState) -> Beat | None:
        """What a child that runs told last: a process before this one says nothing of it."""
        beat = self._supervisor.beat(name)
        return beat if beat is not None and state.alive and beat.pid == state.pid else None

    def _publish_latency(self, state: ChildState | None) -> LatencyUs | None:
        beat = self._of_this_life(run_plan.AGGREGATOR, state) if state is not None and _is_heard(state) else None
        return msgspec.convert(beat.status, AggregatorStatus).latency_us if beat is not None else None

    def _look_at(self, feed: MarketFeed, name: str, state: ChildState, now_ms: int, worst: list[float]) -> None:
        beat = self._of_this_life(name, state)
        if beat is None:
            self._lines.gone(name, now_ms)
            self._rates.gone(name)
            return
        worker = msgspec.convert(beat.status, WorkerStatus)
        told_ms = now_ms - (time.monotonic_ns() - beat.at_ns) // 1_000_000
        for line in worker.lines:
            age_s = line.age_s if line.live else None
            self._lines.seen(
                name, feed.plan.name, worker.shard, line.route, age_s=age_s, at_ns=beat.at_ns, at_ms=told_ms
            )
        counted = self._supervisor.counted(name)
        self._annals.count("gap", {name: counted.get("gaps", 0)}, "gap announced", now_ms)
        self._annals.count("connection lost", {name: worker.reconnects}, "connection lost", now_ms)
        if not _is_heard(state):
            self._rates.gone(name)
            return
        self._rates.told(name, beat.pid, worker.received, beat.at_ns)
        if worker.latency_us.p99 is not None:
            worst.append(worker.latency_us.p99)

    def rotated(self, worker: str, record: RotationRecord) -> None:
        """A rotation has ended."""
        venue = next((feed.plan.name for feed in self._feeds if worker in feed.shards), "")
        self._lines.rotated(worker, venue, record, time.monotonic_ns())

    # ── what is shown ───────────────────────────────────────────────────────────────────────────────────

    def parts(self) -> Mapping[str, bytes]:
        """What viewers are sent, by name."""
        now = self._now()
        happened = self._annals.happened
        # The page is judged when ``now`` comes: what belongs to that moment is there before it.
        return {
            "lines": _encode(self._lines.routes),
            "happened": _encode(happened),
            "watch": _encode(worth_a_look(now, happened)),
            "now": _encode(now),
        }

    def trail(self, ask: Callable[[Callable[[], Columns]], Columns]) -> HttpAnswer:
        """The figures of the last minutes, for any thread; ``ask`` asks the loop."""
        return HttpAnswer(HTTPStatus.OK, JSON, _encode(ask(self._trail.columns)), (("Cache-Control", "no-store"),))

    def knows(self) -> FeedKnows:
        """What the processes tell of topics."""
        workers = [told(self._supervisor.beat(name), WorkerStatus) for feed in self._feeds for name in feed.shards]
        aggregator = self._aggregator()
        unserved = {
            topic: why.value
            for worker in workers
            if worker is not None
            for topic, why in worker.topics_unserved.items()
        }
        asked = [(feed, feed.symbols.symbols) for feed in self._feeds]
        return FeedKnows(
            lambda: [
                topic_of(feed.plan.name, spec.kind, spec.symbol)
                for feed, symbols in asked
                for spec in feed.plan.streams_of(symbols)
            ],
            unserved,
            aggregator.missing if aggregator is not None else {},
        )

    def _now(self) -> Now:
        now_ns, now_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
        status = self._view.status()
        self._judge(status.unready, now_ms)  # what is wrong and since when is said of the same moment as the rest
        return Now(
            at_ms=now_ms,
            since_ms=self._annals.since_ms,
            lifetimes_s={feed.plan.name: feed.plan.lifetime_s for feed in self._feeds},
            status=status,
            ailments=self._annals.holding,
            rates=self._rates.a_second(),
            aggregator=self._aggregator(),
            connects={feed.plan.name: _connects(feed, now_ns) for feed in self._feeds},
            usage={name: self._meter.of(name) for name in ("parent", *self._supervisor.states())},
        )

    def _aggregator(self) -> AggregatorStatus | None:
        return told(self._supervisor.beat(run_plan.AGGREGATOR), AggregatorStatus)


def _is_heard(state: ChildState) -> bool:
    """Whether what a child told last is still a word of now."""
    return state.last_beat_s is not None and state.last_beat_s <= BEAT_FRESH_S


def _connects(feed: MarketFeed, now_ns: int) -> ConnectsShown:
    budget = feed.permissions.budget
    return ConnectsShown(
        granted=budget.granted_in_window(now_ns),
        limit=budget.policy.limit,
        window_s=budget.policy.window_ns / 1e9,
        waiting=budget.waiting,
        alone=budget.alone,
    )
