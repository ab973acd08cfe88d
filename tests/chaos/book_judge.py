"""Owns what is held against the exchange's own books: every state of every book that a subscriber came to, and everything that the feed told of its own.

The exchange logs the sums of each book at the end of every window (``simulator/binance/book_sums.py``). Here a book is made of the changes that were
published, by code that is not the feed's, and its sums are compared at each of its update ids; those of ``book_top`` and ``book_20`` directly.
"""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from k2workers import Lost, Message
from k2workers.book_events import BookLevels, BookTop
from k2workers.events import BookChange, BookSnapshot, Event, Gap, Reset, Status
from k2workers.simulator.binance.book_sums import ASK, BEST, BID, number_of, sum_of

Levels = list[tuple[str, str]]

SOON_NS = 100_000_000
"""Within this time after it is told that changes are missing a topic of the book must say that it is stale."""

STATUS_NS = 1_600_000_000
"""Whoever keeps the books says so each second; who was not heard for so long is away."""

KEPT_LINES = 3_000
"""Of each symbol: five minutes' worth."""

FEWEST_CUT = 50
"""No venue is asked for fewer levels: a side that came with fewer is all there was."""

SHOWN = 5


class Truth(NamedTuple):
    """What the exchange says of one book at one id."""

    all: int
    best: int
    bests: int
    bids: int
    asks: int


class OwnBook:
    """One book, made of what was published."""

    def __init__(self) -> None:
        self.whole = False
        self.id = 0
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.total = 0
        self.cut = (False, False)
        """Whether there may have been more bids, more asks, than it began with."""
        self.complete = False
        """Whether it has been seen to have as many levels as the exchange."""

    def begin(self, book: BookSnapshot) -> None:
        """This is the whole of it."""
        self.whole, self.id, self.complete = True, book.last_update_id, False
        self.bids, self.asks = dict(book.bids), dict(book.asks)
        self.cut = len(self.bids) >= FEWEST_CUT, len(self.asks) >= FEWEST_CUT
        sides = (BID, self.bids), (ASK, self.asks)
        self.total = sum_of(number_of(name, *level) for name, side in sides for level in side.items())

    def apply(self, change: BookChange) -> None:
        """One change."""
        self.id = change.last_update_id
        for name, side, levels in ((BID, self.bids, change.bids), (ASK, self.asks, change.asks)):
            for price, quantity in levels:
                before = side.pop(price, None)
                if before is not None:
                    self.total -= number_of(name, price, before)
                if float(quantity):
                    side[price] = quantity
                    self.total += number_of(name, price, quantity)
        self.total %= 2**64

    def nearest(self, count: int) -> tuple[Levels, Levels]:
        """So many of the best levels."""

        def price(level: tuple[str, str]) -> float:
            return float(level[0])

        return sorted(self.bids.items(), key=price, reverse=True)[:count], sorted(self.asks.items(), key=price)[:count]


class Break:
    """Changes are missing, and a topic has not said so yet. Times are those of publishing."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.healed_ns = 0
        """When a whole book came; 0: none yet."""
        self.claimed_ns = 0
        """When the topic first told a whole book, before one was seen."""


class BookJudge:
    """``more`` gives the lines of the exchange's log that have come since it was last called."""

    def __init__(self, more: Callable[[], Iterable[str]]) -> None:
        self.counts = Counter[str]()
        self.examples: list[str] = []
        self.late: list[str] = []
        """Of topics that told late that they are stale: which, how late, and how long the feed's life and the last word of who keeps the books were ago."""
        self.stale_ms: list[float] = []
        """From a break to ``stale``, while somebody kept the books."""
        self.away_ms: list[float] = []
        """The same while nobody did, or the feed itself began anew."""
        self.healed_ms: list[float] = []
        """From a break to the next whole book, where nothing had to be told."""
        self._more = more
        self._truth: dict[str, dict[int, Truth]] = {}
        self._books: dict[str, OwnBook] = {}
        self._told: dict[tuple[str, str], str] = {}
        """By symbol and kind, the state that was told last."""
        self._breaks: dict[tuple[str, str], Break] = {}
        self._heard_ns: list[int] = []
        """When somebody said that the books are kept."""
        self._began_ns = 0
        """When the feed's present life was first heard."""

    def begins(self, at_ns: int) -> None:
        """Another life of the feed is heard."""
        self._began_ns = at_ns

    def take(self, item: Message | Lost) -> None:
        """Judge what was given."""
        if isinstance(item, Message) and isinstance(item.event, Status):
            self._heard_ns.append(item.publish_ns)
            return
        _, kind, symbol = item.topic.split(".", 2)
        if isinstance(item, Lost):
            self._lose(kind, symbol)
        elif isinstance(item.event, BookTop | BookLevels):
            self._judge_told(symbol, kind, item.event, item.publish_ns)
        else:
            self._judge_change(symbol, item.event, item.publish_ns)

    def book(self, symbol: str) -> OwnBook:
        """The one that is made of what was published."""
        return self._books.setdefault(symbol, OwnBook())

    def compare_kept(self, symbol: str, state: str, update_id: int, bids: Levels, asks: Levels) -> None:
        """What ``Subscriber.book`` says now."""
        own = self.book(symbol)
        same = (state == "whole") == own.whole and (
            not own.whole or (update_id, dict(bids), dict(asks)) == (own.id, own.bids, own.asks)
        )
        self._count("kept_equal" if same else "kept_different", lambda: f"kept {symbol} {state} {update_id}")

    # ── the changes ─────────────────────────────────────────────────────────────────────────────────────

    def _lose(self, kind: str, symbol: str) -> None:
        self.counts["lost"] += 1
        if not kind.startswith("book_"):
            self.book(symbol).whole = False

    def _judge_change(self, symbol: str, event: Event, publish_ns: int) -> None:
        book = self.book(symbol)
        if isinstance(event, Gap | Reset):
            book.whole = False
            self.counts["breaks"] += 1
            for key, state in self._told.items():
                if key[0] == symbol and state == "whole":
                    self._break(key, publish_ns)
        elif isinstance(event, BookSnapshot):
            book.begin(event)
            for key in [key for key in self._breaks if key[0] == symbol]:
                self._heal(key, publish_ns)
        elif isinstance(event, BookChange) and book.whole:
            if event.first_update_id != book.id + 1:
                self._count("chain_broken", lambda: f"{symbol}: {event.first_update_id} after {book.id}")
            book.apply(event)
        if book.whole:
            self._compare(symbol, book)

    def _compare(self, symbol: str, book: OwnBook) -> None:
        truth = self._truth_of(symbol, book.id)
        if truth is None:
            self.counts["changes_unlogged"] += 1  # a book that REST gave in the middle of a window
            return
        lacks = (len(book.bids) < truth.bids and book.cut[0]) or (len(book.asks) < truth.asks and book.cut[1])
        if book.total == truth.all:
            book.complete = True
            self.counts["changes_equal"] += 1
        elif lacks and not book.complete:
            alike = self._sum(*book.nearest(BEST)) == truth.bests
            self.counts["changes_equal_as_far_as_known" if alike else "changes_beyond_what_is_known"] += 1
        else:
            self._count("changes_different", lambda: f"{symbol} {book.id}: {book.nearest(3)}, {truth}")

    # ── what is told of books ───────────────────────────────────────────────────────────────────────────

    def _judge_told(self, symbol: str, kind: str, event: BookTop | BookLevels, publish_ns: int) -> None:
        key, levels = (symbol, kind), _levels_of(event)
        self.counts["told"] += 1
        self._told[key] = event.state
        if event.state != "whole":
            self.counts["told_stale"] += 1
            if levels != ([], []):
                self._count("told_different", lambda: f"{symbol} {kind}: stale with levels")
            found = self._breaks.get(key)
            if found is not None and found.healed_ns and publish_ns > found.healed_ns + SOON_NS:
                self._settle(key, publish_ns)  # that one is over, and this is about something else
            elif found is not None:
                del self._breaks[key]
                self._note_delay(key, publish_ns - found.since_ns, found.since_ns)
            return
        self._judge_claim(key, publish_ns)
        truth = self._truth_of(symbol, event.update_id)
        count = 1 if kind == "book_top" else BEST
        if truth is None:
            self.counts["told_unlogged"] += 1
        elif self._sum(*levels) == (truth.best if count == 1 else truth.bests):
            self.counts["told_equal"] += 1
        elif len(levels[0]) < min(count, truth.bids) or len(levels[1]) < min(count, truth.asks):
            self._judge_short(symbol, event, levels)
        else:
            self._count("told_different", lambda: f"{symbol} {kind} {event}, {truth}")

    def _judge_short(self, symbol: str, event: BookTop | BookLevels, levels: tuple[Levels, Levels]) -> None:
        """Fewer levels than there are: only where those beyond were never told."""
        book = self.book(symbol)
        known = book.nearest(BEST)
        same = all(side == all_of[: len(side)] for side, all_of in zip(levels, known, strict=True))
        if book.id == event.update_id and book.whole and (book.complete or not same):
            self._count("told_different", lambda: f"{symbol}: fewer levels than are known, {event}")
        else:
            self.counts["told_as_far_as_known"] += 1

    # ── breaks ──────────────────────────────────────────────────────────────────────────────────────────

    def _break(self, key: tuple[str, str], publish_ns: int) -> None:
        found = self._breaks.get(key)
        if found is not None and found.healed_ns:
            self._settle(key, found.healed_ns)
        self._breaks.setdefault(key, Break(publish_ns))

    def _heal(self, key: tuple[str, str], publish_ns: int) -> None:
        found = self._breaks[key]
        found.healed_ns = found.healed_ns or publish_ns
        if found.claimed_ns:
            self._settle(key, found.claimed_ns)

    def _judge_claim(self, key: tuple[str, str], publish_ns: int) -> None:
        """A topic tells a whole book: was the last break told, or healed before?"""
        found = self._breaks.get(key)
        if found is None or publish_ns <= found.since_ns:
            return
        if found.healed_ns:
            self._settle(key, publish_ns)
        elif publish_ns > found.since_ns + SOON_NS:
            found.claimed_ns = found.claimed_ns or publish_ns

    def _settle(self, key: tuple[str, str], publish_ns: int) -> None:
        found = self._breaks.pop(key)
        # As soon after the break as it need not be told yet, that says nothing, whether this comes before or after what healed it.
        if found.since_ns + SOON_NS < publish_ns < found.healed_ns:
            self._count(
                "whole_while_broken", lambda: f"{key}: {(publish_ns - found.since_ns) / 1e6:.0f} ms after a gap"
            )
        took_ns = found.healed_ns - found.since_ns
        if took_ns > SOON_NS:
            self._note_delay(key, took_ns, found.since_ns)  # it should have been told meanwhile
        else:
            self.healed_ms.append(took_ns / 1e6)

    def _note_delay(self, key: tuple[str, str], delay_ns: int, since_ns: int) -> None:
        away = delay_ns > SOON_NS and self._away(since_ns, since_ns + delay_ns)
        (self.away_ms if away else self.stale_ms).append(max(0, delay_ns) / 1e6)
        if delay_ns > SOON_NS and not away:
            ago = [
                (since_ns - then_ns) / 1e6 for then_ns in (self._began_ns, self._heard_ns[-1] if self._heard_ns else 0)
            ]
            self.late = [
                *self.late[-20:],
                f"{key} {since_ns / 1e9:.3f} {delay_ns / 1e6:.0f} ms, {ago[0]:.0f}, {ago[1]:.0f}",
            ]

    def _away(self, begin_ns: int, end_ns: int) -> bool:
        """Whether nobody kept the books at some time of this, or the feed itself had only just begun anew."""
        if begin_ns - self._began_ns < STATUS_NS:
            return True
        first = max(0, bisect.bisect(self._heard_ns, begin_ns) - 1)
        times = [*self._heard_ns[first : bisect.bisect(self._heard_ns, end_ns)], end_ns]
        return times[0] > begin_ns or any(b - a > STATUS_NS for a, b in itertools.pairwise(times))

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────

    def figures(self, now_ns: int) -> dict[str, Any]:
        """For the report; ``checks`` is how often something was compared with the exchange's book."""
        never = [
            key for key, found in self._breaks.items() if not found.healed_ns and now_ns - found.since_ns > 10 * SOON_NS
        ]
        counts = dict(sorted(self.counts.items()))
        words = ("changes_equal", "changes_equal_as_far_as_known", "changes_different", "told_equal", "told_different")
        return {
            "checks": sum(self.counts[word] for word in words),
            **counts,
            "stale_ms": _spread(self.stale_ms),
            "stale_ms_while_nobody_kept_books": _spread(self.away_ms),
            "healed_at_once_ms": _spread(self.healed_ms),
            "never_told_stale": never[:SHOWN],
            "late": self.late,
            "examples": self.examples,
        }

    def _count(self, what: str, words: Callable[[], str]) -> None:
        self.counts[what] += 1
        if "equal" not in what and len(self.examples) < SHOWN:
            self.examples.append(f"{what}: {words()}"[:600])

    def _truth_of(self, symbol: str, update_id: int) -> Truth | None:
        truth = self._truth.get(symbol, {}).get(update_id)
        if truth is None:
            self._read()
            truth = self._truth.get(symbol, {}).get(update_id)
        return truth

    def _read(self) -> None:
        for line in self._more():
            symbol, update_id, whole, best, bests, bids, asks = line.split()
            of = self._truth.setdefault(symbol, {})
            of[int(update_id)] = Truth(int(whole, 16), int(best, 16), int(bests, 16), int(bids), int(asks))
            if len(of) > KEPT_LINES:
                del of[next(iter(of))]

    def _sum(self, bids: Levels, asks: Levels) -> int:
        return sum_of(number_of(name, *level) for name, side in ((BID, bids), (ASK, asks)) for level in side)


def _levels_of(event: BookTop | BookLevels) -> tuple[Levels, Levels]:
    if isinstance(event, BookLevels):
        return event.bids, event.asks
    bid, ask = (event.bid_price, event.bid_quantity), (event.ask_price, event.ask_quantity)
    return [bid] * (bid != ("", "")), [ask] * (ask != ("", ""))


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    return {
        "count": len(values),
        "median": round(statistics.median(values), 1),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 1),
        "max": round(ordered[-1], 1),
        "above_100": sum(value > SOON_NS / 1e6 for value in values),
    }


def wrong_in(figures: dict[str, Any]) -> list[str]:
    """What is wrong, in words."""
    forbidden = ("changes_different", "told_different", "kept_different", "whole_while_broken", "chain_broken")
    found = [f"books: {word} {figures[word]}, {figures['examples'][:1]}" for word in forbidden if figures.get(word)]
    if figures["never_told_stale"]:
        found.append(f"books: never told that they are stale: {figures['never_told_stale']}")
    if figures["stale_ms"].get("median", 0) > SOON_NS / 1e6:
        found.append(f"books: stale was told late, {figures['stale_ms']}")
    return found
