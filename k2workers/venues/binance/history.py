"""Owns the backfill from the REST of Binance's markets: which endpoint has the events of which kind, and what its reply says of the ids.

Sources: "Market Data endpoints" of the spot REST documents. trades is served from memory, historicalTrades, aggTrades and
klines from a database that may lag behind the streams. Of an endpoint that the host does not have, nothing is asked.

Each trade is in one aggregate, and both are numbered without gaps, as far as is known. So between two aggregates whose ids follow each other no trade is missing, and
between two whose trades follow each other no aggregate: what is missing there never existed, however late the database is.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, Self

from k2workers.errors import EndpointMissing
from k2workers.events import AggTrade, BookSnapshot, ContinuousKline, Event, Kline, Trade
from k2workers.futures_events import FuturesAggTrade, FuturesTrade
from k2workers.venues.binance.dialect import SPOT_DIALECT, Dialect
from k2workers.venues.binance.futures_streams import ASKED
from k2workers.venues.binance.rest import RestClient
from k2workers.venues.binance.rows import AggTradeRow, TradeRow
from k2workers.venues.binance.streams import KINDS, StreamKind
from k2workers.venues.binance.values import nanoseconds
from k2workers.venues.binance.weights import Weights
from k2workers.venues.venue import Fetched, FetchedBook, Topic

PAGE = 1_000
"""Rows in one reply, the venue's most."""


FORGETS_WITHIN_NS = 3_600_000_000_000
"""So much earlier than it says a market may forget."""

Range = tuple[int, int]

_UTC8 = "_utc8"


class BinanceHistory(RestClient):
    """Fulfils ``venues.venue.History``."""

    def __init__(
        self,
        base_url: str,
        ssl_context: ssl.SSLContext | None = None,
        dialect: Dialect = SPOT_DIALECT,
        kinds: Mapping[str, StreamKind] = KINDS,
        *,
        book_levels: int,
    ) -> None:
        super().__init__(base_url, ssl_context, dialect=dialect)
        self._event_type_of = {kind.kind: kind.event_type for kind in kinds.values()}
        self._book_levels = book_levels

    async def __aenter__(self) -> Self:
        return await super().__aenter__()

    def weight(self, topic: Topic, *, doubted: bool = False) -> int:
        """See ``weights.py``."""
        own, beside = self._dialect.weights, self._dialect.trades_beside_the_book
        row = BACKFILLS[self._event_type_of[topic.kind]]
        return row.weight(own) + (own.aggregates if doubted and row.proven_by_aggregates and not beside else 0)

    async def fetch(self, topic: Topic, first_id: int, last_id: int, attempt: int, *, doubted: bool = False) -> Fetched:
        """See ``History.fetch``. The first try for trades asks the memory, which knows the newest 1,000 at once."""
        row = BACKFILLS[self._event_type_of[topic.kind]]
        if row.path and self.endpoints.missing(row.path, time.monotonic_ns()):
            return Fetched([], None, unavailable=[(first_id, last_id)])
        if row.path:
            self._ask_only_if_there(row.path)
        return await row.fetch(self, topic, first_id, last_id, attempt, doubted)

    async def poll(self, topic: Topic) -> Event | None:
        """See ``History.poll``."""
        self._ask_only_if_there(ASKED[topic.kind].path)
        if topic.kind == "open_interest":
            return (await self.open_interest(topic.symbol)).event(time.time_ns())
        newest = await self.newest_funding(topic.symbol)
        return None if newest is None else newest.event(time.time_ns())

    def book_weight(self, topic: Topic, *, deep: bool) -> int:
        """See ``Weights.book``."""
        _, weight = self._book_of(topic)
        return weight or self._dialect.weights.of_book(self._levels(deep=deep))

    async def book(self, topic: Topic, *, deep: bool) -> FetchedBook:
        """See ``History.book``."""
        path, weight = self._book_of(topic)
        self._ask_only_if_there(path)
        levels = self._levels(deep=deep or weight > 0)
        reply = await self.depth(topic.symbol, levels, path)
        snapshot = BookSnapshot(reply.lastUpdateId, reply.bids, reply.asks, time.time_ns())
        cut = levels < self._book_levels and max(len(reply.bids), len(reply.asks)) >= levels
        return FetchedBook(snapshot, cut, levels)

    def _book_of(self, topic: Topic) -> tuple[str, int]:
        """The endpoint that has its book, and what that weighs; 0: as many levels as are asked for decide."""
        return self._dialect.own_books.get(topic.kind, ("depth", 0))

    def _levels(self, *, deep: bool) -> int:
        return self._book_levels if deep else min(self._dialect.weights.cheap_levels, self._book_levels)

    def _ask_only_if_there(self, path: str) -> None:
        if self.endpoints.left_alone(path, time.monotonic_ns()):
            raise EndpointMissing(f"the host has no {path}")

    async def _trades(self, topic: Topic, first_id: int, last_id: int, attempt: int, doubted: bool) -> Fetched:
        now_ns = time.monotonic_ns()
        only_memory = self.endpoints.left_alone("historicalTrades", now_ns)
        memory = not self.endpoints.left_alone("trades", now_ns)
        if only_memory and not memory:
            gone = all(self.endpoints.missing(path, now_ns) for path in ("trades", "historicalTrades"))
            return Fetched([], None, unavailable=[(first_id, last_id)] if gone else [])
        first = attempt == 0 and not doubted and last_id - first_id < PAGE // 2
        if only_memory or (memory and (first or self.endpoints.in_doubt("historicalTrades", now_ns))):
            rows = await self.trades(topic.symbol, PAGE)
            from_id, full = None, None in rows  # whatever is newest
        else:
            # The row before the missing ids shows when they would have been.
            rows = await self.historical_trades(topic.symbol, max(0, first_id - 1) if doubted else first_id, PAGE)
            from_id, full = first_id, _full(rows)
        received_ns = time.time_ns()
        made = self._event_type_of[topic.kind]
        events = [row.event(made, received_ns) for row in rows if row is not None and first_id <= row.id <= last_id]
        unavailable: list[Range] = []
        if only_memory and self.endpoints.missing("historicalTrades", now_ns) and rows and rows[0] is not None:
            unavailable = _before(rows[0].id, first_id, last_id)
        covered = _covered([None if row is None else (row.id, row.id) for row in rows], from_id, first_id)
        void: list[Range] = []
        exist: list[Range] = []
        if not self._dialect.trades_beside_the_book:
            void, exist = await self._in_aggregates(topic, rows, first_id, last_id) if doubted else ([], [])
        elif doubted and covered is not None and memory:
            # The memory is never late: what it does not show was not made in the book, or never was.
            unavailable += _not_shown(events, max(first_id, covered[0]), min(last_id, covered[1]))
        return Fetched(events, covered, void, exist, unavailable, full)

    async def _in_aggregates(
        self, topic: Topic, rows: Sequence[TradeRow | None], first_id: int, last_id: int
    ) -> tuple[list[Range], list[Range]]:
        """What the aggregates say of trades around which these rows are: which ids never existed, and which do exist.

        Aggregates alone may be broken: that ids never existed needs both of their neighbours among the trades as well.
        """
        before = [row.time for row in rows if row is not None and row.id < first_id]
        after = [row.time for row in rows if row is not None and row.id > last_id]
        if not before or not after or self.endpoints.left_alone("aggTrades", time.monotonic_ns()):
            return [], []
        # Times may have been cut to whole units.
        void, exist = trades_within(await self.agg_trades_between(topic.symbol, before[-1], after[0] + 1, PAGE))
        shown = {row.id for row in rows if row is not None}
        return [(first, last) for first, last in void if {first - 1, last + 1} <= shown], exist

    async def _agg_trades(self, topic: Topic, first_id: int, last_id: int, _attempt: int, _doubted: bool) -> Fetched:
        # With the row before: where its trades end, those of the next aggregate begin.
        rows = await self.agg_trades(topic.symbol, max(0, first_id - 1), PAGE)
        received_ns = time.time_ns()
        # Rows with f = -1 are duplicates that the venue has invalidated: nothing stands for their id.
        wanted = [row for row in rows if row is not None and first_id <= row.a <= last_id and row.f >= 0]
        gone = self._forgotten(rows, first_id, last_id, received_ns)
        from_id = gone[-1][1] + 1 if gone else first_id
        covered = _covered([None if row is None else (row.a, row.a) for row in rows], from_id, from_id)
        made = self._event_type_of[topic.kind]
        events = [row.event(made, received_ns) for row in wanted]
        return Fetched(events, covered, void=void_aggregates(rows), unavailable=gone, full=_full(rows))

    def _forgotten(self, rows: Sequence[AggTradeRow | None], first_id: int, last_id: int, now_ns: int) -> list[Range]:
        """What lies before the first row, if that is about as old as the market's REST can tell."""
        oldest, kept_ns = rows[0] if rows else None, self._dialect.aggregates_kept_ns
        if not kept_ns or oldest is None or now_ns - nanoseconds(oldest.T) < kept_ns - FORGETS_WITHIN_NS:
            return []
        return _before(oldest.a, first_id, last_id)

    async def _klines(self, topic: Topic, first_id: int, last_id: int, _attempt: int, _doubted: bool) -> Fetched:
        """Ids of bars are open times in ns; ``last_id`` is before a bar that opened, so every row is final."""
        family, _, interval = topic.kind.partition("kline_")
        utc8 = topic.kind.endswith(_UTC8)
        rows = await self.klines(
            topic.symbol,
            interval.removesuffix(_UTC8),
            start_ns=first_id,
            end_ns=last_id,
            limit=PAGE,
            utc8=utc8,
            continuous=bool(family),
        )
        received_ns = time.time_ns()
        covered = _covered(
            [None if row is None else (nanoseconds(row.open_time), nanoseconds(row.close_time)) for row in rows],
            first_id,
            first_id,
        )
        full = _full(rows)
        if not full:
            covered = first_id, last_id  # all bars that opened between these times, even if there is none
        made = ContinuousKline if family else Kline
        return Fetched([row.event(made, received_ns) for row in rows if row is not None], covered, full=full)


def trades_within(aggregates: Sequence[AggTradeRow | None]) -> tuple[list[Range], list[Range]]:
    """The trade ids that are in none of the aggregates between two that follow each other, and those that do exist."""
    void: list[Range] = []
    exist: list[Range] = []
    last: AggTradeRow | None = None
    last_a = 0
    for row in aggregates:
        if row is None:
            last = None
            continue
        if last is not None and row.a != last_a + 1:
            last = None
        last_a = row.a
        if row.f < 0:
            last = None  # invalidated: it does not tell which trades were its own
            continue
        if last is not None and row.f > last.l + 1:
            void.append((last.l + 1, row.f - 1))
        exist.append((row.f, row.l))
        last = row
    return void, exist


def void_aggregates(rows: Sequence[AggTradeRow | None]) -> list[Range]:
    """The ids between aggregates whose trades follow each other."""
    void: list[Range] = []
    last: AggTradeRow | None = None
    for row in rows:
        if row is not None and row.f < 0:
            continue
        if row is not None and last is not None and row.a > last.a + 1 and row.f == last.l + 1:
            void.append((last.a + 1, row.a - 1))
        last = row
    return void


def _full(rows: Sequence[object | None]) -> bool:
    """Whether the venue may have newer rows than these can tell."""
    return len(rows) >= PAGE or None in rows


def _before(oldest_id: int, first_id: int, last_id: int) -> list[Range]:
    """Those of the ids that are below the oldest."""
    return [(first_id, min(last_id, oldest_id - 1))] if oldest_id > first_id else []


def _not_shown(events: Sequence[Event], first_id: int, last_id: int) -> list[Range]:
    """The ids of this range that none of the events in it has; their ids rise."""
    missing: list[Range] = []
    for event in events:
        if event.first_id > first_id:
            missing.append((first_id, event.first_id - 1))
        first_id = event.last_id + 1
    return [*missing, (first_id, last_id)] if first_id <= last_id else missing


def _covered(rows: Sequence[Range | None], from_id: int | None, first_id: int) -> Range | None:
    """The ids for which a reply speaks that was asked because of ``first_id``; the rows follow each other, None cannot be read.

    Where a row cannot be read nobody knows which ids it holds: the reply speaks only for those on the one side of it where
    ``first_id`` is. The others are asked for again. ``from_id`` is where the reply was asked to begin, if it was.
    """
    begin, end = from_id, None
    for row in rows:
        if row is not None:
            begin, end = row[0] if begin is None else begin, row[1]
        elif end is not None and end >= first_id:
            break
        else:
            begin = end = None
    return None if begin is None or end is None else (begin, end)


class TypeBackfill(NamedTuple):
    """How missing events of one type are asked for: what the request weighs, whether aggregates prove what it denies, the endpoint without which there is
    nothing, and what makes events of its rows.
    """

    weight: Callable[[Weights], int]
    proven_by_aggregates: bool
    path: str
    fetch: Callable[[BinanceHistory, Topic, int, int, int, bool], Awaitable[Fetched]]


BACKFILLS: dict[type[Event], TypeBackfill] = {
    Trade: TypeBackfill(attrgetter("trades"), True, "", BinanceHistory._trades),  # noqa: SLF001 - the table belongs to the class
    AggTrade: TypeBackfill(attrgetter("aggregates"), False, "aggTrades", BinanceHistory._agg_trades),  # noqa: SLF001
    FuturesAggTrade: TypeBackfill(attrgetter("aggregates"), False, "aggTrades", BinanceHistory._agg_trades),  # noqa: SLF001
    FuturesTrade: TypeBackfill(attrgetter("trades"), True, "", BinanceHistory._trades),  # noqa: SLF001
    Kline: TypeBackfill(attrgetter("bars"), False, "klines", BinanceHistory._klines),  # noqa: SLF001
    ContinuousKline: TypeBackfill(attrgetter("bars"), False, "continuousKlines", BinanceHistory._klines),  # noqa: SLF001
}
"""Every type that can be asked for again."""
