"""Owns choosing symbols: names and patterns against what the venue lists. Pure.

What the venue says today is not the user's mistake. A symbol that is named is served whatever its status: the venue acknowledges its
streams and keeps silent until it trades. A pattern selects what trades, or has paused and will trade again; not what is asleep (spot's BREAK), for
so delisted symbols stay for years, thousands of them, and each would cost streams and a book. When one begins to trade, a
later look selects it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from k2workers.venues.binance.dialect import SPOT_DIALECT
from k2workers.venues.venue import Choice

NAMED_MOST = 100
"""Up to so many names are asked for alone; with them the address stays below 2,000 characters."""

HINTED = 20
"""For so many unknown names the nearest is looked for: each takes a few hundredths of a second."""

NAMED_LENGTH = 20
"""Longer names are not asked for alone."""


LONGEST = 100
"""Signs in the name of a symbol; the venue's longest have some twenty."""


class SymbolInfo(msgspec.Struct, frozen=True):
    """One row of exchangeInfo's ``symbols``; its other fields are ignored."""

    symbol: str
    status: Any = None
    """A word, if the row is sound."""
    contractStatus: Any = None  # noqa: N815 - the venue's own name
    """The same, of a market that calls it so."""

    @property
    def told(self) -> Any:
        """Its status, by either name."""
        return self.contractStatus if self.status is None else self.status


def can_be_asked_alone(names: Sequence[str]) -> bool:
    """Whether the venue can be asked for these instead of its whole list: not for too many, for patterns, or for signs it may not take."""
    return len(names) <= NAMED_MOST and all(
        name.isascii() and name.isalnum() and len(name) <= NAMED_LENGTH for name in names
    )


def fault_of(symbol: str) -> str:
    """Why a symbol of this name cannot be served; nothing if it can.

    A stream is named after the symbol in lower case, ends it with ``@``, and a topic ends with a space.
    """
    if not symbol.isprintable() or " " in symbol:
        return "a space or control character in its name"
    if "@" in symbol or symbol.startswith("!"):
        return "its name holds a sign that names of streams use"
    if len(symbol) > LONGEST:
        return "its name is far too long"
    if not symbol or symbol.lower().upper() != symbol:
        return "its name in lower case is that of no symbol"
    return ""


def choose(
    selectors: Sequence[str],
    listed: Sequence[SymbolInfo],
    *,
    complete: bool = True,
    asleep: Collection[str] = SPOT_DIALECT.asleep,
) -> Choice:
    """What names and patterns (``*`` and ``?``) select among the listed symbols.

    A pattern does not select those whose status is ``asleep``. It is the user's mistake if the list is ``complete`` and nothing that is asked for
    can be served, now or later.
    """
    faults = {row.symbol: fault for row in listed if (fault := _fault(row.symbol, row.told))}
    status_of = {row.symbol: str(row.told) for row in listed}
    served: dict[str, str] = {}
    unknown: dict[str, str] = {}
    left_out: dict[str, str] = {}
    awaited: set[str] = set()
    empty = []
    for selector in selectors:
        name = selector.upper()
        if _is_pattern(name):
            matching = sorted(symbol for symbol in status_of if fnmatch.fnmatchcase(symbol, name))
            empty += [] if matching else [selector]
        else:
            matching = [name] if name in status_of else []
            if not matching:
                unknown[name] = _nearest(name, status_of) if len(unknown) < HINTED else ""
        for symbol in matching:
            if symbol in faults:
                left_out[symbol] = faults[symbol]
            elif _is_pattern(name) and status_of[symbol] in asleep:
                awaited.add(symbol)
            else:
                served[symbol] = status_of[symbol]
    nothing = complete and not (served or awaited or left_out)
    mistake = _mistakes(unknown, empty, len(status_of)) if nothing else ""
    return Choice(served, unknown, left_out, len(awaited.difference(served)), status_of, mistake)


def _fault(symbol: str, status: Any) -> str:
    return fault_of(symbol) or ("" if isinstance(status, str) and status else f"its status is {status!r}")


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _nearest(name: str, listed: dict[str, Any]) -> str:
    import difflib  # only a mistake pays for it

    return next(iter(difflib.get_close_matches(name, listed, n=1)), "")


def _mistakes(unknown: dict[str, str], empty: list[str], listed: int) -> str:
    lines = [
        f"symbols = {name!r}: the venue lists no such symbol{f'; did you mean {near}?' if near else ''}"
        for name, near in unknown.items()
    ]
    lines += [f"symbols = {pattern!r}: matches none of the venue's {listed} symbols" for pattern in empty]
    return "\n".join(lines)
