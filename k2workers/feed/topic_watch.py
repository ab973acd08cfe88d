"""Owns the watch over the topics of one route: tells ``silence.py``, which judges them, what there is to judge, and the intake what a look has shown.

Pure apart from the intake that it serves. ``LineWatch`` (``liveness.py``) is the same for the line as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from k2workers.feed.intake import Intake
from k2workers.feed.silence import Finding, MarketView, Silence
from k2workers.venues.market_evidence import Evidence, top_of
from k2workers.venues.venue import StreamSpec


class TopicWatch:
    """Call ``look`` about every second, ``seen`` for each look at the market. ``evidence`` is that of a kind. Times are monotonic."""

    def __init__(
        self, silence: Silence, intake: Intake, specs: Sequence[StreamSpec], evidence: Callable[[str], Evidence]
    ) -> None:
        self._silence = silence
        self._intake = intake
        self._evidence = evidence
        self._flows: dict[str, tuple[str, str]] = {}
        """Kind and symbol of each stream, by name."""
        self.add_streams(specs)

    def add_streams(self, specs: Sequence[StreamSpec]) -> None:
        """Watch these streams too, from now on."""
        self._flows.update((spec.name, (spec.kind, spec.symbol)) for spec in specs)

    @property
    def streams_seen(self) -> int:
        """How many streams have brought something. One of the whole market has a topic for each symbol."""
        found = zip(self._intake.topics, self._intake.heard_ns, strict=False)
        seen = {(topic.kind, topic.symbol) for topic, heard_ns in found if heard_ns}
        kinds = {kind for kind, _ in seen}
        return sum((kind, symbol) in seen or (not symbol and kind in kinds) for kind, symbol in self._flows.values())

    def look(self, refused: Collection[str], now_ns: int) -> Finding:
        """What is to be done about topics that bring nothing; the venue refuses the streams of these names."""
        self._serve_new(now_ns)
        self._silence.refused = self._topics_of(refused)
        found = self._silence.look(self._intake.heard_ns, self._told(), now_ns)
        for topic_index in found.silent:
            before_id = self._silence.before_first(topic_index)
            if before_id is not None:
                self._intake.begin_after(topic_index, before_id)
        return found

    def seen(self, view: MarketView, now_ns: int) -> bool | None:
        """See ``Silence.seen``."""
        self._serve_new(now_ns)
        return self._silence.seen(view, self._told(), now_ns)

    def _serve_new(self, now_ns: int) -> None:
        """Topics may have been added."""
        for topic in self._intake.topics[self._silence.served : len(self._intake.standing)]:
            self._silence.serve(topic.symbol, self._evidence(topic.kind), by_id=topic.continuity.by_id, now_ns=now_ns)

    def _topics_of(self, names: Collection[str]) -> frozenset[int]:
        flows = {self._flows[name] for name in names}
        topics = enumerate(self._intake.topics) if flows else ()
        return frozenset(index for index, topic in topics if (topic.kind, topic.symbol) in flows)

    def _told(self) -> list[int | str | None]:
        """The newest trade of which each topic has told, or else its best prices."""
        told: list[int | str | None] = []
        for lane in self._intake.standing:
            top = lane.newest_top
            told.append(lane.newest_trade_id if top is None else top_of(*top))
        return told
