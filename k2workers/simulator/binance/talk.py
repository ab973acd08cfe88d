"""Owns how one client is spoken to: what its address asks for, in which form it gets its messages, and the answers to its requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from k2workers.simulator.binance import payloads, stream_names
from k2workers.simulator.binance.settings import SimulatorSettings
from k2workers.simulator.binance.stream_requests import answer
from k2workers.simulator.stand_in import Client, Emission

UNITS = {"MICROSECOND": 1, "microsecond": 1, "MILLISECOND": 1000, "millisecond": 1000}

Form = tuple[int, bool]
"""(how many µs the unit of time has, whether messages are wrapped as those of combined streams)"""


def message(emission: Emission, form: Form) -> bytes:
    """The event's whole message in this form."""
    unit, combined = form
    return _text(emission.stream, emission.render(unit), combined).encode()


def _text(stream: str, payload: str, combined: bool) -> str:
    return f'{{"stream":"{stream}","data":{payload}}}' if combined else payload


class SpotTalk:
    """One client. ``refuses`` says of well-formed names whether a fault refuses them.

    What an address names is not checked: the venue accepts any path and any name there, and stays silent. Clients rely
    on it: ccxt connects to /ws/0, /ws/1 … and subscribes afterwards.
    """

    is_valid = staticmethod(stream_names.is_valid)

    def __init__(self, request: web.Request, settings: SimulatorSettings, refuses: Callable[[list[str]], bool]) -> None:
        """Raises HTTPBadRequest."""
        self.unit = self.unit_of(request)
        path = self.path_of(request.rel_url.raw_path)
        self.combined = path.startswith("/stream")
        if self.combined:
            # A plus sign is part of a name (kline_1d@+08:00), not a space as in a form.
            query = request.rel_url.raw_query_string.replace("+", "%2B")
            listed = dict(parse_qsl(query)).get("streams", "")
        else:
            listed = unquote(path.removeprefix("/ws/")) if path.startswith("/ws/") else ""
        self.names = [name for name in listed.split("/") if name]
        if len(set(self.names)) > settings.streams_per_connection:
            raise web.HTTPBadRequest(text='{"code":4,"msg":"Too many subscriptions"}')
        self._settings = settings
        self._refuses = refuses

    def unit_of(self, request: web.Request) -> int:
        """How many µs the unit of time has that the address asks for."""
        name = request.query.get("timeUnit", "MILLISECOND")
        if name not in UNITS:
            raise web.HTTPBadRequest(text='{"code":-1100,"msg":"Invalid timeUnit."}')
        return UNITS[name]

    def path_of(self, path: str) -> str:
        """What of the address's path names streams."""
        return path

    @property
    def form(self) -> Form:
        return self.unit, self.combined

    def ignore_unit(self) -> None:
        """Times are in milliseconds."""
        self.unit = UNITS["MILLISECOND"]

    def answer(self, text: str, client: Client) -> str | None:
        """See ``stream_requests``; a request that is too long gets none."""
        limit = self._settings.max_request_bytes
        if limit and len(text.encode()) > limit:
            return None
        return answer(
            text,
            client,
            self,
            stream_limit=self._settings.streams_per_connection,
            nested=self._settings.nested_errors,
            is_valid=self.is_valid,
            refuses=self._refuses,
        )

    def notice(self) -> str:
        """serverShutdown, in the connection's form."""
        return _text("!serverShutdown", payloads.server_shutdown(time.time_ns() // 1000, self.unit), self.combined)
