"""Owns the lines of CSV files in the columns of Tardis.dev (docs.tardis.dev, "Downloadable CSV files: data types", 2026): prices and quantities as the venue wrote them. Pure.

Times are whole microseconds, down. ``timestamp`` is the venue's time, or ours where it tells none; ``local_timestamp`` is ours and never goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k2workers import futures_events as futures
from k2workers.book_events import BookLevels, BookTop
from k2workers.event import Level
from k2workers.events import (
    AggTrade,
    BestPrices,
    BookChange,
    BookSnapshot,
    Event,
    PartialDepth,
    Ticker,
    Trade,
)
from k2workers.recording.exports import sources
from k2workers.recording.exports.book_steps import Step

_FIRST = "exchange,symbol,timestamp,local_timestamp"
_HEADERS = {
    sources.TRADES: f"{_FIRST},id,side,price,amount",
    sources.BOOK_CHANGES: f"{_FIRST},is_snapshot,side,price,amount",
    sources.BOOK_TICKER: f"{_FIRST},ask_amount,ask_price,bid_price,bid_amount",
    sources.QUOTES: f"{_FIRST},ask_amount,ask_price,bid_price,bid_amount",
    sources.DERIVATIVE_TICKER: f"{_FIRST},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price",
    sources.LIQUIDATIONS: f"{_FIRST},id,side,price,amount",
}

_AnyTrade = Trade | AggTrade | futures.FuturesTrade | futures.FuturesAggTrade

FILLED = "FILLED"
"""The status of a liquidation's order that is told; the others are steps on its way."""

ORDER_BOOK = "MARKET"
"""The origin of a trade that was made in the order book; prices of the others were in none."""


def header(holds: str) -> str:
    """The first line of a file."""
    if not holds.startswith(sources.BOOK_SNAPSHOT):
        return _HEADERS[holds] + "\n"
    count = int(holds.removeprefix(sources.BOOK_SNAPSHOT))
    names = [f"{side}[{at}].{what}" for at in range(count) for side in ("asks", "bids") for what in ("price", "amount")]
    return ",".join([_FIRST, *names]) + "\n"


def is_off_book(event: Event | None) -> bool:
    """Whether it was traded beside the order book, or is no fill: other programs would take it for a trade there."""
    if isinstance(event, futures.FuturesTrade):
        return event.origin not in ("", ORDER_BOOK)
    return isinstance(event, futures.Liquidation) and event.status != FILLED


class TardisLines:
    """``lines`` of one sort of file and symbol, step by step; "" for a step that has none."""

    def __init__(self, exchange: str, symbol: str, holds: str) -> None:
        self._begin = f"{_quoted(exchange)},{_quoted(symbol)}"
        number = holds.removeprefix(sources.BOOK_SNAPSHOT)
        self._levels = int(number) if number != holds else 0
        ways: dict[str, Callable[[Step, Any], str]] = {
            sources.TRADES: self._trade,
            sources.BOOK_CHANGES: self._book,
            sources.BOOK_TICKER: self._best,
            sources.QUOTES: self._best,
            sources.DERIVATIVE_TICKER: self._derivative,
            sources.LIQUIDATIONS: self._liquidation,
        }
        self._of: Callable[[Step, Any], str] = self._snapshot if self._levels else ways[holds]
        self._ticker = dict.fromkeys(("funding", "rate", "interest", "last", "index", "mark"), "")

    def lines(self, step: Step) -> str:
        """What the step is in the file."""
        if step.event is None or is_off_book(step.event):
            return ""
        return self._of(step, step.event)

    def _line(self, step: Step, venue_ns: int, rest: str) -> str:
        return f"{self._begin},{venue_ns // 1000},{step.at_ns // 1000},{rest}\n"

    def _trade(self, step: Step, event: _AnyTrade) -> str:
        side = "sell" if event.buyer_is_maker else "buy"
        return self._line(step, event.trade_time_ns, f"{event.first_id},{side},{event.price},{event.quantity}")

    def _book(self, step: Step, event: BookSnapshot | BookChange) -> str:
        whole = isinstance(event, BookSnapshot)
        if whole and not step.followed:
            return ""  # a reader forgets the book where a first snapshot comes after a change: not between two of them
        sent_ns = step.venue_ns if isinstance(event, BookSnapshot) else event.venue_time_ns or step.venue_ns
        begin = f"{self._begin},{sent_ns // 1000},{step.at_ns // 1000},{'true' if whole else 'false'}"
        sides: tuple[tuple[str, list[Level]], ...] = (("bid", event.bids), ("ask", event.asks))
        return "".join(f"{begin},{side},{price},{amount}\n" for side, levels in sides for price, amount in levels)

    def _best(self, step: Step, event: BestPrices | BookTop) -> str:
        rest = f"{event.ask_quantity},{event.ask_price},{event.bid_price},{event.bid_quantity}"
        return self._line(step, step.venue_ns, rest)

    def _snapshot(self, step: Step, event: PartialDepth | futures.TimedPartialDepth | BookLevels) -> str:
        cells: list[str] = []
        for at in range(self._levels):
            for side in (event.asks, event.bids):
                cells.extend(side[at] if at < len(side) else ("", ""))
        return self._line(step, step.venue_ns, ",".join(cells))

    def _derivative(self, step: Step, event: futures.MarkPrice | futures.OpenInterest | Ticker) -> str:
        before = dict(self._ticker)
        if isinstance(event, futures.MarkPrice):
            self._ticker |= {"index": event.index_price, "mark": event.mark_price}
            if event.funding_rate and event.next_funding_time_ns:
                self._ticker |= {"rate": event.funding_rate, "funding": str(event.next_funding_time_ns // 1000)}
        elif isinstance(event, futures.OpenInterest):
            self._ticker["interest"] = event.open_interest
        else:
            self._ticker["last"] = event.last_price
        if before == self._ticker:
            return ""
        now = self._ticker
        rest = f"{now['funding']},{now['rate']},,{now['interest']},{now['last']},{now['index']},{now['mark']}"
        return self._line(step, event.venue_time_ns, rest)

    def _liquidation(self, step: Step, event: futures.Liquidation) -> str:
        rest = f",{event.side.lower()},{event.average_price},{event.filled_quantity}"
        return self._line(step, event.trade_time_ns, rest)


def _quoted(name: str) -> str:
    """A name as a cell."""
    return '"' + name.replace('"', '""') + '"' if any(letter in name for letter in ',"\n\r') else name
