"""Owns how the exchange answers REST requests: limits per IP, injected faults, error bodies. The endpoints are in ``rest_endpoints.py``."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from k2workers.simulator.address_limits import NS, PerAddress, WeightMeter
from k2workers.simulator.binance.fault_answers import BAN_TEXT, NOT_FOUND_PAGE, RATE_TEXT, refusal
from k2workers.simulator.binance.query import ApiError, Query
from k2workers.simulator.binance.rest_endpoints import ENDPOINTS, Endpoint
from k2workers.simulator.faults import Fault

if TYPE_CHECKING:
    from k2workers.simulator.exchange import Exchange

PARTS = 60
"""Of a reply that trickles."""


def _used(weight: int) -> dict[str, str]:
    return {"X-MBX-USED-WEIGHT": str(weight), "X-MBX-USED-WEIGHT-1M": str(weight)}


def _respond(body: Any, status: int, used: int, retry_after_s: int = 0) -> web.Response:
    headers = _used(used)
    if retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


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
            response = refusal(status or fault.values["status"], fault.values)
            response.headers.update(_used(0))
            return response
    return None


def _rows(body: Any) -> list[Any] | None:
    """The list in a reply."""
    rows = body.get("symbols") if isinstance(body, dict) else body
    return rows if isinstance(rows, list) else None


async def _trickle(request: web.Request, whole: web.Response, over_s: float) -> web.StreamResponse:
    """Sends a reply in small parts over this time."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    part = max(1, -(-len(body) // PARTS))
    for start in range(0, len(body), part):
        await asyncio.sleep(over_s / PARTS)
        await response.write(body[start : start + part])
    await response.write_eof()
    return response


class Handler:
    """Answers one endpoint; all requests of one IP share one weight allowance."""

    def __init__(self, exchange: Exchange, path: str, endpoint: Endpoint, meters: PerAddress[WeightMeter]) -> None:
        self._exchange = exchange
        self._path = path
        self._endpoint = endpoint
        self._meters = meters

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response: web.Response | None = None
        if self._exchange.faults.rest:
            response = await _injected(self._exchange, self._path)
        if response is None:
            response = self._answer(request)
        log = self._exchange.rest_log
        log.by_path[self._path] += 1
        log.by_status[str(response.status)] += 1
        slow = self._fault("rest_trickle")
        return response if slow is None else await _trickle(request, response, slow.values["over_s"])

    def _fault(self, kind: str) -> Fault | None:
        faults = self._exchange.faults
        return faults.request(kind, self._path, time.monotonic()) if faults.rest else None

    def _answer(self, request: web.Request) -> web.Response:
        query = Query(request)
        try:
            weight = self._endpoint.weight(query)
        except ApiError:
            # A malformed request still costs something; its own reply follows below.
            weight = 1
        now_ns = time.time_ns()
        meter = self._meters.of(request.remote or "")
        meter.limit = self._exchange.weight_limit()
        status, used, wait_s = meter.spend(weight, now_ns)
        self._exchange.rest_log.used_weight += weight
        if status != 200:
            text = (
                RATE_TEXT.format(meter.limit) if status == 429 else BAN_TEXT.format(now_ns // 1_000_000 + wait_s * 1000)
            )
            return _respond({"code": -1003, "msg": text}, status, used, wait_s)
        try:
            return _respond(self._odd(self._endpoint.reply(self._exchange, query)), 200, used)
        except ApiError as error:
            return _respond({"code": error.code, "msg": error.message}, 400, used)

    def _odd(self, body: Any) -> Any:
        """The reply as the faults on its rows leave it."""
        rows = _rows(body)
        if rows is not None and self._fault("rest_empty") is not None:
            rows.clear()
        lacks = self._fault("rest_lacks") if rows else None
        if rows and lacks is not None:
            del rows[: lacks.values["ids"]]
        odd = self._fault("odd_row") if rows is not None else None
        if rows is not None and odd is not None:
            rows.insert(len(rows) // 2, json.loads(odd.values["element"]))
        return body


def add_routes(app: web.Application, exchange: Exchange) -> None:
    """Adds every endpoint."""
    settings = exchange.settings
    meters = PerAddress(lambda: WeightMeter(settings.weight_per_minute, int(settings.ban_s * NS)))
    for path, endpoint in ENDPOINTS.items():
        app.router.add_get("/api/v3/" + path, Handler(exchange, path, endpoint, meters).__call__)
