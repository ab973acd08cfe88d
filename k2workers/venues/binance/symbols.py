"""Owns choosing symbols: names and patterns against what the venue lists."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import msgspec

from k2workers.errors import ConfigError

TRADING = "TRADING"


class SymbolInfo(msgspec.Struct, frozen=True):
    """One row of exchangeInfo's ``symbols``; its other fields are ignored."""

    symbol: str
    status: str


def choose(selectors: Sequence[str], listed: Sequence[SymbolInfo]) -> list[str]:
    """The symbols that names and patterns (``*`` and ``?``) select, each once, in a stable order.

    Patterns select among symbols that trade now. Raises ConfigError for a name that is not listed (naming the
    nearest) or does not trade, and for a pattern that selects nothing.
    """
    status_of = {info.symbol: info.status for info in listed}
    trading = sorted(symbol for symbol, status in status_of.items() if status == TRADING)
    chosen: dict[str, None] = {}
    problems = []
    for selector in selectors:
        name = selector.upper()
        if "*" in name or "?" in name:
            matching = fnmatch.filter(trading, name)
            if not matching:
                problems.append(f"symbols = {selector!r}: matches none of the venue's {len(trading)} trading symbols")
            chosen.update(dict.fromkeys(matching))
        elif name not in status_of:
            import difflib  # only a mistake pays for it

            near = difflib.get_close_matches(name, status_of, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"symbols = {selector!r}: the venue lists no such symbol{hint}")
        elif status_of[name] != TRADING:
            problems.append(f"symbols = {selector!r}: its status is {status_of[name]}, allowed is {TRADING}")
        else:
            chosen[name] = None
    if problems:
        raise ConfigError("\n".join(problems))
    return list(chosen)
