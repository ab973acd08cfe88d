"""The screen before a socket, between real connections: all bytes in order, both ways, and an orderly end whatever the peer does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from k2workers.errors import ConfigError
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.screen import CHUNK_BYTES, OPEN_AT_MOST, Screen, name_behind
from tests.support.waiting import WAIT_S, until

POLICY = PeerPolicy(connections=3)
HEARD = b"".join(number.to_bytes(4, "big") for number in range(50_000))


class Screened:
    """The screen, what listens behind it in place of ZeroMQ, and who comes."""

    def __init__(self, path: Path, policy: PeerPolicy) -> None:
        self.port = free_port()
        self.screen = Screen("127.0.0.1", self.port, str(path), setting="publish_endpoint", policy=policy)
        self.came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.came.put_nowait((reader, writer))

    async def inside(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The next connection that was handed on."""
        async with asyncio.timeout(WAIT_S):
            return await self.came.get()

    async def peer(self, port: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        """A peer that has just come, from this port of its own (0: any), and its name."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=("127.0.0.1", port))
        self._writers.append(writer)
        return reader, writer, "127.0.0.1:{}".format(writer.get_extra_info("sockname")[1])

    async def close(self) -> None:
        await self.screen.close(0)
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.asynccontextmanager
async def screened(tmp_path: Path, policy: PeerPolicy = POLICY) -> AsyncIterator[Screened]:
    made = Screened(tmp_path / "inside", policy)
    server = await asyncio.start_unix_server(made.take, str(tmp_path / "inside"))
    made.screen.start()
    try:
        yield made
    finally:
        await made.close()
        server.close()
        await server.wait_closed()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(WAIT_S):
        return await reader.read()


async def test_all_bytes_pass_both_ways_in_order(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        reader, writer, name = await there.peer()
        inner_reader, inner_writer = await there.inside()
        assert name_behind(inner_writer.get_extra_info("peername")) == name
        assert there.screen.has(name)
        for out, into in ((writer, inner_reader), (inner_writer, reader)):
            out.write(HEARD)
            out.write_eof()
            assert await all_of(into) == HEARD
        await until(lambda: not there.screen.has(name))


async def test_a_peer_that_breaks_off_ends_in_order_inside_behind_its_last_byte(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        _, writer, _ = await there.peer()
        inner_reader, inner_writer = await there.inside()
        writer.write(HEARD[:1_000])
        assert await inner_reader.readexactly(1_000) == HEARD[:1_000]
        inner_writer.write(HEARD)  # of which it reads nothing
        peer = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        assert await all_of(inner_reader) == b""
        inner_writer.write(HEARD)  # inside can still be written to: nothing there has broken off
        await inner_writer.drain()
        inner_writer.close()
        await until(lambda: not there.screen._passing)


async def test_the_end_that_comes_from_inside_reaches_the_peer_behind_all_that_it_was_sent(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        reader, _, _ = await there.peer()
        _, inner_writer = await there.inside()
        inner_writer.write(HEARD)
        inner_writer.close()
        assert await all_of(reader) == HEARD


async def test_a_peer_that_is_ended_is_told_at_once_and_ends_in_order_inside(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        reader, _, name = await there.peer()
        other, _, _ = await there.peer()
        inner_reader, _ = await there.inside()
        there.screen.end(name)
        there.screen.end("127.0.0.1:1")
        with contextlib.suppress(ConnectionError):
            assert await all_of(reader) == b""
        assert await all_of(inner_reader) == b""
        _, inner_writer = await there.inside()
        inner_writer.write(b"goes on")
        assert await other.readexactly(7) == b"goes on"


async def test_a_peer_that_is_back_from_the_same_port_is_another_one(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        _, writer, name = await there.peer()
        first_reader, first_writer = await there.inside()
        port = writer.get_extra_info("sockname")[1]
        broken_off = writer.get_extra_info("socket")
        broken_off.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        assert await all_of(first_reader) == b""
        reader, _, again = await there.peer(port)
        inner_reader, inner_writer = await there.inside()
        assert again == name
        assert there.screen.has(name)
        first_writer.close()  # inside, the first one is read to its end only now
        inner_writer.write(b"goes on")
        assert await reader.readexactly(7) == b"goes on"
        assert there.screen.has(name)
        there.screen.end(name)
        assert await all_of(inner_reader) == b""


async def test_what_comes_too_fast_waits_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k2workers.transport.screen.BYTES_PER_S", 1)
    policy = PeerPolicy(again_bytes=100_000)
    async with screened(tmp_path, policy) as there:
        _, writer, _ = await there.peer()
        inner_reader, _ = await there.inside()
        writer.write(bytes(2_000_000))
        got = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):  # what is still to come takes hours
                while data := await inner_reader.read(CHUNK_BYTES):
                    got += len(data)
        assert 0 < got <= policy.again_bytes + 2 * CHUNK_BYTES


async def test_no_more_connections_are_open_than_a_bound(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        most = OPEN_AT_MOST * POLICY.connections
        for _ in range(most):
            await there.peer()
            await there.inside()
        reader, _, _ = await there.peer()
        with contextlib.suppress(ConnectionError):
            assert await all_of(reader) == b""
        assert there.came.empty()


async def test_while_nobody_listens_inside_a_peer_is_let_go(tmp_path: Path) -> None:
    async with screened(tmp_path) as there:
        (tmp_path / "inside").unlink()
        reader, _, name = await there.peer()
        with contextlib.suppress(ConnectionError):
            assert await all_of(reader) == b""
        assert not there.screen.has(name)


def test_an_address_that_is_taken_is_a_mistake_of_the_setting(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match=r"publish_endpoint = 'tcp://127\.0\.0\.1:.*in use"),
    ):
        Screen("127.0.0.1", taken.getsockname()[1], str(tmp_path / "inside"), setting="publish_endpoint", policy=POLICY)


@pytest.mark.parametrize("address", ["", b"", b"\0k2workers", "/tmp/x", None])
def test_others_are_behind_no_screen(address: object) -> None:
    assert name_behind(address) == ""
