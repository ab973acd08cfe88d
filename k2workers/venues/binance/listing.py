"""Owns how Binance is asked which symbols it lists, with as little data as possible: the whole list is megabytes.

Names are asked for alone. One that the venue does not list refuses all that are asked for with it; so such names are remembered, and
asked for apart: at each look one of them in turn, and from time to time the whole list tells of all.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Sequence

import msgspec

from k2workers.errors import VenueError, VenueRefused
from k2workers.venues.binance.dialect import SPOT_DIALECT, Dialect
from k2workers.venues.binance.limits import weight_per_minute
from k2workers.venues.binance.rest import ExchangeInfo, RestClient
from k2workers.venues.binance.symbols import can_be_asked_alone, choose
from k2workers.venues.venue import Choice

SILENCE_S = 8.0
"""How long the venue may be silent before the request is given up."""

WHOLE_EVERY_NS = 3_600_000_000_000
"""How often the whole list is asked for because a name is missing in it."""


class BinanceListing:
    """Fulfils ``venues.venue.Listing`` for one of the markets.

    ``weight`` is that of two requests of exchangeInfo: the names that are listed, then a missing one, or all symbols if some could not be asked
    for alone.
    """

    def __init__(
        self, base_url: str, ssl_context: ssl.SSLContext | None = None, dialect: Dialect = SPOT_DIALECT
    ) -> None:
        self._base_url = base_url
        self._ssl = ssl_context
        self._dialect = dialect
        self.weight = 2 * dialect.weights.symbols
        self._missing: dict[str, str] = {}
        """Names that the venue did not list at the last look → the nearest in the whole list."""
        self._whole_ns = 0
        self._looks = 0

    async def look(self, selectors: Sequence[str], now_ns: int) -> tuple[Choice, int]:
        """See ``Listing.look``."""
        self._looks += 1
        async with RestClient(self._base_url, self._ssl, SILENCE_S, self._dialect) as rest:
            info = await self._few(rest, selectors, now_ns)
            if info is not None:
                choice = choose(selectors, info.symbols, complete=False, asleep=self._dialect.asleep)
                # Among a few names there is no nearest one.
                unknown = {name: self._missing[name] for name in choice.unknown}
                choice = msgspec.structs.replace(choice, unknown=unknown)
            else:
                info = await rest.exchange_info()
                if not info.symbols:
                    raise VenueError(f"{self._base_url} lists no symbols")
                choice = choose(selectors, info.symbols, complete=not info.odd, asleep=self._dialect.asleep)
                self._whole_ns = now_ns
        self._missing = choice.unknown
        return choice, weight_per_minute(info.rate_limits)

    async def _few(self, rest: RestClient, selectors: Sequence[str], now_ns: int) -> ExchangeInfo | None:
        """The rows of the names that were not missing, and of a missing one if it is listed now; None if only the whole list tells."""
        names = list(dict.fromkeys(selector.upper() for selector in selectors))
        listed = [name for name in names if name not in self._missing]
        missing = [name for name in names if name in self._missing]
        alone = self._dialect.listed_by_name and can_be_asked_alone(listed)
        if not alone or (missing and now_ns - self._whole_ns >= WHOLE_EVERY_NS):
            return None
        info = ExchangeInfo([])
        if listed:
            try:
                info = await rest.exchange_info(listed)
            except VenueRefused:
                return None
            if not {row.symbol for row in info.symbols}.issuperset(listed):
                return None
        apart = [name for name in missing if can_be_asked_alone([name])]
        if apart:
            with contextlib.suppress(VenueRefused):  # not listed yet
                more = await rest.exchange_info([apart[self._looks % len(apart)]])
                info = ExchangeInfo(info.symbols + more.symbols, rate_limits=more.rate_limits)
        return info
