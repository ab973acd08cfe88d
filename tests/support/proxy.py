"""A small proxy of the user's network: HTTP (CONNECT and whole addresses) and SOCKS5, with names of its own and a password.

It runs in a thread, knows where each host name leads, and notes what it was asked. It shares no code with the package.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from tests.support.waiting import WAIT_S

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ForwardProxy:
    """Use it as ``with``. ``kind`` is a proxy's scheme; ``leads_to`` gives the port on 127.0.0.1 behind each host name."""

    def __init__(
        self,
        kind: str,
        leads_to: Mapping[str, int],
        *,
        name: str = "me",
        password: str = "p@ss:/w%rd",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[str] = []
        """host:port of everything that it was asked for with the right password."""
        self.refused = 0
        self.port = 0
        self._serve = self._socks if kind.startswith("socks") else self._http
        self._leads_to, self._name, self._password, self._host, self._tls = leads_to, name, password, host, tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_S), "the proxy did not begin to listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(WAIT_S)
        self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._client, self._host, 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            there = await self._serve(reader, writer)
            if there is not None:
                await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        writer.close()

    async def _open(self, host: str, port: int) -> Way | None:
        self.asked.append(f"{host}:{port}")
        if host not in self._leads_to:
            return None
        return await asyncio.open_connection("127.0.0.1", self._leads_to[host])

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Way | None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *headers = head.decode().rstrip().split("\r\n")
        method, target, version = first.split(" ")
        secret = base64.b64encode(f"{self._name}:{self._password}".encode()).decode()
        if f"proxy-authorization: basic {secret}".lower() not in [header.lower() for header in headers]:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return None
        address = urlsplit(f"//{target}" if method == "CONNECT" else target)
        there = await self._open(address.hostname or "", address.port or 80)
        if there is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        elif method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target.removeprefix(f"http://{address.netloc}")
            there[1].write("\r\n".join([f"{method} {path} {version}", *headers, "Connection: close", "", ""]).encode())
        return there

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Way | None:
        """RFC 1928 and 1929: host names only, as from a client that leaves them to the proxy."""
        _, count = await reader.readexactly(2)
        if 2 not in await reader.readexactly(count):
            self.refused += 1
            writer.write(b"\x05\xff")
            return None
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        name = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        if (name.decode(), password.decode()) != (self._name, self._password):
            self.refused += 1
            writer.write(b"\x01\x01")
            return None
        writer.write(b"\x01\x00")
        kind = (await reader.readexactly(4))[3]
        assert kind == 3, f"a name was expected, not an address of kind {kind}"
        host = await reader.readexactly((await reader.readexactly(1))[0])
        there = await self._open(host.decode(), int.from_bytes(await reader.readexactly(2)))
        reply = 0 if there is not None else 4
        writer.write(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        return there


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(100_000):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
