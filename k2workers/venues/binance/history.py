"""Owns the backfill from Binance spot's REST: which endpoint has the events of which kind, and which ids its reply speaks for.

Sources: "Market Data endpoints" of the spot REST documents. trades is served from memory, historicalTrades, aggTrades and
klines from a database that may lag behind the streams.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Self

from k2workers.events import AggTrade, BookSnapshot, Event, Kline, Trade
from k2workers.venues.binance.rest import AggTradeRow, KlineRow, RestClient, TradeRow
from k2workers.venues.binance.streams import KINDS
from k2workers.venues.venue import Fetched, Topic

PAGE = 1_000
"""Rows in one reply, the venue's most."""

Range = tuple[int, int]

_US = 1_000
_UTC8 = "_utc8"


class BinanceHistory(RestClient):
    """Fulfils ``venues.venue.History``."""

    def __init__(self, base_url: str, ssl_context: ssl.SSLContext | None = None, book_levels: int = 1_000) -> None:
        super().__init__(base_url, ssl_context)
        self._book_levels = book_levels

    async def __aenter__(self) -> Self:
        return await super().__aenter__()

    def weight(self, topic: Topic, *, snapshot: bool) -> int:
        """Documented weights of 2026."""
        if snapshot:
            levels = self._book_levels
            return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250
        return BACKFILLS[KINDS[topic.kind].event_type].weight

    async def fetch(self, topic: Topic, first_id: int, last_id: int, attempt: int) -> Fetched:
        """See ``History.fetch``. The first try for trades asks the memory, which knows the newest 1,000 at once."""
        return await BACKFILLS[KINDS[topic.kind].event_type].fetch(self, topic, first_id, last_id, attempt)

    async def book(self, topic: Topic) -> BookSnapshot:
        """See ``History.book``."""
        reply = await self.depth(topic.symbol, self._book_levels)
        return BookSnapshot(reply.lastUpdateId, reply.bids, reply.asks, time.time_ns())

    async def _trades(self, topic: Topic, first_id: int, last_id: int, attempt: int) -> Fetched:
        if attempt == 0 and last_id - first_id < PAGE // 2:
            rows = await self.trades(topic.symbol, PAGE)
            from_id = None  # whatever is newest
        else:
            rows = await self.historical_trades(topic.symbol, first_id, PAGE)
            from_id = first_id
        received_ns = time.time_ns()
        events = [_trade(row, received_ns) for row in rows if row is not None and first_id <= row.id <= last_id]
        return Fetched(events, _covered([None if row is None else (row.id, row.id) for row in rows], from_id, first_id))

    async def _agg_trades(self, topic: Topic, first_id: int, last_id: int, _attempt: int) -> Fetched:
        rows = await self.agg_trades(topic.symbol, first_id, PAGE)
        received_ns = time.time_ns()
        # Rows with f = -1 are duplicates that the venue has invalidated: nothing stands for their id.
        wanted = [row for row in rows if row is not None and first_id <= row.a <= last_id and row.f >= 0]
        covered = _covered([None if row is None else (row.a, row.a) for row in rows], first_id, first_id)
        return Fetched([_agg_trade(row, received_ns) for row in wanted], covered)

    async def _klines(self, topic: Topic, first_id: int, last_id: int, _attempt: int) -> Fetched:
        """Ids of bars are open times in ns; ``last_id`` is before a bar that opened, so every row is final."""
        interval, utc8 = topic.kind.removeprefix("kline_"), topic.kind.endswith(_UTC8)
        rows = await self.klines(
            topic.symbol,
            interval.removesuffix(_UTC8),
            start_us=first_id // _US,
            end_us=last_id // _US,
            limit=PAGE,
            utc8=utc8,
        )
        received_ns = time.time_ns()
        covered = _covered(
            [None if row is None else (row.open_time * _US, row.close_time * _US) for row in rows], first_id, first_id
        )
        return Fetched([_kline(row, received_ns) for row in rows if row is not None], covered)


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
    """How missing events of one type are asked for: the request's documented weight, and what makes events of its rows."""

    weight: int
    fetch: Callable[[BinanceHistory, Topic, int, int, int], Awaitable[Fetched]]


BACKFILLS: dict[type[Event], TypeBackfill] = {
    Trade: TypeBackfill(25, BinanceHistory._trades),  # noqa: SLF001 - the table belongs to the class
    AggTrade: TypeBackfill(4, BinanceHistory._agg_trades),  # noqa: SLF001
    Kline: TypeBackfill(2, BinanceHistory._klines),  # noqa: SLF001
}
"""Every type that can be asked for again."""


def _trade(row: TradeRow, received_ns: int) -> Event:
    # REST does not say when the stream would have sent it: the venue's time is that of the trade.
    at_ns = row.time * _US
    return Trade(row.id, row.price, row.qty, row.isBuyerMaker, at_ns, at_ns, received_ns)


def _agg_trade(row: AggTradeRow, received_ns: int) -> Event:
    at_ns = row.T * _US
    return AggTrade(row.a, row.f, row.l, row.p, row.q, row.m, at_ns, at_ns, received_ns)


def _kline(row: KlineRow, received_ns: int) -> Event:
    close_ns = row.close_time * _US
    return Kline(
        row.open_time * _US, close_ns, row.open, row.high, row.low, row.close, row.volume, row.quote_volume,
        row.taker_buy_volume, row.taker_buy_quote_volume, -1, -1, row.trade_count, True, close_ns, received_ns,
    )  # fmt: skip
