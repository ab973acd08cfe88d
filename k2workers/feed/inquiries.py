"""Owns what the venue is asked once about ids that are not missing: whether they have begun anew, and why two aggregates do not join. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from k2workers.backoff import ASK_AGAIN
from k2workers.events import AggTrade, Event
from k2workers.feed.intake import Intake
from k2workers.sequencing.backfill_planner import BackfillPlanner, BackfillRequest
from k2workers.sequencing.chain_lane import BrokenLink, ChainLane
from k2workers.sequencing.lane import Lane
from k2workers.sequencing.ranges import Range
from k2workers.venues.venue import Fetched

LINKS_EVERY_NS = 1_000_000_000

LINK_AFTER_NS = 2_000_000_000
"""A broken link is asked about that much later: one aggregate that is wrong breaks two, and the venue's database needs a while."""

LINK_APART_NS = 60_000_000_000
"""So seldom is a topic asked about its links, however many are broken."""

LINKS_WITHIN = 900
"""Links that are asked about together are within so many ids: one reply has them all."""


class _Asked(msgspec.Struct):
    """What a topic is asked about."""

    ids: Range
    due_ns: int
    attempt: int = 0
    open: bool = False
    of_links: bool = False


class Inquiries:
    """The questions of one route. Call ``look`` steadily, and ``took`` with what each inquiry brought."""

    def __init__(self, intake: Intake, planner: BackfillPlanner) -> None:
        self.on_link: Callable[[int, BrokenLink, str], None] = lambda _topic_index, _link, _words: None
        """Called with a topic's index, two of its aggregates that do not join, and what the venue has there."""
        self._intake = intake
        self._planner = planner
        self._linked: set[int] = set()
        """Topics with links that are to be asked about."""
        self._link_due_ns: dict[int, int] = {}
        """When topics with links may be asked about them, by index."""
        self._asked: dict[int, _Asked] = {}
        """By topic."""
        self._links_due_ns = 0

    def look(self, now_ns: int) -> None:
        """Find what is to be asked, and ask."""
        if now_ns >= self._links_due_ns:
            self._links_due_ns = now_ns + LINKS_EVERY_NS
            for topic_index, lane in enumerate(self._intake.standing):
                if topic_index not in self._linked and _links(lane):
                    self._linked.add(topic_index)
                    due_ns = self._link_due_ns.get(topic_index, 0)
                    self._link_due_ns[topic_index] = max(due_ns, now_ns + LINK_AFTER_NS)
        for topic_index in self._intake.incomplete | self._linked:
            lane = self._intake.lanes[topic_index]
            if self._intake.topics[topic_index].continuity.by_id:
                self._ask(topic_index, lane, now_ns)

    def took(self, request: BackfillRequest, reply: Fetched, now_ns: int) -> None:
        """What an inquiry brought; nothing if something else is asked about by now."""
        topic_index = request.topic_index
        asked = self._asked.get(topic_index)
        if asked is None or not asked.open or asked.ids != (request.first_id, request.last_id):
            return
        asked.open = False
        if asked.of_links:
            self._took_links(topic_index, asked.ids, reply.events)
            return
        newest_id = None if reply.covered is None or reply.full else reply.covered[1]
        self._intake.confirm(topic_index, reply.events, newest_id, now_ns)

    def _took_links(self, topic_index: int, ids: Range, events: Sequence[Event]) -> None:
        links = _links(self._intake.lanes[topic_index])
        answered = [link for link in links if _within(link, ids)]
        links[:] = [link for link in links if not _within(link, ids)]
        del self._asked[topic_index]
        self._linked.discard(topic_index)  # those that remain are found again
        for link in answered:
            self.on_link(topic_index, link, _at_the_venue(link, events))

    def _ask(self, topic_index: int, lane: Lane, now_ns: int) -> None:
        doubted, links = lane.doubted, _links(lane)
        asked = self._asked.get(topic_index)
        if doubted is not None:
            ids = doubted.first_id, doubted.last_id
            if asked is None or asked.of_links or asked.ids != ids:
                asked = self._asked[topic_index] = _Asked(ids, now_ns)
        elif not links or now_ns < self._link_due_ns.get(topic_index, now_ns + 1):
            return
        elif asked is None or not asked.of_links or not _within(links[0], asked.ids):
            asked = self._asked[topic_index] = _Asked(_ids_of(links), now_ns, of_links=True)
        if now_ns >= asked.due_ns:
            asked.attempt, asked.open = asked.attempt + 1, True
            asked.due_ns = now_ns + ASK_AGAIN.delay_ns(asked.attempt, 0.5)
            if asked.of_links:
                asked.due_ns = max(asked.due_ns, now_ns + LINK_APART_NS)
                self._link_due_ns[topic_index] = asked.due_ns
            self._planner.probe(topic_index, *asked.ids, now_ns, inquiry=True)


def _ids_of(links: Sequence[BrokenLink]) -> Range:
    """Of the oldest link, and of those near it."""
    first_id, last_id = links[0].ids
    within = first_id, first_id + LINKS_WITHIN
    return first_id, max([last_id, *(link.ids[1] for link in links if _within(link, within))])


def _links(lane: Lane) -> list[BrokenLink]:
    return lane.broken_links if isinstance(lane, ChainLane) else []


def _within(link: BrokenLink, ids: Range) -> bool:
    return ids[0] <= link.ids[0] and link.ids[1] <= ids[1]


def _at_the_venue(link: BrokenLink, events: Sequence[Event]) -> str:
    """What the venue's database says of two aggregates that do not join on the stream."""
    found = {event.agg_trade_id: event for event in events if isinstance(event, AggTrade)}
    earlier, later = (found.get(number) for number in link.ids)
    if earlier is None or later is None:
        return "not there"
    return "joined" if later.first_trade_id == earlier.last_trade_id + 1 else "broken too"
