"""Owns what is read from recorded files before they are played: the symbols, their prices and steps, and the first books.

A look at everything would take a minute for each gigabyte, so it ends after a number of lines. Symbols that come later are opened
by the replay as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from k2workers.simulator.binance.recordable import Recordable
from k2workers.simulator.binance.recorded_events import (
    RecordedEvent,
    RecordedLine,
    RecordedMessage,
    RecordedTimed,
    Rows,
    decode_line,
    micros,
    parse_decimal,
)
from k2workers.simulator.recorded_lines import read_lines

LINES = 500_000
"""Of all files together; about a second's work."""

MIN_LINES = 5_000
"""Of each file, however many there are."""

SAMPLE = 300
"""Messages of a symbol from which its steps of price and quantity are learned; messages of the whole market that are looked at."""


class Found:
    """What the messages of one symbol tell. Prices and steps in units of 1e-8."""

    def __init__(self, symbol: str, recordable: Recordable) -> None:
        self.symbol = symbol
        self._recordable = recordable
        self.price = 0
        """The first one; 1.0 while none has come."""
        self.tick, self.step = 10**6, 10**3
        """The finest steps of the prices and quantities seen, or these."""
        self.at_us = 0
        """The venue's first time; 0 while none has come."""
        self.received_us = 0
        self.has_diffs = False
        self._sampled = 0
        self._updates: list[RecordedMessage] = []
        """The first and the last message with an update id."""

    def learn(self, recorded: RecordedMessage) -> None:
        """Take in one message."""
        suffix = recorded.line.stream.partition("@")[2]
        self.has_diffs = self.has_diffs or suffix in self._recordable.diffs
        self.received_us = self.received_us or recorded.stamp_ns // 1000
        if suffix == "bookTicker" or suffix.startswith("depth"):
            self._updates[1:] = [recorded]
        if self._sampled < SAMPLE:
            self._sampled += 1
            event = event_of(recorded, self._recordable)
            if event is not None:
                self.learn_event(event)

    def learn_event(self, event: RecordedEvent) -> None:
        """Take in the time, prices and quantities of one event."""
        self.at_us = self.at_us or micros(event.at)
        try:
            prices, quantities = ([parse_decimal(text) for text in texts] for texts in event.amounts())
        except ValueError:
            return
        self.price = self.price or next(iter(prices), 0)
        self.tick = min([self.tick, *map(_step, prices)])
        self.step = min([self.step, *map(_step, quantities)])

    def distance(self, update_id: int) -> int | None:
        """How far an update id is from those of this symbol, which are a range of their own; None if it has none."""
        ids = [
            number
            for recorded in self._updates
            if (event := event_of(recorded, self._recordable))
            for number in event.ids
        ]
        if not ids:
            return None
        return max(0, min(ids) - update_id, update_id - max(ids))


def event_of(recorded: RecordedMessage, recordable: Recordable) -> RecordedEvent | None:
    """The message as an event; None if it does not fit its stream, or concerns the whole market."""
    event = _decoded(recorded, recordable)
    return event if isinstance(event, RecordedEvent) else None


def _decoded(recorded: RecordedMessage, recordable: Recordable) -> RecordedEvent | list[RecordedTimed] | None:
    decode = recordable.decoder_of(recorded.line.stream)
    try:
        return decode(recorded.line.data) if decode is not None else None
    except msgspec.MsgspecError:
        return None


def _learn_all(recorded: RecordedMessage, recordable: Recordable, found: dict[str, Found]) -> None:
    """A message of the whole market has a row for each of many symbols."""
    rows = _decoded(recorded, recordable)
    for row in rows if isinstance(rows, list) else ():
        if row.s and row.s not in found:
            found[row.s] = Found(row.s, recordable)
            found[row.s].learn_event(row)


def look(files: Sequence[str], recordable: Recordable) -> tuple[dict[str, Found], dict[str, RecordedLine]]:
    """(symbols, the first book of each that has one). Raises ConfigError, with the line, for what is no recording."""
    found: dict[str, Found] = {}
    snapshots: list[tuple[str, RecordedLine]] = []
    name, arrays = "", 0
    share = max(MIN_LINES, LINES // max(1, len(files)))
    for path in files:
        for recorded in islice(read_lines((path,), decode_line), share):
            line = recorded.line
            if line.stream:
                if not recordable.is_valid(line.stream):
                    continue
                if line.stream.startswith("!"):
                    arrays += 1
                    if arrays <= SAMPLE:
                        _learn_all(recorded, recordable, found)
                    continue
                name = recordable.symbol_of(line.stream)
                if name not in found:
                    found[name] = Found(name, recordable)
                found[name].learn(recorded)
            elif line.lastUpdateId:
                snapshots.append((name, line))
    books: dict[str, RecordedLine] = {}
    for name, line in snapshots:
        owner = _by_price(line, found) if recordable.shared_ids else _owner(name, line, found)
        if owner:
            books.setdefault(owner, line)
    return found, books


def _owner(before: str, snapshot: RecordedLine, found: dict[str, Found]) -> str:
    """Whose book it is, which a snapshot does not say: the symbol with the nearest update ids, or that of the message before."""
    distances = {
        symbol: away for symbol in found if (away := found[symbol].distance(snapshot.lastUpdateId)) is not None
    }
    return min(distances, key=distances.__getitem__) if distances else before


def _by_price(snapshot: RecordedLine, found: dict[str, Found]) -> str:
    """Whose book it is where all ids are one range: the symbol whose price is nearest."""
    distances = {symbol: price_distance(snapshot.bids, found[symbol].price) for symbol in found}
    return min(distances, key=distances.__getitem__)


def price_distance(bids: Rows, price: int) -> float:
    """How far a book is from a price, as the greater one's share of the lesser one."""
    best = max((parse_decimal(text) for text, _ in bids), default=0)
    return max(best, price) / max(1, min(best, price))


def _step(value: int) -> int:
    """The greatest power of ten that divides a value."""
    step = 1
    while value and value % (10 * step) == 0:
        step *= 10
    return step if value else 10**8
