"""How a subscriber reads what it missed, against a real ring on a real port."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import zmq
from structlog.testing import capture_logs

from k2workers.transport import catch_up, disk_ring, disk_ring_server
from k2workers.transport.catch_up import AGAIN_S, GIVE_UP_S, RECENT_S, CatchUp
from k2workers.transport.deliveries import Lost
from k2workers.transport.disk_ring_server import pack
from k2workers.transport.past_reassembly import PastReassembly
from k2workers.transport.position import Position
from k2workers.transport.sockets import Socket
from tests.support.waiting import until
from tests.transport.ring_support import A, B, RingOnAPort, frame

EVERYTHING = ["binance."]


@pytest.fixture
async def ring(tmp_path: Path) -> AsyncIterator[RingOnAPort]:
    made = RingOnAPort(tmp_path)
    yield made
    made.close()


class Reader:
    """A program that was given these, and reads what came after."""

    def __init__(
        self,
        ring: RingOnAPort,
        *given: bytes,
        topics: Sequence[str] = EVERYTHING,
        since_ns: int | None = None,
        joined: bool = True,
    ) -> None:
        state = PastReassembly()
        for one in given:
            state.take(one, 0)
        if joined and state.epoch is not None:
            for name in topics:
                state.join(name, state.epoch, {})
        state.ready.clear()
        position = Position.from_bytes(state.position(None, 0).to_bytes()) if given else None
        self.reassembly = PastReassembly(position)
        self.socket: Socket = ring.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(ring.server.endpoint)
        self.catch_up = CatchUp(self.socket, self.reassembly, topics, since_ns)

    def ids(self) -> list[int | tuple[int | None, int | None]]:
        out: list[int | tuple[int | None, int | None]] = []
        while self.reassembly.ready:
            item, _ = self.reassembly.ready.popleft()
            out += (
                [(item.first_id, item.last_id)] if isinstance(item, Lost) else [event.first_id for event in item.events]
            )
        return out

    async def read(self, *, room: bool = True) -> list[int | tuple[int | None, int | None]]:
        """All of it."""
        now_s = 0.0
        self.catch_up.begin(now_s)

        def over() -> bool:
            nonlocal now_s
            now_s += 0.01
            while self.catch_up.take(0, room=room):
                pass
            self.catch_up.tick(now_s)
            return self.catch_up.over

        await until(over, "the end of the ring")
        return self.ids()


@pytest.fixture
async def reader(ring: RingOnAPort) -> AsyncIterator[list[Reader]]:
    made: list[Reader] = []
    yield made
    for one in made:
        one.socket.close()


async def test_it_reads_on_from_a_position_to_the_end(
    ring: RingOnAPort, reader: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_ring, "REPLY_BYTES", 1_000)
    for sequence in range(1, 40):
        ring.put((1, A, sequence), (1, B, sequence))
    ring.put((2, A, 1), (2, B, 1), (2, "binance.trade.NEW", 1))
    reader.append(Reader(ring, frame(1, A, 1), frame(1, A, 2), frame(1, B, 1)))
    got = await reader[0].read()
    assert sorted(one for one in got if isinstance(one, int)) == sorted(
        [*range(103, 140), *range(102, 140), 201, 201, 201]
    )
    assert [one for one in got if isinstance(one, tuple)] == [(140, 200), (140, 200)], "ids that no life had"
    assert reader[0].catch_up.failed == ""


async def test_it_reads_no_faster_than_the_program(ring: RingOnAPort, reader: list[Reader]) -> None:
    ring.put((1, A, 1), (1, A, 2))
    reader.append(Reader(ring, frame(1, A, 1)))
    state = reader[0].catch_up
    state.begin(0)
    await until(lambda: state.take(0, room=True) and state._question is None, "where to begin")
    assert not state.take(0, room=False)
    state.tick(10 * GIVE_UP_S)
    assert (state._question, state.over) == (None, False), "nothing is asked while there is no room"
    assert await reader[0].read() == [102]


async def test_it_joins_at_a_time(ring: RingOnAPort, reader: list[Reader]) -> None:
    ring.put((1, A, 1), (1, B, 1), at=100)
    ring.put((1, A, 2), at=200)
    ring.put((1, A, 3), at=300)
    reader.append(Reader(ring, since_ns=300))
    assert await reader[0].read() == [103]
    assert reader[0].reassembly.has_joined("binance.")
    reader.append(Reader(ring, since_ns=150))
    assert await reader[1].read() == [102, 103]
    reader.append(Reader(ring, since_ns=1))
    assert sorted(map(str, await reader[2].read())) == ["101", "101", "102", "103"]
    assert not reader[2].reassembly.has_joined("binance."), "what was before the ring nobody knows"


async def test_batches_before_the_time_in_its_first_block_are_passed_by(
    ring: RingOnAPort, reader: list[Reader]
) -> None:
    from k2workers.transport.frame_keeper import FrameKeeper

    ring.put((1, A, 1), at=1)
    keeper = FrameKeeper(1, {A: 1})
    for sequence, at in ((2, 100), (3, 200)):
        keeper.take(frame(1, A, sequence, at), 0)
    block = keeper.cut()
    assert block is not None
    ring.ring.append(block, 1)
    reader.append(Reader(ring, since_ns=150))
    assert await reader[0].read() == [103]


async def test_it_asks_for_what_is_known_and_of_very_many_names_for_their_kinds(
    ring: RingOnAPort, reader: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring.put((1, A, 1), (1, B, 1), (1, A, 2), (1, B, 2), (1, "other.trade.A", 1))
    reader.append(Reader(ring, frame(1, A, 1), frame(1, B, 1), topics=[A, "other.trade.A"], joined=False))
    assert await reader[0].read() == [102], "of the other topic nobody knows from where it counts"
    monkeypatch.setattr(catch_up, "MOST_WANTED", 1)
    reader.append(Reader(ring, frame(1, A, 1), frame(1, B, 1), topics=[A, B]))
    assert await reader[1].read() == [102, 102]
    assert catch_up._kinds([A, B]) == ("binance.trade.",)
    assert catch_up._kinds([A, "binance.depth.A"]) == ("binance.",)
    reader.append(Reader(ring, frame(1, A, 1), frame(1, "binance.ticker.X", 1), topics=[A, "binance.ticker.X"]))
    assert await reader[2].read() == [102], "what comes besides is dropped"


async def test_positions_of_very_many_topics_are_found_as_well(
    ring: RingOnAPort, reader: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = [f"binance.trade.{number:05}" for number in range(5_000)]
    ring.put(*((1, topic, 1) for topic in topics))
    ring.put((1, topics[7], 2))
    reader.append(Reader(ring, *(frame(1, topic, 1) for topic in topics)))
    assert await reader[0].read() == [102]
    monkeypatch.setattr(disk_ring_server, "MOST_BYTES", 1_000)
    reader.append(Reader(ring, *(frame(1, topic, 1) for topic in topics)))
    assert await reader[1].read() == [102]
    dropped = [one.reassembly.counters.duplicates_dropped for one in reader]
    assert dropped == [0, 5_000], "it read from where the life begins"


async def test_without_an_answer_it_asks_again_and_then_goes_on_without(
    ring: RingOnAPort, reader: list[Reader]
) -> None:
    reader.append(Reader(ring, frame(1, A, 1)))
    reader[0].socket.disconnect(ring.server.endpoint)
    state = reader[0].catch_up
    state.begin(0)
    state.tick(AGAIN_S)
    assert state._asked_s == AGAIN_S
    with capture_logs() as logs:
        state.tick(GIVE_UP_S)
    assert (state.over, [one["event"] for one in logs]) == (True, ["disk_ring_left"])
    state.tick(2 * GIVE_UP_S)
    assert not state.take(0, room=True)


async def test_answers_that_cannot_be_read_end_it_and_late_ones_do_not_count(
    ring: RingOnAPort, reader: list[Reader]
) -> None:
    reader.append(Reader(ring, frame(1, A, 1)))
    state = reader[0].catch_up
    state.begin(0)
    state._hear(b"read", [b"", b"", b""], 0)
    assert not state.over
    await until(lambda: state.take(0, room=True) and state._question is None, "where to begin")
    state._hear(b"find", [b""], 0)
    state.take(0, room=True)
    assert state._question is not None
    with capture_logs() as logs:
        state._hear(b"read", [state._question[2], pack([[1, 0, 0], False]), b"\0\0\0\x01x"], 0)
    assert [one["event"] for one in logs] == ["batch_unreadable"]
    ring.server._replies.append([b"nobody", b""])
    reader.append(Reader(ring, frame(1, A, 1)))
    broken = reader[1].catch_up
    broken.begin(0)
    reader[1].socket.send_multipart([b"nonsense"])
    await until(lambda: broken.take(0, room=True) and broken.over, "its end")
    assert "does not understand" in broken.failed
    reader.append(Reader(ring, frame(1, A, 1)))
    unreadable, socket = reader[2].catch_up, reader[2].socket
    socket.disconnect(ring.server.endpoint)
    with ring.context.socket(zmq.ROUTER) as other:
        socket.connect(f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}")
        unreadable.begin(0)
        await until(lambda: other.poll(0), "its question")
        other.send_multipart([other.recv_multipart()[0], b"find", b"\xc1"])
        await until(lambda: unreadable.take(0, room=True) and unreadable.over, "its end")
    assert "cannot be read" in unreadable.failed


async def test_what_was_published_lately_and_lies_there_damaged_is_not_given_up(
    ring: RingOnAPort, reader: list[Reader]
) -> None:
    long_ago_ns, lately_ns = time.time_ns() - int(2 * RECENT_S * 1e9), time.time_ns()
    ring.put((1, A, 2), at=long_ago_ns)
    ring.put((1, A, 4), at=long_ago_ns)
    ring.put((1, A, 6), (1, B, 1), at=lately_ns)
    reader.append(Reader(ring, frame(1, A, 1)))
    assert await reader[0].read() == [102, (103, 103), 104, 101]
    reader[0].reassembly.end_past(0)
    assert list(reader[0].reassembly.questions(0)) == [(A, 5)]
