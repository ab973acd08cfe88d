"""What every socket of ours has in common."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import zmq

from k2workers.transport.sockets import KEEPALIVE_S, mistakes_in, open_socket, resolved
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
