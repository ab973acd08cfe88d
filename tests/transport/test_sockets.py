"""What every socket of ours has in common."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
import zmq

from k2workers.transport.sockets import KEEPALIVE_S, SocketWatcher, mistakes_in, open_socket, readable, resolved
from tests.support.waiting import WAIT_S


def test_silent_peers_are_given_up_by_the_kernel_and_never_pinged_by_zeromq() -> None:
    with zmq.Context() as context, open_socket(context, zmq.DEALER) as ours:
        assert ours.getsockopt(zmq.HEARTBEAT_IVL) == 0, "a ping behind messages of one that is gone ends the process"
        kept = ours.getsockopt(zmq.TCP_KEEPALIVE_IDLE), ours.getsockopt(zmq.TCP_KEEPALIVE_INTVL)
        assert kept == (KEEPALIVE_S, KEEPALIVE_S)


@pytest.mark.parametrize(
    "look",
    [lambda there: mistakes_in({"publish_endpoint": there}), lambda there: resolved(there, setting="publish_endpoint")],
)
def test_who_waits_for_the_feed_meets_nobody_while_an_endpoint_is_looked_at(look: Callable[[str], object]) -> None:
    """A subscriber that met a socket of another kind would never try again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with zmq.Context() as context:
        waiting = [context.socket(zmq.SUB) for _ in range(20)]
        for subscriber in waiting:
            subscriber.setsockopt(zmq.LINGER, 0)
            subscriber.setsockopt(zmq.RECONNECT_IVL, 1)
            subscriber.subscribe(b"")
            subscriber.connect(f"tcp://127.0.0.1:{port}")
        for _ in range(100):
            look(f"tcp://127.0.0.1:{port}")
        with context.socket(zmq.XPUB) as publisher:
            publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
            publisher.setsockopt(zmq.RCVTIMEO, int(WAIT_S * 1_000))
            publisher.bind(f"tcp://127.0.0.1:{port}")
            assert [publisher.recv() for _ in waiting] == [b"\x01"] * len(waiting)
        for subscriber in waiting:
            subscriber.close()


@pytest.fixture
def heard() -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Two ends: what the first sends the second receives."""
    with (
        zmq.Context() as context,
        open_socket(context, zmq.DEALER) as sending,
        open_socket(context, zmq.DEALER) as ours,
    ):
        ours.bind("inproc://here")
        sending.connect("inproc://here")
        yield sending, ours


async def test_a_socket_is_looked_at_twice_in_a_row_and_then_only_after_the_others_have_had_their_turn(
    heard: tuple[zmq.Socket[bytes], zmq.Socket[bytes]],
) -> None:
    sending, ours = heard
    callbacks: list[FrameType | None] = []
    over = asyncio.Event()

    def turn() -> bool:
        this = inspect.currentframe()
        callbacks.append(this and this.f_back)  # of the same one, if the loop was not asked between
        if not readable(ours):
            over.set()
            return False
        ours.recv(zmq.NOBLOCK)
        return True

    for _ in range(4):
        sending.send(b"")
    watcher = SocketWatcher(ours, turn)
    watcher.start()
    await asyncio.wait_for(over.wait(), WAIT_S)
    watcher.stop()
    assert [len(list(same)) for _, same in itertools.groupby(callbacks, id)] == [2, 2, 1]


async def test_a_socket_that_is_no_longer_watched_is_not_looked_at_again(
    heard: tuple[zmq.Socket[bytes], zmq.Socket[bytes]],
) -> None:
    _, ours = heard
    turns = 0
    ended = asyncio.Event()

    def turn() -> bool:
        nonlocal turns
        turns += 1
        watcher.stop()
        ended.set()
        return True

    watcher = SocketWatcher(ours, turn)
    watcher.start()
    await asyncio.wait_for(ended.wait(), WAIT_S)
    for _ in range(3):
        await asyncio.sleep(0)
    assert turns == 1
