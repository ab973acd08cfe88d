"""Owns the bytes that the benchmark sends: frames of combined streams as the venue would write them. Pure."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

from websockets.extensions import Extension
from websockets.frames import Frame, Opcode

from k2workers.simulator.binance import payloads

KINDS = {"trade": "trade", "agg_trade": "aggTrade", "book_ticker": "bookTicker", "depth": "depth@100ms"}
"""Benchmarked kinds, and how their streams are called."""

BEGAN_US = 1_795_533_324_193_019
PRICE, QUANTITY = 6_412_345_000_000, 123_400_000
LEVELS = 20
_NO_EXTENSIONS: list[Extension] = []


def symbols(count: int, shard: int = 0, shards: int = 1) -> list[str]:
    """Names of about the usual length: ``count`` of them, or those of one shard."""
    return [f"S{number:03d}USDT" for number in range(shard, count, shards)]


def frames(kind: str, names: Sequence[str], events: int, time_unit_us: int = 1) -> Iterator[bytes]:
    """``events`` whole frames, evenly mixed over the symbols, ids rising by one for each symbol."""
    for number in range(events):
        symbol = names[number % len(names)]
        text = f'{{"stream":"{symbol.lower()}@{KINDS[kind]}","data":{_data(kind, symbol, 1 + number // len(names), time_unit_us)}}}'
        yield text_frame(text.encode())


def recorded(file: Path) -> Iterator[bytes]:
    """The combined stream messages of a recording: gzip, a line each of receive time, a blank, and the message."""
    with gzip.open(file) as lines:
        for line in lines:
            text = line.partition(b" ")[2].strip()
            if text.startswith(b'{"stream"'):
                yield text_frame(text)


def text_frame(text: bytes) -> bytes:
    return Frame(Opcode.TEXT, text).serialize(mask=False, extensions=_NO_EXTENSIONS)


def _data(kind: str, symbol: str, number: int, unit: int) -> str:
    at_us = BEGAN_US + number
    if kind == "trade":
        return payloads.trade(symbol, number, PRICE + number, QUANTITY, at_us, at_us, bool(number & 1), unit)
    if kind == "agg_trade":
        row = (number, PRICE + number, QUANTITY, number, number, at_us, bool(number & 1))
        return payloads.agg_trade(symbol, row, at_us, unit)
    if kind == "book_ticker":
        return payloads.book_ticker(symbol, number, (PRICE, QUANTITY + number), (PRICE + 1, QUANTITY), unit)
    levels = [(PRICE + 1_000_000 * level, QUANTITY + number) for level in range(LEVELS)]
    return payloads.depth_update(symbol, number, number, levels, levels, at_us, unit)
