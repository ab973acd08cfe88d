"""Owns the topics that no stream brings: their values are asked for over REST, steadily and behind everything else, and published like any other.

What was not had this time is had the next: these topics hold a latest value, and nobody waits for one. After a restart the first value is published
again; whoever numbers them drops what they have.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from k2workers import wire
from k2workers.errors import VenueError
from k2workers.every import Every
from k2workers.feed.backfiller import WeightGrants, outcome_of
from k2workers.feed.log_limit import LogLimit
from k2workers.network.venue_answers import SUCCESS, Answer
from k2workers.sequencing.backfill_planner import Urgency
from k2workers.venues.venue import History, Poll

LOOK_S = 0.5
"""How often it is looked at which are due."""

URGENCY = max(Urgency) + 1
"""Behind all repairs."""

TOLD_EVERY_NS = 60_000_000_000
"""Failures are logged once in this time; all are counted."""

_log = structlog.get_logger(__name__)


class Polling:
    """The polled topics of one shard. ``start`` it inside the loop. ``push`` takes one bundle and must not block."""

    def __init__(self, history: History, grants: WeightGrants, push: Callable[[list[wire.Batch]], object]) -> None:
        self.requests: Counter[str] = Counter()
        """By outcome, as ``Backfiller.requests``."""
        self.events: Counter[str] = Counter()
        """Published, by kind."""
        self._history, self._grants, self._push = history, grants, push
        self._due: list[tuple[float, int, Poll]] = []
        """A heap: when each is due (monotonic s), with a number of its own."""
        self._last_ids: dict[str, int] = {}
        """By topic."""
        self._count = 0
        self._told = LogLimit(1, TOLD_EVERY_NS)
        # Nothing here is worth the feed.
        self._turns = Every(LOOK_S, self._ask_due, "polling", give_up=None)

    def add(self, polls: Sequence[Poll]) -> None:
        """Ask for these too, spread evenly over their time from now on."""
        now_s = time.monotonic()
        for place, poll in enumerate(polls):
            self._count += 1
            heapq.heappush(self._due, (now_s + poll.every_s * place / len(polls), self._count, poll))

    def start(self) -> None:
        """Begin to ask."""
        self._turns.start(at_once=False)

    async def stop(self) -> None:
        """Ask no longer; a request that is under way is given up."""
        await self._turns.stopped()

    async def _ask_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            due_s, number, poll = heapq.heappop(self._due)
            # One that is late does not make up for it: the venue is asked no more often than it should be.
            heapq.heappush(self._due, (max(due_s, time.monotonic() - poll.every_s) + poll.every_s, number, poll))
            await self._ask(poll)

    async def _ask(self, poll: Poll) -> None:
        grant_id = await self._grants.ask_weight(poll.weight, URGENCY)
        if grant_id is None:
            self.requests["no_permission"] += 1
            return
        answer: Answer | None = None
        used = 0
        try:
            event = await self._history.poll(poll.topic)
            answer, used = SUCCESS, self._history.used_weight
            self.requests["answered"] += 1
        except VenueError as error:
            answer = Answer.of(error)
            self.requests[outcome_of(error)] += 1
            if self._told.allows(time.monotonic_ns()):
                _log.warning("poll_failed", topic=poll.topic.topic, error=str(error))
            return
        finally:
            self._grants.weight_done(grant_id, used, answer)
        topic = poll.topic
        if event is None or event.last_id <= self._last_ids.get(topic.topic, -1):
            return
        if self._push([wire.batch_of(topic.topic, [event], topic.continuity.number)]) is not wire.SendOutcome.REFUSED:
            self._last_ids[topic.topic] = event.last_id  # else it is new again the next time
            self.events[topic.kind] += 1
