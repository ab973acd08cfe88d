"""Owns what the exchange does with every REST request, whoever answers it: injected faults, and the count of what was asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.faults import Fault
from k2workers.simulator.stand_in import Answered, Spoil, StandIn

PARTS = 60
"""Of a reply that trickles."""


class RequestLog:
    """What was asked over REST since the start."""

    def __init__(self) -> None:
        self.by_path: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.used_weight = 0

    def count(self, path: str, status: int) -> None:
        """One more request; what is no call of the venue is "unknown"."""
        self.by_path[path] += 1
        self.by_status[str(status)] += 1

    def as_data(self) -> dict[str, Any]:
        return {
            "requests": self.by_path.total(),
            "by_path": dict(self.by_path),
            "by_status": dict(self.by_status),
            "used_weight": self.used_weight,
        }


_REFUSALS = {"rest_429": 429, "rest_418": 418, "rest_403": 403, "rest_5xx": 0}


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
    """Serves one call of the venue; ``answer`` is the venue's."""

    def __init__(
        self,
        path: str,
        answer: Callable[[web.Request, Spoil], Answered],
        venue: StandIn,
        faults: FaultSet,
        log: RequestLog,
    ) -> None:
        self._path = path
        self._answer = answer
        self._venue = venue
        self._faults = faults
        self._log = log

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = await self._injected() if self._faults.rest else None
        if response is None:
            response, weight = self._answer(request, self._spoil)
            self._log.used_weight += weight
        self._log.count(self._path, response.status)
        slow = self._fault("rest_trickle")
        return response if slow is None else await _trickle(request, response, slow.values["over_s"])

    def _fault(self, kind: str) -> Fault | None:
        return self._faults.request(kind, self._path, time.monotonic()) if self._faults.rest else None

    async def _injected(self) -> web.Response | None:
        """The answer that a fault gives instead of the right one."""
        now_s = time.monotonic()
        slow = self._faults.request("rest_slow", self._path, now_s)
        if slow is not None:
            await asyncio.sleep(slow.values["delay_s"])
        for kind, status in _REFUSALS.items():
            fault = self._faults.request(kind, self._path, now_s)
            if fault is not None:
                return self._venue.refusal(status or fault.values["status"], fault.values, rest=True)
        return None

    def _spoil(self, rows: list[Any]) -> None:
        """What the faults on rows leave of a reply."""
        if self._fault("rest_empty") is not None:
            rows.clear()
        lacks = self._fault("rest_lacks") if rows else None
        if lacks is not None:
            del rows[: lacks.values["ids"]]
        odd = self._fault("odd_row")
        if odd is not None:
            rows.insert(len(rows) // 2, json.loads(odd.values["element"]))


def add_routes(app: web.Application, venue: StandIn, faults: FaultSet, log: RequestLog) -> None:
    """Adds every call of the venue."""
    for path, answer in venue.calls().items():
        app.router.add_get(venue.rest_path + path, Handler(path, answer, venue, faults, log).__call__)
