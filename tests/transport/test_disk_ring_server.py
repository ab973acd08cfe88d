"""The disk ring's port: each question is answered, for each reader one at a time, whatever others do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio
from structlog.testing import capture_logs

from k2workers.errors import ConfigError
from k2workers.transport.disk_ring import DiskRing
from k2workers.transport.disk_ring_server import DiskRingServer, pack, unpack_moment, unpack_next, unpack_start
from k2workers.transport.ring_block import frames_of
from k2workers.transport.ring_places import RingCursor, RingPiece
from tests.support.hostile import Hostile, message
from tests.support.waiting import WAIT_S, until
from tests.transport.ring_support import A, B, RingOnAPort, frame

ALL = pack(["binance."])


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[RingOnAPort]:
    made = RingOnAPort(tmp_path)
    made.put((1, A, 1), (1, B, 1), at=10)
    made.put((1, A, 2), at=20)
    yield made
    made.close()


def client(serving: RingOnAPort) -> zmq.asyncio.Socket:
    socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(serving.server.endpoint)
    return socket


async def ask(socket: zmq.asyncio.Socket, *frames: bytes) -> list[bytes]:
    """Again if no answer comes: a question on a new connection may be passed over."""
    async with asyncio.timeout(WAIT_S):
        while True:
            await socket.send_multipart(frames)
            if await socket.poll(500):
                return await socket.recv_multipart()


async def test_each_question_has_its_answer(serving: RingOnAPort) -> None:
    with client(serving) as asking:
        word, found = await ask(asking, b"find", ALL, pack({1: {A: 1, B: 1}}))
        start = unpack_start(found)
        assert (word, start.epochs) == (b"find", [1])
        question = pack(start.cursor)
        word, of, following, frames = await ask(asking, b"read", ALL, question)
        assert (word, of, list(frames_of(frames))) == (b"read", question, [frame(1, A, 2, 20)])
        cursor, at_end = unpack_next(following)
        assert (cursor.segment, at_end) == (1, True)
        word, found = await ask(asking, b"at", ALL, pack(15))
        assert (word, unpack_moment(found).sequences) == (b"at", {A: 1, B: 1})
    assert serving.server.requests >= 3
    assert serving.server.given_bytes >= len(frame(1, A, 2, 20))


@pytest.mark.parametrize(
    "request_frames",
    [
        [b"find"], [b"nonsense", ALL, b"\x01"], [b"find", b"\xc1", pack({})], [b"find", ALL, b"\x01"], [b"at", ALL, b"\xa1x"],
        [b"read", ALL, pack([-1, "x"])], [b"read", ALL, pack([1, -5, 0])],
    ],
)  # fmt: skip
async def test_what_is_not_understood_is_answered_by_an_empty_frame(
    serving: RingOnAPort, request_frames: list[bytes]
) -> None:
    with client(serving) as asking:
        assert await ask(asking, *request_frames) == [b""]


async def test_a_place_where_no_block_begins_is_no_damage(serving: RingOnAPort) -> None:
    with client(serving) as asking, capture_logs() as logs:
        for at in (1, 2, 3):
            _, _, following, frames = await ask(asking, b"read", ALL, pack(RingCursor(1, at)))
            assert list(frames_of(frames)) == [frame(1, A, 2, 20)], "it goes on with the next block"
            assert unpack_next(following)[1]
    assert (logs, serving.ring.damaged) == ([], 0)


async def test_a_reader_that_reads_nothing_costs_little_and_keeps_nobody_waiting(serving: RingOnAPort) -> None:
    flood = b"".join(message(b"read", ALL, pack(RingCursor(1, 0, number))) for number in range(2_000))
    with Hostile(serving.server.endpoint, b"DEALER", receive_buffer=4_096) as sleeper, client(serving) as asking:
        await asyncio.to_thread(sleeper.send, flood)
        await until(lambda: serving.server.requests > 1_000, "its questions are read")
        for _ in range(20):
            assert (await ask(asking, b"find", ALL, pack({})))[0] == b"find"
        assert len(serving.server._waiting) <= 2
        assert len(serving.server._replies) <= 2


async def test_a_question_that_is_asked_again_is_read_once_and_the_next_waits(
    serving: RingOnAPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, reads = threading.Event(), []
    read = DiskRing.read

    def slowly(ring: DiskRing, wanted: list[str], cursor: RingCursor) -> RingPiece:
        reads.append(cursor)
        assert go_on.wait(WAIT_S)
        return read(ring, wanted, cursor)

    monkeypatch.setattr(DiskRing, "read", slowly)
    with client(serving) as asking, client(serving) as other:
        await until(lambda: _asked(asking, serving, reads, RingCursor(0)))
        for cursor in (RingCursor(0), RingCursor(0), RingCursor(1)):
            await asking.send_multipart([b"read", ALL, pack(cursor)])
        await until(lambda: serving.server._waiting, "the other question waits")
        assert (await ask(other, b"find", ALL, pack({})))[0] == b"find"
        go_on.set()
        async with asyncio.timeout(WAIT_S):
            replies = [(await asking.recv_multipart())[1] for _ in range(2)]
        assert (replies, reads) == ([pack(RingCursor(0)), pack(RingCursor(1))], [RingCursor(0), RingCursor(1)])


async def _asked(asking: zmq.asyncio.Socket, serving: RingOnAPort, reads: list[RingCursor], cursor: RingCursor) -> bool:
    if not reads:
        await asking.send_multipart([b"read", ALL, pack(cursor)])
        await asyncio.sleep(0.1)
    return bool(reads)


async def test_a_port_that_is_taken_is_refused_with_the_settings_name(serving: RingOnAPort) -> None:
    with pytest.raises(ConfigError, match="disk_ring_endpoint"):
        DiskRingServer(serving.context, serving.server.endpoint, serving.ring)
