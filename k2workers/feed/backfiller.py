"""Owns a shard's requests over REST that are under way: asks for permission, and fetches. What to fetch is decided in ``repairs.py``."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import structlog

from k2workers.errors import AddressRefused, VenueError
from k2workers.events import Event
from k2workers.every import Every, beside
from k2workers.feed.intake import Intake
from k2workers.feed.repairs import Repairs
from k2workers.sequencing.backfill_planner import BackfillPolicy, BackfillRequest
from k2workers.venue_answers import SUCCESS, Answer
from k2workers.venues.venue import Fetched, History

LOOK_S = 0.05
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
        self.repairs = Repairs(intake, policy)
        self.requests: Counter[str] = Counter()
        """Requests so far, by outcome."""
        self._intake = intake
        self._history = history
        self._grants = grants
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = Every(LOOK_S, self._look, "backfill")
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
        """See ``Repairs.probe``."""
        self.repairs.probe(topic_indexes, time.monotonic_ns())

    def _look(self) -> None:
        now_ns = time.monotonic_ns()
        self.repairs.look(now_ns)
        while len(self._tasks) < REQUESTS_AT_ONCE and (request := self.repairs.next(now_ns)) is not None:
            task = beside(
                self._perform(request), "backfill", functools.partial(self._failed, request, "failed", "a defect")
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for topic_index, ids in self.repairs.give_up(now_ns):
            _log.warning("ids_given_up", topic=self._intake.topics[topic_index].topic, ids=ids)

    async def _perform(self, request: BackfillRequest) -> None:
        topic = self._intake.topics[request.topic_index]
        weight = self._history.weight(topic, snapshot=request.snapshot)
        grant_id = await self._grants.ask_weight(weight, int(request.urgency))
        if grant_id is None:
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
            self._grants.weight_done(grant_id, used, answer)
        self._looking.soon()

    def _take_book(self, request: BackfillRequest, snapshot: Event) -> None:
        if not self.repairs.took_book(request, snapshot, time.monotonic_ns()):
            self.requests["stale_book"] += 1

    def _take_events(self, request: BackfillRequest, reply: Fetched) -> None:
        voids = self.repairs.took_events(request, reply, time.monotonic_ns(), time.time_ns())
        if voids:
            _log.info("ids_void", topic=self._intake.topics[request.topic_index].topic, ranges=voids)

    def _failed(self, request: BackfillRequest, outcome: str, words: str) -> None:
        now_ns = time.monotonic_ns()
        self.requests[outcome] += 1
        self.repairs.failed(request, now_ns)
        if now_ns - self._logged_ns >= SAMPLE_EVERY_NS:
            self._logged_ns = now_ns
            topic = self._intake.topics[request.topic_index].topic
            _log.warning(
                "backfill_failed", topic=topic, outcome=outcome, error=words, waiting=self.repairs.planner.waiting
            )
