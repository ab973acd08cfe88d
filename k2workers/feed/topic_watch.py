"""Owns the watch over the topics of one route: tells ``silence.py``, which judges them, what there is to judge, and the intake what a look has shown.

Pure apart from the intake that it serves. ``LineWatch`` (``liveness.py``) is the same for the line as a whole.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from k2workers.feed.intake import Intake
from k2workers.feed.silence import Finding, MarketView, Silence
from k2workers.futures_events import FuturesAggTrade, FuturesTrade
from k2workers.sequencing.lane import Lane
from k2workers.venues.market_evidence import Evidence, top_of
from k2workers.venues.venue import StreamSpec


class Unserved(enum.Enum):
    """What keeps a topic from being served, in one word."""

    SILENT = "silent"
    UNPROVEN = "unproven"
    REFUSED = "refused"


DENIALS = 2
"""So often the venue must have had nothing, before the trade that a look showed is taken for one beside the book."""

_BESIDE_THE_BOOK = (FuturesAggTrade, FuturesTrade)
"""What tells of all trades but some that are made beside the order book: those have ids among the others, and looks may show them."""


class _Denied(NamedTuple):
    """A trade that a look showed and that was asked for in vain, so many times."""

    trade_id: int
    times: int


class TopicWatch:
    """Call ``look`` about every second, ``seen`` for each look at the market, and ``fetched`` for what was asked for because of either. ``evidence`` is
    that of a kind. Times are monotonic.
    """

    def __init__(
        self, silence: Silence, intake: Intake, specs: Sequence[StreamSpec], evidence: Callable[[str], Evidence]
    ) -> None:
        self._silence = silence
        self._intake = intake
        self._evidence = evidence
        self._flows: dict[str, tuple[str, str]] = {}
        """Kind and symbol of each stream, by name."""
        self._shown: dict[str, int] = {}
        """The last trade of each symbol, as the last look showed it."""
        self._denied: dict[int, _Denied] = {}
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
        shown = {symbol: seen.last_trade_id for symbol, seen in view.symbols.items()}
        self._shown |= {symbol: trade_id for symbol, trade_id in shown.items() if trade_id is not None}
        return self._silence.seen(view, self._told(), now_ns)

    def fetched(self, index: int, newer: bool, now_ns: int) -> None:
        """See ``Silence.fetched``."""
        shown = self._shown.get(self._intake.topics[index].symbol)
        denied = self._denied.pop(index, None)
        if shown is not None and not newer:
            times = denied.times if denied is not None and denied.trade_id == shown else 0
            self._denied[index] = _Denied(shown, times + 1)
        self._silence.fetched(index, newer, now_ns)

    @property
    def unserved(self) -> dict[str, Unserved]:
        """The topics that are not served, by name, each with what keeps it from that."""
        by_why = {
            Unserved.SILENT: self._silence.silent,
            Unserved.UNPROVEN: self._silence.unproven,
            Unserved.REFUSED: self._silence.refused,
        }
        topics = self._intake.topics
        return {topics[index].topic: why for why, indexes in by_why.items() for index in sorted(indexes)}

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
        for index, lane in enumerate(self._intake.standing):
            top = lane.newest_top
            told.append(self._newest_trade(index, lane) if top is None else top_of(*top))
        return told

    def _newest_trade(self, index: int, lane: Lane) -> int | None:
        newest, denied = lane.newest_trade_id, self._denied.get(index)
        if newest is None or denied is None or denied.times < DENIALS or not isinstance(lane.newest, _BESIDE_THE_BOOK):
            return newest
        return max(newest, denied.trade_id)
