"""Owns how a venue is asked over REST for what a recording lacks, and how that is written: as rows that come late, in files of their own behind those that lack them.

What was written counts at once, and is not asked for again; who is ended begins where the last file ends. Ids that the venue denies as often as it takes are written as void. All of it is patient: a running feed
on the same address goes first (``weight_budget``), and a ban ends it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from k2workers import event_loop
from k2workers.continuity import Continuity, Link
from k2workers.errors import VenueError, VenueRefused
from k2workers.events import Backfilled, Event, Void, covered_ids
from k2workers.network.venue_answers import SUCCESS, Answer, Service
from k2workers.recording import additions, holes, layout, manifest, parquet_file
from k2workers.recording.holes import Hole
from k2workers.recording.parquet_file import FORMAT, FileHead
from k2workers.recording.row import Row
from k2workers.recording.verification import RestFetched
from k2workers.sequencing.backfill_planner import BackfillPlanner, BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.missing_ids import Findings
from k2workers.sequencing.ranges import IdRanges, Range
from k2workers.supervision.gate import Gate, Key
from k2workers.supervision.weight_budget import WeightBudget, WeightPolicy, WeightRequest
from k2workers.venues.venue import Fetched, History, Topic, Venue

GIVE_UP_NS = 600 * 10**9
"""What nothing comes of for so long stays named: the next run asks again."""

BANS = frozenset({403, 418, 451})
"""After these the run ends: whoever goes on makes it worse."""

LONGEST_PAUSE_NS = 300 * 10**9
"""Nobody waits for longer until the venue answers again: the run ends."""

FAILURES = 6
"""So many requests in a row without an answer end the run."""

ROWS_KEPT = 50_000
"""So many rows are in memory at most, then they are written."""

ALIKE = ("price", "quantity", "open", "high", "low", "close")
"""What an event has of these is the same wherever the venue tells of it."""

LOOK_S, AGAIN_S = 0.05, 1.0
TELL_NS = 10 * 10**9


class AskedVenue(msgspec.Struct, frozen=True):
    """One venue, and how it is asked."""

    venue: Venue
    history: History
    weight: WeightPolicy


def refill(to: Path, asked_of: Callable[[str], AskedVenue], tell: Callable[[str], None]) -> RestFetched:
    """Ask for what is lacking and write it; ``asked_of`` gives the venue of a name. Raises ConfigError if that cannot be, OSError if there is no room."""
    with additions.changing(to):
        fetched = RestFetched()
        found = sorted(holes.find(to, time.time_ns()), key=lambda those: those[0].place.topic)
        for name, topics in itertools.groupby(found, lambda those: those[0].place.topic.partition(".")[0]):
            event_loop.run(_Refill(to, asked_of(name), fetched, tell).run([*topics]))
    return fetched


class _Refill:
    """All topics of one venue, one after the other."""

    def __init__(self, to: Path, asked: AskedVenue, fetched: RestFetched, tell: Callable[[str], None]) -> None:
        self._to = to
        self._history = asked.history
        self._name = asked.venue.name
        self._fetched = fetched
        self._tell = tell
        self._gate = Gate(asked.venue.pauses)
        self._budget = WeightBudget(asked.weight, self._gate)
        self._failures = 0
        self._kept: dict[Path, tuple[Hole, list[Row]]] = {}

    async def run(self, topics: Sequence[list[Hole]]) -> None:
        """Ask for all of it, as far as the venue allows."""
        async with self._history:
            try:
                for number, found in enumerate(topics, 1):
                    name = found[0].place.topic
                    self._tell(f"{name}: asking (topic {number} of {len(topics)})")
                    try:
                        await self._topic(found)
                    except VenueRefused as reason:
                        self._fetched.stopped.append(f"{name}: {reason}")
                    self._write()
            except VenueError as reason:
                self._fetched.stopped.append(f"{self._name}: {reason}")
            finally:
                self._write()

    async def _topic(self, found: list[Hole]) -> None:
        """Until each of its ids is here, void, or given up."""
        planner = BackfillPlanner(BackfillPolicy(give_up_ns=GIVE_UP_NS))
        continuity = Continuity.of(found[0].number)
        name = found[0].place.topic
        _, kind, symbol = name.split(".", 2)
        topic = Topic(name, kind, symbol, continuity)
        try:
            self._history.weight(topic)
        except KeyError:
            self._fetched.stopped.append(f"{name}: {self._name} is not asked for {kind}")
            return
        if await self._differs(topic, found[0].witness):
            self._fetched.stopped.append(
                f"{name}: {self._name} has something else, or nothing, in the place of what was recorded: is another exchange asked?"
            )
            return
        wanted = IdRanges(ids for hole in found for ids in hole.ids)
        while True:
            now_ns = time.monotonic_ns()
            planner.update(0, [*wanted], Urgency.DEEPER_BOOK, now_ns, times=continuity.link is Link.NEXT_BAR)
            request = planner.next(now_ns)
            for _, ids in [*planner.given_up, *planner.unavailable]:
                wanted.remove(*ids)
            planner.given_up.clear()
            planner.unavailable.clear()
            if request is None:
                if not planner.waiting:
                    return
                await asyncio.sleep(LOOK_S)
            elif (reply := await self._ask(topic, request)) is None:
                planner.failed(request, time.monotonic_ns())
            else:
                findings = Findings(
                    covered=reply.covered, found=[covered_ids(event) for event in reply.events], void=reply.void, exist=reply.exist,
                    unavailable=reply.unavailable,
                )  # fmt: skip
                voids = planner.answered(request, findings, time.monotonic_ns())
                self._take(found, reply.events, voids)
                for ids in [*findings.found, *voids]:
                    wanted.remove(*ids)

    async def _differs(self, topic: Topic, witness: Event | None) -> bool:
        """Whether the venue has another event in the place of one that was recorded, or none: what it says of ids is then of another market. Raises like ``_ask``."""
        if witness is None:
            return False
        ids = covered_ids(witness)
        request = BackfillRequest(0, *ids, Urgency.DEEPER_BOOK, 0)
        while (reply := await self._ask(topic, request)) is None:
            await asyncio.sleep(AGAIN_S)
        for event in reply.events:
            if covered_ids(event) == ids:
                return any(getattr(event, name, None) != getattr(witness, name, None) for name in ALIKE)
        return not any(first <= ids[0] and ids[1] <= last for first, last in reply.unavailable)

    async def _ask(self, topic: Topic, request: BackfillRequest) -> Fetched | None:
        """The venue's answer; None if there was none, and it is worth another try. Raises VenueRefused for the topic, VenueError for the venue."""
        key, permitted_ns = await self._permission(self._history.weight(topic, doubted=request.doubted))
        self._fetched.requests += 1
        answer, used, failure = SUCCESS, 0, None
        try:
            # Not what the venue has in memory, which is the newest: what is asked for is older.
            reply = await self._history.fetch(
                topic, request.first_id, request.last_id, request.attempt + 1, doubted=request.doubted
            )
            used = self._history.used_weight
        except VenueError as error:
            reply, failure, answer = None, error, Answer.of(error)
        now_ns = time.monotonic_ns()
        self._budget.done(key, now_ns, used=used)
        if answer.weight_limit:
            self._budget.learn_limit(answer.weight_limit, now_ns)
        if failure is not None and not failure.retryable:
            raise failure
        self._gate.answered(Service.REST, answer, permitted_ns, now_ns)
        self._failures = 0 if failure is None else self._failures + 1
        if failure is not None and self._is_end(failure, now_ns):
            raise failure
        return reply

    def _is_end(self, failure: VenueError, now_ns: int) -> bool:
        banned = failure.status in BANS or self._gate.paused_ns(Service.REST, now_ns) > LONGEST_PAUSE_NS
        return banned or self._failures >= FAILURES

    async def _permission(self, weight: int) -> tuple[Key, int]:
        """Wait until so much weight may be spent."""
        key, told_ns = (self._name, self._fetched.requests), time.monotonic_ns()
        self._budget.ask(WeightRequest(key, weight, Urgency.DEEPER_BOOK, told_ns))
        while True:
            now_ns = time.monotonic_ns()
            if self._budget.due(now_ns):
                return key, now_ns
            if now_ns - told_ns >= TELL_NS:
                told_ns = now_ns
                used, limit = self._budget.used(now_ns), self._budget.limit
                self._tell(
                    f"{self._name}: waiting; of the REST weight {used} of {limit} is used, which a feed may need"
                )
            await asyncio.sleep(LOOK_S)

    def _take(self, found: list[Hole], events: Sequence[Event], voids: Sequence[Range]) -> None:
        """Keep what is lacking of a reply."""
        now_ns = time.time_ns()
        for event in events:
            ids = covered_ids(event)
            hole = next((hole for hole in found if hole.ids.within(*ids) == [ids]), None)
            if hole is not None:
                self._keep(hole, Backfilled(event), ids)
        for first, last in voids:
            for hole in found:
                for ids in hole.ids.within(first, last):
                    self._keep(hole, Void(*ids, now_ns), ids)
                    self._fetched.void += 1
        if sum(len(rows) for _, rows in self._kept.values()) >= ROWS_KEPT:
            self._write()

    def _keep(self, hole: Hole, what: Backfilled | Void, ids: Range) -> None:
        self._kept.setdefault(hole.place.path, (hole, []))[1].append(Row(None, None, what))
        hole.ids.remove(*ids)

    def _write(self) -> None:
        """Let what was kept count. Raises OSError."""
        while self._kept:
            _, (hole, rows) = self._kept.popitem()
            rows.sort(key=_first_id)
            place = hole.place
            beside = manifest.read(layout.manifest_beside(place.path))
            number = 1 + max(
                [file.addition for file in beside.files if file.segment == place.segment], default=place.addition
            )
            path = layout.addition_to(place, number)
            parquet_file.write(path, FileHead(FORMAT, place.topic, place.day, place.segment, hole.number), rows)
            additions.commit(self._to, path, manifest.told_of(path, place.segment, rows, number), [])
            self._fetched.rows += len(rows)


def _first_id(row: Row) -> int:
    assert isinstance(row.event, Event)
    return row.event.first_id
