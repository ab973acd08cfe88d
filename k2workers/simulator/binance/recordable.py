"""Owns what of the recordings of a market can be played: which streams, the shape of their messages, and the symbols that they are of. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol

import msgspec

from k2workers.simulator.binance import futures_names, stream_names
from k2workers.simulator.binance.contracts import USDM, asset_of, contracts_of
from k2workers.simulator.binance.futures_symbol import FuturesSymbol
from k2workers.simulator.binance.recorded_events import (
    RecordedAggTrade,
    RecordedBlockTrade,
    RecordedBookTicker,
    RecordedDepth,
    RecordedEvent,
    RecordedFuturesDepth,
    RecordedFuturesPartialDepth,
    RecordedKline,
    RecordedMarkPrice,
    RecordedPartialDepth,
    RecordedReferencePrice,
    RecordedTimed,
    RecordedTrade,
)
from k2workers.simulator.binance.spot_symbol import SpotSymbol
from k2workers.simulator.binance.symbol_market import SymbolMarket

Decode = Callable[[msgspec.Raw], RecordedEvent | list[RecordedTimed]]


class OpenSymbol(Protocol):
    """Makes a symbol from what is known of it: name, tick, step, price, time and the live set of wanted streams."""

    def __call__(
        self, name: str, tick: int, step: int, price: int, now_us: int, wanted: Collection[str], /
    ) -> SymbolMarket: ...


class Recordable(NamedTuple):
    """The recordings of one market."""

    market: str
    """As a user calls it."""
    is_valid: Callable[[str], bool]
    """Whether the name of a stream is well formed."""
    shapes: Mapping[str, Any]
    """Pattern of what follows the symbol in a stream's name → shape of its messages."""
    diffs: frozenset[str]
    """What follows the symbol in the names of streams of book changes."""
    shared_ids: bool
    """Whether the update ids of all symbols are one range, so that they do not tell whose a book is."""
    symbol_of: Callable[[str], str]
    """The symbol that a stream is of, or belongs to."""
    open_symbol: OpenSymbol

    def decoder_of(self, stream: str) -> Decode | None:
        """What reads the messages of a stream; None if no such stream is known."""
        if stream.startswith("!"):
            return _decoder(list[RecordedTimed]) if "@arr" in stream and not stream.startswith("!forceOrder") else None
        suffix = stream.partition("@")[2]
        return next((_decoder(shape) for pattern, shape in self.shapes.items() if re.fullmatch(pattern, suffix)), None)


@cache
def _decoder(shape: Any) -> Decode:
    return msgspec.json.Decoder(shape).decode


QUOTES = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD1", "USDP", "DAI", "EUR", "GBP", "TRY", "BRL", "AUD", "JPY", "ARS", "MXN",
    "PLN", "RON", "UAH", "ZAR", "CZK", "COP", "IDRT", "BIDR", "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "SOL",
)  # fmt: skip
"""Assets that others are quoted in. A recording does not say where a symbol's base asset ends."""


def assets(symbol: str) -> tuple[str, str]:
    """(base, quote) of a symbol's name, as far as a name tells."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    return symbol, "USDT"


def _open_spot(name: str, *values: Any) -> SpotSymbol:
    return SpotSymbol(name, *assets(name), *values)


def _open_contract(name: str, *values: Any) -> FuturesSymbol:
    return FuturesSymbol(name, asset_of(name), contracts_of(name).quote, *values, tagged=False)


def _spot_symbol_of(stream: str) -> str:
    return stream.partition("@")[0].upper()


def _contract_of(stream: str) -> str:
    """Of a pair's or an asset's stream it is the perpetual contract on it."""
    name, _, suffix = stream.partition("@")
    name = name.upper()
    if suffix.startswith("continuousKline_"):
        return contracts_of(name).symbol(asset_of(name))
    return USDM.symbol(asset_of(name)) if suffix == "assetIndex" else name


_COMMON = {
    "trade": RecordedTrade,
    "aggTrade": RecordedAggTrade,
    "bookTicker": RecordedBookTicker,
    "kline_.+": RecordedKline,
}

SPOT = Recordable(
    "spot",
    stream_names.is_valid,
    {
        **_COMMON,
        "blockTrade": RecordedBlockTrade,
        "depth(@100ms|@1000ms)?": RecordedDepth,
        r"depth\d+(@100ms|@1000ms)?": RecordedPartialDepth,
        r"miniTicker|ticker(_\w+)?|avgPrice": RecordedTimed,
        "referencePrice": RecordedReferencePrice,
    },
    frozenset({"depth", "depth@100ms", "depth@1000ms"}),
    shared_ids=False,
    symbol_of=_spot_symbol_of,
    open_symbol=_open_spot,
)

FUTURES = Recordable(
    "futures",
    futures_names.is_valid,
    {
        **_COMMON,
        "depth(@(0|100|500)ms)?": RecordedFuturesDepth,
        r"depth\d+(@(100|500)ms)?": RecordedFuturesPartialDepth,
        "markPrice(@1s)?": RecordedMarkPrice,
        "miniTicker|ticker|forceOrder|compositeIndex|assetIndex": RecordedTimed,
        "continuousKline_.+": RecordedKline,
    },
    frozenset({"depth", "depth@0ms", "depth@100ms", "depth@500ms"}),
    shared_ids=True,
    symbol_of=_contract_of,
    open_symbol=_open_contract,
)
