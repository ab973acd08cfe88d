"""What was published last, asked of a real replay port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import zmq

from k2workers import wire
from k2workers.continuity import RECORDS
from k2workers.events import Heartbeat
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from k2workers.transport.topics_client import TopicsClient
from tests.support.waiting import WAIT_S


def frame_of(topic: str, sequence: int) -> bytes:
    batch = wire.batch_of(topic, [Heartbeat(sequence)], RECORDS.number)
    return wire.publication(batch, epoch=7, sequence=sequence, publish_ns=1)


@asynccontextmanager
async def served(*topics: str) -> AsyncIterator[tuple[TopicsClient, ReplayServer]]:
    ring = ReplayRing(10**6, 10**12)
    for sequence, topic in enumerate(topics, 1):
        ring.put(topic, sequence, frame_of(topic, sequence), time.monotonic_ns())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = ReplayServer(context, "tcp://127.0.0.1:*", ring, 7)
    server.start()
    client = TopicsClient(server.endpoint)
    try:
        yield client, server
    finally:
        await asyncio.to_thread(client.close)
        server.close()
        await asyncio.to_thread(context.term)
        await server.port.settle()


async def test_it_tells_which_topics_there_are_and_their_last_frames() -> None:
    async with served("v.trade.A", "v.trade.B", "w.trade.A", "status.x") as (client, _):
        newest = await asyncio.to_thread(client.newest, ["v.", "status.", "none."], WAIT_S)
        assert newest == {"v.trade.A": 1, "v.trade.B": 2, "status.x": 4}
        last = await asyncio.to_thread(client.last, ["v.trade.B", "v.none.A", "w.trade.A"], WAIT_S)
        assert last == [frame_of("v.trade.B", 2), frame_of("w.trade.A", 3)]
        assert await asyncio.to_thread(client.last, [], WAIT_S) == []


async def test_threads_that_ask_at_once_each_get_their_own_answer() -> None:
    topics = [f"v.trade.S{number}" for number in range(20)]
    async with served(*topics) as (client, _):
        answers = await asyncio.gather(*(asyncio.to_thread(client.last, [topic], WAIT_S) for topic in topics))
        assert answers == [[frame_of(topic, sequence)] for sequence, topic in enumerate(topics, 1)]


async def test_without_an_answer_it_gives_up_and_what_comes_late_is_no_answer_to_the_next_question() -> None:
    async with served("v.trade.A", "v.trade.B") as (client, _):
        # On purpose in the loop's thread, which is the one that would answer.
        with pytest.raises(TimeoutError):
            client.last(["v.trade.A"], 0.05)
        assert await asyncio.to_thread(client.last, ["v.trade.B"], WAIT_S) == [frame_of("v.trade.B", 2)]


async def test_who_finds_another_at_it_for_too_long_gives_up_too() -> None:
    async with served("v.trade.A") as (client, _):
        with client._one, pytest.raises(TimeoutError):
            client.newest(["v."], 0.01)
        assert await asyncio.to_thread(client.newest, ["v."], WAIT_S) == {"v.trade.A": 1}
