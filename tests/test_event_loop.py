"""Names are looked up beside the loop: shared, given up at once, and never waited for at the end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from k2workers import event_loop
from tests.support.waiting import WAIT_S

MORE_THAN_LIBUV = 6
"""libuv has four threads for lookups."""

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


class SilentServer:
    """What ``socket.getaddrinfo`` meets: each question waits until the server answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answers = threading.Event()
        self.error: Exception | None = None

    def getaddrinfo(self, *query: Any) -> list[Any]:
        self.asked.append(query)
        assert self.answers.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return FOUND


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentServer]:
    silent = SilentServer()
    monkeypatch.setattr(socket, "getaddrinfo", silent.getaddrinfo)
    yield silent
    silent.answers.set()
    for thread in threading.enumerate():
        if thread.name == "lookup":
            thread.join(WAIT_S)


async def ask(name: str | None = "venue.example") -> Any:
    return await asyncio.get_running_loop().getaddrinfo(name, 80, type=socket.SOCK_STREAM)


async def two(server: SilentServer) -> list[Any]:
    asking = [asyncio.ensure_future(ask()) for _ in range(2)]
    while not server.asked:
        await asyncio.sleep(0.001)
    server.answers.set()
    return await asyncio.gather(*asking, return_exceptions=True)


def test_those_who_ask_for_the_same_name_at_the_same_time_share_one_lookup(server: SilentServer) -> None:
    assert event_loop.run(two(server)) == [FOUND, FOUND]
    assert server.asked == [("venue.example", 80, 0, socket.SOCK_STREAM, 0, 0)]
    assert event_loop.run(ask()) == FOUND
    assert len(server.asked) == 2, "what was found before says nothing of later"


@pytest.mark.parametrize("error", [socket.gaierror(-3, "no answer"), UnicodeError("no name")])
def test_an_error_goes_to_all_who_asked(server: SilentServer, error: Exception) -> None:
    server.error = error
    assert event_loop.run(two(server)) == [error, error]


@pytest.mark.parametrize("address", ["127.0.0.1", b"127.0.0.1", "::1", "fe80::1%lo", None])
def test_an_address_is_no_name(server: SilentServer, address: Any) -> None:
    assert event_loop.run(ask(address))
    assert server.asked == []


def test_one_that_gives_up_waits_no_longer_and_neither_does_the_end_of_the_loop(server: SilentServer) -> None:
    async def give_up() -> None:
        for _ in range(MORE_THAN_LIBUV):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await ask()

    begun_s = time.monotonic()
    event_loop.run(give_up())
    assert time.monotonic() - begun_s < WAIT_S / 2
    assert len(server.asked) == MORE_THAN_LIBUV, "one that is stuck is not waited for by who asks again"


def test_an_answer_that_comes_too_late_harms_nobody(server: SilentServer) -> None:
    async def look_at_it_later() -> None:
        asking = asyncio.ensure_future(ask())
        while not server.asked:
            await asyncio.sleep(0.001)
        asking.cancel()
        server.error = socket.gaierror(-3, "no answer")
        server.answers.set()
        while any(thread.name == "lookup" for thread in threading.enumerate()):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)

    event_loop.run(look_at_it_later())
