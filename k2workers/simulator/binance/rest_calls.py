"""Owns how a REST request of this venue is answered: the weight it takes, and the bodies and headers of answers. What replies say is in the market's table of endpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from k2workers.simulator.address_limits import NS, PerAddress
from k2workers.simulator.binance.fault_answers import BAN_TEXT, RATE_TEXT
from k2workers.simulator.binance.query import ApiError, Query, Source
from k2workers.simulator.binance.rest_endpoints import Endpoint
from k2workers.simulator.binance.settings import SimulatorSettings
from k2workers.simulator.binance.weight_meter import WeightMeter
from k2workers.simulator.stand_in import Answered, Spoil


def used(weight: int) -> dict[str, str]:
    """The headers that say how much weight an address has used in this minute."""
    return {"X-MBX-USED-WEIGHT": str(weight), "X-MBX-USED-WEIGHT-1M": str(weight)}


def _respond(body: Any, status: int, weight: int, retry_after_s: int = 0) -> web.Response:
    headers = used(weight)
    if retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


class RestCall:
    """Answers one endpoint; all requests of one IP share one weight allowance."""

    def __init__(self, source: Source, endpoint: Endpoint, query: type[Query], meters: PerAddress[WeightMeter]) -> None:
        self._source = source
        self._query = query
        self._endpoint = endpoint
        self._meters = meters

    def __call__(self, request: web.Request, spoil: Spoil) -> Answered:
        query = self._query(request)
        try:
            weight = self._endpoint.weight(query)
        except ApiError:
            # A malformed request still costs something; its own reply follows below.
            weight = 1
        return Answered(self._answer(query, weight, request.remote or "", spoil), weight)

    def _answer(self, query: Query, weight: int, address: str, spoil: Spoil) -> web.Response:
        now_ns = time.time_ns()
        meter = self._meters.of(address)
        meter.limit = self._source.weight_limit()
        status, so_far, wait_s = meter.spend(weight, now_ns)
        if status != 200:
            text = (
                RATE_TEXT.format(meter.limit) if status == 429 else BAN_TEXT.format(now_ns // 1_000_000 + wait_s * 1000)
            )
            return _respond({"code": -1003, "msg": text}, status, so_far, wait_s)
        try:
            body = self._endpoint.reply(self._source, query)
        except ApiError as error:
            return _respond({"code": error.code, "msg": error.message}, error.status, so_far)
        rows = body.get("symbols") if isinstance(body, dict) else body
        if isinstance(rows, list):
            spoil(rows)
        return _respond(body, 200, so_far)


def calls(
    source: Source, settings: SimulatorSettings, endpoints: Mapping[str, Endpoint], query: type[Query]
) -> Mapping[str, RestCall]:
    """Path → who answers; ``query`` reads the parameters."""
    meters = PerAddress(lambda: WeightMeter(settings.weight_per_minute, int(settings.ban_s * NS)))
    return {path: RestCall(source, endpoint, query, meters) for path, endpoint in endpoints.items()}
