"""Owns what the futures markets say of one contract: its messages, and what is pushed of it as time passes. Pure.

Update ids are those of all contracts together, so those of one have holes: a change names the first and the last of its own (``U``, ``u``) and the
last of the message before it (``pu``), which is what chains them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from itertools import cycle
from typing import Any

from k2workers.simulator.binance import futures_payloads
from k2workers.simulator.binance.bars import HOUR, Bar, Series
from k2workers.simulator.binance.book import Level, Side
from k2workers.simulator.binance.contracts import contracts_of, pair_of
from k2workers.simulator.binance.futures_names import DepthStreams, FuturesStreams
from k2workers.simulator.binance.futures_payloads import ForcedOrder, FuturesTexts, Mark
from k2workers.simulator.binance.payloads import SCALE
from k2workers.simulator.binance.symbol_market import AggRow, SymbolMarket, TradeRow
from k2workers.simulator.stand_in import Emission, Render

BEHIND_US = 1_000
"""So long after something happened in the book a message tells it."""
FUNDING_US = 8 * HOUR


class UpdateIds:
    """The update ids of a whole market, of which others take some too."""

    def __init__(self, first: int) -> None:
        self._last = first
        self._steps = cycle((1, 3, 1, 7, 2, 1, 19, 4))

    def take(self) -> int:
        """The next one."""
        self._last += next(self._steps)
        return self._last


class DepthWindow:
    """What has changed in a book since the last message of one speed."""

    __slots__ = ("asks", "before", "bids", "first", "names")

    def __init__(self, names: DepthStreams, before: int) -> None:
        self.names = names
        self.begin(before)

    def begin(self, before: int) -> None:
        """Nothing has changed since this id."""
        self.before, self.first = before, 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}


class FuturesSymbol(SymbolMarket):
    """A contract of a futures market. Without ``update_ids``, as in a replay, its book changes by no level of its own."""

    __slots__ = (
        "_number_from", "_pushed_id", "_update_ids", "contracts", "liquidation", "names", "pair", "tagged", "texts", "told_status",
        "windows",
    )  # fmt: skip

    def __init__(
        self, symbol: str, base: str, quote: str, tick: int, step: int, price: int, now_us: int, wanted: Collection[str], *more: Any,
        tagged: bool, update_ids: UpdateIds | None = None, **named: Any,
    ) -> None:  # fmt: skip
        contracts = contracts_of(symbol)
        step = SCALE if contracts.inverse else step
        super().__init__(symbol, base, quote, tick, step, price, now_us, wanted, *more, **named)
        self.contracts = contracts
        self.pair = pair_of(symbol)
        texts = partial(FuturesTexts, symbol, self.pair, tick, step, contracts.symbol_type, contracts.size(base))
        self.texts, self.tagged = texts(tagged=tagged), texts(tagged=True)
        self.names = self.common = FuturesStreams(symbol, self.pair, base + "USD")
        self._update_ids, self._number_from = update_ids or UpdateIds(0), 0
        if update_ids is not None:
            self.update_id = update_ids.take()
        speeds = (self.names.at_once, self.names.every_100ms, self.names.every_250ms, self.names.every_500ms)
        self.windows = tuple(DepthWindow(names, self.update_id) for names in speeds)
        self._pushed_id = -1
        self.liquidation: ForcedOrder | None = None
        self.told_status = self.status

    def value(self, price: int, qty: int) -> int:
        """In the quote asset, or in the coin where contracts are counted."""
        size = self.texts.size
        return size * qty * SCALE // price if size and price else super().value(price, qty)

    def mean_price(self, bar: Bar) -> int:
        """Weighted by volume; 0 if nothing was traded."""
        return self.texts.mean_price(bar)

    def renumber(self, first: int) -> None:
        """All ids begin anew here."""
        super().renumber(first)
        self._number_from = self._update_ids.take() - self.update_id
        for window in self.windows:
            window.begin(self.update_id)

    def set_level(self, side: Side, price: int, qty: int) -> None:
        """One change of the book: takes the next update id of the market."""
        self.update_id = self._update_ids.take() - self._number_from
        side.set(price, qty)
        is_bid = side is self.bids
        for window in self.windows:
            window.first = window.first or self.update_id
            (window.bids if is_bid else window.asks)[price] = qty

    def level_texts(self, price: int, qty: int) -> tuple[str, str]:
        return self.texts.price(price), self.texts.quantity(qty)

    def trade_text(self, row: TradeRow, now_us: int, unit: int) -> str:
        return self.texts.trade(row, now_us, unit)

    def agg_text(self, row: AggRow, now_us: int, unit: int) -> str:
        return self.texts.agg_trade(row, now_us, unit)

    def best_render(self, now_us: int) -> Render:
        """The message of the best bid and ask as they stand."""
        return self._best(self.texts, now_us)

    def tagged_best_render(self, now_us: int) -> Render:
        """The same, with the type of the market."""
        return self._best(self.tagged, now_us)

    def _best(self, texts: FuturesTexts, now_us: int) -> Render:
        return partial(
            texts.book_ticker, self.update_id, self.bids.best(), self.asks.best(), now_us - BEHIND_US, now_us
        )

    def push_at_once(self, now_us: int, out: list[Emission]) -> None:
        self._push(self.windows[0], now_us, out)

    def push_100ms(self, now_us: int, out: list[Emission]) -> None:
        if self.windows[1].first:
            self.keep_book()
        self._push(self.windows[1], now_us, out)

    def push_250ms(self, now_us: int, out: list[Emission]) -> None:
        self._push(self.windows[2], now_us, out)
        self._push_klines(now_us, out)

    def push_500ms(self, now_us: int, out: list[Emission]) -> None:
        self._push(self.windows[3], now_us, out)

    def _push(self, window: DepthWindow, now_us: int, out: list[Emission]) -> None:
        """Ends a window; an empty one sends nothing."""
        if not window.first:
            return
        wanted, last = self.wanted, self.update_id
        ids = window.first, last, window.before
        if any(name in wanted for name in window.names.changes):
            render = self._depth_render(ids, sorted(window.bids.items()), sorted(window.asks.items()), now_us)
            out.extend(
                Emission(name, window.before + 1, last, render) for name in window.names.changes if name in wanted
            )
        for name, count in window.names.partial:
            if name in wanted:
                render = self._depth_render(ids, self.bids.top(count), self.asks.top(count), now_us)
                out.append(Emission(name, last, last, render))
        window.begin(last)

    def _depth_render(self, ids: tuple[int, int, int], bids: list[Level], asks: list[Level], now_us: int) -> Render:
        return partial(self.texts.depth, ids, bids, asks, now_us - BEHIND_US, now_us)

    def _push_klines(self, now_us: int, out: list[Emission]) -> None:
        """The bars in progress, if something was traded since the last time."""
        if self.trade_id == self._pushed_id:
            return
        self._pushed_id = self.trade_id
        for streams, text in (
            (self.names.klines, self.texts.kline),
            (self.names.continuous_klines, self.texts.continuous_kline),
        ):
            for name, interval, _ in streams:
                if name in self.wanted:
                    bar = self.bars.view(interval)
                    out.append(Emission(name, bar.open_us, bar.open_us, partial(text, interval, bar, False, now_us)))

    def on_final(self, now_us: int, out: list[Emission]) -> Callable[[Series, Bar], None]:
        """Emits a final bar."""
        base = self.names.kline_base, self.names.continuous_kline_base

        def final(series: Series, bar: Bar) -> None:
            interval = series.interval
            if series.offset_us or interval == "1s":
                return
            for name, text in zip(base, (self.texts.kline, self.texts.continuous_kline), strict=True):
                if name + interval in self.wanted:
                    render = partial(text, interval, bar, True, now_us)
                    out.append(Emission(name + interval, bar.open_us, bar.open_us, render))

        return final

    def push_1s(self, now_us: int, out: list[Emission]) -> None:
        """What is pushed each second."""
        names = self.names
        self._offer(names.mark_price_1s, lambda: self._mark_render(now_us), now_us, out)
        self._offer(names.asset_index, lambda: self.asset_render(now_us), now_us, out)

    def push_2s(self, now_us: int, out: list[Emission]) -> None:
        """The tickers."""
        self._offer(self.names.mini_ticker, lambda: partial(self.texts.mini_ticker, self.day(), now_us), now_us, out)
        self._offer(
            self.names.ticker, lambda: partial(self.texts.ticker, self.day(), self.last_qty, now_us), now_us, out
        )

    def push_3s(self, now_us: int, out: list[Emission]) -> None:
        """The mark price, for those who want it seldom."""
        self._offer(self.names.mark_price, lambda: self._mark_render(now_us), now_us, out)

    def _mark_render(self, now_us: int) -> Render:
        return partial(self.texts.mark_price, self.mark(now_us), now_us)

    def _offer(self, name: str, render: Callable[[], Render], now_us: int, out: list[Emission]) -> None:
        if name in self.wanted:
            out.append(Emission(name, now_us, now_us, render()))

    def day(self) -> Bar:
        """What was traded in 24 hours."""
        return self.bars.window(1440)

    def asset_render(self, now_us: int) -> Render:
        """The rate of its asset."""
        return partial(futures_payloads.asset_index, self.base + "USD", self.last_price, now_us)

    def mark(self, now_us: int) -> Mark:
        """The mark price: made up from the last and the average price; a rate of some hundredths of a percent."""
        average = self.average()
        index = (self.last_price + average) // 2
        rate = (index // self.tick % 21 - 10) * SCALE // 100_000
        return Mark(index + self.tick, average, index - self.tick, index, rate, (now_us // FUNDING_US + 1) * FUNDING_US)

    def liquidate(self, order: ForcedOrder) -> None:
        """A forced order; the largest of each second is told, as the venue's documents have it since 2026-04-14."""
        if self.liquidation is None or order.qty > self.liquidation.qty:
            self.liquidation = order

    def forget_second(self) -> None:
        """What is told once was told."""
        self.liquidation, self.told_status = None, self.status
