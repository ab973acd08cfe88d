"""Owns what the simulator's tests share: an exchange on a free port, and a small client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from k2workers import simulator
from k2workers.simulator import Exchange
from k2workers.simulator.simulator_settings import StandInSettings
from tests.support.waiting import WAIT_S


class Client:
    """One aiohttp session against one exchange."""

    def __init__(self, exchange: Exchange, port: int, session: aiohttp.ClientSession) -> None:
        self.exchange = exchange
        self.port = port
        self.session = session
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def connect(self, path: str = "/stream", autoping: bool = True) -> aiohttp.ClientWebSocketResponse:
        socket = await self.session.ws_connect(
            f"ws://127.0.0.1:{self.port}{path}", autoping=autoping, timeout=aiohttp.ClientWSTimeout(ws_close=0.5)
        )
        self._sockets.append(socket)
        return socket

    async def close(self) -> None:
        """Close what the test left open: a connection that is only forgotten is complained about in some later test."""
        await asyncio.gather(*(socket.close() for socket in self._sockets))

    async def get(self, path: str) -> Any:
        async with self.session.get(f"http://127.0.0.1:{self.port}{path}") as reply:
            return await reply.json()

    async def post(self, path: str) -> Any:
        async with self.session.post(f"http://127.0.0.1:{self.port}{path}") as reply:
            return await reply.json()


async def inject(client: Client, **body: Any) -> Any:
    """(HTTP status, answer) of putting a fault into effect."""
    async with client.session.post(f"http://127.0.0.1:{client.port}/_exchange/fault", json=body) as reply:
        return reply.status, await reply.json()


@contextlib.asynccontextmanager
async def running(venue: str = simulator.DEFAULT, **changes: Any) -> AsyncIterator[Client]:
    """An exchange with the given settings, and a client for it."""
    made: Callable[..., StandInSettings] = simulator.settings_struct(venue)
    async with served(made(**({"port": 0, "symbols": 3, "rate": 2000.0} | changes))) as client:
        yield client


@contextlib.asynccontextmanager
async def served(settings: StandInSettings) -> AsyncIterator[Client]:
    """An exchange of any venue, and a client for it."""
    exchange = Exchange(settings)
    port, _ = await exchange.start()
    async with aiohttp.ClientSession() as session:
        client = Client(exchange, port, session)
        try:
            yield client
        finally:
            await client.close()
            await exchange.stop()


async def ask(socket: aiohttp.ClientWebSocketResponse, request: Any) -> Any:
    """Sends a request and returns its reply, passing over events."""
    await socket.send_str(request if isinstance(request, str) else json.dumps(request))
    async with asyncio.timeout(WAIT_S):
        while True:
            message = json.loads(await socket.receive_str())
            if "result" in message or "error" in message:
                return message


async def collect(socket: aiohttp.ClientWebSocketResponse, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Events up to the one that makes ``enough`` true."""
    events: list[Any] = []
    async with asyncio.timeout(WAIT_S):
        while not enough(events):
            events.append(json.loads(await socket.receive_str()))
    return events


async def end_of(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, list[Any]]:
    """(close code, events before it) of a connection that the exchange ends."""
    events: list[Any] = []
    async with asyncio.timeout(WAIT_S):
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return socket.close_code, events
            events.append(json.loads(message.data))
