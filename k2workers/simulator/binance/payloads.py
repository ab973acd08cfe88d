"""Owns the JSON text of every stream event, in the venue's key order. Pure: values in, text out.

Prices and quantities are integers in units of 1e-8; times are integers in microseconds since the Unix
epoch. ``unit`` is the divisor that the connection's timeUnit asks for: 1 for microseconds, 1000 for
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2workers.simulator.binance.bars import Bar

SCALE = 100_000_000
"""Units in 1.0: spot decimals have eight fraction digits."""

Levels = Iterable[tuple[int, int]]


def decimal(value: int) -> str:
    """The venue's decimal string of a value in units of 1e-8."""
    if value < 0:
        return "-" + decimal(-value)
    return f"{value // SCALE}.{value % SCALE:08d}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def levels(side: Levels) -> str:
    """A JSON array of [price, quantity] pairs."""
    return "[" + ",".join([f'["{decimal(p)}","{decimal(q)}"]' for p, q in side]) + "]"


def trade(symbol: str, number: int, price: int, qty: int, at: int, event: int, maker: bool, unit: int) -> str:
    return (
        f'{{"e":"trade","E":{event // unit},"s":"{symbol}","t":{number},"p":"{decimal(price)}",'
        f'"q":"{decimal(qty)}","T":{at // unit},"m":{_flag(maker)},"M":true}}'
    )


def agg_trade(symbol: str, row: tuple[int, int, int, int, int, int, bool], event: int, unit: int) -> str:
    """``row`` is (agg id, price, quantity, first trade id, last trade id, time, buyer is maker)."""
    number, price, qty, first, last, at, maker = row
    return (
        f'{{"e":"aggTrade","E":{event // unit},"s":"{symbol}","a":{number},"p":"{decimal(price)}",'
        f'"q":"{decimal(qty)}","f":{first},"l":{last},"T":{at // unit},"m":{_flag(maker)},"M":true}}'
    )


def block_trade(symbol: str, number: int, price: int, qty: int, at: int, maker: bool, unit: int) -> str:
    return (
        f'{{"e":"blockTrade","E":{at // unit},"s":"{symbol}","t":{number},"p":"{decimal(price)}",'
        f'"q":"{decimal(qty)}","T":{at // unit},"m":{_flag(maker)}}}'
    )


def book_ticker(symbol: str, update_id: int, bid: tuple[int, int], ask: tuple[int, int], unit: int) -> str:
    return (
        f'{{"u":{update_id},"s":"{symbol}","b":"{decimal(bid[0])}","B":"{decimal(bid[1])}",'
        f'"a":"{decimal(ask[0])}","A":"{decimal(ask[1])}"}}'
    )


def depth_update(
    symbol: str,
    first: int,
    last: int,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    event: int,
    unit: int,
) -> str:
    return (
        f'{{"e":"depthUpdate","E":{event // unit},"s":"{symbol}","U":{first},"u":{last},'
        f'"b":{levels(bids)},"a":{levels(asks)}}}'
    )


def partial_depth(last: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], unit: int) -> str:
    return f'{{"lastUpdateId":{last},"bids":{levels(bids)},"asks":{levels(asks)}}}'


def kline(symbol: str, interval: str, bar: Bar, final: bool, event: int, unit: int) -> str:
    return (
        f'{{"e":"kline","E":{event // unit},"s":"{symbol}","k":{{"t":{bar.open_us // unit},'
        f'"T":{(bar.end_us - 1) // unit},"s":"{symbol}","i":"{interval}","f":{bar.first_id},"L":{bar.last_id},'
        f'"o":"{decimal(bar.open)}","c":"{decimal(bar.close)}","h":"{decimal(bar.high)}",'
        f'"l":"{decimal(bar.low)}","v":"{decimal(bar.volume)}","n":{bar.count},"x":{_flag(final)},'
        f'"q":"{decimal(bar.quote)}","V":"{decimal(bar.taker_volume)}","Q":"{decimal(bar.taker_quote)}",'
        f'"B":"0"}}}}'
    )


def mini_ticker(symbol: str, bar: Bar, event: int, unit: int) -> str:
    return (
        f'{{"e":"24hrMiniTicker","E":{event // unit},"s":"{symbol}","c":"{decimal(bar.close)}",'
        f'"o":"{decimal(bar.open)}","h":"{decimal(bar.high)}","l":"{decimal(bar.low)}",'
        f'"v":"{decimal(bar.volume)}","q":"{decimal(bar.quote)}"}}'
    )


def price_change(bar: Bar) -> tuple[str, str, str]:
    """(price change, change in percent with three digits, volume-weighted average price)."""
    change = bar.close - bar.open
    average = bar.quote * SCALE // bar.volume if bar.volume else bar.close
    return decimal(change), f"{100 * change / bar.open:.3f}", decimal(average)


def ticker(
    symbol: str, bar: Bar, last_qty: int, bid: tuple[int, int], ask: tuple[int, int], event: int, unit: int
) -> str:
    change, percent, average = price_change(bar)
    return (
        f'{{"e":"24hrTicker","E":{event // unit},"s":"{symbol}","p":"{change}","P":"{percent}",'
        f'"w":"{average}","x":"{decimal(bar.open)}","c":"{decimal(bar.close)}","Q":"{decimal(last_qty)}",'
        f'"b":"{decimal(bid[0])}","B":"{decimal(bid[1])}","a":"{decimal(ask[0])}","A":"{decimal(ask[1])}",'
        f'"o":"{decimal(bar.open)}","h":"{decimal(bar.high)}","l":"{decimal(bar.low)}",'
        f'"v":"{decimal(bar.volume)}","q":"{decimal(bar.quote)}","O":{bar.open_us // unit},"C":{event // unit},'
        f'"F":{bar.first_id},"L":{bar.last_id},"n":{bar.count}}}'
    )


def window_ticker(symbol: str, window: str, bar: Bar, event: int, unit: int) -> str:
    change, percent, average = price_change(bar)
    return (
        f'{{"e":"{window}Ticker","E":{event // unit},"s":"{symbol}","p":"{change}","P":"{percent}",'
        f'"o":"{decimal(bar.open)}","h":"{decimal(bar.high)}","l":"{decimal(bar.low)}",'
        f'"c":"{decimal(bar.close)}","w":"{average}","v":"{decimal(bar.volume)}","q":"{decimal(bar.quote)}",'
        f'"O":{bar.open_us // unit},"C":{event // unit},"F":{bar.first_id},"L":{bar.last_id},"n":{bar.count}}}'
    )


def average_price(symbol: str, price: int, last_trade: int, event: int, unit: int) -> str:
    return (
        f'{{"e":"avgPrice","E":{event // unit},"s":"{symbol}","i":"5m","w":"{decimal(price)}",'
        f'"T":{last_trade // unit}}}'
    )


def reference_price(symbol: str, price: int, at: int, unit: int) -> str:
    return f'{{"e":"referencePrice","s":"{symbol}","r":"{decimal(price)}","t":{at // unit}}}'


def server_shutdown(event: int, unit: int) -> str:
    return f'{{"e":"serverShutdown","E":{event // unit}}}'
