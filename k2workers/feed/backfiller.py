"""Owns a shard's backfill over REST: asks for permission, fetches what the planner wants, gives it to the lanes.

The planner (``sequencing/backfill_planner.py``) decides which holes, in which order and how often; the lanes decide what becomes of
the events. Here are only the requests under way.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from k2workers.continuity import Repair
from k2workers.errors import AddressRefused, VenueError
from k2workers.events import Event, Void, covered_ids
from k2workers.every import Every, beside
from k2workers.feed.intake import Intake
from k2workers.sequencing.backfill_planner import BackfillPlanner, BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.book_lane import BookLane
from k2workers.venue_answers import SUCCESS, Answer
from k2workers.venues.venue import Fetched, History

LOOK_S = 0.05
NOT_TO_BE_HAD = "not to be had"
"""The cause of giving up ids that the venue did not give for long."""

PROBE_AFTER_NS = 1_000_000_000
"""After an outage, a topic that receives an event within this time shows by its id what is missing; for the others the venue is asked."""

PROBE_IDS = 1_000
REQUESTS_AT_ONCE = 4
"""Requests of one shard that wait for permission or for their reply."""

SAMPLE_EVERY_NS = 5_000_000_000

_log = structlog.get_logger(__name__)


class WeightGrants(Protocol):
    """Where permission is asked for before a REST request. None means no permission: try again later."""

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        """Permission to spend ``weight``; a smaller ``urgency`` goes first."""

    def weight_done(self, grant_id: int, used: int, answer: Answer | None) -> None:
        """The request is over: the venue's count of our weight (0: it named none), and how it answered (None: the request was cancelled)."""


def outcome_of(error: VenueError) -> str:
    """The label of a request that failed."""
    if isinstance(error, AddressRefused):
        return {418: "banned", 429: "rate_limited"}.get(error.status, "address_refused")
    return "failed" if error.retryable else "refused"


class Backfiller:
    """The backfill of one shard. ``start`` it inside the loop; ``stop`` cancels what is under way."""

    def __init__(self, intake: Intake, history: History, grants: WeightGrants, policy: BackfillPolicy) -> None:
        self.planner = BackfillPlanner(policy)
        self.requests: Counter[str] = Counter()
        """Requests so far, by outcome."""
        self._intake = intake
        self._history = history
        self._grants = grants
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = Every(LOOK_S, self._look, "backfill")
        self._probes: dict[int, tuple[int, int]] = {}
        """Topics that may be incomplete, by index: (when to ask the venue, the newest id at the beginning)."""
        self.on_confirmed: Callable[[int, bool], None] = lambda _topic_index, _newer: None
        """Called with the index of a probed topic, and whether the venue had newer events than the lines delivered."""
        self._logged_ns = -SAMPLE_EVERY_NS
        intake.on_incomplete = self._looking.soon

    @property
    def rows_dropped(self) -> int:
        """Rows of the venue's answers that could not be read so far."""
        return self._history.rows_dropped

    def start(self) -> None:
        """Begin to look for holes."""
        self._looking.start()

    async def stop(self) -> None:
        """End at once."""
        self._intake.on_incomplete = lambda: None
        self._looking.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def probe(self, topic_indexes: Iterable[int] | None = None) -> None:
        """Find out whether these topics (or all) are complete: after an outage, or a suspicious silence.

        The next event shows what is missing before it; for a topic without a next event the venue must be asked.
        """
        at_ns = time.monotonic_ns() + (PROBE_AFTER_NS if topic_indexes is None else 0)
        for topic_index in range(len(self._intake.lanes)) if topic_indexes is None else topic_indexes:
            last_id = self._intake.lanes[topic_index].last_id
            if last_id is not None and self._intake.topics[topic_index].continuity.repair is Repair.IDS:
                self._probes[topic_index] = (at_ns, last_id)

    def _ask_probes(self, now_ns: int) -> None:
        for topic_index, (at_ns, last_id) in list(self._probes.items()):
            if now_ns < at_ns:
                continue
            del self._probes[topic_index]
            if self._intake.lanes[topic_index].last_id == last_id:
                self.planner.probe(topic_index, last_id + 1, last_id + PROBE_IDS, now_ns)

    def _look(self) -> None:
        now_ns = time.monotonic_ns()
        for topic_index in list(self._intake.incomplete):
            self._tell_planner(topic_index, now_ns)
        self._ask_probes(now_ns)
        if self._intake.refused:
            return
        while len(self._tasks) < REQUESTS_AT_ONCE and (request := self.planner.next(now_ns)) is not None:
            task = beside(
                self._perform(request), "backfill", functools.partial(self._failed, request, "failed", "a defect")
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._give_up(now_ns)

    def _give_up(self, now_ns: int) -> None:
        given_up, self.planner.given_up = self.planner.given_up, []
        for topic_index, ids in given_up:
            self._intake.give_up(topic_index, [ids], NOT_TO_BE_HAD)
            _log.warning("ids_given_up", topic=self._intake.topics[topic_index].topic, ids=ids)
            self._tell_planner(topic_index, now_ns)

    def _tell_planner(self, topic_index: int, now_ns: int) -> None:
        lane = self._intake.lanes[topic_index]
        wanted = lane.wanted()
        if isinstance(lane, BookLane):
            urgency = Urgency.BROKEN_BOOK if lane.gaps or lane.open else Urgency.FIRST_BOOK
            self.planner.update(topic_index, (), urgency, now_ns, snapshot=lane.awaits_fetch)
            complete = not lane.needs_snapshot
        else:
            urgency = Urgency.HELD if lane.deadline_ns is not None else Urgency.OPEN
            self.planner.update(topic_index, wanted, urgency, now_ns)
            complete = not wanted
        if complete:
            self._intake.incomplete.discard(topic_index)

    async def _perform(self, request: BackfillRequest) -> None:
        topic = self._intake.topics[request.topic_index]
        weight = self._history.weight(topic, snapshot=request.snapshot)
        grant_id = await self._grants.ask_weight(weight, int(request.urgency))
        if grant_id is None:
            self._failed(request, "no_permission", "no permission to spend weight came in time")
            return
        answer: Answer | None = None
        used, numbering = 0, self._intake.begun.get(topic.topic)
        try:
            if request.snapshot:
                self._take_book(request, await self._history.book(topic))
            else:
                reply = await self._history.fetch(topic, request.first_id, request.last_id, request.attempt)
                if self._intake.begun.get(topic.topic) == numbering:
                    self._take_events(request, reply)
                else:
                    self.planner.failed(request, time.monotonic_ns())  # it speaks of ids that count no longer
            answer, used = SUCCESS, self._history.used_weight
            self.requests["answered"] += 1
        except VenueError as error:
            answer = Answer.of(error)
            self._failed(request, outcome_of(error), str(error))
        finally:
            self._grants.weight_done(grant_id, used, answer)
        self._looking.soon()

    def _take_book(self, request: BackfillRequest, snapshot: Event) -> None:
        now_ns = time.monotonic_ns()
        if self._intake.take_book(request.topic_index, snapshot):
            self.planner.answered(request, None, (), now_ns)
        else:
            self.requests["stale_book"] += 1
            self.planner.failed(request, now_ns)

    def _take_events(self, request: BackfillRequest, reply: Fetched) -> None:
        now_ns = time.monotonic_ns()
        if request.probe:
            self.planner.answered(request, None, (), now_ns)
            self._intake.add(request.topic_index, reply.events, now_ns)
            self.on_confirmed(request.topic_index, bool(reply.events))
            return
        voids = self.planner.answered(request, reply.covered, [covered_ids(event) for event in reply.events], now_ns)
        learned_ns = time.time_ns()
        events: list[Event] = [*reply.events, *(Void(first, last, learned_ns) for first, last in voids)]
        if voids:
            _log.info("ids_void", topic=self._intake.topics[request.topic_index].topic, ranges=voids)
        self._intake.fill(request.topic_index, sorted(events, key=lambda event: event.first_id), now_ns)

    def _failed(self, request: BackfillRequest, outcome: str, words: str) -> None:
        now_ns = time.monotonic_ns()
        self.requests[outcome] += 1
        self.planner.failed(request, now_ns)
        if now_ns - self._logged_ns >= SAMPLE_EVERY_NS:
            self._logged_ns = now_ns
            topic = self._intake.topics[request.topic_index].topic
            _log.warning("backfill_failed", topic=topic, outcome=outcome, error=words, waiting=self.planner.waiting)
