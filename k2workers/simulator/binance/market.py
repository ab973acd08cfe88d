"""Owns the generated market of spot: which symbols it has, and what is pushed when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from k2workers.simulator.binance.bars import SECOND
from k2workers.simulator.binance.generated_market import SLOTS_1S, SLOTS_100MS, GeneratedMarket
from k2workers.simulator.binance.spot_symbol import SpotSymbol
from k2workers.simulator.binance.stream_names import ALL_MARKET
from k2workers.simulator.stand_in import Emission, Render


class Market(GeneratedMarket[SpotSymbol]):
    """Spot; see ``GeneratedMarket``."""

    pushes = (
        (SLOTS_100MS, SpotSymbol.flush_fast),
        (SLOTS_1S, SpotSymbol.flush_slow),
        (2 * SLOTS_1S, SpotSymbol.push_klines),
    )

    def new_symbol(self, symbol: str, base: str, *more: Any) -> SpotSymbol:
        """All are quoted in the same asset."""
        return SpotSymbol(symbol, base, "USDT", *more)

    def rarity(self, market: SpotSymbol, at_us: int, out: list[Emission]) -> None:
        """A block trade."""
        market.emit_block_trade(1000 * self.quantity(market), at_us, out)

    def each_second(self, second: int, now_us: int, out: list[Emission]) -> None:
        """The ``!…@arr`` forms."""
        emit_all_market(self.symbols.values(), self._wanted, second, now_us, out)


def _array(renders: list[Render], unit: int) -> str:
    return "[" + ",".join([render(unit) for render in renders]) + "]"


def emit_all_market(
    symbols: Iterable[SpotSymbol], wanted: set[str], second: int, now_us: int, out: list[Emission]
) -> None:
    """The ``!…@arr`` forms: one array of the symbols that traded since the last push; none when none did."""
    for name, window, every_s in ALL_MARKET:
        if name not in wanted or second % every_s:
            continue
        since_us = now_us - every_s * SECOND
        renders = [market.array_render(window, now_us) for market in symbols if market.last_trade_us > since_us]
        if renders:
            out.append(Emission(name, now_us, now_us, partial(_array, renders)))
