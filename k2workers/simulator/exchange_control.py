"""Owns the exchange's own control endpoints under /_exchange/: the truth, and faults on demand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiohttp import web

from k2workers.errors import ConfigError
from k2workers.simulator import faults
from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.hub import MOST_RANGES, Hub
from k2workers.simulator.injection import Injection
from k2workers.simulator.rest_server import RequestLog
from k2workers.simulator.stand_in import MarketSource, StandIn
from k2workers.simulator.ws import Connection


class Controlled(Protocol):
    """The exchange as its control endpoints see it."""

    venue: StandIn
    market: MarketSource
    hub: Hub
    faults: FaultSet
    injection: Injection
    rest_log: RequestLog
    connects_total: int

    @property
    def connections(self) -> Mapping[Connection, None]: ...

    @property
    def connects(self) -> Iterable[float]: ...


def _reply(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        content_type="application/json",
        status=status,
    )


class ExchangeControl:
    """The endpoints of the exchange that the venue does not have."""

    def __init__(self, exchange: Controlled) -> None:
        self._exchange = exchange

    async def truth(self, _: web.Request) -> web.Response:
        """What was sent, by stream."""
        return _reply(self._exchange.hub.truth_report())

    async def heads(self, request: web.Request) -> web.Response:
        """How far each stream had come ``before_s`` ago: [how often its ids began anew, its newest id]."""
        try:
            before_s = float(request.query.get("before_s", "0"))
        except ValueError:
            return _reply({"msg": f"before_s = {request.query['before_s']!r}: allowed is a number of seconds"}, 400)
        return _reply({"heads": self._exchange.hub.heads.at(time.monotonic() - before_s)})

    async def status(self, _: web.Request) -> web.Response:
        """The state of the exchange: connections, limits, memory."""
        exchange, market = self._exchange, self._exchange.market
        return _reply(
            {
                "finished": market.finished,
                "replay": market.recorded,
                "running": market.recorded or market.running,
                "connections": len(exchange.connections),
                "connects_total": exchange.connects_total,
                "streams": len(exchange.hub.wanted),
                "emitted": exchange.hub.events,
                "symbols": list(market.symbols),
                "left_out": market.left_out,
                "connects": list(exchange.connects),
                "rest": exchange.rest_log.as_data(),
                "memory": self._memory(),
            }
        )

    def _memory(self) -> dict[str, Any]:
        """What is remembered for REST and for the truth, and the bounds of it."""
        return {
            **self._exchange.venue.memory(),
            "ranges": sum(len(truth.ranges) for truth in self._exchange.hub.truth.values()),
            "ranges_per_stream_at_most": MOST_RANGES,
        }

    async def books(self, _: web.Request) -> web.Response:
        """Every level of every book, at no weight."""
        return _reply(self._exchange.venue.books())

    async def bars(self, request: web.Request) -> web.Response:
        """Every final bar of ``interval`` that is remembered, in the form that REST has, at no weight."""
        interval, venue = request.query.get("interval", "1m"), self._exchange.venue
        if interval not in venue.intervals:
            return _reply({"msg": f"interval = {interval!r}: allowed are {', '.join(venue.intervals)}"}, 400)
        return _reply(venue.bars(interval))

    async def start_market(self, _: web.Request) -> web.Response:
        """Let time pass again."""
        return self._run(running=True)

    async def stop_market(self, _: web.Request) -> web.Response:
        """Nothing happens any more; connections stay."""
        return self._run(running=False)

    def _run(self, *, running: bool) -> web.Response:
        self._exchange.market.running = running
        return _reply({"running": running})

    async def drop(self, request: web.Request) -> web.Response:
        """Cut connections without a close frame: all, or so many of the oldest."""
        wanted = request.query.get("connections", "all")
        if wanted != "all" and not wanted.isdecimal():
            return _reply({"msg": f"connections = {wanted!r}: 'all' or a number"}, 400)
        chosen = list(self._exchange.connections)[: None if wanted == "all" else int(wanted)]
        for connection in chosen:
            connection.drop()
        return _reply({"dropped": len(chosen)})

    async def shutdown_notice(self, _: web.Request) -> web.Response:
        """Send the notice before a shutdown on every connection."""
        for connection in self._exchange.connections:
            connection.notify_shutdown()
        return _reply({"notified": len(self._exchange.connections)})

    async def fault(self, request: web.Request) -> web.Response:
        """Put a fault into effect; see ``faults``."""
        try:
            body = await request.json()
            kind = str(body.pop("kind"))
        except (ValueError, AttributeError, KeyError, TypeError):
            return _reply({"msg": 'allowed is a JSON object with the key "kind"'}, 400)
        try:
            injected = self._exchange.injection.inject(faults.make(kind, body, self._exchange.venue.fault_defaults))
        except ConfigError as error:
            return _reply({"msg": str(error)}, 400)
        return _reply(injected.as_data())

    async def faults(self, _: web.Request) -> web.Response:
        """All faults, with how often each has acted."""
        return _reply({"faults": self._exchange.faults.as_data()})

    async def clear_faults(self, _: web.Request) -> web.Response:
        """End all faults."""
        self._exchange.injection.clear()
        return _reply({"faults": []})


def add_routes(app: web.Application, exchange: Controlled) -> None:
    """Adds /_exchange/ and the name of each method of ``ExchangeControl``."""
    control = ExchangeControl(exchange)
    for ask in (control.truth, control.heads, control.status, control.books, control.bars, control.faults):
        app.router.add_get(f"/_exchange/{ask.__name__}", ask)
    for tell in (
        control.start_market, control.stop_market, control.drop, control.shutdown_notice, control.fault,
        control.clear_faults,
    ):  # fmt: skip
        app.router.add_post(f"/_exchange/{tell.__name__}", tell)
