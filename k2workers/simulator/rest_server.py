"""Owns how the exchange answers REST requests: limits per IP, injected faults, error bodies. The endpoints are in ``rest.py``."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from k2workers.simulator.limits import NS, PerAddress, WeightMeter
from k2workers.simulator.query import ApiError, Query
from k2workers.simulator.rest import ENDPOINTS, Endpoint

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange

_RATE_TEXT = (
    "Too much request weight used; current limit is {} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
_BAN_TEXT = (
    "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for live updates to avoid bans."
)


def _respond(body: Any, status: int, used: int, retry_after_s: int = 0) -> web.Response:
    headers = {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}
    if retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


NOT_FOUND_PAGE = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
"""As users of the venue quote it: unknown paths end at its proxy, which does not speak JSON."""


class RequestLog:
    """What was asked over REST since the start."""

    def __init__(self) -> None:
        self.by_path: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.used_weight = 0

    def as_data(self) -> dict[str, Any]:
        return {
            "requests": self.by_path.total(),
            "by_path": dict(self.by_path),
            "by_status": dict(self.by_status),
            "used_weight": self.used_weight,
        }


def not_found(log: RequestLog) -> web.Response:
    """The answer to a path that is no call of the venue; all such requests are logged as one path."""
    log.by_path["unknown"] += 1
    log.by_status["404"] += 1
    return web.Response(text=NOT_FOUND_PAGE, status=404, content_type="text/html")


_REFUSALS = {"rest_429": 429, "rest_418": 418, "rest_403": 403, "rest_5xx": 0}


async def _injected(exchange: Exchange, path: str) -> web.Response | None:
    """The answer that a fault gives instead of the right one."""
    now_s = time.monotonic()
    slow = exchange.faults.request("rest_slow", path, now_s)
    if slow is not None:
        await asyncio.sleep(slow.values["delay_s"])
    for kind, status in _REFUSALS.items():
        fault = exchange.faults.request(kind, path, now_s)
        if fault is not None:
            wait_s = int(fault.values.get("retry_after_s", 0))
            code = -1003 if status in (429, 418) else 0
            return _respond({"code": code, "msg": "Injected fault."}, status or fault.values["status"], 0, wait_s)
    return None


class Handler:
    """Answers one endpoint; all requests of one IP share one weight allowance."""

    def __init__(self, exchange: Exchange, path: str, endpoint: Endpoint, meters: PerAddress[WeightMeter]) -> None:
        self._exchange = exchange
        self._path = path
        self._endpoint = endpoint
        self._meters = meters

    async def __call__(self, request: web.Request) -> web.Response:
        response = None
        if self._exchange.faults.rest:
            response = await _injected(self._exchange, self._path)
        if response is None:
            response = self._answer(request)
        log = self._exchange.rest_log
        log.by_path[self._path] += 1
        log.by_status[str(response.status)] += 1
        return response

    def _answer(self, request: web.Request) -> web.Response:
        query, settings = Query(request), self._exchange.settings
        try:
            weight = self._endpoint.weight(query)
        except ApiError:
            # A malformed request still costs something; its own reply follows below.
            weight = 1
        now_ns = time.time_ns()
        status, used, wait_s = self._meters.of(request.remote or "").spend(weight, now_ns)
        self._exchange.rest_log.used_weight += weight
        if status != 200:
            text = (
                _RATE_TEXT.format(settings.weight_per_minute)
                if status == 429
                else _BAN_TEXT.format(now_ns // 1_000_000 + wait_s * 1000)
            )
            return _respond({"code": -1003, "msg": text}, status, used, wait_s)
        try:
            return _respond(self._endpoint.reply(self._exchange, query), 200, used)
        except ApiError as error:
            return _respond({"code": error.code, "msg": error.message}, 400, used)


def add_routes(app: web.Application, exchange: Exchange) -> None:
    """Adds every endpoint."""
    settings = exchange.settings
    meters = PerAddress(lambda: WeightMeter(settings.weight_per_minute, int(settings.ban_s * NS)))
    for path, endpoint in ENDPOINTS.items():
        app.router.add_get("/api/v3/" + path, Handler(exchange, path, endpoint, meters).__call__)
