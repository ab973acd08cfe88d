"""Owns what one subscriber received of a feed under test, and when: counted, judged, and never asked of the pipeline."""

from __future__ import annotations

import itertools
import time

from k2workers import Lost, Message
from k2workers.demo.witness import Witness
from k2workers.events import Backfilled, BookSnapshot, Gap, Reset
from tests.chaos.ledger import Ledger

BARS = ("kline_1s", "kline_1m")
"""Of the first each state is a final one; the second has many states, and a final one a minute."""
KINDS = ("trade", "agg_trade", "book_ticker", "depth", *BARS)
CHAINED = ("trade", "agg_trade")


class Observer:
    """Everything that the subscriber received, and when."""

    def __init__(self, shard_of: dict[str, int]) -> None:
        self.witness = Witness()
        self.ledger = Ledger()
        self.lost: list[Lost] = []
        self.gaps = 0
        self.lives: dict[str, int] = {}
        """How often the ids of a topic began anew, as far as it was told."""
        self.published_ns = 0
        """When the feed published the newest of what was read (wall clock)."""
        self.last_s: dict[int, float] = {}
        self.pause_s: dict[int, float] = {}
        """The longest time without any event of a shard since ``watch``."""
        self._shard_of = shard_of

    def take(self, item: Message | Lost) -> None:
        self.witness.take(item)
        if isinstance(item, Lost):
            self.lost.append(item)
            self.ledger.lose(item.topic, item.first_id, item.last_id, item.count)
            return
        event = item.event
        self.published_ns = max(self.published_ns, item.publish_ns)
        self.ledger.take(item.topic, event)
        if isinstance(event, Gap):
            self.gaps += 1
        if isinstance(event, Reset):
            self.lives[item.topic] = self.lives.get(item.topic, 0) + 1
        if not isinstance(event, Gap | Backfilled | BookSnapshot):
            shard, now_s = self._shard_of[item.topic.rpartition(".")[2]], time.monotonic()
            since_s = now_s - self.last_s.get(shard, now_s)
            if since_s > self.pause_s.get(shard, 0.0):
                self.pause_s[shard] = since_s
            self.last_s[shard] = now_s

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

    def longest_pause_s(self, shards: list[int]) -> float:
        """The longest pause of these shards since ``watch``, one that still goes on included."""
        now_s = time.monotonic()
        return max(max(self.pause_s.get(s, 0.0), now_s - self.last_s.get(s, now_s)) for s in shards)

    def holes(self) -> list[str]:
        """Topics that are not complete: ids or bars missing, or no valid book."""
        found = []
        for topic, count in self.witness.topics.items():
            kind = topic.split(".")[1]
            if kind in CHAINED:
                had = list(count.ranges)
                voids = sum(len(count.voids.within(a[1] + 1, b[0] - 1)) for a, b in itertools.pairwise(had))
                if len(had) - 1 > voids:
                    found.append(topic)
        found += [topic for topic, bars in self.ledger.bars.items() if bars.holes()]
        return found + [f"book of {symbol}" for symbol, book in self.ledger.books.items() if not book.valid]
