"""Owns what spot says of one symbol: the text of its messages, and what is pushed of it as time passes. Pure.

One update id counter feeds bookTicker ``u``, the windows ``U``/``u`` of both diff-depth speeds and REST ``lastUpdateId``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from k2workers.simulator.binance import payloads
from k2workers.simulator.binance.bars import UTC8, Bar, Series
from k2workers.simulator.binance.book import Changes, Side
from k2workers.simulator.binance.stream_names import SymbolStreams
from k2workers.simulator.binance.symbol_market import AggRow, SymbolMarket, TradeRow
from k2workers.simulator.stand_in import Emission, Render


class SpotSymbol(SymbolMarket):
    """A symbol of spot."""

    __slots__ = ("_partial_id", "_slow_partial_id", "fast", "slow", "streams")

    def __init__(self, symbol: str, *values: Any, **more: Any) -> None:
        """Takes what ``SymbolMarket`` does."""
        super().__init__(symbol, *values, **more)
        self.streams = self.common = SymbolStreams(symbol)
        self._begin_windows(self.update_id + 1)

    def _begin_windows(self, first: int) -> None:
        self.fast, self.slow = Changes(first), Changes(first)
        self._partial_id = self._slow_partial_id = -1

    def renumber(self, first: int) -> None:
        """All ids begin anew here."""
        super().renumber(first)
        self._begin_windows(first)

    def set_level(self, side: Side, price: int, qty: int) -> None:
        """One change of the book: takes the next update id."""
        self.update_id += 1
        side.set(price, qty)
        changed = self.fast.bids if side is self.bids else self.fast.asks
        changed[price] = qty

    def level_texts(self, price: int, qty: int) -> tuple[str, str]:
        return payloads.decimal(price), payloads.decimal(qty)

    def trade_text(self, row: TradeRow, now_us: int, unit: int) -> str:
        number, price, qty, at_us, maker = row
        return payloads.trade(self.symbol, number, price, qty, at_us, now_us, maker, unit)

    def agg_text(self, row: AggRow, now_us: int, unit: int) -> str:
        return payloads.agg_trade(self.symbol, row, now_us, unit)

    def best_render(self, now_us: int) -> Render:
        """The message of the best bid and ask as they stand, which tells no time."""
        return partial(payloads.book_ticker, self.symbol, self.update_id, self.bids.best(), self.asks.best())

    def flush_fast(self, now_us: int, out: list[Emission]) -> None:
        """Ends the 100 ms window: depth@100ms and the fast partial books. An empty window sends nothing."""
        window = self.fast
        if window.bids or window.asks:
            self._emit_depth(self.streams.fast_depth, window, now_us, out)
            self.slow.bids.update(window.bids)
            self.slow.asks.update(window.asks)
            self.fast = Changes(self.update_id + 1)
            self.keep_book()
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

    def on_final(self, now_us: int, out: list[Emission]) -> Callable[[Series, Bar], None]:
        """Emits a final bar; one whose interval is the same in both zones, in both."""

        def final(series: Series, bar: Bar) -> None:
            if self.bars.series.get((series.interval, 0)) is series or series.interval == "1s":
                self._emit_final(series.interval, "", bar, now_us, out)
            if self.bars.series.get((series.interval, UTC8)) is series or series.interval == "1s":
                self._emit_final(series.interval, "@+08:00", bar, now_us, out)

        return final

    def _emit_final(self, interval: str, tail: str, bar: Bar, now_us: int, out: list[Emission]) -> None:
        name = f"{self.streams.kline_base}{interval}{tail}"
        if name in self.wanted:
            render = partial(payloads.kline, self.symbol, interval, bar, True, now_us)
            out.append(Emission(name, bar.open_us, bar.open_us, render))

    def emit_block_trade(self, qty: int, at_us: int, out: list[Emission]) -> None:
        """A block trade: its ids are a space of their own, and it is not part of the trade stream."""
        self.keep_block((self.block_id + 1, self.last_price, qty, at_us, True))
        name = self.streams.block_trade
        if name in self.wanted:
            number = self.block_id
            render = partial(payloads.block_trade, self.symbol, number, self.last_price, qty, at_us, True)
            out.append(Emission(name, number, number, render))
