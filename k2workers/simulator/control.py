"""Owns the exchange's own control endpoints under /_exchange/: the truth, and faults on demand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from k2workers.errors import ConfigError
from k2workers.simulator import faults, rest

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange


def _reply(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        content_type="application/json",
        status=status,
    )


def add_routes(app: web.Application, exchange: Exchange) -> None:
    """Adds GET truth, status, books, faults and POST stop_market, start_market, fault, clear_faults, drop, shutdown_notice."""

    async def truth(_: web.Request) -> web.Response:
        return _reply(exchange.hub.truth_report())

    async def status(_: web.Request) -> web.Response:
        return _reply(
            {
                "finished": exchange.market.finished,
                "replay": exchange.replay is not None,
                "running": exchange.replay is not None
                or (exchange.generated is not None and exchange.generated.running),
                "connections": len(exchange.connections),
                "connects_total": exchange.connects_total,
                "streams": len(exchange.hub.wanted),
                "emitted": exchange.hub.events,
                "symbols": list(exchange.market.symbols),
                "connects": list(exchange.connects),
                "rest": exchange.rest_log.as_data(),
            }
        )

    def switch(running: bool) -> Any:
        async def handler(_: web.Request) -> web.Response:
            if exchange.generated is not None:
                exchange.generated.running = running
            if exchange.replay is not None:
                exchange.replay.pause(not running)
            return _reply({"running": running})

        return handler

    async def drop(request: web.Request) -> web.Response:
        wanted = request.query.get("connections", "all")
        if wanted != "all" and not wanted.isdecimal():
            return _reply({"msg": f"connections = {wanted!r}: 'all' or a number"}, 400)
        chosen = list(exchange.connections)[: None if wanted == "all" else int(wanted)]
        for connection in chosen:
            connection.drop()
        return _reply({"dropped": len(chosen)})

    async def shutdown_notice(_: web.Request) -> web.Response:
        for connection in exchange.connections:
            connection.notify_shutdown()
        return _reply({"notified": len(exchange.connections)})

    async def books(_: web.Request) -> web.Response:
        return _reply({name: rest.whole_book(market) for name, market in exchange.market.symbols.items()})

    async def fault(request: web.Request) -> web.Response:
        try:
            body = await request.json()
            kind = body.pop("kind")
        except (ValueError, AttributeError, KeyError, TypeError):
            return _reply({"msg": 'allowed is a JSON object with the key "kind"'}, 400)
        try:
            injected = exchange.inject(faults.make(kind, body))
        except ConfigError as error:
            return _reply({"msg": str(error)}, 400)
        return _reply(injected.as_data())

    async def listed(_: web.Request) -> web.Response:
        return _reply({"faults": exchange.faults.as_data()})

    async def clear(_: web.Request) -> web.Response:
        exchange.faults.clear()
        return _reply({"faults": []})

    app.router.add_post("/_exchange/fault", fault)
    app.router.add_get("/_exchange/faults", listed)
    app.router.add_post("/_exchange/clear_faults", clear)
    app.router.add_get("/_exchange/books", books)
    app.router.add_get("/_exchange/truth", truth)
    app.router.add_get("/_exchange/status", status)
    app.router.add_post("/_exchange/stop_market", switch(False))
    app.router.add_post("/_exchange/start_market", switch(True))
    app.router.add_post("/_exchange/drop", drop)
    app.router.add_post("/_exchange/shutdown_notice", shutdown_notice)
