"""Owns what a route's topics lack as far as REST can bring it: what the planner is told, which topics are probed, and what becomes of replies.

Pure apart from the intake that it serves. The planner (``sequencing/backfill_planner.py``) decides which holes, in which order and how
often; the lanes decide what becomes of the events; ``backfiller.py`` makes the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from k2workers.continuity import Repair
from k2workers.events import Event, Void, covered_ids
from k2workers.feed.inquiries import Inquiries
from k2workers.feed.intake import Intake
from k2workers.sequencing.backfill_planner import BackfillPlanner, BackfillPolicy, BackfillRequest, Urgency
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.coverage import HIGHEST_ID, Reached
from k2workers.sequencing.missing_ids import NOTHING, Findings
from k2workers.sequencing.ranges import Range
from k2workers.venues.venue import Fetched

PROBE_AFTER_NS = 1_000_000_000
"""After an outage, a topic that receives an event within this time shows by its id what is missing; for the others the venue is asked."""

DIFFS_WITHIN_NS = 3_000_000_000
"""A topic that needs a book and has had no diff for so long gets one without."""

PROBED = frozenset({Repair.IDS, Repair.NEWEST, Repair.BOOK})
"""Whether anything is missing behind the newest id can be found out of topics that are repaired in these ways."""

NOT_TO_BE_HAD = "not to be had"
"""The cause of giving up ids that the venue did not give for long."""

NO_HISTORY = "the venue's host has no history of them"
"""The cause of giving up ids that the host cannot give, now or later."""


class Repairs:
    """The repairs of one route. Call ``look`` steadily, then perform what ``next`` gives, and tell of each exactly one of ``took_book``,
    ``took_events``, ``failed`` and ``withdrawn``. Times are monotonic.
    """

    def __init__(self, intake: Intake, policy: BackfillPolicy) -> None:
        self.planner = BackfillPlanner(policy)
        self.on_confirmed: Callable[[int, bool], None] = lambda _topic_index, _newer: None
        """Called with the index of a probed topic, and whether the venue had newer events than the lines delivered."""
        self.inquiries = Inquiries(intake, self.planner)
        self._intake = intake
        self._without_diffs: dict[int, int] = {}
        """Since when topics that need a book have no diff, by index."""
        self._probes: dict[int, tuple[int, int]] = {}
        """Topics that may be incomplete, by index: (when to ask the venue, the newest id at the beginning)."""
        self._asked_of: dict[int, Reached | None] = {}
        """The numbering in which each topic was asked for, by index."""
        self._known: dict[int, Reached] = {}
        """The numbering that each topic has begun here, by index, as far as the planner was told."""

    def probe(self, topic_indexes: Iterable[int] | None, now_ns: int) -> None:
        """Find out whether these topics (or all) are complete: after an outage, or a suspicious silence.

        The next event shows what is missing before it; for a topic without a next event the venue must be asked: for newer ids, or for its book.
        """
        at_ns = now_ns + (PROBE_AFTER_NS if topic_indexes is None else 0)
        for topic_index in range(len(self._intake.lanes)) if topic_indexes is None else topic_indexes:
            self._follow_numbering(topic_index, now_ns)
            newest_id = self._intake.lanes[topic_index].newest_id
            if newest_id is not None and self._intake.topics[topic_index].continuity.repair in PROBED:
                self._probes[topic_index] = (at_ns, newest_id)

    def look(self, now_ns: int) -> None:
        """Learn what the topics lack."""
        self.inquiries.look(now_ns)
        for topic_index in list(self._intake.incomplete):
            self._follow_numbering(topic_index, now_ns)
            self._tell_planner(topic_index, now_ns)
        for topic_index, (at_ns, newest_id) in list(self._probes.items()):
            if now_ns < at_ns:
                continue
            del self._probes[topic_index]
            if self._intake.lanes[topic_index].newest_id != newest_id:
                continue
            if self._intake.topics[topic_index].continuity.by_id:
                # Whatever the reply holds counts: where ids never existed, a page reaches further than as many ids.
                self.planner.probe(topic_index, newest_id + 1, HIGHEST_ID, now_ns)
            else:
                self._intake.ask_book(topic_index)
                self._tell_planner(topic_index, now_ns)

    def next(self, now_ns: int, before: int = len(Urgency)) -> BackfillRequest | None:
        """The request that may go now, if one is more urgent than ``before``; none while nobody would take what it brings."""
        request = None if self._intake.refused else self.planner.next(now_ns, before)
        if request is not None:
            self._asked_of[request.topic_index] = self._numbering(request.topic_index)
            self._note_book(request, requested=True)
        return request

    def give_up(self, now_ns: int) -> list[tuple[int, Range]]:
        """Tell subscribers which ids are not asked for any longer. Returns them, by topic index."""
        planner, told = self.planner, []
        for cause, given_up in ((NOT_TO_BE_HAD, planner.given_up), (NO_HISTORY, planner.unavailable)):
            for topic_index, ids in given_up:
                self._intake.give_up(topic_index, [ids], cause)
                self._tell_planner(topic_index, now_ns)
                told.append((topic_index, ids))
            given_up.clear()
        return told

    @property
    def gaps_doubted(self) -> int:
        """Announced gaps of which a reply has denied every id; they are looked for until that is sure."""
        count = 0
        for topic_index, doubted in self.planner.doubted():
            count += sum(doubted.within(*gap) == [gap] for gap in self._intake.lanes[topic_index].open)
        return count

    def gaps_owed(self, at_rest: Collection[int]) -> int:
        """Announced gaps that are expected to be filled soon: not those that a reply has denied, nor those of topics ``at_rest``, of which the venue
        may have nothing left. A gap in a book's diffs is no other trouble than the missing book.
        """
        doubted = dict(self.planner.doubted())
        count = 0
        for topic_index, lane in enumerate(self._intake.standing):
            if lane.open and topic_index not in at_rest and not isinstance(lane, BookLane):
                denied = doubted.get(topic_index)
                count += sum(denied is None or denied.within(*gap) != [gap] for gap in lane.open)
        return count

    def took_book(
        self, request: BackfillRequest, snapshot: Event, now_ns: int, *, cut: bool = False, levels: int = 0
    ) -> bool:
        """A book came (see ``FetchedBook``). False if it is too old and another is needed."""
        taken = self._still_counts(request) and self._intake.take_book(
            request.topic_index, snapshot, cut=cut, levels=levels
        )
        self._note_book(request, requested=False)
        if taken:
            self.planner.answered(request, NOTHING, now_ns)
            return True
        self.planner.failed(request, now_ns)
        return False

    def took_events(self, request: BackfillRequest, reply: Fetched, now_ns: int, wall_ns: int) -> list[Range]:
        """Events came (``wall_ns`` is wall-clock time). Returns the ids that are known now never to have existed."""
        if not self._still_counts(request):
            self.planner.failed(request, now_ns)
            return []
        if request.probe and reply.unavailable:
            self.planner.failed(request, now_ns, retryable=False)  # nobody knows whether there is anything newer
            return []
        if request.probe:
            self.planner.answered(request, NOTHING, now_ns)
            if request.inquiry:
                self.inquiries.took(request, reply, now_ns)
                return []
            self._intake.add(request.topic_index, reply.events, now_ns)
            self._not_from_a_line(request.topic_index)
            if reply.full and reply.events:
                self.probe([request.topic_index], now_ns)  # there may be more
            self.on_confirmed(request.topic_index, bool(reply.events))
            return []
        reply = self._believed(request, reply)
        findings = Findings(
            covered=reply.covered, found=[covered_ids(event) for event in reply.events], void=reply.void, exist=reply.exist,
            unavailable=reply.unavailable,
        )  # fmt: skip
        voids = self.planner.answered(request, findings, now_ns)
        events: list[Event] = [*reply.events, *(Void(first, last, wall_ns) for first, last in voids)]
        self._intake.fill(request.topic_index, sorted(events, key=lambda event: event.first_id), now_ns)
        return voids

    def _believed(self, request: BackfillRequest, reply: Fetched) -> Fetched:
        """The reply as far as it is not behind the lines: from the first event on that is, its database has not come so far, but has the event."""
        lane = self._intake.lanes[request.topic_index]
        for place, event in enumerate(reply.events):
            if not lane.believes(event):
                covered = reply.covered
                if covered is not None:
                    covered = (covered[0], event.first_id - 1) if covered[0] < event.first_id else None
                stale = [covered_ids(late) for late in reply.events[place:]]
                return Fetched(reply.events[:place], covered, exist=[*reply.exist, *stale])
        return reply

    def _not_from_a_line(self, topic_index: int) -> None:
        """What REST brought shows nothing of what the lines deliver since the last outage."""
        newest_id = self._intake.lanes[topic_index].newest_id
        if topic_index in self._probes and newest_id is not None:
            self._probes[topic_index] = (self._probes[topic_index][0], newest_id)

    def failed(self, request: BackfillRequest, now_ns: int, *, retryable: bool = True) -> None:
        """No reply came, or a refusal; see ``BackfillPlanner.failed``."""
        self._note_book(request, requested=False)
        self.planner.failed(request, now_ns, retryable=retryable)

    def withdrawn(self, request: BackfillRequest) -> None:
        """It was not sent after all."""
        self._note_book(request, requested=False)
        self.planner.withdrawn(request)

    def _follow_numbering(self, topic_index: int, now_ns: int) -> None:
        """Once the topic's ids have begun anew, what was lacking of the old ones is not asked for; a probe asks from the first new one on."""
        begun = self._numbering(topic_index)
        if begun is None or begun == self._known.get(topic_index):
            return
        self._known[topic_index] = begun
        probed = self.planner.begin_anew(topic_index)
        if probed or topic_index in self._probes:
            at_ns, _ = self._probes.get(topic_index, (now_ns, 0))
            _, first_new_id = begun
            self._probes[topic_index] = at_ns, first_new_id - 1

    def _note_book(self, request: BackfillRequest, *, requested: bool) -> None:
        lane = self._intake.lanes[request.topic_index]
        if request.snapshot and isinstance(lane, BookLane):
            lane.requested = requested

    def _numbering(self, topic_index: int) -> Reached | None:
        return self._intake.begun.get(self._intake.topics[topic_index].topic)

    def _still_counts(self, request: BackfillRequest) -> bool:
        """Not if the topic's ids have begun anew since: then the reply may speak of those before."""
        return self._asked_of.get(request.topic_index) == self._numbering(request.topic_index)

    def _tell_planner(self, topic_index: int, now_ns: int) -> None:
        lane = self._intake.lanes[topic_index]
        wanted = lane.wanted()
        if isinstance(lane, BookLane):
            urgency = Urgency.FIRST_BOOK if lane.urgent else Urgency.DEEPER_BOOK
            if lane.broken:
                urgency = Urgency.BROKEN_BOOK
            deep = lane.has_book and not lane.checks
            self.planner.update(topic_index, (), urgency, now_ns, snapshot=lane.awaits_fetch, deep=deep)
            complete = not lane.needs_snapshot and lane.deadline_ns is None
            self._do_without_diffs(topic_index, lane, now_ns)
        else:
            urgency = Urgency.HELD if lane.deadline_ns is not None else Urgency.OPEN
            held_from = 0 if lane.last_id is None else lane.last_id + 1
            times = self._intake.topics[topic_index].continuity.repair is Repair.TIME
            self.planner.update(topic_index, wanted, urgency, now_ns, held_from=held_from, times=times)
            complete = not wanted and lane.doubted is None
        if complete:
            self._intake.incomplete.discard(topic_index)

    def _do_without_diffs(self, topic_index: int, lane: BookLane, now_ns: int) -> None:
        """A quiet topic gets a book without a diff, once lines carry it."""
        if not lane.lacks_diffs or self._intake.primary is None:
            self._without_diffs.pop(topic_index, None)
        elif now_ns - self._without_diffs.setdefault(topic_index, now_ns) >= DIFFS_WITHIN_NS:
            del self._without_diffs[topic_index]
            self._intake.do_without_diffs(topic_index)
