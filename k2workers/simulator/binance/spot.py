"""Owns the stand-in for Binance spot as a whole: fulfils ``stand_in.StandIn`` with the parts of this package."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from k2workers.simulator.binance import (
    fault_answers,
    glitch,
    query,
    replies,
    rest_calls,
    rest_endpoints,
    stream_names,
    talk,
)
from k2workers.simulator.binance.bars import INTERVALS, KEPT_US, SECOND
from k2workers.simulator.binance.generated_market import GeneratedMarket
from k2workers.simulator.binance.market import Market
from k2workers.simulator.binance.recordable import SPOT
from k2workers.simulator.binance.replay_market import ReplayMarket
from k2workers.simulator.binance.settings import SimulatorSettings
from k2workers.simulator.fault_set import FaultSet


class SpotStandIn:
    """The venue of one exchange; for REST it is what replies are made from (``query.Source``)."""

    fault_defaults: Mapping[str, Mapping[str, Any]] = {
        "odd_element": {"stream": "@arr"},
        "odd_row": {"path": "exchangeInfo"},
        "rest_lacks": {"path": "historicalTrades"},
        "status": {"status": "BREAK"},
    }
    addresses: tuple[str, ...] = ("/ws", "/ws/{names:.*}", "/stream")
    rest_path = "/api/v3/"
    endpoints: Mapping[str, rest_endpoints.Endpoint] = rest_endpoints.ENDPOINTS
    query: type[query.Query] = query.Query
    intervals: Collection[str] = tuple(INTERVALS)
    contiguous: Collection[str] = stream_names.CONTIGUOUS
    recorded = SPOT
    whole_book: Callable[[Any], dict[str, Any]] = staticmethod(replies.whole_book)
    closed_bars: Callable[[Any, str], list[list[Any]]] = staticmethod(replies.closed_bars)

    kind_of = staticmethod(stream_names.kind_of)
    message = staticmethod(talk.message)
    glitched = staticmethod(glitch.glitched)

    def __init__(self, settings: SimulatorSettings, faults: FaultSet) -> None:
        self.faults = faults
        self._settings = settings
        self._market: GeneratedMarket[Any] | ReplayMarket

    @property
    def symbols(self) -> Mapping[str, Any]:
        """Those of its market."""
        return self._market.symbols

    def weight_limit(self) -> int:
        """REST weight of an address in a minute, as it is now."""
        lowered = self.faults.weight_limit(time.monotonic()) if self.faults.rest else None
        return self._settings.weight_per_minute if lowered is None else lowered

    def chained(self, kind: str) -> bool:
        """Whether the ids of such a stream form an unbroken chain."""
        return kind in self.contiguous

    def open_market(self, wanted: set[str], now_ns: int) -> GeneratedMarket[Any] | ReplayMarket:
        """A generated market, or the recorded one. Raises ConfigError for files that are no recording."""
        own = self._settings
        if own.replay:
            self._market = ReplayMarket(own.replay, own.replay_speed, wanted, own.replay_settle_s, self.recorded)
        else:
            values = own.symbols, own.rate, own.seed, now_ns, wanted, own.history, own.history_s
            self._market = self.generated(*values, even=own.even, depth=own.book_depth)
        return self._market

    def generated(self, *values: Any, **named: Any) -> GeneratedMarket[Any]:
        """A market that is made up."""
        return Market(*values, **named)

    def talk(self, request: web.Request) -> talk.SpotTalk:
        """What the address asks for. Raises HTTPBadRequest."""
        return talk.SpotTalk(request, self._settings, self.refuses)

    def refuses(self, names: list[str]) -> bool:
        """Whether a fault refuses a SUBSCRIBE of these."""
        return self.faults.refuses(names, time.monotonic())

    def calls(self) -> Mapping[str, rest_calls.RestCall]:
        """Path below ``rest_path`` → who answers."""
        return rest_calls.calls(self, self._settings, self.endpoints, self.query)

    def refusal(self, status: int, values: Mapping[str, Any], *, rest: bool) -> web.Response:
        """The answer to a handshake or a REST request that a fault with these values refuses."""
        response = fault_answers.refusal(status, values)
        if rest:
            response.headers.update(rest_calls.used(0))
        return response

    def not_found(self) -> web.Response:
        """A page of the venue's proxy."""
        return web.Response(text=fault_answers.NOT_FOUND_PAGE, status=404, content_type="text/html")

    def books(self) -> Mapping[str, Any]:
        """Every level, in the form of a depth reply."""
        return {name: self.whole_book(market) for name, market in self.symbols.items()}

    def bars(self, interval: str) -> Mapping[str, Any]:
        """Every final bar, in the form of a klines reply."""
        return {name: self.closed_bars(market, interval) for name, market in self.symbols.items()}

    def memory(self) -> Mapping[str, int]:
        """What is remembered for REST, and the bounds of it."""
        markets = self.symbols.values()
        return {
            "trades": sum(len(market.trades) for market in markets),
            "agg_trades": sum(len(market.aggs) for market in markets),
            "block_trades": sum(len(market.blocks) for market in markets),
            "rows_of_a_kind_at_most": sum(market.rows_at_most for market in markets),
            "rows_per_symbol_at_most": max((market.rows_at_most for market in markets), default=0),
            "row_age_s_at_most": max((market.row_age_s_at_most for market in markets), default=0),
            "bars": sum(market.bars.kept() for market in markets),
            "bar_age_s_at_most": KEPT_US // SECOND,
        }
