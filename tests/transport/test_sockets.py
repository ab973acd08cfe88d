"""What every socket of ours has in common."""

from __future__ import annotations

import zmq

from k2workers.transport.sockets import KEEPALIVE_S, open_socket


def test_silent_peers_are_given_up_by_the_kernel_and_never_pinged_by_zeromq() -> None:
    with zmq.Context() as context, open_socket(context, zmq.DEALER) as socket:
        assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 0, "a ping behind messages of one that is gone ends the process"
        kept = socket.getsockopt(zmq.TCP_KEEPALIVE_IDLE), socket.getsockopt(zmq.TCP_KEEPALIVE_INTVL)
        assert kept == (KEEPALIVE_S, KEEPALIVE_S)
