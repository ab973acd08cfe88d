"""Owns which topics of a recording a file of an export is made from. Pure.

A file holds one symbol. Where several topics would do (trades and aggregates of them, the same book at several speeds), the one that tells most is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

TARDIS_CSV, HFTBACKTEST = "tardis-csv", "hftbacktest"
FORMATS = (HFTBACKTEST, TARDIS_CSV)

_TRADES = ("trade", "agg_trade")
_BOOKS = ("depth_0ms", "depth", "depth_250ms", "depth_500ms", "depth_1s", "rpi_depth")

TRADES, BOOK_CHANGES, BOOK_TICKER, QUOTES = "trades", "incremental_book_L2", "book_ticker", "quotes"
BOOK_SNAPSHOT, DERIVATIVE_TICKER, LIQUIDATIONS = "book_snapshot_", "derivative_ticker", "liquidations"
EVENTS = "events"
"""What a file of hftbacktest holds: trades and the changes of the book."""

_PARTS: dict[str, dict[str, tuple[tuple[str, ...], ...]]] = {
    HFTBACKTEST: {EVENTS: (_TRADES, _BOOKS)},
    TARDIS_CSV: {
        TRADES: (_TRADES,),
        BOOK_CHANGES: (_BOOKS,),
        BOOK_TICKER: (("book_ticker",),),
        QUOTES: (("book_top",),),
        DERIVATIVE_TICKER: (("mark_price", "mark_price_3s"), ("open_interest",), ("ticker",)),
        LIQUIDATIONS: (("liquidation",),),
    },
}
"""Of each format what its files hold, and of each of these which kinds of topics go into it: of those in one tuple only one."""

_FUTURES_ONLY = {DERIVATIVE_TICKER: "mark_price"}
"""What needs a kind that begins so: a market without it has none of these."""

_SOME_LEVELS = re.compile(r"(?:partial_depth|book)_(\d+)(_.+)?")


class FileSource(NamedTuple):
    """What the files of one sort and symbol are made from, the topics in the order in which events of the same time come."""

    holds: str
    venue: str
    symbol: str
    topics: tuple[str, ...]


def sources(form: str, topics: Iterable[str]) -> tuple[list[FileSource], dict[str, str]]:
    """The sources of a format's files among these topics, and each topic that goes into none with the reason."""
    by_symbol: dict[tuple[str, str], dict[str, str]] = {}
    left_out: dict[str, str] = {}
    for topic in sorted(topics):
        venue, _, rest = topic.partition(".")
        kind, _, symbol = rest.partition(".")
        if symbol:
            by_symbol.setdefault((venue, symbol), {})[kind] = topic
        else:
            left_out[topic] = "it has no symbol"
    found: list[FileSource] = []
    for (venue, symbol), by_kind in by_symbol.items():
        used: set[str] = set()
        for holds, choices in _choices(form, by_kind).items():
            first = [next((kind for kind in kinds if kind in by_kind), None) for kinds in choices]
            chosen = [kind for kind in first if kind is not None]
            if not chosen or not any(kind.startswith(_FUTURES_ONLY.get(holds, "")) for kind in chosen):
                continue
            found.append(FileSource(holds, venue, symbol, tuple(by_kind[kind] for kind in chosen)))
            used.update(chosen)
            for taken, kinds in zip(first, choices, strict=True):
                left_out |= {by_kind[each]: f"{taken} is there" for each in kinds if each in by_kind and each != taken}
        left_out |= {
            topic: f"{form} has no place for it"
            for kind, topic in by_kind.items()
            if kind not in used and topic not in left_out
        }
    return found, left_out


def is_of_book(topic: str) -> bool:
    """Whether its events change a book."""
    return topic.split(".")[1] in _BOOKS


def _choices(form: str, kinds: Iterable[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """What may be made for one symbol; how many levels its books have, its kinds say."""
    choices = dict(_PARTS[form])
    if form == TARDIS_CSV:
        numbers = {match[1] for kind in kinds if (match := _SOME_LEVELS.fullmatch(kind))}
        for number in sorted(numbers, key=int):
            fitting = [kind for kind in kinds if (match := _SOME_LEVELS.fullmatch(kind)) and match[1] == number]
            choices[BOOK_SNAPSHOT + number] = (
                tuple(sorted(fitting, key=lambda kind: (kind.startswith("book_"), len(kind)))),
            )
    return choices
