"""The answers to subscribers: as many as there is room for, each in its turn; what one does not read keeps nobody waiting and costs little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psutil
import pytest
import zmq
import zmq.asyncio

from k2workers.transport import replay_server
from k2workers.transport.replay_server import ReplayServer, pack
from k2workers.transport.ring import ReplayRing
from tests.support.hostile import Hostile, message
from tests.support.waiting import WAIT_S, until

FRAME = b"t.a " + bytes(5_000)


class Serving:
    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.ring = ReplayRing(64 * 2**20, 10**12)
        for sequence in range(1, 2_001):
            self.ring.put("t.a", sequence, FRAME, 0)
        for number in range(500):
            self.ring.put(f"t.{number}", 1, b"t.%d x" % number, 0)
        self.server = ReplayServer(self.context, "tcp://127.0.0.1:*", self.ring, epoch=7)
        self.server.start()


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    made = Serving()
    yield made
    made.server.close()
    made.context.term()


async def ask(socket: zmq.asyncio.Socket, *frames: bytes) -> list[bytes]:
    async with asyncio.timeout(WAIT_S):
        await socket.send_multipart(frames)
        return await socket.recv_multipart()


def client(serving: Serving) -> zmq.asyncio.Socket:
    socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(serving.server.endpoint)
    return socket


async def test_each_request_is_answered_in_its_turn(serving: Serving) -> None:
    with client(serving) as asking:
        word, topic, head, *frames = await ask(asking, b"since", b"t.a", pack(1))
        assert (word, topic, replay_server.unpack_since(head)) == (b"since", b"t.a", (7, 1, 2_000))
        assert frames == [FRAME] * (replay_server.REPLY_BYTES // len(FRAME))
        assert await ask(asking, b"nonsense") == [b""]
        assert await ask(asking, b"since", b"t.a", b"\xc1") == [b""]
        reply = await ask(asking, b"newest", b"t.7")
        assert replay_server.unpack_newest(reply[2]) == (7, {"t.7": 1})
        await asking.send_multipart([b"last", b"t."])
        async with asyncio.timeout(WAIT_S):
            got = [await asking.recv() for _ in range(502)]
        assert got[0] == FRAME and got[-1] == b"" and len(set(got)) == 502


async def test_replies_that_nobody_reads_are_not_made(serving: Serving) -> None:
    before = psutil.Process().memory_info().rss
    request = b"".join(message(b"since", b"t.a", pack(number)) for number in range(1, 1_501))
    with Hostile(serving.server.endpoint, b"DEALER", receive_buffer=4_096) as sleeper, client(serving) as asking:
        await asyncio.to_thread(sleeper.send, request)
        await until(lambda: serving.server._full, "it has no room for more")
        (waiting,) = serving.server._full.values()
        await until(lambda: len(waiting.requests) > 1_000)
        for _ in range(50):
            assert len(await ask(asking, b"newest", b"t.7")) == 3
        assert psutil.Process().memory_info().rss - before < 50 * 2**20
        assert serving.server.replayed < 200 * 52
        sleeper.close()
        await until(lambda: not serving.server._full and not serving.server._requesters, "it is forgotten")


async def test_requests_that_wait_are_bounded_and_each_is_there_once(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_server, "MAX_REQUESTS", 20)
    request = b"".join(message(b"since", b"t.a", pack(number % 90 + 1)) for number in range(3_000))
    with Hostile(serving.server.endpoint, b"DEALER", receive_buffer=4_096) as sleeper:
        await asyncio.to_thread(sleeper.send, request)
        await until(lambda: serving.server._full, "it has no room for more")
        (waiting,) = serving.server._full.values()
        await until(lambda: len(waiting.requests) >= 20)
        assert len(waiting.requests) == 20
