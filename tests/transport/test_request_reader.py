from __future__ import annotations

import zmq

from k2workers.transport import request_reader
from k2workers.transport.request_reader import RequestReader
from k2workers.transport.sockets import readable
from tests.support.waiting import WAIT_S, wait_for


def test_requests_come_one_by_one_and_one_that_is_too_long_is_passed_over_in_parts() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    reader = RequestReader(socket)
    assert reader.next() == []
    asking = context.socket(zmq.DEALER)
    asking.connect(f"tcp://127.0.0.1:{port}")
    asking.send_multipart([b"last", b"a"])
    asking.send_multipart([b""] * (2 * request_reader.FRAMES_A_TURN))
    asking.send_multipart([b"since", b"a", b"1"])
    asking.send_multipart([b"one", b"too", b"many", b"frames"])
    asking.send_multipart([b"newest", b"a"])
    assert wait_for("the first", reader.next)[1:] == [b"last", b"a"]
    wait_for("the long one", lambda: reader.next() or reader.more)
    assert wait_for("the one after it", reader.next)[1:] == [b"since", b"a", b"1"]
    assert wait_for("the last", reader.next)[1:] == [b"newest", b"a"]
    assert not reader.more

    count = request_reader.FRAMES_A_TURN
    for number in range(count):
        asking.send_multipart([b"last", str(number).encode()])
    socket.poll(int(WAIT_S * 1_000))
    heard: list[int] = []
    reader = RequestReader(socket, lambda _frame: heard.append(1))
    turns = 0
    while len(heard) < count:
        assert reader.next() == []
        turns += readable(socket)
    assert turns < count / 10, "they cost no turn each"
    reader = RequestReader(socket)
    asking.send_multipart([b"newest", b"b"])
    assert wait_for("one that is here", reader.next)[1:] == [b"newest", b"b"]
    asking.close(0)
    socket.close(0)
    context.term()
