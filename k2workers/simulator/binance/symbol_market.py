"""Owns the state of one symbol, whichever market of the exchange it is in: ids, book, histories, bars. Pure: the caller gives the time and takes the events.

Trade ids rise by one; aggregate ids rise by one and chain ``f``/``l`` over the trade ids. What a message of it says, and what is pushed of
it as time passes, is its market's (``spot_symbol``, ``futures_symbol``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

from k2workers.simulator.binance.bars import DAY, SECOND, Bar, Bars, Series
from k2workers.simulator.binance.book import Level, Side
from k2workers.simulator.binance.book_sums import BookSums
from k2workers.simulator.binance.payloads import SCALE
from k2workers.simulator.stand_in import Emission, Render

TradeRow = tuple[int, int, int, int, bool]
"""(trade id, price, quantity, time in µs, buyer is maker)"""
AggRow = tuple[int, int, int, int, int, int, bool]
"""(aggregate id, price, quantity, first trade id, last trade id, time in µs, buyer is maker)"""

TRADING = "TRADING"
"""The status of a symbol in which something happens."""

SLACK = 8
"""What is kept of trades, aggregate and block trades is bounded by count and by age, each exceeded by an eighth at most."""

BookRow = tuple[int, list[Level], list[Level]]
"""(update id, bids, asks)"""


class CommonStreams(Protocol):
    """Names of the streams that every market has of a symbol."""

    @property
    def trade(self) -> str: ...

    @property
    def agg_trade(self) -> str: ...

    @property
    def book_ticker(self) -> str: ...


class SymbolMarket:
    """One symbol. ``wanted`` is the live set of stream names with a subscriber: other streams make no events."""

    __slots__ = (
        "_book_lines", "_book_sums", "_history", "_history_us", "_wanted", "acts", "agg_id", "aggs", "asks", "bars", "base", "bids", "block_id", "blocks", "books",
        "common", "last_price", "last_qty", "last_trade_us", "listed", "quote", "status", "step", "symbol", "tick", "trade_id",
        "trades", "update_id", "wanted",
    )  # fmt: skip
    common: CommonStreams

    def __init__(
        self,
        symbol: str,
        base: str,
        quote: str,
        tick: int,
        step: int,
        price: int,
        now_us: int,
        wanted: Collection[str],
        history: int = 20_000,
        ids: tuple[int, int, int] = (0, 0, 0),
        history_us: int = DAY,
    ) -> None:
        self.symbol, self.base, self.quote = symbol, base, quote
        self.status, self.listed = TRADING, True
        self.tick, self.step = tick, step
        self.wanted = self._wanted = wanted
        self.acts = True
        self.update_id, self.trade_id, self.agg_id = ids
        self.block_id = 0
        self.bids, self.asks = Side(1), Side(-1)
        self.trades: list[TradeRow] = []
        self.aggs: list[AggRow] = []
        self.blocks: list[TradeRow] = []
        self._history, self._history_us = history, history_us
        self.bars = Bars(now_us, price)
        self.last_price, self.last_qty, self.last_trade_us = price, 0, now_us
        self.books: deque[BookRow] | None = None
        """The book at the end of the last windows, only while somebody asks for old ones."""
        self._book_sums: BookSums | None = None
        self._book_lines: list[str] = []

    @property
    def rows_at_most(self) -> int:
        """The most trades, aggregate or block trades that are kept."""
        return self._history + self._history // SLACK

    @property
    def row_age_s_at_most(self) -> int:
        """Older ones are gone."""
        return (self._history_us + self._history_us // SLACK) // SECOND + 1

    def keep(self, history: int) -> None:
        """From now on no more than this many rows of each are kept."""
        self._history = history
        for rows in (self.trades, self.aggs, self.blocks):
            self._bound(rows)

    def _bound(self, rows: list[Any]) -> None:
        if len(rows) > self._history + self._history // SLACK:
            del rows[: -self._history]

    def be(self, status: str | None, *, listed: bool) -> None:
        """A symbol that does not trade, or is not listed, is silent: nothing happens in it and nothing is sent of it."""
        self.status, self.listed = TRADING if status is None else status, listed
        self.acts = listed and self.status == TRADING
        self.wanted = self._wanted if self.acts else frozenset()

    def keep_books(self, windows: int) -> None:
        """From now on the book at the end of this many 100 ms windows is kept, or of none."""
        self.books = deque(self.books or (), maxlen=windows) if windows else None

    def log_books(self, lines: list[str]) -> None:
        """From now on a line about the whole book at the end of each 100 ms window is added to these."""
        self._book_sums, self._book_lines = BookSums(self.bids, self.asks, self.level_texts), lines

    def level_texts(self, price: int, qty: int) -> tuple[str, str]:
        """A level as the venue writes it."""
        raise NotImplementedError

    def skip_ids(self, count: int) -> None:
        """The next trade ids never exist."""
        self.trade_id += count

    def renumber(self, first: int) -> None:
        """All ids begin anew here; nothing is known any more of what had the old ones."""
        self.trade_id = self.agg_id = self.update_id = self.block_id = first - 1
        for rows in (self.trades, self.aggs, self.blocks):
            rows.clear()
        if self.books is not None:
            self.books.clear()

    def walk(self, levels: int) -> None:
        """The market falls: so many of the nearest bids go, but the last one."""
        for price, _ in self.bids.top(levels)[: len(self.bids) - 1]:
            self.set_level(self.bids, price, 0)

    def set_level(self, side: Side, price: int, qty: int) -> None:
        """One change of the book: takes the next update id."""
        raise NotImplementedError

    def keep_book(self) -> None:
        """Remembers the book as it is at the end of a window, if somebody asks for old ones or for what they were."""
        if self._book_sums is not None:
            self._book_lines.append(self._book_sums.line(self.symbol, self.update_id))
        if self.books is not None:
            self.books.append((self.update_id, self.bids.top(5000), self.asks.top(5000)))

    def add_trade(self, price: int, qty: int, at_us: int, maker: bool, now_us: int, out: list[Emission]) -> None:
        """Records the next trade; the caller closes the aggregate with ``add_agg``."""
        self.trade_id += 1
        row = (self.trade_id, price, qty, at_us, maker)
        self.keep_trade(row)
        name = self.common.trade
        if name in self.wanted:
            out.append(Emission(name, row[0], row[0], partial(self.trade_text, row, now_us)))

    def trade_text(self, row: TradeRow, now_us: int, unit: int) -> str:
        """The message of a trade."""
        raise NotImplementedError

    def keep_trade(self, row: TradeRow) -> None:
        """Puts a trade into the history and the bars."""
        number, price, qty, at_us, maker = row
        self.trades.append(row)
        self._bound(self.trades)
        self.last_price, self.last_qty, self.last_trade_us = price, qty, at_us
        self.bars.live.add(number, price, qty, self.value(price, qty), maker)

    def value(self, price: int, qty: int) -> int:
        """Of what was traded, in the quote asset."""
        return price * qty // SCALE

    def stand_for_trades(self, row: AggRow) -> None:
        """Counts an aggregate trade in prices and bars as one trade, where its trades themselves are not known."""
        _, price, qty, first, last, at_us, maker = row
        self.last_price, self.last_qty, self.last_trade_us = price, qty, at_us
        live = self.bars.live
        live.add(last, price, qty, self.value(price, qty), maker)
        live.first_id = min(live.first_id, first)

    def add_agg(self, row: AggRow, now_us: int, out: list[Emission]) -> None:
        """Records one aggregate trade whose id is the next one."""
        self.agg_id = row[0]
        self.aggs.append(row)
        self._bound(self.aggs)
        name = self.common.agg_trade
        if name in self.wanted:
            out.append(Emission(name, row[0], row[0], partial(self.agg_text, row, now_us)))

    def agg_text(self, row: AggRow, now_us: int, unit: int) -> str:
        """The message of an aggregate trade."""
        raise NotImplementedError

    def emit_book_ticker(self, now_us: int, out: list[Emission]) -> None:
        """Best bid and ask as they stand; the caller calls it only when one of them changed."""
        name = self.common.book_ticker
        if name in self.wanted:
            out.append(Emission(name, self.update_id, self.update_id, self.best_render(now_us)))

    def best_render(self, now_us: int) -> Render:
        """The message of the best bid and ask as they stand."""
        raise NotImplementedError

    def average(self) -> int:
        """The volume-weighted price of the last five minutes; the last price if nothing was traded."""
        return self.mean_price(self.bars.window(5)) or self.last_price

    def mean_price(self, bar: Bar) -> int:
        """Weighted by volume; 0 if nothing was traded."""
        return bar.quote * SCALE // bar.volume if bar.volume else 0

    def close_second(self, now_us: int, out: list[Emission]) -> None:
        """Ends the live one-second bar and whatever ends with it; each final bar is emitted once, ``x`` true."""
        self.bars.close_second(self.on_final(now_us, out))
        self._forget(now_us)

    def on_final(self, now_us: int, out: list[Emission]) -> Callable[[Series, Bar], None]:
        """What is to be done with a bar that is final."""
        raise NotImplementedError

    def skip_to(self, at_us: int) -> None:
        """Ends every second before the one that holds ``at_us`` and emits nothing: a recording has its own bars."""
        if at_us >= self.bars.live.end_us:
            self.bars.skip_to(at_us)
            self._forget(at_us)

    def _forget(self, now_us: int) -> None:
        """Drops the rows that are too old, a few seconds' worth at a time: shifting a list has a price."""
        due_us, oldest_us = now_us - self._history_us - self._history_us // SLACK, now_us - self._history_us
        for rows, field in ((self.trades, 3), (self.aggs, 5), (self.blocks, 3)):
            if rows and rows[0][field] < due_us:
                del rows[: bisect_left(rows, oldest_us, key=itemgetter(field))]

    def keep_block(self, row: TradeRow) -> None:
        """Puts a block trade into the history."""
        self.block_id = row[0]
        self.blocks.append(row)
        self._bound(self.blocks)
