"""Owns a shard's repairs over REST: asks for permission, fetches what the planner wants, gives it to the lanes.

Which holes, in which order and how often is the planner's (``sequencing/backfill.py``); what becomes of the events is the
lanes'. Here are only the requests on their way.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from k2workers.answers import SUCCESS, Answer
from k2workers.continuity import Repair
from k2workers.errors import AddressRefused, VenueError
from k2workers.events import Event, Void, covered_ids
from k2workers.every import Every
from k2workers.feed.intake import Intake
from k2workers.sequencing.backfill import BackfillPlanner, BackfillPolicy, Request, Urgency
from k2workers.sequencing.book import BookLane
from k2workers.venues.venue import Fetched, History

LOOK_S = 0.05
PROBE_AFTER_NS = 1_000_000_000
"""After an outage, a stream that brings an event within this time shows by its id what is missing; others are asked for."""

PROBE_IDS = 1_000
REQUESTS_AT_ONCE = 4
"""Requests of one shard that wait for permission or for their reply."""

SAMPLE_EVERY_NS = 5_000_000_000

_log = structlog.get_logger(__name__)


class WeightGrants(Protocol):
    """Where a request asks before it goes out. None means no permission: try again later."""

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        """Permission to spend ``weight``; a smaller ``urgency`` goes first."""

    def weight_done(self, ask_id: int, used: int, answer: Answer | None) -> None:
        """The request is over: the venue's count of our weight (0: it told none), and how it answered; None: it was not waited for."""


def outcome_of(error: VenueError) -> str:
    """The label of a request that failed."""
    if isinstance(error, AddressRefused):
        return {418: "banned", 429: "rate_limited"}.get(error.status, "address_refused")
    return "failed" if error.retryable else "refused"


class Recovery:
    """The repairs of one shard. ``start`` it inside the loop; ``stop`` gives up what is under way."""

    def __init__(self, intake: Intake, history: History, grants: WeightGrants, policy: BackfillPolicy) -> None:
        self.planner = BackfillPlanner(policy)
        self.requests: Counter[str] = Counter()
        """Requests so far, by outcome."""
        self._intake = intake
        self._history = history
        self._grants = grants
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = Every(LOOK_S, self._look, "recovery")
        self._probes: dict[int, tuple[int, int]] = {}
        """Streams of which nobody knows whether they are complete: (when to ask, the newest id when this began)."""
        self.on_confirmed: Callable[[int, bool], None] = lambda _stream, _newer: None
        """Called with a probed stream, and whether the venue had newer events than the lines brought."""
        self._logged_ns = -SAMPLE_EVERY_NS
        intake.on_unsettled = self._looking.soon

    @property
    def rows_dropped(self) -> int:
        """Rows of the venue's answers that could not be read so far."""
        return self._history.rows_dropped

    def start(self) -> None:
        """Begin to look for holes."""
        self._looking.start()

    async def stop(self) -> None:
        """End at once."""
        self._intake.on_unsettled = lambda: None
        self._looking.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def probe(self, streams: Iterable[int] | None = None) -> None:
        """Find out whether these streams (or all) are complete: after an outage, or a suspicious silence.

        What is missed is noticed with the next event; of a stream on which none comes, the venue must be asked.
        """
        at_ns = time.monotonic_ns() + (PROBE_AFTER_NS if streams is None else 0)
        for stream in range(len(self._intake.lanes)) if streams is None else streams:
            last_id = self._intake.lanes[stream].last_id
            if last_id is not None and self._intake.topics[stream].continuity.repair is Repair.IDS:
                self._probes[stream] = (at_ns, last_id)

    def _ask_probes(self, now_ns: int) -> None:
        for stream, (at_ns, last_id) in list(self._probes.items()):
            if now_ns < at_ns:
                continue
            del self._probes[stream]
            if self._intake.lanes[stream].last_id == last_id:
                self.planner.probe(stream, last_id + 1, last_id + PROBE_IDS, now_ns)

    def _look(self) -> None:
        now_ns = time.monotonic_ns()
        for stream in list(self._intake.unsettled):
            self._tell_planner(stream, now_ns)
        self._ask_probes(now_ns)
        while len(self._tasks) < REQUESTS_AT_ONCE and (request := self.planner.next(now_ns)) is not None:
            task = asyncio.get_running_loop().create_task(self._perform(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _tell_planner(self, stream: int, now_ns: int) -> None:
        lane = self._intake.lanes[stream]
        wanted = lane.wanted()
        if isinstance(lane, BookLane):
            urgency = Urgency.BROKEN_BOOK if lane.gaps or lane.open else Urgency.FIRST_BOOK
            self.planner.update(stream, (), urgency, now_ns, snapshot=lane.awaits_fetch)
            settled = not lane.needs_snapshot
        else:
            urgency = Urgency.HELD if lane.deadline_ns is not None else Urgency.OPEN
            self.planner.update(stream, wanted, urgency, now_ns)
            settled = not wanted
        if settled:
            self._intake.unsettled.discard(stream)

    async def _perform(self, request: Request) -> None:
        topic = self._intake.topics[request.stream]
        weight = self._history.weight(topic, snapshot=request.snapshot)
        ask_id = await self._grants.ask_weight(weight, int(request.urgency))
        if ask_id is None:
            self._failed(request, "no_permission", "no permission to spend weight came in time")
            return
        answer: Answer | None = None
        used = 0
        try:
            if request.snapshot:
                self._take_book(request, await self._history.book(topic))
            else:
                reply = await self._history.fetch(topic, request.first_id, request.last_id, request.attempt)
                self._take_events(request, reply)
            answer, used = SUCCESS, self._history.used_weight
            self.requests["answered"] += 1
        except VenueError as error:
            answer = Answer.of(error)
            self._failed(request, outcome_of(error), str(error))
        finally:
            self._grants.weight_done(ask_id, used, answer)
        self._looking.soon()

    def _take_book(self, request: Request, snapshot: Event) -> None:
        now_ns = time.monotonic_ns()
        if self._intake.take_book(request.stream, snapshot):
            self.planner.answered(request, None, (), now_ns)
        else:
            self.requests["stale_book"] += 1
            self.planner.failed(request, now_ns)

    def _take_events(self, request: Request, reply: Fetched) -> None:
        now_ns = time.monotonic_ns()
        if request.probe:
            self.planner.answered(request, None, (), now_ns)
            self._intake.add(request.stream, reply.events, now_ns)
            self.on_confirmed(request.stream, bool(reply.events))
            return
        voids = self.planner.answered(request, reply.covered, [covered_ids(event) for event in reply.events], now_ns)
        learned_ns = time.time_ns()
        events: list[Event] = [*reply.events, *(Void(first, last, learned_ns) for first, last in voids)]
        if voids:
            _log.info("ids_void", topic=self._intake.topics[request.stream].topic, ranges=voids)
        self._intake.fill(request.stream, sorted(events, key=lambda event: event.first_id), now_ns)

    def _failed(self, request: Request, outcome: str, words: str) -> None:
        now_ns = time.monotonic_ns()
        self.requests[outcome] += 1
        self.planner.failed(request, now_ns)
        if now_ns - self._logged_ns >= SAMPLE_EVERY_NS:
            self._logged_ns = now_ns
            topic = self._intake.topics[request.stream].topic
            _log.warning("backfill_failed", topic=topic, outcome=outcome, error=words, waiting=self.planner.waiting)
