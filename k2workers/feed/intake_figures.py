"""Owns what an intake's lanes add up to, and where its topics stand: for metrics, status, records and greetings. Reads only. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from k2workers.continuity import renumbered
from k2workers.events import Reset
from k2workers.feed.dropped_messages import DroppedMessages
from k2workers.feed.native_share import UNKNOWN_KIND
from k2workers.feed.plain_lane import PlainLane
from k2workers.sequencing.book_lane import BookLane
from k2workers.sequencing.chain_lane import ChainLane
from k2workers.sequencing.coverage import Holes, Reached
from k2workers.sequencing.lane import Lane
from k2workers.venues.venue import Topic


class IntakeFigures(Protocol):
    """The figures of one route's data path; what it has is the data path's own."""

    dropped: DroppedMessages
    plain: PlainLane | None
    """The native lane; None: Python does its work."""
    _continuity_numbers: list[int]
    """Of each topic, in the numbering of what was pushed last."""

    @property
    def topics(self) -> Sequence[Topic]:
        """The topics of this route. A topic's index in this list identifies it in all calls; it never changes."""

    @property
    def lanes(self) -> list[Lane]:
        """The lane of each topic, as it stands now. Until the next read it is the caller's: look again after an ``await``."""

    @property
    def standing(self) -> Sequence[Lane]:
        """The same only to look at: cheaper, because the native lane goes on from where it is."""

    @property
    def events(self) -> int:
        """Events pushed so far."""
        return sum(lane.passed for lane in self.standing)

    @property
    def duplicates(self) -> int:
        """Copies dropped so far."""
        return sum(lane.duplicates for lane in self.standing)

    @property
    def gaps(self) -> int:
        """Gaps announced so far."""
        return sum(lane.gaps for lane in self.standing)

    @property
    def missing(self) -> int:
        """Ids announced as missing so far."""
        return sum(lane.missing for lane in self.standing)

    @property
    def repaired(self) -> int:
        """Ids that filled an announced gap."""
        return sum(lane.repaired for lane in self.standing)

    @property
    def voids(self) -> int:
        """Ids that the venue confirmed never to have existed."""
        return sum(lane.voids for lane in self.standing)

    @property
    def gaps_open(self) -> int:
        """Announced gaps that are still hoped to be filled."""
        return sum(len(lane.open) for lane in self.standing)

    @property
    def books(self) -> int:
        """Topics of order books."""
        return sum(isinstance(lane, BookLane) for lane in self.standing)

    def books_missing(self, at_rest: Collection[int]) -> int:
        """Topics of order books of which subscribers have none that holds; those ``at_rest`` owe none."""
        return sum(
            isinstance(lane, BookLane) and not lane.has_book and topic_index not in at_rest
            for topic_index, lane in enumerate(self.standing)
        )

    def events_by_kind(self) -> dict[str, int]:
        """Events pushed so far, by kind."""
        return self._by_kind(lambda lane: lane.passed)

    def duplicates_by_kind(self) -> dict[str, int]:
        """Copies dropped so far, by kind."""
        return self._by_kind(lambda lane: lane.duplicates)

    def gaps_by_kind(self) -> dict[str, int]:
        """Gaps announced so far, by kind."""
        return self._by_kind(lambda lane: lane.gaps)

    @property
    def links_broken(self) -> int:
        """Aggregates so far whose trades do not follow those of the one before."""
        return sum(lane.links_broken for lane in self.standing if isinstance(lane, ChainLane))

    def outliers_by_kind(self) -> dict[str, int]:
        """Events dropped so far because they were glitches, by kind."""
        return self._by_kind(lambda lane: lane.outliers)

    def unreadable_by_kind(self) -> dict[str, int]:
        """Messages, or elements of lists, that could not be read so far, by kind; "unknown" where it cannot be told."""
        counts = {kind or "unknown": count for kind, count in self.dropped.readability.counts.items()}
        return {"unknown": 0, **{topic.kind: 0 for topic in self.topics}, **counts}

    def _by_kind(self, count: Callable[[Lane], int]) -> dict[str, int]:
        totals: Counter[str] = Counter()
        for topic, lane in zip(self.topics, self.standing, strict=False):
            totals[topic.kind] += count(lane)
        return dict(totals)

    def taken_natively(self) -> dict[str, int]:
        """Messages that the native lane took so far, by kind."""
        return {kind: count for (kind, why), count in self.native_counts().items() if not why and kind != UNKNOWN_KIND}

    def left_to_python(self) -> dict[tuple[str, str], int]:
        """Messages that it left to Python so far, by kind and by why (``plain_lane.WHY``)."""
        return {key: count for key, count in self.native_counts().items() if key[1]}

    def native_counts(self) -> dict[tuple[str, str], int]:
        """See ``PlainLane.counts``."""
        return {} if self.plain is None else self.plain.counts()

    def reached(self) -> dict[str, Reached]:
        """The numbering and the newest id of every chained topic."""
        found: dict[str, Reached] = {}
        for number, lane in zip(self._continuity_numbers, self.standing, strict=True):
            if isinstance(lane, ChainLane) and lane.last_id is not None:
                unsent = next((event for event in lane.ready if isinstance(event, Reset)), None)
                found[lane.topic] = number, lane.last_id if unsent is None else unsent.last_old_id
        return found

    def open_gaps(self) -> Holes:
        """The ids that were announced as missing and are still hoped for."""
        return {
            lane.topic: (self._numbering(at), list(lane.open)) for at, lane in enumerate(self.standing) if lane.open
        }

    def _numbering(self, topic_index: int) -> int:
        """The continuity number of the ids that come now: its numbering may not have been pushed yet."""
        unsent = sum(isinstance(event, Reset) for event in self.standing[topic_index].ready)
        return renumbered(self._continuity_numbers[topic_index], unsent)
