"""Owns a generated market of whichever kind: which symbol acts when, what it does, and when things are pushed. Pure and deterministic.

The same seed and the same sequence of ``now_ns`` give the same market. It runs whether or not anybody
listens: ids advance, only the text of unwanted streams is never made.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from k2workers.simulator.binance.bars import SECOND
from k2workers.simulator.binance.payloads import SCALE
from k2workers.simulator.binance.symbol_market import SymbolMarket
from k2workers.simulator.stand_in import Emission

KNOWN: tuple[tuple[str, float], ...] = (
    ("BTC", 61_685.99), ("ETH", 2_683.1), ("SOL", 154.2), ("BNB", 512.4), ("XRP", 0.6131), ("DOGE", 0.1021),
    ("币安人生", 0.2134), ("ADA", 0.3402), ("TRX", 0.1273), ("AVAX", 22.31), ("LINK", 10.42), ("TON", 6.412),
    ("SHIB", 0.00001402), ("DOT", 4.642), ("BCH", 336.2), ("NEAR", 3.987), ("LTC", 60.12), ("UNI", 6.013),
    ("PEPE", 0.00000812), ("APT", 6.121), ("ICP", 8.213), ("ETC", 19.02), ("XLM", 0.0981), ("FIL", 3.712),
    ("ARB", 0.5712), ("OP", 1.423), ("SUI", 0.8321), ("INJ", 18.21), ("ATOM", 4.712), ("HBAR", 0.0561),
    ("AAVE", 102.3), ("RUNE", 3.712), ("FET", 0.9213), ("SEI", 0.2913), ("TIA", 5.312), ("WIF", 1.712),
    ("ALGO", 0.1231), ("GRT", 0.1512), ("FTM", 0.3412), ("ENA", 0.3123),
)  # fmt: skip
"""Base assets with a plausible price, busiest first; one of them is not ASCII, as on the venue."""

SLOT_US = 5_000
SLOTS_100MS = 20
SLOTS_1S = 200
TAKE, BEST = 0.35, 0.45
"""Shares of actions that take liquidity and that change the best level; the rest changes deeper levels."""
EVENTS_PER_ACTION = TAKE * 3.55 + BEST
"""Mean number of trade, aggTrade and bookTicker events of an action, as the actions below make them."""
RARE = 0.0002
"""Share of actions with which something rare happens besides."""
MOODS = (0.3, 0.5, 0.7, 1.0, 1.2, 2.3)
"""How much busier than its mean the market is for a while, dealt like cards so that the mean is 1."""


def symbol_names(count: int) -> list[tuple[str, str, float]]:
    """(symbol, base asset, price) of the first ``count`` symbols; beyond the known ones they are numbered."""
    named = [(base + "USDT", base, price) for base, price in KNOWN[:count]]
    return named + [(f"COIN{n}USDT", f"COIN{n}", 1.0 + n % 97) for n in range(len(KNOWN) + 1, count + 1)]


Symbol = TypeVar("Symbol", bound=SymbolMarket)

Pushes = Sequence[tuple[int, Callable[[Symbol, int, list[Emission]], None]]]
"""(every so many slots, what is pushed of each symbol then). Symbols have slots of their own, so pushes are spread in time."""


class GeneratedMarket(Generic[Symbol]):
    """A market of ``count`` symbols with uneven activity, making about ``rate`` events a second. See ``stand_in.MarketSource``."""

    pushes: Pushes[Any] = ()
    recorded, finished, unpaced = False, False, False
    pushes_on_s = 4.0
    """Bars and books are pushed on for a while, so that what happened before a halt is told."""

    def __init__(
        self,
        count: int,
        rate: float,
        seed: int,
        now_ns: int,
        wanted: set[str],
        history: int = 20_000,
        history_s: float = 900.0,
        *,
        even: bool = False,
        depth: int = 60,
    ) -> None:
        self._random = random.Random(seed)
        self._depth = depth
        """Levels that each side of a book begins with; it may come to have half or three times as many."""
        self._history, self._history_us = history, int(history_s * SECOND)
        self._wanted = wanted
        self.running, self.halted = True, False
        self.left_out: Mapping[str, int] = {}
        now_us = now_ns // 1000
        self._symbols: dict[str, Symbol] = {
            listed.symbol: listed for listed in (self.list_symbol(*named, now_us) for named in self.names(count))
        }
        self._all = list(self._symbols.values())
        weights = [1.0 if even else 1.0 / (rank + 1) ** 0.9 for rank in range(count)]
        self._actions_per_us = actions_per_second(rate, weights) / 1e6
        self._cumulative = list(accumulate(weights))
        self._carry = 0.0
        self._last_us = now_us
        self._slot = now_us // SLOT_US
        self._next_second = now_us // SECOND * SECOND + SECOND
        self._pressure = 1.0
        self._moods: list[float] = []

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        return self._symbols

    def names(self, count: int) -> list[tuple[str, str, float]]:
        """(symbol, base asset, price) of each, busiest first."""
        return symbol_names(count)

    def new_symbol(self, symbol: str, base: str, *more: Any) -> Symbol:
        """A symbol without a book; ``more`` is what follows the quote asset in ``SymbolMarket``."""
        raise NotImplementedError

    def rarity(self, market: Symbol, at_us: int, out: list[Emission]) -> None:
        """What happens rarely, with a trade."""

    def each_second(self, second: int, now_us: int, out: list[Emission]) -> None:
        """What is pushed of the whole market."""

    def subscribed(self, now_ns: int) -> None:
        """It runs whether or not anybody listens."""

    def list_symbol(self, symbol: str, base: str, price: float, now_us: int) -> Symbol:
        """A symbol with a filled book. Ids start high and apart, as on the venue, to catch mixed-up ids."""
        rng = self._random
        tick = 10 ** max(0, math.floor(math.log10(price)) - 5 + 8 - (1 if price > 10_000 else 0))
        step = max(1, SCALE // 10 ** max(0, min(8, 1 + math.floor(math.log10(max(price, 0.1))))))
        middle = round(price * SCALE) // tick * tick
        ids = (
            rng.randrange(10**9, 5 * 10**10),
            rng.randrange(10**8, 3 * 10**9),
            rng.randrange(10**7, 10**9),
        )
        kept = self._wanted, self._history, ids, self._history_us
        market = self.new_symbol(symbol, base, tick, step, middle, now_us, *kept)
        for side, best in ((market.bids, middle), (market.asks, middle + tick)):
            level = best
            for _ in range(self._depth):
                side.set(level, self.quantity(market))
                level = max(tick, level - side.sign * tick * rng.choice((1, 1, 1, 2, 3, 5)))
        return market

    def quantity(self, market: Symbol) -> int:
        """A random size: mostly small, sometimes large, always a multiple of the step."""
        return market.step * (1 + int(9_000 * self._random.random() ** 3))

    def advance(self, now_ns: int) -> list[Emission]:
        """Everything that happens up to ``now_ns``, in order. A stalled caller catches up 250 ms at most."""
        out: list[Emission] = []
        now_us = now_ns // 1000
        while now_us >= self._next_second:
            for market in self._all:
                market.close_second(now_us, out)
            self._next_second += SECOND
        if self.running and not self.halted:
            self._act(now_us, out)
        self._last_us = now_us
        self._run_slots(now_us, out)
        return out

    def _act(self, now_us: int, out: list[Emission]) -> None:
        rng = self._random
        if rng.random() < 0.1:
            # Activity comes in bursts; the mean of the pressure is 1, so the rate holds over time.
            if not self._moods:
                self._moods = rng.sample(MOODS, len(MOODS))
            self._pressure = self._moods.pop()
        elapsed = min(now_us - self._last_us, SECOND // 4)
        self._carry += self._actions_per_us * elapsed * self._pressure
        due = int(self._carry)
        if not due:
            return
        self._carry -= due
        second = self._next_second - SECOND
        for market in rng.choices(self._all, cum_weights=self._cumulative, k=due):
            if not market.acts:
                continue
            at_us = max(now_us - rng.randrange(1000), market.last_trade_us, second)
            self._action(market, min(at_us, now_us), now_us, out)

    def _action(self, market: Symbol, at_us: int, now_us: int, out: list[Emission]) -> None:
        draw = self._random.random()
        if draw < TAKE:
            self.take(market, at_us, now_us, out)
            market.emit_book_ticker(now_us, out)
            if draw < RARE:
                self.rarity(market, at_us, out)
        elif draw < TAKE + BEST:
            self._change_best(market)
            market.emit_book_ticker(now_us, out)
        else:
            self._change_deep(market)

    def take(self, market: Symbol, at_us: int, now_us: int, out: list[Emission]) -> None:
        """A taker order: one to three fills at the best price, sometimes sweeping it and one fill beyond."""
        rng = self._random
        sells = rng.random() < 0.5
        side = market.bids if sells else market.asks
        price, available = side.best()
        fills = rng.choice((1, 1, 1, 2, 3))
        sweep = rng.random() < 0.3
        part = max(market.step, available // (fills + 1) // market.step * market.step)
        first, taken = market.trade_id + 1, 0
        for number in range(fills):
            left = available - taken
            qty = left if sweep and number == fills - 1 else min(part, left)
            if qty <= 0:
                break
            taken += qty
            market.set_level(side, price, available - taken)
            market.add_trade(price, qty, at_us, sells, now_us, out)
        row = (market.agg_id + 1, price, taken, first, market.trade_id, at_us, sells)
        market.add_agg(row, now_us, out)
        if len(side) < self._depth // 2:
            self._refill(market)

    def _refill(self, market: Symbol) -> None:
        """Adds far levels on both sides, so that no walk ever empties a side."""
        for side in (market.bids, market.asks):
            while len(side) < self._depth:
                far = side.keys[0] * side.sign - side.sign * market.tick * self._random.randrange(1, 4)
                if far <= 0:
                    return
                market.set_level(side, far, self.quantity(market))

    def _change_best(self, market: Symbol) -> None:
        """A new quantity at the best price, or a better price where the spread leaves room."""
        rng = self._random
        side = market.bids if rng.random() < 0.5 else market.asks
        price, before = side.best()
        spread = market.asks.best()[0] - market.bids.best()[0]
        if spread > market.tick and rng.random() < 0.7:
            price, before = price + side.sign * market.tick, 0
        qty = self.quantity(market)
        market.set_level(side, price, qty + market.step if qty == before else qty)

    def _change_deep(self, market: Symbol) -> None:
        """A level away from the best one changes, appears or goes."""
        rng = self._random
        side = market.bids if rng.random() < 0.5 else market.asks
        count = len(side)
        index = rng.randrange(max(0, count - 25), count - 1)
        price = side.keys[index] * side.sign
        roll = rng.random()
        if roll < 0.25 and count > self._depth - 10:
            market.set_level(side, price, 0)
        elif roll < 0.5:
            nearer = price + side.sign * market.tick
            if (side.best()[0] - nearer) * side.sign > 0:
                price = nearer
            market.set_level(side, price, self.quantity(market))
        else:
            market.set_level(side, price, self.quantity(market))
        if count > 3 * self._depth:
            market.set_level(side, side.keys[0] * side.sign, 0)

    def _run_slots(self, now_us: int, out: list[Emission]) -> None:
        """Runs the pushes that are due."""
        reached = now_us // SLOT_US
        if reached - self._slot > SLOTS_1S:
            self._slot = reached - SLOTS_1S
        while self._slot < reached:
            self._slot += 1
            slot = self._slot
            for every, push in self.pushes:
                for market in self._all[slot % every :: every]:
                    push(market, now_us, out)
            if slot % SLOTS_1S == 0:
                self.each_second(slot // SLOTS_1S, now_us, out)


def actions_per_second(rate: float, weights: list[float]) -> float:
    """How many actions make ``rate`` events a second, diff-depth events included.

    A symbol's depth stream sends at most ten events a second, and none for a window without a change; the
    equation has no closed form, so the answer is found by bisection.
    """
    total = sum(weights)

    def events(actions: float) -> float:
        depth = sum(10 * -math.expm1(-actions * weight / total / 10) for weight in weights)
        return actions * EVENTS_PER_ACTION + depth

    low, high = 0.0, max(rate, 1.0)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if events(middle) < rate else (low, middle)
    return low
