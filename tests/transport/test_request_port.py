"""Sockets that anybody may ask, with real ones of ZeroMQ: requests in their turns, and what becomes of replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import zmq
import zmq.asyncio

from k2workers.errors import ConfigError
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.request_port import RequestPort, Sending
from tests.support.waiting import WAIT_S, until

REPLIES_WAITING = 2
REPLY = bytes(200_000)


class Asked:
    """A port, and the requests that came to it. ``more`` is how many turns it wants after the one that it has; ``reply`` is sent in each."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.requests: list[list[bytes]] = []
        self.turns = self.more = 0
        self.reply: list[bytes] = []
        self.sent: Sending | None = None
        self.port = RequestPort(
            self.context, "tcp://127.0.0.1:*", self._turn,
            replies_waiting=REPLIES_WAITING, setting="asked_endpoint", policy=PeerPolicy(),
        )  # fmt: skip
        self.port.start()

    def _turn(self, request: list[bytes]) -> bool:
        self.turns += 1
        if request:
            self.requests.append(request)
        if self.reply:
            self.sent = self.port.send(self.reply)
        self.more -= self.more > 0
        return self.more > 0

    def becomes(self, outcome: Sending) -> bool:
        """Whether this became of the last reply; there will be another."""
        self.port.later(0)
        return self.sent is outcome

    def client(self, **options: int) -> zmq.asyncio.Socket:
        socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            socket.setsockopt(getattr(zmq, name), value)
        socket.connect(self.port.endpoint)
        return socket


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    made = Asked()
    yield made
    made.port.close()
    made.context.term()


async def test_each_request_has_a_turn_and_its_sender_gets_the_reply(asked: Asked) -> None:
    with asked.client() as asking:
        for number in range(100):
            await asking.send_multipart([b"what", b"%d" % number])
        await until(lambda: len(asked.requests) == 100)
        assert [request[1:] for request in asked.requests] == [[b"what", b"%d" % number] for number in range(100)]
        asked.reply = [asked.requests[0][0], b"that", b""]
        asked.port.later(0)
        async with asyncio.timeout(WAIT_S):
            assert await asking.recv_multipart() == [b"that", b""]
        assert asked.sent is Sending.SENT


async def test_there_is_no_room_for_one_that_does_not_read_until_it_has_gone(asked: Asked) -> None:
    with asked.client(RCVHWM=1, RCVBUF=10_000) as asking:
        await asking.send(b"what")
        await until(lambda: asked.requests)
        asked.reply = [asked.requests[0][0], REPLY]
        await until(lambda: asked.becomes(Sending.NO_ROOM))
    await until(lambda: asked.becomes(Sending.GONE))


async def test_turns_come_while_they_are_wanted_and_one_that_is_put_off_comes_once(asked: Asked) -> None:
    asked.more = 50
    asked.port.later(0)
    await until(lambda: not asked.more)
    begun = asked.turns
    before: list[int] = []
    asked.port.later(0.01, lambda: before.append(1))
    asked.port.later(0.01, lambda: before.append(2))
    await until(lambda: asked.turns > begun)
    assert before == [1]
    asked.port.later(0, lambda: before.append(3))
    await until(lambda: before == [1, 3])
    asked.port.later(WAIT_S, lambda: before.append(4))  # it ends with the port


async def test_an_address_that_is_taken_is_a_mistake_of_the_setting(asked: Asked) -> None:
    with pytest.raises(ConfigError, match=r"other_endpoint = .*in use"):
        RequestPort(
            asked.context, asked.port.endpoint, lambda _: False,
            replies_waiting=1, setting="other_endpoint", policy=PeerPolicy(),
        )  # fmt: skip
