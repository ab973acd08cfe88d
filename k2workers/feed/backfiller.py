"""Owns the requests over REST of one route of a shard that are under way: asks for permission, and fetches. What to fetch is decided in ``repairs.py``."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

import structlog

from k2workers.errors import AddressRefused, EndpointMissing, VenueError
from k2workers.every import Every, beside
from k2workers.feed.intake import Intake
from k2workers.feed.log_limit import LogLimit
from k2workers.feed.repairs import Repairs
from k2workers.network.venue_answers import SUCCESS, Answer
from k2workers.sequencing.backfill_planner import BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.chain_lane import BrokenLink
from k2workers.sequencing.ranges import Range
from k2workers.venues.venue import Fetched, FetchedBook, History

LOOK_S = 0.05

ROOM = {
    Urgency.HELD: 4,
    Urgency.BROKEN_BOOK: 3,
    Urgency.OPEN: 3,
    Urgency.FIRST_BOOK: 2,
    Urgency.DEEPER_BOOK: 1,
}
"""A request goes while fewer than so many of its route are under way, or wait for permission: what is more urgent always finds room. One that
waits also makes room for a more urgent one."""

LINK_LINES = 10, 60_000_000_000
"""So many broken links are named in so long; all are counted."""

SAMPLE_EVERY_NS = 5_000_000_000

SHOWN = 5
"""How many ranges that were given up one log line names."""

_log = structlog.get_logger(__name__)


class WeightGrants(Protocol):
    """Where permission is asked for before a REST request. None means no permission: try again later."""

    async def ask_weight(self, weight: int, urgency: int) -> int | None:
        """Permission to spend ``weight``; a smaller ``urgency`` goes first."""

    def weight_done(self, grant_id: int, used: int, answer: Answer | None) -> None:
        """The request is over: the venue's count of our weight (0: it named none), and how it answered (None: the request was cancelled)."""


OUTCOMES = ("answered", "stale_book", "failed", "refused", "rate_limited", "banned", "address_refused", "no_permission")
"""The labels of a request."""


def outcome_of(error: VenueError) -> str:
    """The label of a request that failed."""
    if isinstance(error, AddressRefused):
        return {418: "banned", 429: "rate_limited"}.get(error.status, "address_refused")
    return "failed" if error.retryable else "refused"


class Backfiller:
    """The backfill of one route of a shard. ``start`` it inside the loop; ``stop`` cancels what is under way."""

    def __init__(self, intake: Intake, history: History, grants: WeightGrants, policy: BackfillPolicy) -> None:
        self.repairs = Repairs(intake, policy)
        self.requests: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        """Requests so far, by outcome."""
        self._intake = intake
        self._history = history
        self._grants = grants
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[Any], Urgency] = {}
        """Those that wait for permission: they can be withdrawn."""
        self._link_lines = LogLimit(*LINK_LINES)
        self.repairs.inquiries.on_link = self._on_link
        self._looking = Every(LOOK_S, self._look, "backfill")
        self._logged_ns = -SAMPLE_EVERY_NS
        self._given_up_lines = LogLimit(1, SAMPLE_EVERY_NS)
        self._given_up: list[tuple[int, Range]] = []
        """Topics, by index, and the ids of each that were given up and not logged yet."""
        intake.on_incomplete = self._looking.soon

    @property
    def weight_wanted(self) -> int:
        """The REST weight that it will take to ask for all that subscribers lack."""
        return self.repairs.planner.wanted(self._weight_of)

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
        while self.repairs.planner.waiting and (request := self.repairs.next(now_ns, self._room())) is not None:
            self._make_room(request)
            task = beside(self._perform(request), "backfill", self._looking.soon)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._given_up += self.repairs.give_up(now_ns)
        self._tell_given_up(now_ns)

    def _tell_given_up(self, now_ns: int) -> None:
        """Log what was given up since the last time: hundreds of gaps may be given up one after another."""
        if not self._given_up or not self._given_up_lines.allows(now_ns):
            return
        some = [(self._intake.topics[topic_index].topic, ids) for topic_index, ids in self._given_up[:SHOWN]]
        count = sum(last_id - first_id + 1 for _, (first_id, last_id) in self._given_up)
        _log.warning("ids_given_up", ranges=len(self._given_up), count=count, some=some)
        self._given_up.clear()

    def _on_link(self, topic_index: int, link: BrokenLink, words: str) -> None:
        if not self._link_lines.allows(time.monotonic_ns()):
            return
        _log.warning(
            "agg_link_broken", topic=self._intake.topics[topic_index].topic, earlier_id=link.earlier.agg_trade_id,
            earlier_last_trade_id=link.earlier.last_trade_id, later_first_trade_id=link.later.first_trade_id, at_the_venue=words,
            total=self._intake.links_broken,
        )  # fmt: skip

    def _room(self) -> int:
        """A request goes now if it is more urgent than this."""
        with_room = [urgency + 1 for urgency, room in ROOM.items() if len(self._tasks) < room]
        return max([*with_room, *self._waiting.values()], default=0)

    def _make_room(self, request: BackfillRequest) -> None:
        """Withdraw the least urgent of those that wait, if there is no room without that."""
        if len(self._tasks) >= ROOM[request.urgency]:
            task = max(self._waiting, key=lambda task: self._waiting[task])
            del self._waiting[task]
            task.cancel()

    async def _perform(self, request: BackfillRequest) -> None:
        told = False
        try:
            told = await self._try(request)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                told = True
                self.repairs.withdrawn(request)
            raise
        finally:
            # Whatever ended it: a topic whose request is never called over would not be asked for anything again.
            if not told:
                self._failed(request, "failed", "a defect")
            self._looking.soon()

    async def _try(self, request: BackfillRequest) -> bool:
        """Ask for permission, then the venue. True once it is told what came of it."""
        grant_id = await self._permission(request)
        if grant_id is None:
            self._failed(request, "no_permission", "no permission to spend weight came in time")
            return True
        answer: Answer | None = None
        used = 0
        try:
            await self._fetch(request)
            answer, used = SUCCESS, self._history.used_weight
            self.requests["answered"] += 1
        except EndpointMissing as error:
            self._failed(request, "refused", str(error), retryable=False)
        except VenueError as error:
            answer = Answer.of(error)
            self._failed(request, outcome_of(error), str(error), retryable=error.retryable)
        finally:
            self._grants.weight_done(grant_id, used, answer)
        return True

    async def _permission(self, request: BackfillRequest) -> int | None:
        task = asyncio.current_task()
        assert task is not None
        self._waiting[task] = request.urgency
        try:
            return await self._grants.ask_weight(self._weight_of(request), int(request.urgency))
        finally:
            self._waiting.pop(task, None)

    def _weight_of(self, request: BackfillRequest) -> int:
        topic = self._intake.topics[request.topic_index]
        if request.snapshot:
            return self._history.book_weight(topic, deep=request.deep)
        return self._history.weight(topic, doubted=request.doubted)

    async def _fetch(self, request: BackfillRequest) -> None:
        topic = self._intake.topics[request.topic_index]
        if request.snapshot:
            self._take_book(request, await self._history.book(topic, deep=request.deep))
            return
        reply = await self._history.fetch(
            topic, request.first_id, request.last_id, request.attempt, doubted=request.doubted
        )
        self._take_events(request, reply)

    def _take_book(self, request: BackfillRequest, book: FetchedBook) -> None:
        if not self.repairs.took_book(request, book.snapshot, time.monotonic_ns(), cut=book.cut, levels=book.levels):
            self.requests["stale_book"] += 1

    def _take_events(self, request: BackfillRequest, reply: Fetched) -> None:
        voids = self.repairs.took_events(request, reply, time.monotonic_ns(), time.time_ns())
        if voids:
            _log.info("ids_void", topic=self._intake.topics[request.topic_index].topic, ranges=voids)

    def _failed(self, request: BackfillRequest, outcome: str, words: str, *, retryable: bool = True) -> None:
        now_ns = time.monotonic_ns()
        self.requests[outcome] += 1
        self.repairs.failed(request, now_ns, retryable=retryable)
        if now_ns - self._logged_ns >= SAMPLE_EVERY_NS:
            self._logged_ns = now_ns
            topic = self._intake.topics[request.topic_index].topic
            _log.warning(
                "backfill_failed", topic=topic, outcome=outcome, error=words, waiting=self.repairs.planner.waiting
            )
