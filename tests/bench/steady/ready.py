"""Owns the ready-made frame of one stream: all of it but ids and times, which have the same places in each. Pure."""

from __future__ import annotations

import re

from k2workers.simulator.binance import payloads
from k2workers.simulator.binance.payloads import decimal
from tests.bench.frames import BEGAN_US, KINDS, PRICE, QUANTITY, text_frame

FIRST_ID = 1_000_000_000
"""Long enough that all later ones have as many digits."""

LEVELS = 5
"""Of each side in a book's difference, and in the whole book."""

TICK = 1_000_000

_BIDS = [(PRICE - TICK * level, QUANTITY) for level in range(LEVELS)]
_ASKS = [(PRICE + TICK * (1 + level), QUANTITY) for level in range(LEVELS)]
BOOK = {
    "bids": [[decimal(price), decimal(quantity)] for price, quantity in _BIDS],
    "asks": [[decimal(price), decimal(quantity)] for price, quantity in _ASKS],
}
"""The book that every difference leaves, as REST shows it."""


class Ready:
    """One stream's frame."""

    def __init__(self, kind: str, symbol: str, unit_us: int) -> None:
        text = f'{{"stream":"{symbol.lower()}@{KINDS[kind]}","data":{_data(kind, symbol, unit_us)}}}'
        self._made = text_frame(text.encode())
        self._unit_us = unit_us
        self._ids = _places(self._made, FIRST_ID)
        self._times = _places(self._made, BEGAN_US // unit_us)

    def frame(self, number: int, now_us: int) -> bytearray:
        """The frame of the event with this id, at this time."""
        made = bytearray(self._made)
        for digits, places in ((b"%d" % number, self._ids), (b"%d" % (now_us // self._unit_us), self._times)):
            for at in places:
                made[at : at + len(digits)] = digits
        return made


def _places(made: bytes, number: int) -> list[int]:
    return [found.start(1) for found in re.finditer(rb'":(%d)[,}]' % number, made)]


def _data(kind: str, symbol: str, unit: int) -> str:
    at = BEGAN_US
    if kind == "trade":
        return payloads.trade(symbol, FIRST_ID, PRICE, QUANTITY, at, at, True, unit)
    if kind == "agg_trade":
        return payloads.agg_trade(symbol, (FIRST_ID, PRICE, QUANTITY, FIRST_ID, FIRST_ID, at, True), at, unit)
    if kind == "book_ticker":
        return payloads.book_ticker(symbol, FIRST_ID, _BIDS[0], _ASKS[0], unit)
    return payloads.depth_update(symbol, FIRST_ID, FIRST_ID, _BIDS, _ASKS, at, unit)
