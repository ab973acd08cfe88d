"""Owns the backfill from Binance spot's REST: which endpoint has the events of which kind, and what its reply says of the ids.

Sources: "Market Data endpoints" of the spot REST documents. trades is served from memory, historicalTrades, aggTrades and
klines from a database that may lag behind the streams. Of an endpoint that the host does not have, nothing is asked.

Each trade is in one aggregate, and both are numbered without gaps, as far as is known. So between two aggregates whose ids follow each other no trade is missing, and
between two whose trades follow each other no aggregate: what is missing there never existed, however late the database is.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Self

from k2workers.errors import EndpointMissing
from k2workers.events import AggTrade, BookSnapshot, Event, Kline, Trade
from k2workers.venues.binance import weights
from k2workers.venues.binance.dialect import SPOT_DIALECT, Dialect
from k2workers.venues.binance.rest import RestClient
from k2workers.venues.binance.rows import AggTradeRow, KlineRow, TradeRow
from k2workers.venues.binance.streams import KINDS
from k2workers.venues.binance.values import nanoseconds
from k2workers.venues.venue import Fetched, FetchedBook, Topic

PAGE = 1_000
"""Rows in one reply, the venue's most."""


Range = tuple[int, int]

_UTC8 = "_utc8"


class BinanceHistory(RestClient):
    """Fulfils ``venues.venue.History``."""

    def __init__(
        self,
        base_url: str,
        ssl_context: ssl.SSLContext | None = None,
        dialect: Dialect = SPOT_DIALECT,
        *,
        book_levels: int,
    ) -> None:
        super().__init__(base_url, ssl_context, dialect=dialect)
        self._book_levels = book_levels

    async def __aenter__(self) -> Self:
        return await super().__aenter__()

    def weight(self, topic: Topic, *, doubted: bool = False) -> int:
        """See ``weights.py``."""
        row = BACKFILLS[KINDS[topic.kind].event_type]
        return row.weight + (row.proof_weight if doubted else 0)

    async def fetch(self, topic: Topic, first_id: int, last_id: int, attempt: int, *, doubted: bool = False) -> Fetched:
        """See ``History.fetch``. The first try for trades asks the memory, which knows the newest 1,000 at once."""
        row = BACKFILLS[KINDS[topic.kind].event_type]
        if row.path and self.endpoints.missing(row.path, time.monotonic_ns()):
            return Fetched([], None, unavailable=[(first_id, last_id)])
        if row.path:
            self._ask_only_if_there(row.path)
        return await row.fetch(self, topic, first_id, last_id, attempt, doubted)

    def book_weight(self, *, deep: bool) -> int:
        """See ``weights.BOOK``."""
        return weights.of_book(self._levels(deep=deep))

    async def book(self, topic: Topic, *, deep: bool) -> FetchedBook:
        """See ``History.book``."""
        self._ask_only_if_there("depth")
        levels = self._levels(deep=deep)
        reply = await self.depth(topic.symbol, levels)
        snapshot = BookSnapshot(reply.lastUpdateId, reply.bids, reply.asks, time.time_ns())
        return FetchedBook(snapshot, levels < self._book_levels and max(len(reply.bids), len(reply.asks)) >= levels)

    def _levels(self, *, deep: bool) -> int:
        return self._book_levels if deep else min(weights.CHEAP_LEVELS, self._book_levels)

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
        events = [_trade(row, received_ns) for row in rows if row is not None and first_id <= row.id <= last_id]
        unavailable = []
        if only_memory and self.endpoints.missing("historicalTrades", now_ns) and rows and rows[0] is not None:
            unavailable = _before(rows[0].id, first_id, last_id)
        void, exist = await self._in_aggregates(topic, rows, first_id, last_id) if doubted else ([], [])
        covered = _covered([None if row is None else (row.id, row.id) for row in rows], from_id, first_id)
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
        covered = _covered([None if row is None else (row.a, row.a) for row in rows], first_id, first_id)
        events = [_agg_trade(row, received_ns) for row in wanted]
        return Fetched(events, covered, void=void_aggregates(rows), full=_full(rows))

    async def _klines(self, topic: Topic, first_id: int, last_id: int, _attempt: int, _doubted: bool) -> Fetched:
        """Ids of bars are open times in ns; ``last_id`` is before a bar that opened, so every row is final."""
        interval, utc8 = topic.kind.removeprefix("kline_"), topic.kind.endswith(_UTC8)
        rows = await self.klines(
            topic.symbol,
            interval.removesuffix(_UTC8),
            start_ns=first_id,
            end_ns=last_id,
            limit=PAGE,
            utc8=utc8,
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
        return Fetched([_kline(row, received_ns) for row in rows if row is not None], covered, full=full)


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
    """How missing events of one type are asked for: the request's documented weight, what proof costs besides, the endpoint without which there is
    nothing, and what makes events of its rows.
    """

    weight: int
    proof_weight: int
    path: str
    fetch: Callable[[BinanceHistory, Topic, int, int, int, bool], Awaitable[Fetched]]


BACKFILLS: dict[type[Event], TypeBackfill] = {
    Trade: TypeBackfill(weights.TRADES, weights.AGGREGATES, "", BinanceHistory._trades),  # noqa: SLF001 - the table belongs to the class
    AggTrade: TypeBackfill(weights.AGGREGATES, 0, "aggTrades", BinanceHistory._agg_trades),  # noqa: SLF001
    Kline: TypeBackfill(weights.BARS, 0, "klines", BinanceHistory._klines),  # noqa: SLF001
}
"""Every type that can be asked for again."""


def _trade(row: TradeRow, received_ns: int) -> Event:
    # REST does not say when the stream would have sent it: the venue's time is that of the trade.
    at_ns = nanoseconds(row.time)
    return Trade(row.id, row.price, row.qty, row.isBuyerMaker, at_ns, at_ns, received_ns)


def _agg_trade(row: AggTradeRow, received_ns: int) -> Event:
    at_ns = nanoseconds(row.T)
    return AggTrade(row.a, row.f, row.l, row.p, row.q, row.m, at_ns, at_ns, received_ns)


def _kline(row: KlineRow, received_ns: int) -> Event:
    close_ns = nanoseconds(row.close_time)
    return Kline(
        nanoseconds(row.open_time), close_ns, row.open, row.high, row.low, row.close, row.volume, row.quote_volume,
        row.taker_buy_volume, row.taker_buy_quote_volume, -1, -1, row.trade_count, True, close_ns, received_ns,
    )  # fmt: skip
