"""A market that was recorded, made up of everything that an export must get right, and its books as they were."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from k2workers import venues
from k2workers.events import Backfilled, BookSnapshot, DepthUpdate, Event, Gap, Trade
from k2workers.recording.conversion import convert
from k2workers.recording.row import Loss, Restart
from k2workers.sequencing.order_book import OrderBook
from tests.recording.support import CHANGES, DAY, NOON_NS, journal_in, put
from tests.recording.support import TRADES as ONES

SYMBOL = "ABCUSDT"
TRADES, BOOK = f"binance.trade.{SYMBOL}", f"binance.depth.{SYMBOL}"
NEXT_DAY = "2026-11-28"
MIDNIGHT_NS = NOON_NS + 43_200 * 10**9
MS = 1_000_000
TICK = 0.01
assert DAY < NEXT_DAY


class Best(NamedTuple):
    """What the book's best prices were from a time of ours on; None where nothing is known of it."""

    at_ns: int
    bid: str | None
    ask: str | None


class Market:
    """A book that walks at random, and the trades that are made in it; ``best`` is what a listener knew, and ``things`` what was published."""

    def __init__(self, seed: int, begin_ns: int, latency_ms: int = 20) -> None:
        self.random = random.Random(seed)
        self.now_ns = begin_ns
        """The venue's."""
        self.latency_ms = latency_ms
        self.update_id, self.trade_id = 100, 500
        self.middle = 10_000
        self.levels: dict[str, dict[int, int]] = {"bid": {}, "ask": {}}
        self.best: list[Best] = []
        self.at_venue: dict[int, Best] = {}
        """The same after each change, and what was told with it, by the venue's time."""
        self.known = OrderBook()
        self.at_ns = self.heard_ns = 0
        for distance in range(1, 40):
            self.levels["bid"][self.middle - distance] = self.levels["ask"][self.middle + distance] = 5

    def arrival(self, extra_ms: int = 0) -> int:
        return self.now_ns + (self.latency_ms + extra_ms) * MS + self.random.randrange(3 * MS)

    def snapshot(self) -> BookSnapshot:
        return BookSnapshot(self.update_id, self._side("bid"), self._side("ask"), self.arrival(300))

    def change(self) -> DepthUpdate:
        """The middle moves, and what is in its way goes."""
        self.now_ns += self.random.randrange(5, 120) * MS
        self.middle += self.random.choice((-2, -1, 0, 0, 1, 2))
        changed: dict[str, dict[int, int]] = {"bid": {}, "ask": {}}
        for side, sign in (("bid", -1), ("ask", 1)):
            for price in [price for price in self.levels[side] if sign * (price - self.middle) < 1]:
                changed[side][price] = 0
            for _ in range(3):
                changed[side][self.middle + sign * self.random.randrange(1, 40)] = self.random.randrange(0, 9)
            changed[side].setdefault(self.middle + sign * self.random.randrange(1, 4), 7)
            for price, quantity in changed[side].items():
                self.levels[side].pop(price, None)
                if quantity:
                    self.levels[side][price] = quantity
        first, self.update_id = self.update_id + 1, self.update_id + self.random.randrange(1, 5)
        bids, asks = (
            [(_price(price), _quantity(quantity)) for price, quantity in changed[side].items()]
            for side in ("bid", "ask")
        )
        return DepthUpdate(first, self.update_id, bids, asks, self.now_ns, self.arrival())

    def trade(self) -> Trade:
        """Now and then it overtakes a change, or is overtaken."""
        self.trade_id += 1
        price = self.middle + self.random.choice((-1, 1))
        return Trade(
            self.trade_id, _price(price), _quantity(1), price < self.middle, self.now_ns, self.now_ns,
            self.arrival(self.random.choice((0, 0, 40))),
        )  # fmt: skip

    def hear(self, thing: Event | Loss) -> None:
        """What a listener of the book makes of it."""
        self.at_ns = max(
            self.at_ns,
            getattr(thing, "received_ns", 0) or getattr(thing, "noticed_ns", 0) or getattr(thing, "at_ns", 0),
        )
        if isinstance(thing, Event):
            self.known.take(thing)
        else:
            self.known.lose()
        bid, ask = (side.nearest(1) for side in (self.known.bid_side, self.known.ask_side))
        self.best.append(Best(self.at_ns, bid[0][0] if bid else None, ask[0][0] if ask else None))
        if isinstance(thing, DepthUpdate):
            self.heard_ns = thing.venue_time_ns
        if self.heard_ns and not isinstance(thing, BookSnapshot):
            self.at_venue[self.heard_ns] = self.best[-1]

    def _side(self, side: str) -> list[tuple[str, str]]:
        return [
            (_price(price), _quantity(quantity))
            for price, quantity in sorted(self.levels[side].items(), reverse=side == "bid")
        ]


def _price(ticks: int) -> str:
    return f"{ticks // 100}.{ticks % 100:02}"


def _quantity(lots: int) -> str:
    return f"0.00{lots}"


def record(to: Path, market: Market, steps: int, segments: int = 3) -> None:
    """A recording with a hole in each topic, of which one is filled, and a loss; the segments are made into files."""
    made = journal_in(to)
    for segment in range(segments):
        for topic, things in _published(market, steps // segments, first=not segment):
            continuity = CHANGES if topic == BOOK else ONES
            for thing in things:
                put(made, topic, thing, continuity=continuity, publish_ns=market.now_ns)
                if topic == BOOK and not isinstance(thing, Restart):
                    market.hear(thing)
        made.roll(b"")
    convert(to, made.number)


def _published(market: Market, steps: int, *, first: bool) -> Iterator[tuple[str, list[Event | Loss | Restart]]]:
    late: list[Trade] = []
    if first:
        yield BOOK, [market.snapshot()]
    for step in range(steps):
        changes: list[Event | Loss | Restart] = [market.change()]
        trades: list[Event | Loss | Restart] = [market.trade() for _ in range(market.random.randrange(3))]
        if step == steps // 3:
            late = [market.trade(), market.trade()]
            trades.append(Gap(late[0].trade_id, late[1].trade_id, "connection lost", market.arrival()))
        if step == steps // 2:
            lost = [market.change() for _ in range(5)]
            changes += [
                Gap(lost[0].first_update_id, lost[-1].last_update_id, "connection lost", market.arrival()),
                market.snapshot(),
            ]
            # What the snapshot has already comes after it.
            changes += [market.change()]
        if step == steps * 2 // 3:
            trades += [Backfilled(trade_again(trade, market.arrival(2000))) for trade in late]
            market.change()
            changes += [Loss(5, 6, None, None, market.arrival()), market.snapshot()]
        yield BOOK, changes
        yield TRADES, trades


def trade_again(trade: Trade, received_ns: int) -> Trade:
    """The same, fetched later."""
    return Trade(
        trade.trade_id,
        trade.price,
        trade.quantity,
        trade.buyer_is_maker,
        trade.trade_time_ns,
        trade.venue_time_ns,
        received_ns,
    )


def record_messages(to: Path, file: Path, venue: str, *streams: str) -> None:
    """A recording of real messages of BTCUSDT, each line of ``file`` our time and JSON, with our times as they were."""
    codec = (market := venues.load(venue)).codec(market.stream_specs(streams, ["BTCUSDT"]))
    book = next(topic for topic in codec.topics if topic.kind.startswith("depth"))
    made = journal_in(to)
    with gzip.open(file, "rb") as lines:
        for line in lines:
            local, _, message = line.rstrip().partition(b" ")
            at_ns, found = int(local), list[tuple[int, Event]]()
            codec.decode(message, at_ns, found)
            if message.startswith(b'{"lastUpdateId"'):
                data = json.loads(message)
                bids, asks = ([(price, quantity) for price, quantity in data[side]] for side in ("bids", "asks"))
                whole = BookSnapshot(data["lastUpdateId"], bids, asks, at_ns)
                put(made, book.topic, whole, continuity=book.continuity, publish_ns=at_ns)
            for index, event in found:
                topic = codec.topics[index]
                put(made, topic.topic, event, continuity=topic.continuity, publish_ns=at_ns)
    made.roll(b"")
    convert(to, made.number)
