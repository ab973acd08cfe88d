"""The question for the best levels of a book, over real sockets and from many threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import zmq

from k2workers import wire
from k2workers.book_events import BookLevels
from k2workers.continuity import MADE
from k2workers.transport.books_server import LEVELS, BooksServer, pack_count
from k2workers.transport.levels_client import LevelsClient
from tests.support.waiting import WAIT_S

Context = zmq.Context[zmq.Socket[bytes]]


def levels(topic: str, count: int) -> bytes:
    if topic == "unknown":
        return b""
    event = BookLevels(count, [(topic, str(count))], [], "whole", 1, 2, 3)
    return wire.publication(wire.batch_of(topic, [event], MADE.number), epoch=0, sequence=0, publish_ns=0)


@pytest.fixture
async def server() -> AsyncIterator[BooksServer]:
    context: Context = zmq.Context()
    made = BooksServer(context, "tcp://127.0.0.1:*", lambda _: [], lambda _: None, levels_of=levels)
    made.start()
    yield made
    made.close()
    context.term()


async def test_each_thread_gets_the_answer_to_its_own_question(server: BooksServer) -> None:
    client = LevelsClient(server.endpoint)

    def ask(number: int) -> bool:
        found = client.ask(f"d.{number % 7}", number, WAIT_S)
        return found is not None and (found.update_id, found.bids) == (number, [(f"d.{number % 7}", str(number))])

    assert all(await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(1, 50))))
    assert await asyncio.to_thread(client.ask, "unknown", 1, WAIT_S) is None
    assert server.requests == 50
    client.close()


async def test_an_answer_that_came_too_late_is_not_that_of_the_next_question(server: BooksServer) -> None:
    client = LevelsClient(server.endpoint)
    assert await asyncio.to_thread(client.ask, "d.1", 1, WAIT_S)
    for number in (2, 3):
        with pytest.raises(TimeoutError):
            client.ask("d.1", number, 0.01)  # in the server's own thread, which so cannot answer
    found = await asyncio.to_thread(client.ask, "d.1", 4, WAIT_S)
    assert found is not None and found.update_id == 4
    client.close()


def test_nobody_answers_within_the_time() -> None:
    client = LevelsClient("tcp://127.0.0.1:1")
    with pytest.raises(TimeoutError):
        client.ask("d.1", 1, 0.05)
    with client._one, pytest.raises(TimeoutError):
        client.ask("d.1", 1, 0.05)
    asking = threading.Thread(target=client.close)
    asking.start()
    asking.join(WAIT_S)
    with pytest.raises(TimeoutError):
        client.ask("d.1", 1, 0.05)


async def test_a_number_that_is_none_is_not_answered(server: BooksServer) -> None:
    client = LevelsClient(server.endpoint)
    for count in (b"", pack_count(0), pack_count(1_001), b"x"):
        client._socket.send_multipart([LEVELS, b"d.1", count])
    found = await asyncio.to_thread(client.ask, "d.2", 1_000, WAIT_S)
    assert found is not None and found.bids == [("d.2", "1000")]
    client.close()
