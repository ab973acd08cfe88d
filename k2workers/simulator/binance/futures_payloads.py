"""Owns the JSON text of every event of the futures markets, in the venue's key order. Pure: values in, text out.

Values are as in ``payloads``: units of 1e-8, times in µs, and ``unit`` divides them. Prices and quantities have as many decimals as the
contract's steps; what is multiplied of them, both.

How sure it is. Recorded in 2021 and 2024, key by key: trade, aggTrade (but for ``nq``), bookTicker, depth, the REST book. In messages that
users quote whole (2026): ``nq`` behind ``q``; markPriceUpdate with ``ap`` and ``P`` before ``i``; bars, whose ``k`` has a space behind each comma;
24hrTicker; forceOrder. From the documents: 24hrMiniTicker, compositeIndex, assetIndexUpdate, contractInfo, continuous_kline (written as
kline is). Best bids of partial depth come best first, unlike changes, which rise (users' messages of 2026).

``st`` (1 is USD-M, 2 COIN-M) and ``ps`` (the pair): since the summer of 2026 documents and users' messages have ``ps`` behind ``s``, and ``st`` at
the end, in trade, aggTrade, depth, bookTicker, tickers and markPrice (trades, aggTrade and markPrice without ``ps``), inside of ``o`` in
forceOrder, and neither in bars. Messages of June 2026 and before have neither, but for COIN-M's ``ps``. ``tagged`` says which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from k2workers.simulator.binance.payloads import SCALE, Levels, decimal

if TYPE_CHECKING:
    from k2workers.simulator.binance.bars import Bar
    from k2workers.simulator.binance.symbol_market import AggRow, TradeRow


def digits_of(step: int) -> int:
    """How many decimals the multiples of a step have."""
    return max(0, 8 - (len(str(step)) - len(str(step).rstrip("0"))))


def fixed(value: int, digits: int) -> str:
    """A value in units of 1e-8 with so many decimals; more than 8 are zeros."""
    if value < 0:
        return "-" + fixed(-value, digits)
    if not digits:
        return str(value // SCALE)
    text = f"{value // SCALE}.{value % SCALE:08d}"
    return text[: len(text) - 8 + digits] if digits <= 8 else text + "0" * (digits - 8)


def _flag(value: bool) -> str:
    return "true" if value else "false"


class Mark(NamedTuple):
    """The mark price of a contract, and what belongs to it."""

    price: int
    average: int
    settle: int
    underlying: int
    """The price of the index."""
    rate: int
    next_us: int


class ForcedOrder(NamedTuple):
    """A forced order, filled at once."""

    sells: bool
    qty: int
    limit: int
    average: int
    at_us: int


class FuturesTexts:
    """What is said of one contract. ``tagged``: with its pair and the type of its market."""

    __slots__ = (
        "_end",
        "_named",
        "_paired",
        "_qty",
        "_tag",
        "_type",
        "inverse",
        "pair",
        "price_digits",
        "qty_digits",
        "size",
        "symbol",
    )

    def __init__(
        self, symbol: str, pair: str, tick: int, step: int, symbol_type: int, size: int, *, tagged: bool
    ) -> None:
        self.symbol, self.pair = symbol, pair
        self.price_digits, self.qty_digits = digits_of(tick), digits_of(step)
        self.inverse, self.size = size > 0, size
        self._type = symbol_type
        self._named = f'"s":"{symbol}"'
        self._paired = f'"s":"{symbol}","ps":"{pair}"' if tagged or self.inverse else self._named
        self._end = f',"st":{symbol_type}}}' if tagged else "}"
        self._tag = f',"ps":"{pair}","st":{symbol_type}' if tagged else ""

    def price(self, value: int) -> str:
        return fixed(value, self.price_digits)

    def quantity(self, value: int) -> str:
        return fixed(value, self.qty_digits)

    def value(self, value: int) -> str:
        """Of what was traded: in the quote asset, or in the coin where contracts are counted."""
        return decimal(value) if self.inverse else fixed(value, self.price_digits + self.qty_digits)

    def levels(self, side: Levels) -> str:
        """A JSON array of [price, quantity] pairs."""
        return "[" + ",".join([f'["{self.price(p)}","{self.quantity(q)}"]' for p, q in side]) + "]"

    def trade(self, row: TradeRow, event: int, unit: int) -> str:
        number, price, qty, at, maker = row
        return (
            f'{{"e":"trade","E":{event // unit},"T":{at // unit},{self._named},"t":{number},"p":"{self.price(price)}",'
            f'"q":"{self.quantity(qty)}","X":"MARKET","m":{_flag(maker)}{self._end}'
        )

    def agg_trade(self, row: AggRow, event: int, unit: int) -> str:
        number, price, qty, first, last, at, maker = row
        all_of_it = self.quantity(qty)
        return (
            f'{{"e":"aggTrade","E":{event // unit},"a":{number},{self._named},"p":"{self.price(price)}","q":"{all_of_it}",'
            f'"nq":"{all_of_it}","f":{first},"l":{last},"T":{at // unit},"m":{_flag(maker)}{self._end}'
        )

    def book_ticker(
        self, update_id: int, bid: tuple[int, int], ask: tuple[int, int], at: int, event: int, unit: int
    ) -> str:
        return (
            f'{{"e":"bookTicker","u":{update_id},{self._paired},"b":"{self.price(bid[0])}","B":"{self.quantity(bid[1])}",'
            f'"a":"{self.price(ask[0])}","A":"{self.quantity(ask[1])}","T":{at // unit},"E":{event // unit}{self._end}'
        )

    def depth(
        self,
        ids: tuple[int, int, int],
        bids: Sequence[tuple[int, int]],
        asks: Sequence[tuple[int, int]],
        at: int,
        event: int,
        unit: int,
    ) -> str:
        """``ids`` are the first and the last of it, and the last before it."""
        first, last, before = ids
        return (
            f'{{"e":"depthUpdate","E":{event // unit},"T":{at // unit},{self._paired},"U":{first},"u":{last},"pu":{before},'
            f'"b":{self.levels(bids)},"a":{self.levels(asks)}{self._end}'
        )

    def kline(self, interval: str, bar: Bar, final: bool, event: int, unit: int) -> str:
        head = f'{{"e":"kline","E":{event // unit},{self._named},"k":{{'
        return head + self._bar(f'"s":"{self.symbol}", ', interval, bar, final, unit) + "}}"

    def continuous_kline(self, interval: str, bar: Bar, final: bool, event: int, unit: int) -> str:
        head = f'{{"e":"continuous_kline","E":{event // unit},"ps":"{self.pair}","ct":"PERPETUAL","k":{{'
        return head + self._bar("", interval, bar, final, unit) + "}}"

    def _bar(self, named: str, interval: str, bar: Bar, final: bool, unit: int) -> str:
        price, qty, value = self.price, self.quantity, self.value
        return (
            f'"t":{bar.open_us // unit}, "T":{(bar.end_us - 1) // unit}, {named}"i":"{interval}", "f":{bar.first_id}, "L":{bar.last_id}, '
            f'"o":"{price(bar.open)}", "c":"{price(bar.close)}", "h":"{price(bar.high)}", "l":"{price(bar.low)}", '
            f'"v":"{qty(bar.volume)}", "n":{bar.count}, "x":{_flag(final)}, "q":"{value(bar.quote)}", '
            f'"V":"{qty(bar.taker_volume)}", "Q":"{value(bar.taker_quote)}", "B":"0"'
        )

    def mini_ticker(self, bar: Bar, event: int, unit: int) -> str:
        return (
            f'{{"e":"24hrMiniTicker","E":{event // unit},{self._paired},"c":"{self.price(bar.close)}","o":"{self.price(bar.open)}",'
            f'"h":"{self.price(bar.high)}","l":"{self.price(bar.low)}","v":"{self.quantity(bar.volume)}",'
            f'"q":"{self.value(bar.quote)}"{self._end}'
        )

    def price_change(self, bar: Bar) -> tuple[str, str, str]:
        """(price change, change in percent with three digits, volume-weighted average price)."""
        change = bar.close - bar.open
        return self.price(change), f"{100 * change / bar.open:.3f}", self._average(bar)

    def _average(self, bar: Bar) -> str:
        price = self.mean_price(bar) or bar.close
        return decimal(price) if self.inverse else self.price(price)

    def mean_price(self, bar: Bar) -> int:
        """Weighted by volume; 0 if nothing was traded."""
        if not bar.volume or not bar.quote:
            return 0
        return self.size * bar.volume * SCALE // bar.quote if self.inverse else bar.quote * SCALE // bar.volume

    def ticker(self, bar: Bar, last_qty: int, event: int, unit: int) -> str:
        change, percent, average = self.price_change(bar)
        price = self.price
        return (
            f'{{"e":"24hrTicker","E":{event // unit},{self._paired},"p":"{change}","P":"{percent}","w":"{average}",'
            f'"c":"{price(bar.close)}","Q":"{self.quantity(last_qty)}","o":"{price(bar.open)}","h":"{price(bar.high)}",'
            f'"l":"{price(bar.low)}","v":"{self.quantity(bar.volume)}","q":"{self.value(bar.quote)}","O":{bar.open_us // unit},'
            f'"C":{event // unit},"F":{bar.first_id},"L":{bar.last_id},"n":{bar.count}{self._end}'
        )

    def mark_price(self, mark: Mark, event: int, unit: int) -> str:
        return (
            f'{{"e":"markPriceUpdate","E":{event // unit},{self._named},"p":"{decimal(mark.price)}","ap":"{decimal(mark.average)}",'
            f'"P":"{decimal(mark.settle)}","i":"{decimal(mark.underlying)}","r":"{decimal(mark.rate)}","T":{mark.next_us // unit}{self._end}'
        )

    def force_order(self, order: ForcedOrder, event: int, unit: int) -> str:
        qty, side = self.quantity(order.qty), "SELL" if order.sells else "BUY"
        return (
            f'{{"e":"forceOrder","E":{event // unit},"o":{{{self._named},"S":"{side}","o":"LIMIT","f":"IOC","q":"{qty}",'
            f'"p":"{self.price(order.limit)}","ap":"{self.price(order.average)}","X":"FILLED","l":"{qty}","z":"{qty}",'
            f'"T":{order.at_us // unit}{self._tag}}}}}'
        )

    def composite_index(self, price: int, parts: Sequence[str], event: int, unit: int) -> str:
        share = decimal(SCALE // max(1, len(parts)))
        rows = ",".join(
            f'{{"b":"{part}","q":"USDT","w":"{share}","W":"{share}","i":"{decimal(price)}"}}' for part in parts
        )
        return f'{{"e":"compositeIndex","E":{event // unit},{self._named},"p":"{decimal(price)}","C":"baseAsset","c":[{rows}]{self._end}'

    def contract_info(self, status: str, delivery: int, onboard: int, event: int, unit: int) -> str:
        return (
            f'{{"e":"contractInfo","E":{event // unit},"s":"{self.symbol}","ps":"{self.pair}","ct":"PERPETUAL","dt":{delivery // unit},'
            f'"ot":{onboard // unit},"cs":"{status}","st":{self._type}}}'
        )


def asset_index(asset: str, price: int, event: int, unit: int) -> str:
    """The rate of an asset in dollars, with a buffer of some percent on both sides."""
    buffers = [decimal(SCALE // part) for part in (10, 10, 20, 20)]
    low, high, nearer_low, nearer_high = (decimal(price * share // 100) for share in (90, 110, 95, 105))
    return (
        f'{{"e":"assetIndexUpdate","E":{event // unit},"s":"{asset}","i":"{decimal(price)}","b":"{buffers[0]}","a":"{buffers[1]}",'
        f'"B":"{low}","A":"{high}","q":"{buffers[2]}","g":"{buffers[3]}","Q":"{nearer_low}","G":"{nearer_high}"}}'
    )
