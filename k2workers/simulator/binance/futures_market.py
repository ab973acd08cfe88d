"""Owns the generated market of futures: which contracts it has, what is pushed when, and what is special about their trades. Pure.

The streams of the whole market tell of both futures markets, so a few contracts of the other one are traded besides; of them nothing else
is told.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from k2workers.simulator.binance.bars import SECOND
from k2workers.simulator.binance.contracts import COINM, FAR_US, USDM, Contracts, contracts_of
from k2workers.simulator.binance.futures_payloads import ForcedOrder
from k2workers.simulator.binance.futures_symbol import FuturesSymbol, UpdateIds
from k2workers.simulator.binance.generated_market import SLOTS_1S, SLOTS_100MS, GeneratedMarket, symbol_names
from k2workers.simulator.stand_in import Emission, Render

INDEX, INDEX_PLACE, INDEX_PRICE = "DEFI", 10, 554.41
"""A contract on an index, and its place among the symbols."""
OTHERS = 3
"""Contracts of the other market."""
OTHERS_FORCED = 0.1
"""The share of seconds in which one of them has a forced order."""
ONBOARD_US = 1_569_398_400_000_000


class FuturesMarket(GeneratedMarket[FuturesSymbol]):
    """One of the two; see ``GeneratedMarket``. ``unseen`` is the share of orders before which a trade takes an id and is never told: those
    of the insurance fund and of forced closings are not."""

    pushes = (
        (SLOTS_100MS // 2, FuturesSymbol.push_at_once),
        (SLOTS_100MS, FuturesSymbol.push_100ms),
        (SLOTS_1S // 4, FuturesSymbol.push_250ms),
        (SLOTS_1S // 2, FuturesSymbol.push_500ms),
        (SLOTS_1S, FuturesSymbol.push_1s),
        (2 * SLOTS_1S, FuturesSymbol.push_2s),
        (3 * SLOTS_1S, FuturesSymbol.push_3s),
    )

    def __init__(self, contracts: Contracts, *values: Any, unseen: float, tagged: bool, **named: Any) -> None:
        """Takes what ``GeneratedMarket`` does."""
        self._contracts, self._unseen, self._tagged = contracts, unseen, tagged
        self._update_ids = UpdateIds(4_000_000_000_000)
        super().__init__(*values, **named)
        names = contract_names(COINM if contracts is USDM else USDM, OTHERS)
        self._others = [self.list_symbol(*each, self._last_us) for each in names]
        self._everything = [*self._all, *self._others]

    def names(self, count: int) -> list[tuple[str, str, float]]:
        """See ``contract_names``."""
        return contract_names(self._contracts, count)

    def new_symbol(self, symbol: str, base: str, *more: Any) -> FuturesSymbol:
        """Quoted as its name says."""
        quote = contracts_of(symbol).quote
        return FuturesSymbol(symbol, base, quote, *more, tagged=self._tagged, update_ids=self._update_ids)

    def take(self, market: FuturesSymbol, at_us: int, now_us: int, out: list[Emission]) -> None:
        """A taker order, before which a trade may be that nobody is told."""
        if self._random.random() < self._unseen:
            market.skip_ids(1)
        super().take(market, at_us, now_us, out)

    def rarity(self, market: FuturesSymbol, at_us: int, out: list[Emission]) -> None:
        """A forced order."""
        sells = self._random.random() < 0.5
        worse = market.last_price + (-1 if sells else 1) * 5 * market.tick
        market.liquidate(ForcedOrder(sells, self.quantity(market), max(market.tick, worse), market.last_price, at_us))

    def each_second(self, second: int, now_us: int, out: list[Emission]) -> None:
        """The streams of the whole market, and what happens once a second at most."""
        for other in self._others:
            if self.running and not self.halted:
                self.take(other, now_us, now_us, [])
                if self._random.random() < OTHERS_FORCED:
                    self.rarity(other, now_us, [])
            other.close_second(now_us, [])
        for name, every_s, messages in ALL_MARKET:
            if name in self._wanted and second % every_s == 0:
                out.extend(Emission(name, now_us, now_us, render) for render in messages(self, now_us))
        for market in self._all:
            self._tell_rarities(market, now_us, out)
        for market in self._everything:
            market.forget_second()

    def _tell_rarities(self, market: FuturesSymbol, now_us: int, out: list[Emission]) -> None:
        if market.liquidation is not None and market.names.force_order in market.wanted:
            render = partial(market.texts.force_order, market.liquidation, now_us)
            out.append(Emission(market.names.force_order, now_us, now_us, render))
        if market.base == INDEX and market.names.composite_index in market.wanted:
            parts = [other.base for other in self._all[:INDEX_PLACE]]
            render = partial(market.texts.composite_index, market.last_price, parts, now_us)
            out.append(Emission(market.names.composite_index, now_us, now_us, render))

    def _acting(self) -> list[FuturesSymbol]:
        return [market for market in self._everything if market.acts]

    def _traded(self, now_us: int) -> list[FuturesSymbol]:
        return [market for market in self._acting() if market.last_trade_us > now_us - SECOND]

    def mini_tickers(self, now_us: int) -> list[Render]:
        return _array([partial(each.tagged.mini_ticker, each.day(), now_us) for each in self._traded(now_us)])

    def tickers(self, now_us: int) -> list[Render]:
        return _array([partial(each.tagged.ticker, each.day(), each.last_qty, now_us) for each in self._traded(now_us)])

    def mark_prices(self, now_us: int) -> list[Render]:
        return _array([partial(each.tagged.mark_price, each.mark(now_us), now_us) for each in self._acting()])

    def asset_indexes(self, now_us: int) -> list[Render]:
        return _array([each.asset_render(now_us) for each in self._all])

    def best_prices(self, now_us: int) -> list[Render]:
        return [each.tagged_best_render(now_us) for each in self._acting()]

    def forced_orders(self, now_us: int) -> list[Render]:
        found = [(each.tagged, each.liquidation) for each in self._everything]
        return [partial(texts.force_order, order, now_us) for texts, order in found if order is not None]

    def changed_contracts(self, now_us: int) -> list[Render]:
        changed = [each for each in self._all if each.status != each.told_status]
        return [partial(each.tagged.contract_info, each.status, FAR_US, ONBOARD_US, now_us) for each in changed]


ALL_MARKET: tuple[tuple[str, int, Callable[[FuturesMarket, int], list[Render]]], ...] = (
    ("!miniTicker@arr", 1, FuturesMarket.mini_tickers),
    ("!ticker@arr", 1, FuturesMarket.tickers),
    ("!markPrice@arr", 3, FuturesMarket.mark_prices),
    ("!markPrice@arr@1s", 1, FuturesMarket.mark_prices),
    ("!assetIndex@arr", 1, FuturesMarket.asset_indexes),
    ("!bookTicker", 5, FuturesMarket.best_prices),
    ("!forceOrder@arr", 1, FuturesMarket.forced_orders),
    ("!contractInfo", 1, FuturesMarket.changed_contracts),
)
"""(stream, seconds between two pushes, its messages then)"""


def contract_names(contracts: Contracts, count: int) -> list[tuple[str, str, float]]:
    """(symbol, asset, price) of the first perpetual contracts, busiest first: on the assets of spot, and one on an index."""
    assets = [(asset, price) for _, asset, price in symbol_names(count)]
    if count > INDEX_PLACE:
        assets[INDEX_PLACE] = (INDEX, INDEX_PRICE)
    return [(contracts.symbol(asset), asset, price) for asset, price in assets]


def _array(renders: list[Render]) -> list[Render]:
    """One message of many rows; none without a row."""
    return [partial(_joined, renders)] if renders else []


def _joined(renders: list[Render], unit: int) -> str:
    return "[" + ",".join([render(unit) for render in renders]) + "]"
