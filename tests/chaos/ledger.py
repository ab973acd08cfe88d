"""Owns what a subscriber was told, checked event by event against PROTOCOL.md's rules, in the order in which it came.

It knows nothing of the pipeline. A hole that nothing has named at the moment at which the next record comes is *silent*, whatever
comes later; that is more than counting at the end. Times and ids are the venue's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from k2workers.events import (
    AnyAggregate,
    AnyTrade,
    Backfilled,
    BookChange,
    BookSnapshot,
    Event,
    Gap,
    GivenUp,
    Kline,
    Reset,
    Void,
)
from k2workers.sequencing.ranges import IdRanges, Range

TRADES = ("trade", "agg_trade")
"""Kinds whose every event has an id of its own."""

BarValues = tuple[str, str, str, str, str, str, int, str, str]
"""Open, high, low, close, volume, quote volume, trades, volume and quote volume of takers who bought."""


class Chain:
    """One topic whose ids rise by one: trades, aggregate trades, and differences of a book."""

    def __init__(self) -> None:
        self.last_id: int | None = None
        """Everything up to here was given or named."""
        self.got = IdRanges()
        self.open = IdRanges()
        """Named by a ``Gap``, and nothing has come for it since."""
        self.lost = IdRanges()
        """Named by a ``Lost``, and nothing has come all the same."""
        self.given_up = IdRanges()
        self.voids = IdRanges()
        self.silent: list[Range] = []
        self.repeated = 0
        """Records with ids that were given or named before, out of order or again."""

    def take(self, event: Event) -> None:
        """Judge one event that was given."""
        first_id, last_id = event.first_id, event.last_id
        if isinstance(event, Reset):
            # What was missing of the old ids stays missing.
            self.last_id = event.first_new_id - 1
            self.got, self.open, self.lost, self.given_up, self.voids = (IdRanges() for _ in range(5))
        elif isinstance(event, Gap):
            self._reach(first_id, last_id)
            self.open.add(first_id, last_id)
        elif isinstance(event, Void):
            if not self.open.remove(first_id, last_id) and self.last_id is not None:
                self._reach(first_id, last_id)
            self.voids.add(first_id, last_id)
        elif isinstance(event, BookSnapshot):
            self.open.remove(0, last_id)
            self.last_id = last_id if self.last_id is None else max(self.last_id, last_id)
        elif isinstance(event, GivenUp):
            if not self.open.remove(first_id, last_id) and self.last_id is not None:
                self._reach(first_id, last_id)
            self.given_up.add(first_id, last_id)
        elif isinstance(event, Backfilled) and self.last_id is not None and first_id > self.last_id:
            # Its gap was announced in a life that ended before this subscriber heard of it.
            self.take_run(first_id, last_id)
        elif isinstance(event, Backfilled):
            # It fills a gap, or corrects what was told of ids that would not come.
            expected = sum(ids.remove(first_id, last_id) for ids in (self.open, self.lost, self.voids, self.given_up))
            if expected != last_id - first_id + 1:
                self.repeated += 1
            self.got.add(first_id, last_id)
        else:
            self.take_run(first_id, last_id)

    def take_run(self, first_id: int, last_id: int) -> None:
        """Judge consecutive events at the head of the topic."""
        self._reach(first_id, last_id)
        self.got.add(first_id, last_id)

    def lose(self, first_id: int, last_id: int) -> None:
        """Judge ids that can no longer be had."""
        self._reach(first_id, last_id)
        self.lost.add(first_id, last_id)

    def _reach(self, first_id: int, last_id: int) -> None:
        """A record at the head of the topic: it must follow what came before."""
        if self.last_id is not None and first_id > self.last_id + 1:
            self.silent.append((self.last_id + 1, first_id - 1))
        elif self.last_id is not None and first_id <= self.last_id:
            self.repeated += 1
        self.last_id = last_id if self.last_id is None else max(self.last_id, last_id)


class Bars:
    """One topic of bars: each final state once, none skipped, and never a state of a bar after its final one."""

    def __init__(self) -> None:
        self.finals: dict[int, BarValues] = {}
        """By open time in ns."""
        self.first_ns: int | None = None
        """When the first bar opened that was heard of."""
        self.open = IdRanges()
        """Times named by a ``Gap``, and nothing has come for them since."""
        self.lost = IdRanges()
        """Times named by a ``Lost``, and nothing has come all the same."""
        self.voids = IdRanges()
        self._covered = IdRanges()
        """Times for which a final bar or a ``Void`` has come."""
        self.silent: list[Range] = []
        self.repeated = 0
        self.after_final = 0
        self.went_back = 0
        self._open_ns = -1
        """When the newest bar opened."""
        self._next_ns: int | None = None
        """Every bar that opened before this was final, or named."""

    def take(self, event: Event) -> None:
        """Judge one event that was given."""
        if isinstance(event, Gap):
            self.open.add(event.first_id, event.last_id)
            self._reach(event.first_id)
            self._next_ns = event.last_id + 1
        elif isinstance(event, Void):
            if not self.open.remove(event.first_id, event.last_id):
                self._reach(event.first_id)
                self._next_ns = event.last_id + 1
            self.voids.add(event.first_id, event.last_id)
            self._covered.add(event.first_id, event.last_id)
        elif isinstance(event, Backfilled):
            assert isinstance(event.event, Kline)
            times = event.event.open_time_ns, event.event.next_open_ns - 1
            if not sum(named.remove(*times) for named in (self.open, self.lost)):
                self.repeated += 1
            self._finish(event.event)
        elif isinstance(event, Kline):
            self._take_state(event)

    def lose(self, first_ns: int, last_ns: int) -> None:
        """Judge times of which bars can no longer be had."""
        self._reach(first_ns)
        self._next_ns = last_ns + 1
        self.lost.add(first_ns, last_ns)

    def holes(self) -> list[Range]:
        """Times between two final bars for which neither a bar nor a ``Void`` has come."""
        return [(one[1] + 1, following[0] - 1) for one, following in itertools.pairwise(self._covered)]

    def _take_state(self, bar: Kline) -> None:
        opens_ns = bar.open_time_ns
        if self.first_ns is None:
            self.first_ns = opens_ns
        if opens_ns < self._open_ns:
            self.went_back += 1
        if opens_ns > self._open_ns:
            self._reach(opens_ns)
            self._open_ns = self._next_ns = opens_ns
        if bar.final:
            self._finish(bar)
            self._next_ns = bar.next_open_ns
        elif opens_ns in self.finals:
            self.after_final += 1

    def _finish(self, bar: Kline) -> None:
        if bar.open_time_ns in self.finals:
            self.repeated += 1
        self.finals[bar.open_time_ns] = values_of(bar)
        self._covered.add(bar.open_time_ns, bar.next_open_ns - 1)

    def _reach(self, opens_ns: int) -> None:
        if self._next_ns is not None and opens_ns > self._next_ns:
            self.silent.append((self._next_ns, opens_ns - 1))


def values_of(bar: Kline) -> BarValues:
    """What must be the same however a final bar came."""
    return (
        bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume, bar.trade_count, bar.taker_buy_volume,
        bar.taker_buy_quote_volume,
    )  # fmt: skip


def values_in(row: Sequence[Any]) -> tuple[int, BarValues]:
    """(open time in ns, values) of a row of the exchange's klines reply with times in ms."""
    opens_ms, first, high, low, close, volume, _, quote, count, taker_volume, taker_quote, *_ = row
    return opens_ms * 1_000_000, (first, high, low, close, volume, quote, count, taker_volume, taker_quote)


class Book:
    """One symbol's order book, built only from what the subscriber received."""

    def __init__(self) -> None:
        self.valid = False
        self.update_id = 0
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.broken_chains = 0

    def take(self, event: Event) -> None:
        """Bring the book to where this event is."""
        if isinstance(event, BookSnapshot):
            self.valid, self.update_id = True, event.last_update_id
            self.sides = (dict(event.bids), dict(event.asks))
        elif isinstance(event, Gap | Reset):
            self.lose()
        elif isinstance(event, BookChange) and self.valid:
            if event.first_update_id != self.update_id + 1:
                self.broken_chains += 1
            self.update_id = event.last_update_id
            for side, levels in zip(self.sides, (event.bids, event.asks), strict=True):
                for price, quantity in levels:
                    if float(quantity):
                        side[price] = quantity
                    else:
                        side.pop(price, None)

    def lose(self) -> None:
        """Changes of it can no longer be had: it is no book until the next snapshot."""
        self.valid = False


class Ledger:
    """Everything that one subscriber was told, by topic."""

    def __init__(self) -> None:
        self.chains: dict[str, Chain] = {}
        self.bars: dict[str, Bars] = {}
        self.books: dict[str, Book] = {}
        self.unnamed_batches = 0
        """Batches lost whose ids nobody told."""

    def take(self, topic: str, event: Event) -> None:
        """Judge one event."""
        kind, symbol = topic.split(".")[1:]
        if kind.startswith("kline_"):
            self.bars.setdefault(topic, Bars()).take(event)
        elif kind in TRADES or kind.startswith("depth"):
            self.chains.setdefault(topic, Chain()).take(event)
            if kind not in TRADES:
                self.books.setdefault(symbol, Book()).take(event)

    def take_batch(self, topic: str, events: Sequence[Event]) -> None:
        """Judge a batch at once if it is a plain run of ids, which is what a very busy feed brings."""
        first, last = events[0], events[-1]
        if isinstance(first, AnyTrade | AnyAggregate) and last.last_id - first.first_id + 1 == len(events):
            self.chains.setdefault(topic, Chain()).take_run(first.first_id, last.last_id)
        else:
            for event in events:
                self.take(topic, event)

    def lose(self, topic: str, first_id: int | None, last_id: int | None, batches: int) -> None:
        """Judge a ``Lost``."""
        kind, symbol = topic.split(".")[1:]
        if kind in TRADES or kind.startswith(("depth", "kline_")):
            if first_id is None or last_id is None:
                self.unnamed_batches += batches
            elif kind.startswith("kline_"):
                self.bars.setdefault(topic, Bars()).lose(first_id, last_id)
            else:
                self.chains.setdefault(topic, Chain()).lose(first_id, last_id)
            if kind.startswith("depth"):
                self.books.setdefault(symbol, Book()).lose()

    def open_gaps(self) -> list[str]:
        """Topics with ids or bars that were named as missing and have not come."""
        return [topic for topic, chain in self.chains.items() if chain.open] + [
            topic for topic, bars in self.bars.items() if bars.open or bars.holes()
        ]

    def broken_rules(self) -> list[str]:
        """What no subscriber may ever see, in words; the first of each kind."""
        found = []
        for topic, chain in self.chains.items():
            if chain.silent:
                found.append(f"{topic}: silent {chain.silent[:3]}")
            if chain.repeated:
                found.append(f"{topic}: repeated {chain.repeated}")
        for topic, bars in self.bars.items():
            if bars.silent:
                found.append(f"{topic}: bars skipped silently {bars.silent[:3]}")
            counts = {"repeated": bars.repeated, "after their final": bars.after_final, "back": bars.went_back}
            found += [f"{topic}: bars {word} {count}" for word, count in counts.items() if count]
        return found


def compare_bars(ledger: Ledger, exchange: Mapping[str, Sequence[Sequence[Any]]], prefix: str) -> dict[str, Any]:
    """Final bars of the topics with this prefix against the exchange's own, by symbol, from the first that the subscriber heard of.

    ``lost`` were named by a ``Lost`` or an open gap, ``missing`` by nothing.
    """
    result: dict[str, Any] = {"finals": 0, "lost": 0, "missing": 0, "different": 0, "examples": []}
    for symbol, rows in exchange.items():
        bars = ledger.bars.get(prefix + symbol, Bars())
        for opens_ns, values in map(values_in, rows):
            if bars.first_ns is None or opens_ns < bars.first_ns or opens_ns in bars.voids:
                continue
            result["finals"] += 1
            got = bars.finals.get(opens_ns)
            if got is None and (opens_ns in bars.lost or opens_ns in bars.open):
                result["lost"] += 1
                continue
            if got is None:
                result["missing"] += 1
            elif got != values:
                result["different"] += 1
            if got != values and len(result["examples"]) < 5:
                result["examples"].append([symbol, opens_ns, values, got])
    return result


def compare_books(ledger: Ledger, exchange: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Every level of every book against the exchange's own."""
    result: dict[str, Any] = {"equal": 0, "different": 0, "broken_chains": 0, "examples": []}
    for symbol, own in exchange.items():
        book = ledger.books.get(symbol, Book())
        levels = (dict(map(tuple, own["bids"])), dict(map(tuple, own["asks"])))
        result["broken_chains"] += book.broken_chains
        if book.valid and levels == book.sides:
            result["equal"] += 1
            continue
        result["different"] += 1
        wrong = [dict(a.items() ^ b.items()) for a, b in zip(levels, book.sides, strict=True)]
        if len(result["examples"]) < 3:
            few = [dict(itertools.islice(side.items(), 3)) for side in wrong]
            result["examples"].append([symbol, own["lastUpdateId"], book.update_id, book.valid, few])
    return result


def compare_chains(ledger: Ledger, sent: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Trades and aggregate trades against what the exchange sent, by topic, from the first id that the subscriber was told of.

    ``lost``: ids that never came; ``named`` of them by a ``Lost`` or an open gap; ``silent`` by nothing. ``wrongly_lost``: ids
    that were called lost and came, or never existed.
    """
    result = {"emitted": 0, "lost": 0, "named": 0, "silent": 0, "wrongly_lost": 0}
    for topic, counts in sent.items():
        if topic.split(".")[1] not in TRADES:
            continue
        chain = ledger.chains.get(topic, Chain())
        begin = min((first for ranges in (chain.got, chain.open, chain.lost) for first, _ in ranges), default=0)
        missing = IdRanges((max(first, begin), last) for first, last in counts["ranges"])
        emitted = IdRanges(missing)
        result["emitted"] += emitted.ids
        for first, last in chain.got:
            missing.remove(first, last)
        result["lost"] += missing.ids
        for named in (chain.open, chain.lost, chain.given_up):
            for first, last in named:
                result["named"] += missing.remove(first, last)
        result["silent"] += missing.ids
        for first, last in chain.lost:
            result["wrongly_lost"] += sum(b - a + 1 for a, b in chain.got.within(first, last))
    return result
