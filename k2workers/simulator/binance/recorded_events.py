"""Owns the shapes of recorded messages: what the exchange itself reads of each kind, and how their times are converted to another unit. Pure.

Which streams have which shape says ``recordable``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import msgspec

from k2workers.simulator.binance.payloads import SCALE
from k2workers.simulator.recorded_lines import Recorded

Rows = list[tuple[str, str]]
"""Levels of a book: price and quantity."""


class RecordedLine(msgspec.Struct):
    """One recorded message: one of a combined stream, or a bare REST depth snapshot."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    lastUpdateId: int = 0
    bids: Rows = []
    asks: Rows = []


decode_line = msgspec.json.Decoder(RecordedLine).decode

RecordedMessage = Recorded[RecordedLine]
"""A recorded line and where it stands."""


class RecordedEvent(msgspec.Struct):
    """What the exchange itself needs to know of any message."""

    @property
    def ids(self) -> tuple[int, int]:
        """First and last id, as the generated market gives them: of what has no id, its time in µs."""
        raise NotImplementedError

    @property
    def at(self) -> int:
        """The venue's time in its unit; 0 if it has none."""
        return 0

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        """(prices, quantities) in it."""
        raise NotImplementedError


class RecordedFill(RecordedEvent):
    """What trades of all kinds have."""

    p: str
    q: str
    T: int
    m: bool

    @property
    def at(self) -> int:
        return self.T

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        return (self.p,), (self.q,)


class RecordedTrade(RecordedFill):
    """``@trade``."""

    t: int

    @property
    def ids(self) -> tuple[int, int]:
        return self.t, self.t


class RecordedBlockTrade(RecordedFill):
    """``@blockTrade``, with ids of a space of their own."""

    t: int

    @property
    def ids(self) -> tuple[int, int]:
        return self.t, self.t


class RecordedAggTrade(RecordedFill):
    """``@aggTrade``."""

    a: int
    f: int
    l: int

    @property
    def ids(self) -> tuple[int, int]:
        return self.a, self.a


class RecordedBookTicker(RecordedEvent):
    """``@bookTicker``."""

    u: int
    b: str
    B: str
    a: str
    A: str

    @property
    def ids(self) -> tuple[int, int]:
        return self.u, self.u

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        return (self.b, self.a), (self.B, self.A)


class RecordedDepth(RecordedEvent):
    """``@depth`` and ``@depth@100ms``."""

    E: int
    U: int
    u: int
    b: Rows
    a: Rows

    @property
    def ids(self) -> tuple[int, int]:
        return self.U, self.u

    @property
    def at(self) -> int:
        return self.E

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        rows = self.b + self.a
        return [price for price, _ in rows], [qty for _, qty in rows]


class RecordedPartialDepth(RecordedEvent):
    """``@depth5``, 10, 20, each with either speed."""

    lastUpdateId: int
    bids: Rows
    asks: Rows

    @property
    def ids(self) -> tuple[int, int]:
        return self.lastUpdateId, self.lastUpdateId

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        rows = self.bids + self.asks
        return [price for price, _ in rows], [qty for _, qty in rows]


class RecordedFuturesDepth(RecordedDepth):
    """Changes of a futures book, each of which names the id before it."""

    pu: int

    @property
    def ids(self) -> tuple[int, int]:
        return self.pu + 1, self.u


class RecordedFuturesPartialDepth(RecordedPartialDepth, rename={"lastUpdateId": "u", "bids": "b", "asks": "a"}):
    """The best levels of a futures book, in the shape of its changes."""

    lastUpdateId: int
    bids: Rows
    asks: Rows


class RecordedBar(msgspec.Struct):
    """The ``k`` of a kline."""

    t: int
    c: str


class RecordedKline(RecordedEvent):
    """``@kline_<interval>``."""

    E: int
    k: RecordedBar

    @property
    def ids(self) -> tuple[int, int]:
        return micros(self.k.t), micros(self.k.t)

    @property
    def at(self) -> int:
        return self.E

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        return (self.k.c,), ()


class RecordedTimed(RecordedEvent, kw_only=True):
    """The tickers and averages: ``c`` or ``w`` is a price."""

    E: int
    s: str = ""
    c: str = ""
    w: str = ""

    @property
    def ids(self) -> tuple[int, int]:
        return micros(self.E), micros(self.E)

    @property
    def at(self) -> int:
        return self.E

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        return (self.c or self.w,), ()


class RecordedMarkPrice(RecordedEvent):
    """``@markPrice``, of either speed."""

    E: int
    p: str

    @property
    def ids(self) -> tuple[int, int]:
        return micros(self.E), micros(self.E)

    @property
    def at(self) -> int:
        return self.E

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        return (), ()  # with decimals that are not the contract's


class RecordedReferencePrice(RecordedEvent):
    """``@referencePrice``; its price may be null."""

    t: int
    r: str | None = None

    @property
    def ids(self) -> tuple[int, int]:
        return micros(self.t), micros(self.t)

    @property
    def at(self) -> int:
        return self.t

    def amounts(self) -> tuple[Sequence[str], Sequence[str]]:
        return (() if self.r is None else (self.r,)), ()


def parse_decimal(text: str) -> int:
    """A decimal string in units of 1e-8."""
    whole, _, fraction = text.partition(".")
    return int(whole) * SCALE + int(fraction.ljust(8, "0")[:8])


def micros(value: int) -> int:
    """A venue's time in ms or µs, as µs."""
    return value if value >= 10**14 else value * 1000


@cache
def _times(keys: str) -> re.Pattern[str]:
    return re.compile(rf'("([{keys}])":\s*)(\d{{13,16}})(?=\s*[,}}])')


def _time_keys(stream: str) -> str:
    """The keys of a stream's payload that hold times; elsewhere the same letters are ids and prices."""
    kind = stream[1:] if stream.startswith("!") else stream.partition("@")[2]
    if kind.startswith("kline_"):
        return "EtT"
    if kind == "referencePrice":
        return "t"
    return "EOCT" if "icker" in kind else "ET"


def retimed(text: str, stream: str, unit: int) -> str:
    """The recorded payload with every time of its kind in the unit asked for (1: µs, 1000: ms), whichever was recorded."""
    keys = _time_keys(stream)

    def convert(match: re.Match[str]) -> str:
        value = int(match[3])
        at_us = micros(value)
        if keys == "EtT" and match[2] == "T" and at_us != value:
            at_us += 999  # a bar closes one unit before the next one opens
        return f"{match[1]}{at_us // unit}"

    return _times(keys).sub(convert, text)
