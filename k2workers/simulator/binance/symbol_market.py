"""Owns the state of one symbol: ids, book, histories, bars. Pure: the caller gives the time and takes the events.

One update id counter feeds bookTicker ``u``, the windows ``U``/``u`` of both diff-depth speeds and REST
``lastUpdateId``; trade ids rise by one; aggregate ids rise by one and chain ``f``/``l`` over the trade ids.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from functools import partial
from operator import itemgetter
from typing import Any

from k2workers.simulator.binance import payloads
from k2workers.simulator.binance.bars import DAY, SECOND, UTC8, Bar, Bars, Series
from k2workers.simulator.binance.book import Changes, Level, Side
from k2workers.simulator.binance.payloads import SCALE
from k2workers.simulator.binance.stream_names import SymbolStreams
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


class SymbolMarket:
    """One symbol. ``wanted`` is the live set of stream names with a subscriber: other streams make no events."""

    __slots__ = (
        "_history", "_history_us", "_partial_id", "_slow_partial_id", "_wanted", "acts", "agg_id", "aggs", "asks", "bars",
        "base", "bids", "block_id", "blocks", "books", "fast", "last_price", "last_qty", "last_trade_us", "listed", "quote",
        "slow", "status", "step", "streams", "symbol", "tick", "trade_id", "trades", "update_id", "wanted",
    )  # fmt: skip

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
        self.streams = SymbolStreams(symbol)
        self.wanted = self._wanted = wanted
        self.acts = True
        self.update_id, self.trade_id, self.agg_id = ids
        self.block_id = 0
        self.bids, self.asks = Side(1), Side(-1)
        self.fast = Changes(self.update_id + 1)
        self.slow = Changes(self.update_id + 1)
        self.trades: list[TradeRow] = []
        self.aggs: list[AggRow] = []
        self.blocks: list[TradeRow] = []
        self._history, self._history_us = history, history_us
        self.bars = Bars(now_us, price)
        self.last_price, self.last_qty, self.last_trade_us = price, 0, now_us
        self._partial_id = self._slow_partial_id = -1
        self.books: deque[BookRow] | None = None
        """The book at the end of the last windows, only while somebody asks for old ones."""

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

    def skip_ids(self, count: int) -> None:
        """The next trade ids never exist."""
        self.trade_id += count

    def renumber(self, first: int) -> None:
        """All ids begin anew here; nothing is known any more of what had the old ones."""
        self.trade_id = self.agg_id = self.update_id = self.block_id = first - 1
        for rows in (self.trades, self.aggs, self.blocks):
            rows.clear()
        self.fast, self.slow = Changes(first), Changes(first)
        self._partial_id = self._slow_partial_id = -1
        if self.books is not None:
            self.books.clear()

    def set_level(self, side: Side, price: int, qty: int) -> None:
        """One change of the book: takes the next update id."""
        self.update_id += 1
        side.set(price, qty)
        changed = self.fast.bids if side is self.bids else self.fast.asks
        changed[price] = qty

    def add_trade(self, price: int, qty: int, at_us: int, maker: bool, now_us: int, out: list[Emission]) -> None:
        """Records the next trade; the caller closes the aggregate with ``add_agg``."""
        self.trade_id += 1
        number = self.trade_id
        self.keep_trade((number, price, qty, at_us, maker))
        name = self.streams.trade
        if name in self.wanted:
            render = partial(payloads.trade, self.symbol, number, price, qty, at_us, now_us, maker)
            out.append(Emission(name, number, number, render))

    def keep_trade(self, row: TradeRow) -> None:
        """Puts a trade into the history and the bars."""
        number, price, qty, at_us, maker = row
        self.trades.append(row)
        self._bound(self.trades)
        self.last_price, self.last_qty, self.last_trade_us = price, qty, at_us
        self.bars.live.add(number, price, qty, price * qty // SCALE, maker)

    def stand_for_trades(self, row: AggRow) -> None:
        """Counts an aggregate trade in prices and bars as one trade, where its trades themselves are not known."""
        _, price, qty, first, last, at_us, maker = row
        self.last_price, self.last_qty, self.last_trade_us = price, qty, at_us
        live = self.bars.live
        live.add(last, price, qty, price * qty // SCALE, maker)
        live.first_id = min(live.first_id, first)

    def add_agg(self, row: AggRow, now_us: int, out: list[Emission]) -> None:
        """Records one aggregate trade whose id is the next one."""
        self.agg_id = row[0]
        self.aggs.append(row)
        self._bound(self.aggs)
        name = self.streams.agg_trade
        if name in self.wanted:
            out.append(Emission(name, row[0], row[0], partial(payloads.agg_trade, self.symbol, row, now_us)))

    def emit_book_ticker(self, out: list[Emission]) -> None:
        """Best bid and ask as they stand; the caller calls it only when one of them changed."""
        name = self.streams.book_ticker
        if name in self.wanted:
            number = self.update_id
            render = partial(payloads.book_ticker, self.symbol, number, self.bids.best(), self.asks.best())
            out.append(Emission(name, number, number, render))

    def flush_fast(self, now_us: int, out: list[Emission]) -> None:
        """Ends the 100 ms window: depth@100ms and the fast partial books. An empty window sends nothing."""
        window = self.fast
        if window.bids or window.asks:
            self._emit_depth(self.streams.fast_depth, window, now_us, out)
            self.slow.bids.update(window.bids)
            self.slow.asks.update(window.asks)
            self.fast = Changes(self.update_id + 1)
            if self.books is not None:
                self.books.append((self.update_id, self.bids.top(5000), self.asks.top(5000)))
        if self._partial_id != self.update_id:
            self._partial_id = self.update_id
            self._emit_partial(self.streams.fast_partial, out)

    def _emit_depth(self, names: tuple[str, ...], window: Changes, now_us: int, out: list[Emission]) -> None:
        render: Render | None = None
        for name in names:
            if name in self.wanted:
                if render is None:
                    bids, asks = window.sorted_levels()
                    first, last = window.first_id, self.update_id
                    render = partial(payloads.depth_update, self.symbol, first, last, bids, asks, now_us)
                out.append(Emission(name, window.first_id, self.update_id, render))

    def _emit_partial(self, streams: tuple[tuple[str, int], ...], out: list[Emission]) -> None:
        for name, count in streams:
            if name in self.wanted:
                number = self.update_id
                render = partial(payloads.partial_depth, number, self.bids.top(count), self.asks.top(count))
                out.append(Emission(name, number, number, render))

    def flush_slow(self, now_us: int, out: list[Emission]) -> None:
        """Ends the 1 s window, which is whole 100 ms windows; then the streams that are pushed each second."""
        if self.slow.bids or self.slow.asks:
            self._emit_depth(self.streams.slow_depth, self.slow, now_us, out)
            self.slow = Changes(self.update_id + 1)
        if self._slow_partial_id != self.update_id:
            self._slow_partial_id = self.update_id
            self._emit_partial(self.streams.slow_partial, out)
        self._emit_tickers(now_us, out)

    def _emit_tickers(self, now_us: int, out: list[Emission]) -> None:
        streams, wanted, symbol = self.streams, self.wanted, self.symbol

        def emit(name: str, render: Render) -> None:
            out.append(Emission(name, now_us, now_us, render))

        if streams.mini_ticker in wanted:
            emit(streams.mini_ticker, partial(payloads.mini_ticker, symbol, self.bars.window(1440), now_us))
        if streams.ticker in wanted:
            best = self.bids.best(), self.asks.best()
            bar = self.bars.window(1440)
            emit(streams.ticker, partial(payloads.ticker, symbol, bar, self.last_qty, *best, now_us))
        for name, window in streams.windows:
            if name in wanted:
                emit(name, self.window_render(window, now_us))
        if streams.avg_price in wanted:
            at = self.last_trade_us
            emit(streams.avg_price, partial(payloads.average_price, symbol, self.average(), at, now_us))
        if streams.reference_price in wanted:
            emit(
                streams.reference_price,
                partial(payloads.reference_price, symbol, self.last_price, now_us),
            )

    def average(self) -> int:
        """The volume-weighted price of the last five minutes; the last price if nothing was traded."""
        bar = self.bars.window(5)
        return bar.quote * SCALE // bar.volume if bar.volume else self.last_price

    def array_render(self, window: str, now_us: int) -> Render:
        """The element of an ``!…@arr`` stream: a rolling window's, or miniTicker's if ``window`` is empty."""
        if window:
            return self.window_render(window, now_us)
        return partial(payloads.mini_ticker, self.symbol, self.bars.window(1440), now_us)

    def window_render(self, window: str, now_us: int) -> Render:
        """The payload of ticker_1h, ticker_4h or ticker_1d."""
        minutes = {"1h": 60, "4h": 240, "1d": 1440}[window]
        return partial(payloads.window_ticker, self.symbol, window, self.bars.window(minutes), now_us)

    def push_klines(self, now_us: int, out: list[Emission]) -> None:
        """The bars in progress, every two seconds; 1s bars are pushed once, when they close."""
        for name, interval, shifted in self.streams.klines:
            if interval != "1s" and name in self.wanted:
                bar = self.bars.view(interval, UTC8 if shifted else 0)
                render = partial(payloads.kline, self.symbol, interval, bar, False, now_us)
                out.append(Emission(name, bar.open_us, bar.open_us, render))

    def close_second(self, now_us: int, out: list[Emission]) -> None:
        """Ends the live one-second bar and whatever ends with it; each final bar is emitted once, ``x`` true."""

        def final(series: Series, bar: Bar) -> None:
            if self.bars.series.get((series.interval, 0)) is series or series.interval == "1s":
                self._emit_final(series.interval, "", bar, now_us, out)
            if self.bars.series.get((series.interval, UTC8)) is series or series.interval == "1s":
                self._emit_final(series.interval, "@+08:00", bar, now_us, out)

        self.bars.close_second(final)
        self._forget(now_us)

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

    def _emit_final(self, interval: str, tail: str, bar: Bar, now_us: int, out: list[Emission]) -> None:
        name = f"{self.streams.kline_base}{interval}{tail}"
        if name in self.wanted:
            render = partial(payloads.kline, self.symbol, interval, bar, True, now_us)
            out.append(Emission(name, bar.open_us, bar.open_us, render))

    def keep_block(self, row: TradeRow) -> None:
        """Puts a block trade into the history."""
        self.block_id = row[0]
        self.blocks.append(row)
        self._bound(self.blocks)

    def emit_block_trade(self, qty: int, at_us: int, out: list[Emission]) -> None:
        """A block trade: its ids are a space of their own, and it is not part of the trade stream."""
        self.keep_block((self.block_id + 1, self.last_price, qty, at_us, True))
        name = self.streams.block_trade
        if name in self.wanted:
            number = self.block_id
            render = partial(payloads.block_trade, self.symbol, number, self.last_price, qty, at_us, True)
            out.append(Emission(name, number, number, render))
