"""Sockets that anybody may reach, bare and behind a screen: the same for those who connect, with real ones of ZeroMQ."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from k2workers.errors import ConfigError
from k2workers.transport.endpoint import split_tcp
from k2workers.transport.peer import PeerPolicy
from k2workers.transport.publisher import Publisher
from tests.support.hostile import Hostile, subscription
from tests.support.waiting import WAIT_S, until

POLICY = PeerPolicy(topics=100)


@contextlib.asynccontextmanager
async def publishing(endpoint: str, screened_in: str) -> AsyncIterator[Publisher]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = Publisher(context, endpoint, policy=POLICY, linger_ms=int(WAIT_S * 1_000), screened_in=screened_in)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close()
        await asyncio.to_thread(context.term)
        await publisher.port.settle(WAIT_S)


def looked(publisher: Publisher) -> Publisher:
    publisher.look()
    return publisher


def screened_in(tmp_path: Path, *, screened: bool) -> str:
    return str(tmp_path) if screened else ""


@pytest.mark.parametrize("screened", [False, True])
@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:*", "tcp://localhost:*", "tcp://lo:*", "tcp://*:*", "tcp://[::1]:*"]
)
async def test_a_subscriber_is_served_to_the_last_frame(tmp_path: Path, address: str, *, screened: bool) -> None:
    with zmq.asyncio.Context() as context:
        subscriber = context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.IPV6, True)
        subscriber.subscribe(b"t")
        async with publishing(address, screened_in(tmp_path, screened=screened)) as publisher:
            host, port = split_tcp(publisher.endpoint)
            reached = {"0.0.0.0": "127.0.0.1"}.get(host, host)
            subscriber.connect(f"tcp://[{reached}]:{port}" if ":" in reached else f"tcp://{reached}:{port}")
            await until(publisher.subscriptions)
            for number in range(1_000):
                publisher.publish(b"t %d" % number)
        async with asyncio.timeout(WAIT_S):
            assert [await subscriber.recv() for _ in range(1_000)] == [b"t %d" % number for number in range(1_000)]
        subscriber.close(0)


@pytest.mark.parametrize("screened", [False, True])
async def test_a_peer_has_its_own_address_and_can_be_ended(tmp_path: Path, *, screened: bool) -> None:
    async with publishing("tcp://127.0.0.1:*", screened_in(tmp_path, screened=screened)) as publisher:
        one, other = [await asyncio.to_thread(Hostile, publisher.endpoint) for _ in range(2)]
        with one, other:
            await until(lambda: len(looked(publisher).watch.peers) == 2)
            assert {peer.name for peer in publisher.watch.peers.values()} == {
                f"127.0.0.1:{peer.port}" for peer in (one, other)
            }
            assert {peer.host for peer in publisher.watch.peers.values()} == {"127.0.0.1"}
            one.send(b"".join(subscription(b"topic %d" % number) for number in range(POLICY.topics + 1)))
            await until(lambda: one.is_cut())
            assert [cut["peer"] for cut in publisher.watch.newest_cuts] == [f"127.0.0.1:{one.port}"]
            assert not other.is_cut()
            await until(lambda: len(looked(publisher).watch.peers) == 1)


@pytest.mark.parametrize("screened", [False, True])
async def test_an_address_that_is_taken_is_a_mistake_of_the_setting(tmp_path: Path, *, screened: bool) -> None:
    async with publishing("tcp://127.0.0.1:*", "") as publisher:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with pytest.raises(ConfigError, match=r"publish_endpoint = .*in use"):
            Publisher(context, publisher.endpoint, screened_in=screened_in(tmp_path, screened=screened))
        context.term()


async def test_a_path_has_no_screen(tmp_path: Path) -> None:
    async with publishing(f"ipc://{tmp_path}/there", str(tmp_path)) as publisher:
        assert publisher.endpoint == f"ipc://{tmp_path}/there"
        assert [path.name for path in tmp_path.iterdir()] == ["there"]
