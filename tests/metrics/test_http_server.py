"""Clients that stay: who reads may stay for as long as it likes, who does not is let go. The others are judged in ``test_exporter``."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from contextlib import closing
from typing import Self

import aiohttp
import pytest

from k2workers.metrics import http_server
from k2workers.metrics.exporter import MetricsServer
from k2workers.metrics.http_answers import HttpQuestion, HttpStream
from tests.support.waiting import WAIT_S, until

ASKING = b"GET /events HTTP/1.0\r\n\r\n"


class Endless:
    """Parts for ever, of this size, as soon as ``go`` lets them."""

    def __init__(self, size: int) -> None:
        self.numbers = itertools.count()
        self.size = size
        self.go = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> bytes:
        assert self.go.wait(WAIT_S)
        return (b"%d " % next(self.numbers)).ljust(self.size)

    def close(self) -> None:
        self.closed.set()


class Serving:
    """The endpoint with one path that streams."""

    def __init__(self, size: int) -> None:
        self.parts = Endless(size)
        self.server = MetricsServer(
            "127.0.0.1", 0, get_status=dict, unhealthy=list, unready=list, others={"/events": self._answer}
        )

    def _answer(self, _asked: HttpQuestion) -> HttpStream:
        return HttpStream("text/plain", self.parts, (("X-Own", "1"),))

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.parts.go.set()
        await self.server.stop()
        await until(self.parts.closed.is_set, "the end of the stream")

    def connect(self) -> socket.socket:
        client = socket.create_connection((self.server.host, self.server.port))
        client.settimeout(WAIT_S)
        client.sendall(ASKING)
        return client


async def test_who_reads_stays_longer_than_any_answer_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PATIENCE_S", 0.2)
    async with Serving(100) as serving, aiohttp.ClientSession(serving.server.url) as client:
        serving.parts.go.set()  # the head of an answer goes with its first part
        async with client.get("/events") as reply:
            assert (reply.status, reply.headers["X-Own"], reply.headers["Cache-Control"]) == (200, "1", "no-store")
            begun = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < begun + 0.6:
                assert len(await reply.content.read(100)) > 0
        async with client.get("/healthz") as reply:
            assert reply.status == 200


async def test_who_waits_for_what_will_happen_takes_no_place_of_those_that_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CLIENTS", 1)
    monkeypatch.setattr(http_server, "GRACE_S", 2 * WAIT_S)
    async with Serving(100) as serving, aiohttp.ClientSession(serving.server.url) as client:
        with closing(serving.connect()) as staying:
            inner = serving.server._server
            assert inner is not None
            await until(lambda: not inner._idle and not inner._waiting, "the client staying")
            async with client.get("/healthz") as reply:
                assert reply.status == 200
            serving.parts.go.set()
            assert await asyncio.to_thread(staying.recv, 12) == b"HTTP/1.0 200"


async def test_who_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(http_server, "WRITE_S", 0.2)
    async with Serving(100_000) as serving:
        with closing(serving.connect()):
            serving.parts.go.set()
            await until(serving.parts.closed.is_set, "a slow client let go")
        sent = next(serving.parts.numbers)
        assert sent < 200, "the kernel kept all of it for a client that read nothing"
    assert capfd.readouterr().err == ""


async def test_a_head_of_what_never_ends_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Serving(100) as serving, aiohttp.ClientSession(serving.server.url) as client:
        async with client.head("/events") as reply:
            assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain")
        assert serving.parts.closed.is_set()
