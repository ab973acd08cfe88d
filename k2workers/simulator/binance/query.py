"""Owns the parameters of a REST request: reading and checking them, and the venue's words for what is wrong with them.

Error codes are the venue's documents' (errors.md). For a few wrong parameters they name no code; those here are guesses: a
bad ``windowSize`` or ``timeZone`` (-1130), an empty list of symbols (-1105), more than 100 of them (-1101).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Protocol, TypeVar

from aiohttp import web

from k2workers.errors import K2Error
from k2workers.simulator.binance.bars import HOUR, MINUTE
from k2workers.simulator.binance.symbol_market import SymbolMarket
from k2workers.simulator.fault_set import FaultSet

STATUSES = ("TRADING", "HALT", "BREAK", "CANCEL_ONLY")
_NAME = re.compile(r"[\w.\-]{1,20}")
_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::([0-5]\d))?")


Symbol = TypeVar("Symbol", bound=SymbolMarket)


class Source(Protocol):
    """What replies are made from."""

    faults: FaultSet

    @property
    def symbols(self) -> Mapping[str, SymbolMarket]: ...

    def weight_limit(self) -> int:
        """REST weight of an address in a minute, as it is now."""


class ApiError(K2Error):
    """A refused request: an HTTP status with the venue's code and message."""

    blame = "client"

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(name: str) -> ApiError:
    """The error for a value that a parameter cannot have."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


class Query:
    """The parameters of one request, checked as they are read."""

    def __init__(self, request: web.Request) -> None:
        self._query = request.query
        self._headers = request.headers

    @property
    def unit(self) -> int:
        """How many µs the unit of the reply's times has."""
        return 1 if self.header("X-MBX-TIME-UNIT").upper() == "MICROSECOND" else 1000

    def header(self, name: str) -> str:
        """What a header says; empty if there is none."""
        return self._headers.get(name, "")

    def text(self, name: str) -> str | None:
        return self._query.get(name)

    def required(self, name: str) -> str:
        value = self._query.get(name)
        if not value:
            raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def integer(self, name: str) -> int | None:
        value = self._query.get(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdecimal() or len(value) > 19:
            raise ApiError(
                -1100,
                f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
            )
        return int(value)

    def time_us(self, name: str) -> int | None:
        """A time given in ms or µs, as µs."""
        value = self.integer(name)
        return value if value is None or value >= 10**14 else value * 1000

    def limit(self, default: int, most: int) -> int:
        """The limit, clipped to ``most`` as the venue does."""
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0:
            raise invalid("limit")
        return min(value, most)

    def zone_us(self) -> int:
        """``timeZone`` as an offset in µs: hours, or hours and minutes, from -12:00 to +14:00."""
        # A plus sign in an address is read as a space.
        found = _ZONE.fullmatch((self.text("timeZone") or "0").strip())
        if found is None:
            raise invalid("timeZone")
        sign, hours, minutes = found.groups()
        offset = (int(hours) * HOUR + int(minutes or 0) * MINUTE) * (-1 if sign == "-" else 1)
        if not -12 * HOUR <= offset <= 14 * HOUR:
            raise invalid("timeZone")
        return offset

    def mini(self) -> bool:
        """Whether ``type`` asks for the short form of a ticker."""
        kind = self.text("type") or "FULL"
        if kind not in ("FULL", "MINI"):
            raise ApiError(-1139, "Invalid ticker type.")
        return kind == "MINI"

    def status(self) -> str | None:
        """``symbolStatus``."""
        status = self.text("symbolStatus")
        if status is not None and status not in STATUSES:
            raise ApiError(-1122, "Invalid symbolStatus.")
        return status

    def names(self, name: str) -> list[str] | None:
        """A parameter that is a JSON array of names, such as ``symbols``."""
        value = self.text(name)
        if value is None:
            return None
        try:
            names = json.loads(value)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(n, str) and _legal(n) for n in names):
            raise ApiError(-1100, f"Illegal characters found in parameter '{name}'.")
        if not names:
            raise ApiError(-1105, f"Parameter '{name}' was empty.")
        if len(set(names)) < len(names):
            raise ApiError(-1151, "Symbol is present multiple times in the list.")
        return names


def _legal(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == name.upper()


def one(symbols: Mapping[str, Symbol], query: Query) -> Symbol:
    """The symbol that the mandatory ``symbol`` names."""
    return _find(symbols, query.required("symbol"), query.status())


def _find(symbols: Mapping[str, Symbol], name: str, status: str | None = None) -> Symbol:
    if not _legal(name):
        raise ApiError(-1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.")
    market = symbols.get(name)
    if market is None or not market.listed:
        raise ApiError(-1121, "Invalid symbol.")
    if status is not None and market.status != status:
        raise ApiError(-1220, "The symbol's status does not match the requested symbolStatus.")
    return market


def chosen(symbols: Mapping[str, Symbol], query: Query, *, most: int = 0) -> list[Symbol]:
    """The symbols asked for with ``symbol`` or ``symbols``, else all; one bad name refuses the whole request.

    With ``most`` there is no "all": the call wants symbols named, and no more than so many.
    """
    name, names, status = query.text("symbol"), query.names("symbols"), query.status()
    if name is not None and names is not None:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if name is not None:
        return [_find(symbols, name, status)]
    if names is None and most:
        raise ApiError(-1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!")
    if names is not None and most and len(names) > most:
        raise ApiError(-1101, f"Too many parameters; expected '{most}' and received '{len(names)}'.")
    found = [m for m in symbols.values() if m.listed] if names is None else [_find(symbols, n) for n in names]
    return [market for market in found if status is None or market.status == status]
