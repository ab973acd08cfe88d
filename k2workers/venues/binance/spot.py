"""Owns Binance spot, as the feed sees it: who does what in this package."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence

from k2workers.errors import ConfigError, VenueError
from k2workers.venues.binance import refusals, streams
from k2workers.venues.binance.codec import BinanceCodec
from k2workers.venues.binance.dialect import SPOT_DIALECT
from k2workers.venues.binance.history import BinanceHistory
from k2workers.venues.binance.limits import SPOT_LIMITS
from k2workers.venues.binance.listing import BinanceListing
from k2workers.venues.binance.market_look import SPOT_EVIDENCE, BinanceMarketLook
from k2workers.venues.binance.rest import RestClient
from k2workers.venues.binance.stream_dialect import SPOT_STREAMS
from k2workers.venues.binance.streams import StreamKind
from k2workers.venues.market_evidence import Evidence
from k2workers.venues.venue import Poll, Route, StreamSpec, Venue
from k2workers.venues.venue_settings import ca_bundle_setting


class BinanceSpot:
    """Fulfils ``venues.venue.Venue`` for Binance spot. The other markets of the exchange's family are subclasses that
    hold what differs."""

    name = "binance"
    limits = SPOT_LIMITS
    dialect = SPOT_DIALECT
    stream_dialect = SPOT_STREAMS
    kinds: Mapping[str, StreamKind] = streams.KINDS
    evidence_of: Mapping[str, Evidence] = SPOT_EVIDENCE
    pauses = refusals.PAUSES

    @property
    def rest_pool(self) -> str:
        """Its own: each market of Binance has an address and a limit of its own for REST."""
        return self.name

    @property
    def ca_bundle_setting(self) -> str:
        """See ``venue_settings.ca_bundle_setting``."""
        return ca_bundle_setting(self.name)

    def stream_specs(self, kinds: Sequence[str], symbols: Sequence[str]) -> list[StreamSpec]:
        """See ``streams.stream_specs``. Raises ConfigError also for a kind that this market lacks."""
        specs = streams.stream_specs(kinds, symbols, self.kinds)
        lacking = [kind for kind in kinds if self.lacks(kind)]
        if lacking:
            raise ConfigError(f"streams: {self.name} has no {' and no '.join(map(repr, lacking))}")
        return specs

    def lacks(self, kind: str) -> bool:
        """Whether this market does not have a kind that others of ``kinds`` have."""
        return False

    def subscribe_chunks(self, names: Sequence[str]) -> list[list[str]]:
        """See ``streams.subscribe_chunks``."""
        return streams.subscribe_chunks(names)

    def subscribe_message(self, names: Sequence[str], request_id: int) -> bytes:
        """See ``streams.subscribe_message``."""
        return streams.subscribe_message(names, request_id)

    def read_refusal(
        self, asked: str, status: int, headers: Mapping[str, str], body: bytes, now_s: float
    ) -> VenueError:
        """See ``refusals.read``."""
        return refusals.read(asked, status, headers, body, now_s)

    def routes(self, specs: Sequence[StreamSpec]) -> list[Route]:
        """One connection carries everything."""
        return [Route(path=streams.path(self.dialect), specs=specs, limits=self.limits)] if specs else []

    def polls(self, specs: Sequence[StreamSpec]) -> list[Poll]:
        """Everything comes over streams."""
        return []

    def list_message(self, request_id: int) -> bytes:
        """See ``streams.list_message``."""
        return streams.list_message(request_id)

    def history(self, base_url: str, ssl_context: ssl.SSLContext | None, book_levels: int) -> BinanceHistory:
        """REST for repairs; ``book_levels`` of each side in a snapshot."""
        return BinanceHistory(base_url, ssl_context, self.dialect, self.kinds, book_levels=book_levels)

    def book_sizes(self, book_levels: int) -> tuple[int, ...]:
        """The cheapest, and as many as are wanted."""
        return min(self.dialect.weights.cheap_levels, book_levels), book_levels

    def listing(self, base_url: str, ssl_context: ssl.SSLContext | None) -> BinanceListing:
        """Which symbols there are."""
        return BinanceListing(base_url, ssl_context, self.dialect)

    def market_look(self, base_url: str, ssl_context: ssl.SSLContext | None) -> BinanceMarketLook:
        """What the market as a whole does."""
        return BinanceMarketLook(base_url, ssl_context, self.dialect)

    async def clock_ns(self, base_url: str, ssl_context: ssl.SSLContext | None) -> int:
        """What its clock shows."""
        async with RestClient(base_url, ssl_context, dialect=self.dialect) as rest:
            return await rest.clock_ns()

    def evidence(self, kind: str) -> Evidence:
        """See ``market_look.SPOT_EVIDENCE``."""
        return self.evidence_of.get(kind, Evidence.NONE)

    def codec(self, specs: Sequence[StreamSpec]) -> BinanceCodec:
        """A decoder for messages in whatever unit of time; ``streams.path`` asks for microseconds where there are some."""
        return BinanceCodec(self.name, specs, self.stream_dialect)


def venue() -> Venue:
    """What ``venues.load`` gives."""
    return BinanceSpot()
