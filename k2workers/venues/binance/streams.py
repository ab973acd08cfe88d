"""Owns Binance spot's streams: the table of kinds, their names on the wire, and the SUBSCRIBE requests.

A kind with a new type of event begins in ``events.py`` (its fields, a row of ``TABLE``); its JSON is in ``messages.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from k2workers.continuity import Continuity, Identity, Link, Proof, Repair
from k2workers.errors import ConfigError
from k2workers.events import (
    AggTrade,
    AveragePrice,
    BlockTrade,
    BookTicker,
    DepthUpdate,
    Event,
    Kline,
    MiniTicker,
    PartialDepth,
    ReferencePrice,
    Ticker,
    Trade,
)
from k2workers.venues.binance.dialect import MICROSECOND_NS, Dialect
from k2workers.venues.binance.limits import SPOT_LIMITS
from k2workers.venues.venue import StreamSpec

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
"""Kline intervals; case matters (1m is a minute, 1M a month)."""


CHAIN = Continuity(identity=Identity.NUMBER, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.IDS)
"""Ids of trades and aggregates: consecutive on each symbol, and REST has them by id."""
BOOK = Continuity(identity=Identity.RANGE, link=Link.PLUS_ONE, proof=Proof.SEQUENCE, repair=Repair.BOOK)
"""Update ids of book differences; a missed one cannot be asked for, a fetched book takes its place."""
BAR = Continuity(identity=Identity.TIME, link=Link.NEXT_BAR, proof=Proof.SEQUENCE, repair=Repair.TIME)
LATEST = Continuity(identity=Identity.NUMBER, repair=Repair.NEXT)
"""Ids that rise and skip; each event is the whole state."""
LATEST_BY_TIME = Continuity(identity=Identity.TIME, repair=Repair.NEXT)
UNPROVEN = Continuity(identity=Identity.NUMBER)
"""Ids that rise and skip, where each event counts: block trades."""


class StreamKind(msgspec.Struct, frozen=True):
    """One kind of stream: ``suffix`` follows the lower-case symbol, or is the whole name of an all-market stream.

    ``kind`` is the kind of the topics its events go to.
    """

    suffix: str
    kind: str
    event_type: type[Event]
    continuity: Continuity
    all_market: bool = False


def _kinds() -> dict[str, StreamKind]:
    kinds = {
        "trade": StreamKind("@trade", "trade", Trade, CHAIN),
        "agg_trade": StreamKind("@aggTrade", "agg_trade", AggTrade, CHAIN),
        "block_trade": StreamKind("@blockTrade", "block_trade", BlockTrade, UNPROVEN),
        "book_ticker": StreamKind("@bookTicker", "book_ticker", BookTicker, LATEST),
        # The two speeds cut the same id space into different windows: they are two topics and never mixed.
        "depth": StreamKind("@depth@100ms", "depth", DepthUpdate, BOOK),
        "depth_1s": StreamKind("@depth", "depth_1s", DepthUpdate, BOOK),
        "mini_ticker": StreamKind("@miniTicker", "mini_ticker", MiniTicker, LATEST_BY_TIME),
        "mini_ticker_all": StreamKind("!miniTicker@arr", "mini_ticker", MiniTicker, LATEST_BY_TIME, all_market=True),
        # !ticker@arr was retired by the venue on 2026-03-26: there is no ticker_all.
        "ticker": StreamKind("@ticker", "ticker", Ticker, LATEST_BY_TIME),
        "avg_price": StreamKind("@avgPrice", "avg_price", AveragePrice, LATEST_BY_TIME),
        "reference_price": StreamKind("@referencePrice", "reference_price", ReferencePrice, LATEST_BY_TIME),
    }
    for levels in (5, 10, 20):
        for speed, suffix in (("", "@100ms"), ("_1s", "")):
            kind = f"partial_depth_{levels}{speed}"
            kinds[kind] = StreamKind(f"@depth{levels}{suffix}", kind, PartialDepth, LATEST)
    for window in ("1h", "4h", "1d"):
        kind = f"ticker_{window}"
        kinds[kind] = StreamKind(f"@ticker_{window}", kind, Ticker, LATEST_BY_TIME)
        kinds[f"{kind}_all"] = StreamKind(f"!ticker_{window}@arr", kind, Ticker, LATEST_BY_TIME, all_market=True)
    for interval in INTERVALS:
        kind = f"kline_{interval}"
        kinds[kind] = StreamKind(f"@kline_{interval}", kind, Kline, BAR)
        kinds[f"{kind}_utc8"] = StreamKind(f"@kline_{interval}@+08:00", f"{kind}_utc8", Kline, BAR)
    return kinds


KINDS = _kinds()
"""Every kind that can be asked for, by the name used in settings."""


def parse_kind(name: str, kinds: Mapping[str, StreamKind] = KINDS) -> StreamKind:
    """The kind of this name. Raises ConfigError that names the nearest one."""
    kind = kinds.get(name)
    if kind is None:
        import difflib  # only a mistake pays for it

        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(kinds))}"
        raise ConfigError(f"streams: {name!r} is not a kind of stream; {hint}")
    return kind


def stream_specs(
    kinds: Sequence[str], symbols: Sequence[str], known: Mapping[str, StreamKind] = KINDS
) -> list[StreamSpec]:
    """The streams of these kinds for these (upper-case) symbols. Raises ConfigError for kinds that do not fit together."""
    parsed = {name: parse_kind(name, known) for name in kinds}
    for name, kind in parsed.items():
        if kind.all_market and kind.kind in parsed:
            raise ConfigError(f"streams: {name!r} already holds {kind.kind!r} of every symbol; choose one of them")
    return [
        StreamSpec(
            kind.suffix if kind.all_market else symbol.lower() + kind.suffix,
            kind.kind,
            "" if kind.all_market else symbol,
            kind.event_type,
            kind.continuity,
        )
        for kind in parsed.values()
        for symbol in (("",) if kind.all_market else symbols)
    ]


def subscribe_chunks(names: Sequence[str]) -> list[list[str]]:
    """The names in parts whose SUBSCRIBE has at most ``SPOT_LIMITS.subscribe_bytes`` bytes of UTF-8."""
    chunks: list[list[str]] = []
    room = 0
    for name in names:
        cost = len(name.encode()) + 3  # its quotes and comma
        if cost > room:
            chunks.append([])
            room = SPOT_LIMITS.subscribe_bytes - 60  # what stands around the names
        chunks[-1].append(name)
        room -= cost
    return chunks


def subscribe_message(names: Sequence[str], request_id: int) -> bytes:
    """A SUBSCRIBE request."""
    return msgspec.json.encode({"method": "SUBSCRIBE", "params": names, "id": request_id})


def list_message(request_id: int) -> bytes:
    """A LIST_SUBSCRIPTIONS request."""
    return msgspec.json.encode({"method": "LIST_SUBSCRIPTIONS", "id": request_id})


def path(dialect: Dialect) -> str:
    """The combined endpoint, in microseconds if it can: bookTicker and partial depth carry no type, so the wrapper is needed."""
    return f"/stream{'?timeUnit=MICROSECOND' if dialect.unit_ns == MICROSECOND_NS else ''}"
