"""Owns the running exchange: listeners, the clock that drives the market, and the open connections."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TextIO

from aiohttp import web

from k2workers import event_loop
from k2workers.errors import ConfigError
from k2workers.every import Every
from k2workers.simulator import exchange_control, faults, rest_server
from k2workers.simulator.address_limits import NS, PerAddress, SlidingWindow
from k2workers.simulator.fault_set import FaultSet
from k2workers.simulator.hub import Hub
from k2workers.simulator.injection import Injection
from k2workers.simulator.simulator_settings import StandInSettings
from k2workers.simulator.stand_in import Talk
from k2workers.simulator.ws import Connection

_BACK_PRESSURE_BYTES = 1 << 20
"""A replay without pauses waits while any connection has more unsent bytes than this."""


class Exchange:
    """A stand-in for the venue of its settings, on real sockets. ``await start()``, use it, ``await stop()``."""

    def __init__(self, settings: StandInSettings) -> None:
        self.settings = settings
        self.faults = FaultSet(settings.seed)
        self.venue = settings.stand_in(self.faults)
        self.hub = Hub(self.faults, self.venue)
        self.connections: dict[Connection, None] = {}
        self.market = self.venue.open_market(self.hub.wanted, time.time_ns())
        window_ns = int(settings.connect_window_s * NS)
        self._connects = PerAddress(lambda: SlidingWindow(settings.connects_per_window, window_ns))
        self.injection = Injection(self.faults, self.market.symbols, self.connections)
        self._runner: web.AppRunner | None = None
        self._pulse = Every(settings.tick_s, self._advance, "market")
        self.connects_total = 0
        self.connects: deque[float] = deque(maxlen=1_000)
        """When the last handshakes came, seconds since the start."""
        self.rest_log = rest_server.RequestLog()
        self._started_s = time.monotonic()
        self._book_lines: list[str] = []
        self._book_log: TextIO | None = None
        # A wrong fault is said before anything is opened.
        self._first_faults = [faults.parse(text, self.venue.fault_defaults) for text in settings.faults]

    async def start(self) -> tuple[int, int]:
        """Listens, starts the market, returns (WebSocket port, REST port); equal without ``rest_port``.

        Raises ConfigError when a port is taken or a certificate cannot be read.
        """
        settings = self.settings
        self._open_book_log()
        app = web.Application(middlewares=[_client_left])
        for address in self.venue.addresses:
            app.router.add_get(address, self._on_websocket)
        rest_server.add_routes(app, self.venue, self.faults, self.rest_log)
        exchange_control.add_routes(app, self)
        app.router.add_route("*", "/{path:.*}", self._on_unknown)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            ws_port = await self._listen("port", settings.port)
            rest_port = ws_port if settings.rest_port is None else await self._listen("rest_port", settings.rest_port)
        except ConfigError:
            await self._runner.cleanup()
            raise
        self._pulse.start(at_once=False)
        for fault in self._first_faults:
            self.injection.inject(fault)
        return ws_port, rest_port

    def _open_book_log(self) -> None:
        path = self.settings.book_log
        if not path:
            return
        if self.market.recorded:
            raise ConfigError(f"simulator book_log = {path!r}: allowed only with a generated market, not with replay")
        for symbol in self.market.symbols.values():
            symbol.log_books(self._book_lines)
        try:
            self._book_log = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - closed by stop
        except OSError as error:
            raise ConfigError(f"simulator book_log = {path!r}: cannot be written ({error.strerror})") from error

    async def _listen(self, name: str, port: int) -> int:
        assert self._runner is not None
        site = web.TCPSite(self._runner, self.settings.host, port, ssl_context=self._tls(), backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"simulator {name} = {port}: cannot listen on {_authority(self.settings.host, port)} ({error.strerror})"
            ) from error
        return int(self._runner.addresses[-1][1])

    def _tls(self) -> ssl.SSLContext | None:
        settings = self.settings
        if not settings.tls_cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"simulator tls_cert = {settings.tls_cert!r}, tls_key = {settings.tls_key!r}: {error}"
            ) from error
        return context

    async def stop(self) -> None:
        """Closes every connection with 1001 and stops listening."""
        self._pulse.stop()
        for connection in list(self.connections):
            connection.close(1001, "Server stopping")
        if self._runner is not None:
            await self._runner.cleanup()
        if self._book_log is not None:
            self._book_log.close()

    def _advance(self) -> None:
        """Advances the market and delivers what happened; a late tick carries more events."""
        halted_s = self.faults.halted_s(time.monotonic()) if self.faults.halts else None
        self.market.halted = halted_s is not None
        if halted_s is not None and halted_s >= self.market.pushes_on_s:
            return
        if self.market.unpaced and self._congested():
            return
        emissions = self.market.advance(time.time_ns())
        if self._book_lines and self._book_log is not None:
            self._book_log.write("".join(self._book_lines))  # before anybody can have heard of it
            self._book_log.flush()
            self._book_lines.clear()
        if emissions:
            self.hub.deliver(emissions)

    def _congested(self) -> bool:
        return any(c.unsent_bytes > _BACK_PRESSURE_BYTES for c in self.connections)

    async def _on_websocket(self, request: web.Request) -> web.StreamResponse:
        settings = self.settings
        if not self._connects.of(request.remote or "").allow(time.monotonic_ns()):
            retry = str(max(1, int(settings.connect_window_s)))
            raise web.HTTPTooManyRequests(text="Too many connection attempts", headers={"Retry-After": retry})
        self.connects.append(round(time.monotonic() - self._started_s, 3))
        refused = await self._handshake_faults()
        if refused is not None:
            return refused
        talk = self.venue.talk(request)
        muted = self._odd_connection(talk)
        connection = Connection(settings, self.hub, talk, on_subscribed=self._on_subscribed, muted=muted)
        self.connections[connection] = None
        self.connects_total += 1
        try:
            return await connection.serve(request)
        finally:
            del self.connections[connection]

    async def _on_unknown(self, request: web.Request) -> web.StreamResponse:
        """Any other path: a WebSocket there is accepted and stays silent, all else is not found."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._on_websocket(request)
        self.rest_log.count("unknown", 404)
        return self.venue.not_found()

    async def _handshake_faults(self) -> web.Response | None:
        """A refusal, if a fault on handshakes says so."""
        if not self.faults.handshakes:
            return None
        now_s = time.monotonic()
        slow = self.faults.handshake("slow_handshake", now_s)
        if slow is not None:
            await asyncio.sleep(slow.values["delay_s"])
        refused = self.faults.handshake("refuse", now_s)
        if refused is not None:
            return self.venue.refusal(refused.values["status"], refused.values, rest=False)
        return None

    def _odd_connection(self, talk: Talk) -> str | None:
        """What faults on handshakes make of a connection that is let in; the end of the streams that stay mute."""
        if not self.faults.handshakes:
            return None
        now_s = time.monotonic()
        mute = self.faults.handshake("mute", now_s)
        if self.faults.handshake("ignore_unit", now_s) is not None:
            talk.ignore_unit()
        return mute.values["stream"] if mute is not None else None

    def _on_subscribed(self) -> None:
        self.market.subscribed(time.time_ns())


@web.middleware
async def _client_left(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A client that leaves before it has its answer is no error of ours."""
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response()  # which nobody reads


def main(settings: StandInSettings) -> None:
    """Runs the exchange until SIGTERM or SIGINT; prints one line with its addresses. Raises ConfigError."""
    event_loop.run(_serve(settings))


async def _serve(settings: StandInSettings) -> None:
    exchange = Exchange(settings)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, stopping.set)
    ws_port, rest_port = await exchange.start()
    # The market's long-lived objects never become garbage; without this, full collections scan them all.
    gc.freeze()
    secure = "s" if settings.tls_cert else ""
    ws, rest = _authority(settings.host, ws_port), _authority(settings.host, rest_port)
    print(f"embedded exchange: ws{secure}://{ws} http{secure}://{rest}", flush=True)
    try:
        await stopping.wait()
    finally:
        await exchange.stop()
        sys.stdout.flush()


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
