"""Owns the replay of recorded files (gzip lines ``<receive time ns> <JSON>``) as one continuous market.

Events keep their recorded ids and text; only their pace is ours: receive time × speed. REST is answered from
what has been replayed so far. The market starts when the first subscription arrives and ends quietly.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import msgspec

from k2workers.errors import ConfigError
from k2workers.simulator.payloads import SCALE
from k2workers.simulator.symbol import Emission, SymbolMarket

NS = 1_000_000_000
LINES_PER_TICK = 500
"""Bound of one tick's work, so that a fast replay never holds up the connections."""
HISTORY = 100_000
_PRESCAN_LINES = 5_000
_TIME = re.compile(r'("[ET]":\s*)(\d{13,16})(?=[,}])')


class Line(msgspec.Struct):
    """One recorded message: a stream's event, or a bare REST depth snapshot."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    lastUpdateId: int = 0
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


class Ids(msgspec.Struct):
    """The fields of an event that the exchange itself needs."""

    t: int = 0
    a: Any = 0
    b: Any = 0
    p: str = "0"
    q: str = "0"
    f: int = 0
    l: int = 0
    T: int = 0
    m: bool = False
    U: int = 0
    u: int = 0


_decode_line = msgspec.json.Decoder(Line).decode
_decode_ids = msgspec.json.Decoder(Ids).decode


def parse_decimal(text: str) -> int:
    """A decimal string in units of 1e-8."""
    whole, _, fraction = text.partition(".")
    return int(whole) * SCALE + int(fraction.ljust(8, "0")[:8])


def retimed(text: str, unit: int) -> str:
    """The recorded payload with its times E and T in the unit asked for, whichever unit was recorded."""

    def convert(match: re.Match[str]) -> str:
        value = int(match[2])
        micros = value if value >= 10**14 else value * 1000
        return f"{match[1]}{micros // unit}"

    return _TIME.sub(convert, text)


def read_lines(files: tuple[str, ...]) -> Iterator[tuple[int, Line]]:
    """(receive time, message) of all files in order. Raises ConfigError for what is not such a file."""
    for path in files:
        number = 0
        try:
            with gzip.open(path, "rb") as lines:
                for text in lines:
                    stamp, _, body = text.partition(b" ")
                    yield int(stamp), _decode_line(body)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"replay file {path!r}: cannot be read ({error})") from error
        except (ValueError, msgspec.MsgspecError) as error:
            raise ConfigError(f"replay file {path!r}, line {number}: not '<ns> <JSON>' ({error})") from error


class ReplayMarket:
    """Recorded files as a market source. ``speed`` 0 is as fast as the caller advances (``unpaced``)."""

    def __init__(self, files: tuple[str, ...], speed: float, wanted: set[str], settle_s: float) -> None:
        self._wanted = wanted
        self._speed = speed
        self._settle_ns = int(settle_s * NS)
        self.unpaced = speed <= 0
        self.finished = False
        self._symbols: dict[str, SymbolMarket] = {}
        self._markets: dict[str, SymbolMarket] = {}
        for path in files:
            self._prescan(path)
        if not self._symbols:
            raise ConfigError(f"replay = {files!r}: no stream message found in these files")
        self._lines = read_lines(files)
        self._next = next(self._lines, None)
        self._subscribed_ns: int | None = None
        self._last_ns: int | None = None
        self._position_ns = self._next[0] if self._next else 0
        self._paused = False

    @property
    def symbols(self) -> Mapping[str, SymbolMarket]:
        return self._symbols

    def _prescan(self, path: str) -> None:
        """Finds a file's symbols, first prices and first snapshot, so that REST can answer from the start."""
        symbol = ""
        for _, line in islice(read_lines((path,)), _PRESCAN_LINES):
            if line.stream:
                lower = line.stream.partition("@")[0]
                symbol = lower.upper()
                if symbol in self._symbols or not line.stream.endswith("@trade"):
                    continue
                event = _decode_ids(line.data)
                price, at_us = parse_decimal(event.p), event.T * (1 if event.T >= 10**14 else 1000)
                base = symbol.removesuffix("USDT")
                market = SymbolMarket(symbol, base, "USDT", 10**6, 10**3, price, at_us, self._wanted, HISTORY)
                self._symbols[symbol] = self._markets[lower] = market
            elif line.lastUpdateId and symbol in self._symbols:
                _load_snapshot(self._symbols[symbol], line)

    def subscribed(self, now_ns: int) -> None:
        """A client subscribed; the market starts a moment after the first one, so that it misses nothing."""
        if self._subscribed_ns is None:
            self._subscribed_ns = now_ns

    def pause(self, paused: bool) -> None:
        """Stops or continues the passing of recorded time."""
        self._paused = paused

    def advance(self, now_ns: int) -> list[Emission]:
        """The recorded events that are due, at most a bounded number of them."""
        out: list[Emission] = []
        if self._subscribed_ns is None or now_ns < self._subscribed_ns + self._settle_ns:
            return out
        elapsed = 0 if self._last_ns is None or self._paused else now_ns - self._last_ns
        self._last_ns = now_ns
        if self._paused:
            return out
        self._position_ns += int(elapsed * self._speed)
        for _ in range(LINES_PER_TICK):
            if self._next is None:
                self.finished = True
                break
            stamp, line = self._next
            if not self.unpaced and stamp > self._position_ns:
                break
            self._play(line, out)
            self._next = next(self._lines, None)
        return out

    def _play(self, line: Line, out: list[Emission]) -> None:
        lower, _, suffix = line.stream.partition("@")
        market = self._markets.get(lower)
        if market is None:
            return
        event = _decode_ids(line.data)
        if suffix == "trade":
            first = last = event.t
            self._keep_trade(market, event)
        elif suffix == "aggTrade":
            first = last = int(event.a)
            row = (first, parse_decimal(event.p), parse_decimal(event.q), event.f, event.l)
            market.add_agg((*row, _micros(event.T), event.m), 0, [])
        elif suffix.startswith("depth") and event.U:
            first, last = event.U, event.u
            _apply(market, event)
        else:
            first = last = event.u
        if line.stream in self._wanted:
            text = bytes(line.data).decode()
            out.append(Emission(line.stream, first, last, partial(retimed, text)))

    @staticmethod
    def _keep_trade(market: SymbolMarket, event: Ids) -> None:
        at_us = _micros(event.T)
        while at_us >= market.bars.live.end_us:
            market.close_second(at_us, [])
        market.trade_id = event.t
        market.keep_trade((event.t, parse_decimal(event.p), parse_decimal(event.q), at_us, event.m))


def _micros(value: int) -> int:
    return value if value >= 10**14 else value * 1000


def _load_snapshot(market: SymbolMarket, line: Line) -> None:
    """A file's first snapshot is the book until later diffs; a second one adds nothing."""
    if market.update_id == 0:
        for side, rows in ((market.bids, line.bids), (market.asks, line.asks)):
            for price, qty in rows:
                side.set(parse_decimal(price), parse_decimal(qty))
        market.update_id = line.lastUpdateId


def _apply(market: SymbolMarket, event: Ids) -> None:
    """One diff on the book; those that the snapshot already holds are dropped (the venue's step 4)."""
    if event.u <= market.update_id:
        return
    for side, rows in ((market.bids, event.b), (market.asks, event.a)):
        for price, qty in rows:
            side.set(parse_decimal(price), parse_decimal(qty))
    market.update_id = event.u
