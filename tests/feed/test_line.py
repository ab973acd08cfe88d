"""One connection on real sockets: under both event loops, over TCP and TLS, plain messages go on together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import weakref
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import pytest
import trustme
import uvloop

from k2workers.errors import AddressRefused, VenueError
from k2workers.feed.gathering import Gathering
from k2workers.feed.line import Line
from k2workers.feed.message_block import MessageBlock
from k2workers.feed.message_rate import MessageRate
from k2workers.network.tls import client_context
from k2workers.venues.binance.spot import BinanceSpot
from tests.bench.frames import frames, symbols
from tests.bench.pump import Pumping
from tests.support.waiting import WAIT_S, until

EVENTS = 3_000
T = TypeVar("T")


class Runner(Protocol):
    def __call__(self, main: Coroutine[Any, Any, T], /) -> T: ...


RUNNERS: dict[str, Runner] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@contextmanager
def pump(pumping: Pumping) -> Iterator[int]:
    """A process that sends ready-made frames to whoever connects; its port."""
    command = [sys.executable, "-m", "tests.bench.pump", msgspec.json.encode(pumping).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield int(running.stdout.readline())
        finally:
            running.kill()


async def received(url: str, ca_bundle: str = "") -> tuple[list[bytes], int]:
    """All messages of a pump, and the most that came together."""
    messages: list[bytes] = []
    most, done = 0, asyncio.Event()

    def take(_line: int, together: MessageBlock, _received_ns: int) -> None:
        nonlocal most
        messages.extend(together.singly())
        most = max(most, len(together))
        if len(messages) >= EVENTS:
            done.set()

    line = Line(1, url, take, lambda *_: None, Gathering(0), MessageRate(3))
    context = client_context(ca_bundle) if ca_bundle else None
    await line.open(ssl_context=context, timeout_s=WAIT_S, close_timeout_s=1)
    async with asyncio.timeout(WAIT_S):
        await done.wait()
    line.abort()
    await asyncio.sleep(0)
    assert line.frames_received == EVENTS
    return messages, most


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("layer", ["TCP", "TLS"])
def test_plain_messages_come_whole_in_order_and_together(runner: str, layer: str, tmp_path: Path) -> None:
    authority, chain, bundle = trustme.CA(), tmp_path / "chain.pem", tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
    secure = layer == "TLS"
    with pump(Pumping(events=EVENTS, certificate=str(chain) if secure else "")) as port:
        url = f"{'wss' if secure else 'ws'}://127.0.0.1:{port}/stream"
        messages, most = RUNNERS[runner](received(url, str(bundle) if secure else ""))
    assert messages == [
        frame.partition(b"{")[1] + frame.partition(b"{")[2] for frame in frames("trade", symbols(10), EVENTS)
    ]
    # 64 frames are written at once: had the library parsed them, each would have come alone.
    assert most >= 64


@pytest.mark.parametrize("reply", [b"HTTP/1.1 503 Busy\r\n\r\n", b"x" * 300_000, b"", b"\x00\r\n\r\n"])
def test_what_is_no_handshake_is_a_venue_error(reply: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async def attempt() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
        line = Line(1, url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3))
        with pytest.raises(VenueError, match=r"cannot connect to|answered HTTP 503"):
            await line.open(ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1)
        server.close()
        await server.wait_closed()

    asyncio.run(attempt())


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_refusal_that_comes_in_pieces_is_read_whole(runner: str) -> None:
    served = asyncio.Event()
    pieces = [b"HTTP/1.1 429 Too Many\r\nRetry-After: 7.5\r\nContent-Length: 9\r\n\r\n", b"slow", b"down!"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)  # a segment of its own; if two come together, nothing is tested and nothing fails
        await reader.read()
        writer.close()
        served.set()

    async def attempt() -> VenueError:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
        line = Line(1, url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3))
        with pytest.raises(VenueError) as caught:
            await line.open(
                ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1, read_refusal=BinanceSpot().read_refusal
            )
        async with asyncio.timeout(WAIT_S):
            await served.wait()
        server.close()
        return caught.value

    found = RUNNERS[runner](attempt())
    assert isinstance(found, AddressRefused)
    assert (found.status, found.retry_after_s) == (429, 7.5)
    assert "slowdown!" in str(found)


ODD_REFUSALS = {
    "of an old proxy": b"HTTP/1.0 429 No\r\nRetry-After: 7\r\n\r\n",
    "with a header that is none": b"HTTP/1.1 429 No\r\nA Header: x\r\nRetry-After: 7\r\n\r\nbody",
    "named twice": b"HTTP/1.1 429 No\r\nRetry-After: 9\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    "packed": b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nxxxxx",
    "cut off": b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 900\r\n\r\nbody",
    "far too long": b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
    "that sends us elsewhere": b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nLocation: http://[bad\r\n\r\n",
}
"""What other software than the venue's answers; the library alone understands none of them."""


@pytest.mark.parametrize("reply", ODD_REFUSALS.values(), ids=ODD_REFUSALS)
@pytest.mark.parametrize("ends", [True, False], ids=["and ends", "and never ends"])
def test_the_status_and_the_headers_of_a_refusal_decide(reply: bytes, ends: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        with contextlib.suppress(ConnectionError):
            await (writer.drain() if ends else reader.read())
        writer.close()

    async def attempt() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
            line = Line(1, url, lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3))
            with pytest.raises(AddressRefused) as caught:
                await line.open(
                    ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1, read_refusal=BinanceSpot().read_refusal
                )
        assert (caught.value.status, caught.value.retry_after_s) == (429, 7)

    uvloop.run(attempt())


@pytest.mark.parametrize("runner", RUNNERS)
def test_what_a_connection_held_is_free_soon_after_its_end(runner: str) -> None:
    async def wait_until_free(port: int) -> None:
        line = Line(1, f"ws://127.0.0.1:{port}/stream", lambda *_: None, lambda *_: None, Gathering(0), MessageRate(3))
        gone = weakref.ref(line)
        await line.open(ssl_context=None, timeout_s=WAIT_S, close_timeout_s=1)
        line.abort()
        del line
        await until(lambda: gone() is None)

    gc.disable()  # the collector's own rounds would hide it
    try:
        with pump(Pumping(events=EVENTS)) as port:
            RUNNERS[runner](wait_until_free(port))  # fails if it never is
    finally:
        gc.enable()
