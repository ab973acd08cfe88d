"""Owns what one subscriber received of a feed under test, and when: counted, judged, and never asked of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Collection

from k2workers import Lost, Message
from k2workers.continuity import Guarantee
from k2workers.demo.witness import Witness
from k2workers.events import Backfilled, BookSnapshot, Gap, Reset
from k2workers.sequencing.ranges import IdRanges
from tests.chaos.ledger import TRADES, Ledger
from tests.chaos.market import Market

Line = tuple[int, str]
"""(shard, class): what comes over one connection."""


class Observer:
    """Everything that the subscriber received, and when."""

    def __init__(self, market: Market, shard_of: dict[str, int]) -> None:
        self.witness = Witness()
        self.ledger = Ledger()
        self.lost: list[Lost] = []
        self.lives: dict[str, int] = {}
        """How often the ids of a topic began anew, as far as it was told."""
        self.published_ns = 0
        """When the feed published the newest of what was read (wall clock)."""
        self.last_s: dict[Line, float] = {}
        self.pause_s: dict[Line, float] = {}
        """The longest time without any event of a shard's connection since ``watch``."""
        self.gaps_of: dict[str, int] = {}
        """By kind."""
        self._market = market
        self._shard_of = shard_of

    def take(self, item: Message | Lost) -> None:
        self.witness.take(item)
        if isinstance(item, Lost):
            self.lost.append(item)
            self.ledger.lose(item.topic, item.first_id, item.last_id, item.count)
            return
        event, (_, kind, symbol) = item.event, item.topic.split(".")
        self.published_ns = max(self.published_ns, item.publish_ns)
        self.ledger.take(item.topic, event)
        if isinstance(event, Gap):
            self.gaps_of[kind] = self.gaps_of.get(kind, 0) + 1
        if isinstance(event, Reset):
            self.lives[item.topic] = self.lives.get(item.topic, 0) + 1
        if not isinstance(event, Gap | Backfilled | BookSnapshot):
            line, now_s = (self._shard_of[symbol], self._market.class_of(kind)), time.monotonic()
            since_s = now_s - self.last_s.get(line, now_s)
            if since_s > self.pause_s.get(line, 0.0):
                self.pause_s[line] = since_s
            self.last_s[line] = now_s

    @property
    def topics(self) -> int:
        """How many topics it has heard of."""
        return len(self.witness.topics)

    def reached(self) -> dict[str, tuple[int, int]]:
        """How far each topic has come: up to here everything was given or named. (How often its ids began anew, the newest.)"""
        ledger, newest = self.ledger, {topic: count.last_id for topic, count in self.witness.topics.items()}
        newest |= {topic: chain.last_id for topic, chain in ledger.chains.items() if chain.last_id is not None}
        return {topic: (self.lives.get(topic, 0), last_id) for topic, last_id in newest.items()}

    def watch(self) -> None:
        """Begin to measure pauses anew."""
        self.pause_s.clear()

    @property
    def gaps(self) -> int:
        """How many were announced."""
        return sum(self.gaps_of.values())

    def longest_pause_s(self, shards: Collection[int], classes: Collection[str] = ()) -> float:
        """The longest pause of a connection of these shards since ``watch``, one that still goes on included; of these classes, or of all."""
        now_s, chosen = (
            time.monotonic(),
            [line for line in self.last_s if line[0] in shards and (not classes or line[1] in classes)],
        )
        return max((max(self.pause_s.get(line, 0.0), now_s - self.last_s[line]) for line in chosen), default=0.0)

    def quiet_s(self, shards: Collection[int]) -> float:
        """For how long the most quiet connection of these shards has brought nothing."""
        return time.monotonic() - min((at_s for line, at_s in self.last_s.items() if line[0] in shards), default=0.0)

    def holes(self) -> list[str]:
        """Topics that are not complete: ids or bars missing, or no valid book."""
        found = []
        for topic in self.witness.topics:
            kind = topic.split(".")[1]
            if kind in TRADES and self._lacks_ids(topic, kind):
                found.append(topic)
        found += [topic for topic, bars in self.ledger.bars.items() if bars.holes()]
        return found + [f"book of {symbol}" for symbol, book in self.ledger.books.items() if not book.valid]

    def _lacks_ids(self, topic: str, kind: str) -> bool:
        count = self.witness.topics[topic]
        if len(count.ranges) < 2:
            return False
        settled = IdRanges([*count.ranges, *count.voids])
        if self._market.guarantee(kind) is not Guarantee.REPAIRABLE:
            for first, last in self.ledger.chains[topic].given_up:
                settled.add(first, last)
        (first, _), *_, (_, last) = count.ranges
        return len(settled.within(first, last)) > 1
