"""Owns the one HTTP endpoint: /metrics of all processes, /healthz, /readyz, /status. Knows no process by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from k2workers.errors import ConfigError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def mark_dead(pid: int) -> None:
    """A process ended: its gauges go, its counters stay."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library has no types here


def render() -> bytes:
    """The metrics of all processes in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    return generate_latest(registry)


class MetricsServer:
    """The endpoint. ``get_status`` gives what /status shows; the other two give the reasons for saying no."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        get_status: Callable[[], dict[str, Any]],
        unhealthy: Callable[[], list[str]],
        unready: Callable[[], list[str]],
    ) -> None:
        self.host = host
        self.port = port
        self._get_status = get_status
        self._unhealthy = unhealthy
        self._unready = unready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; ``port`` then holds the real one. Raises ConfigError if it is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", lambda _request: _verdict(self._unhealthy()))
        app.router.add_get("/readyz", lambda _request: _verdict(self._unready()))
        app.router.add_get("/status", self._status)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                f"http_port = {self.port}: cannot listen on {self.host}:{self.port} ({error.strerror}); "
                "choose a free port (--http-port, K2_HTTP_PORT) or 0 for any"
            ) from error
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        # Reading many mapped files takes milliseconds: not in the loop that gives grants.
        body = await asyncio.get_running_loop().run_in_executor(None, render)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response(self._get_status())


async def _verdict(reasons: list[str]) -> web.Response:
    return web.json_response({"ok": not reasons, "reasons": reasons}, status=503 if reasons else 200)
