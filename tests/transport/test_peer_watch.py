"""Who is connected to a socket, on real connections: named, counted, and cut loose without harm to the others."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from k2workers.transport import peer_watch
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.publisher import Publisher
from k2workers.transport.replay_server import ReplayServer
from k2workers.transport.ring import ReplayRing
from tests.support.hostile import Hostile, frame, subscription
from tests.support.waiting import WAIT_S, wait_for

POLICY = PeerPolicy(
    connections=6,
    burst_bytes=50_000,
    bytes_per_s=100,
    again_bytes=5_000,
    topics=100,
    topic_bytes=10_000,
    all_topics=150,
    owed_bytes=10_000_000,
)
PART = b"t.x " + bytes(50_000)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = Publisher(context, "tcp://127.0.0.1:*", policy=POLICY, linger_ms=0)
    yield made
    made.close()
    context.term()


def looked(publisher: Publisher) -> Publisher:
    publisher.hear()
    publisher.look()
    return publisher


def test_a_peer_has_its_address_and_is_forgotten_when_it_leaves(publisher: Publisher) -> None:
    with Hostile(publisher.endpoint) as peer:
        peer.send(subscription(b"a") + subscription(b"b"))
        wait_for("both", lambda: looked(publisher).subscriptions() == 2)
        assert [one.name for one in publisher.watch.peers.values()] == [f"127.0.0.1:{peer.port}"]
    wait_for("nobody", lambda: not looked(publisher).watch.peers)
    assert not publisher.watch.cuts


def test_whoever_floods_is_cut_loose_and_nobody_else(publisher: Publisher) -> None:
    with Hostile(publisher.endpoint) as peaceful, Hostile(publisher.endpoint) as flooding:
        peaceful.send(subscription(b"t"))
        flooding.send(frame(b"", 1) * 30_000)
        wait_for("the end of one", lambda: looked(publisher).watch.cuts)
        assert publisher.watch.newest_cuts[0]["peer"] == f"127.0.0.1:{flooding.port}"
        assert publisher.watch.newest_cuts[0]["cause"] == "flood"
        assert flooding.is_cut()
        assert not peaceful.is_cut()
        with Hostile(publisher.endpoint) as again:
            again.send(frame(b"", 1) * 3_000)
            wait_for("the end of the next", lambda: sum(looked(publisher).watch.cuts.values()) == 2)


def test_whoever_asks_for_too_many_topics_is_cut_loose(publisher: Publisher) -> None:
    with Hostile(publisher.endpoint) as many, Hostile(publisher.endpoint) as few:
        few.send(subscription(b"t"))
        many.send(b"".join(subscription(b"%d" % number) for number in range(101)))
        wait_for("its end", lambda: looked(publisher).watch.cuts)
        assert publisher.watch.newest_cuts[0] == {
            "peer": f"127.0.0.1:{many.port}", "port": "publish_endpoint", "cause": "subscriptions",
        }  # fmt: skip
        wait_for("the other's alone", lambda: looked(publisher).subscriptions() == 1)


def test_of_all_peers_together_the_one_with_most_topics_goes(publisher: Publisher) -> None:
    peers = [Hostile(publisher.endpoint) for _ in range(3)]
    for number, (peer, count) in enumerate(zip(peers, (60, 70, 30), strict=True)):
        peer.send(b"".join(subscription(b"%d.%d" % (number, topic)) for topic in range(count)))
        if number < 2:
            wait_for("all of it", lambda: looked(publisher).subscriptions() in {60, 130})
    wait_for("the end of the second", lambda: looked(publisher).watch.cuts)
    assert publisher.watch.newest_cuts[0]["peer"] == f"127.0.0.1:{peers[1].port}"
    for peer in peers:
        peer.close()


def test_whoever_does_not_read_is_cut_loose_at_a_bound_in_bytes(publisher: Publisher) -> None:
    reader: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    reader.setsockopt(zmq.RCVHWM, 0)
    reader.connect(publisher.endpoint)
    reader.subscribe(b"t.")
    with Hostile(publisher.endpoint, receive_buffer=4_096) as asleep, Hostile(publisher.endpoint) as elsewhere:
        asleep.send(subscription(b"t.x"))
        elsewhere.send(subscription(b"u"))
        wait_for("all of them", lambda: looked(publisher).subscriptions() == 3)
        sent = 0

        def cut() -> bool:
            nonlocal sent
            publisher.publish(PART)
            sent += 1
            assert reader.recv() == PART
            return bool(looked(publisher).watch.cuts)

        wait_for("its end", cut)
        assert publisher.watch.newest_cuts[0] == {
            "peer": f"127.0.0.1:{asleep.port}", "port": "publish_endpoint", "cause": "slow",
        }  # fmt: skip
        assert POLICY.owed_bytes < sent * len(PART) < POLICY.owed_bytes + 10_000_000
        assert not elsewhere.is_cut()
        assert not publisher.watch.behind
    reader.close(0)


def test_a_peer_of_a_path_is_named_by_its_process(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = Publisher(context, f"ipc://{tmp_path}/p", policy=POLICY, linger_ms=0)
    reader = context.socket(zmq.SUB)
    reader.connect(publisher.endpoint)
    reader.subscribe(b"t")
    wait_for("it", lambda: looked(publisher).subscriptions() == 1)
    assert [peer.name for peer in publisher.watch.peers.values()] == [f"process {os.getpid()}"]
    reader.close(0)
    wait_for("nobody", lambda: not looked(publisher).watch.peers)
    publisher.close()
    context.term()


def test_hosts_are_counted_by_name_as_far_as_there_is_room(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_watch, "MAX_HOSTS", 1)
    publisher.watch.cuts["10.0.0.9"] = 1
    publisher.watch._cut_ns["10.0.0.9"] = 0
    with Hostile(publisher.endpoint) as flooding:
        flooding.send(frame(b"", 1) * 30_000)
        wait_for("its end", lambda: len(looked(publisher).watch.cuts) == 2)
    assert publisher.watch.cuts == {"10.0.0.9": 1, "others": 1}
    assert list(publisher.watch._cut_ns) == ["127.0.0.1"]


def test_of_too_many_connections_the_newest_of_the_host_with_most_goes(publisher: Publisher) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Hostile(publisher.endpoint)) for _ in range(6)]
        wait_for("all of them", lambda: len(looked(publisher).watch.peers) == 6)
        assert not publisher.watch.cuts
        for number in range(2):
            newest = stack.enter_context(Hostile(publisher.endpoint))
            wait_for("the end of one", lambda number=number: sum(looked(publisher).watch.cuts.values()) == number + 1)
            assert publisher.watch.newest_cuts[-1]["peer"] == f"127.0.0.1:{newest.port}"
            assert publisher.watch.newest_cuts[-1]["cause"] == "connections"
        assert not any(peer.is_cut() for peer in peers)


@pytest.mark.parametrize("told", [True, False])
def test_a_descriptor_that_is_another_connection_by_now_is_neither_watched_nor_cut(
    publisher: Publisher, told: bool
) -> None:
    with Hostile(publisher.endpoint):
        wait_for("it", lambda: looked(publisher).watch.peers)
        (descriptor,) = publisher.watch.peers

    def free() -> bool:
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            return False
        return True

    wait_for("ZeroMQ to close it", free)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        while ours.fileno() != descriptor:
            ours = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        if told:
            publisher.watch.cut(descriptor, "flood")
        else:
            publisher.watch._checked_ns = 0
            publisher.look()
        assert not publisher.watch.peers
        assert not publisher.watch.cuts
        # It listens on as before.
        stack.enter_context(socket.create_connection(ours.getsockname()))
        ours.accept()[0].close()


def test_a_look_makes_no_object_of_a_connection_anew(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs three calls of the kernel for each peer, twenty times a second."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(Hostile(publisher.endpoint))
        wait_for("all of them", lambda: len(looked(publisher).watch.peers) == 5)
        made: list[object] = []
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socket", lambda **given: made.append(given))
            publisher.watch.look()
        assert (made, len(publisher.watch.peers)) == ([], 5)


@pytest.mark.parametrize("body", [b"", bytes(200)])
def test_whose_message_never_ends_is_cut_loose_from_a_path_too(tmp_path: Path, body: bytes) -> None:
    """There the kernel counts nothing."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    server = ReplayServer(context, f"ipc://{tmp_path}/r", ReplayRing(1_000, 1), 1, policy=POLICY)
    part = frame(body, 1) * 20_000

    def cut() -> bool:
        server.port._reader.next()
        server.watch.look()
        return bool(server.watch.cuts)

    with Hostile(server.endpoint, b"DEALER") as flooding:
        sending = threading.Thread(target=flooding.flood, args=(part, WAIT_S), daemon=True)
        sending.start()
        wait_for("its end", cut)
        sending.join(WAIT_S)
        assert server.watch.newest_cuts[0] == {
            "peer": f"process {os.getpid()}", "port": "snapshot_endpoint", "cause": "flood",
        }  # fmt: skip
    server.close()
    context.term()
