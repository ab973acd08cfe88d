"""The aggregator's end of the links: each bundle exactly once and in order."""

from __future__ import annotations

import asyncio

import pytest
import zmq

from k2workers.errors import ConfigError
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_receiver import BundleReceiver
from k2workers.transport.bundle_sender import BundleSender
from k2workers.wire import Batch, encode_bundle
from tests.support.waiting import until
from tests.transport.support import Receiver, trades


class RawWorker:
    """A worker's socket that says exactly what it is told to say."""

    def __init__(
        self, endpoint: str, name: str = "worker-0#1", context: zmq.Context[zmq.Socket[bytes]] | None = None
    ) -> None:
        self.context = context or zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt_string(zmq.IDENTITY, name)
        self.socket.connect(endpoint)

    def hello(self, first: int = 1) -> None:
        self.socket.send_multipart(
            [bundle_protocol.HELLO, bundle_protocol.encode(bundle_protocol.WorkerHello(first, {}))]
        )

    def bundle(self, number: int) -> None:
        self.socket.send(bundle_protocol.numbered(bundle_protocol.BUNDLE, number) + encode_bundle([trades(number)]))

    async def answer(self) -> list[bytes]:
        await until(lambda: self.socket.poll(0))
        return self.socket.recv_multipart()

    def close(self) -> None:
        self.context.destroy(linger=0)


async def test_two_workers_are_heard_and_a_failing_handler_does_not_stop_the_rest() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, details: failures.append(details))

    def fails_sometimes(worker: bytes, batches: list[Batch]) -> None:
        receiver._on_bundle(worker, batches)
        if len(receiver.got) % 100 == 0:
            raise RuntimeError("made up")

    receiver.bundle_receiver.start(fails_sometimes, lambda: None, receiver._on_hello)
    names = ("worker-0#1", "worker-1#1")
    bundle_senders = [BundleSender(receiver.endpoint, name) for name in names]
    for bundle_sender in bundle_senders:
        bundle_sender.start()
    await until(lambda: all(bundle_sender.welcomed for bundle_sender in bundle_senders))
    for number in range(500):
        for bundle_sender in bundle_senders:
            bundle_sender.push([trades(number)])
    await until(lambda: len(receiver.got) == 1000)
    for name in names:
        assert receiver.by_worker[name.encode()] == [[trades(n)] for n in range(500)]
    assert len(failures) >= 9
    assert receiver.bundle_receiver.bundles == 1000
    for bundle_sender in bundle_senders:
        bundle_sender.close()
    receiver.close()
    receiver.bundle_receiver.close()


async def test_a_worker_that_is_not_known_is_challenged_before_anything_is_taken() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    receiver.start()
    worker = RawWorker(receiver.endpoint)
    worker.bundle(3)
    assert await worker.answer() == [bundle_protocol.CHALLENGE]
    worker.hello(first=3)
    assert bundle_protocol.decode_welcome((await worker.answer())[1]).epoch == 7
    worker.bundle(3)
    worker.bundle(3)
    worker.bundle(4)
    await until(lambda: len(receiver.got) == 2)
    assert receiver.bundle_receiver.repeated == 1
    worker.close()
    receiver.close()


async def test_a_bundle_lost_on_the_way_is_asked_for_again() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    receiver.start()
    worker = RawWorker(receiver.endpoint)
    worker.hello()
    await worker.answer()
    worker.bundle(1)
    worker.bundle(3)
    assert await worker.answer() == [bundle_protocol.CHALLENGE]
    worker.hello()
    await worker.answer()
    for number in (1, 2, 3):
        worker.bundle(number)
    await until(lambda: len(receiver.got) == 3)
    assert receiver.got == [[trades(1)], [trades(2)], [trades(3)]]
    worker.close()
    receiver.close()


async def test_a_ping_shows_that_the_last_bundles_are_missing() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    receiver.start()
    worker = RawWorker(receiver.endpoint)
    worker.hello()
    await worker.answer()
    worker.socket.send(bundle_protocol.numbered(bundle_protocol.PING, 0))
    worker.socket.send(bundle_protocol.numbered(bundle_protocol.PING, 5))
    assert await worker.answer() == [bundle_protocol.CHALLENGE]
    worker.close()
    receiver.close()


async def test_only_what_was_taken_by_then_is_acknowledged() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    receiver.start()
    worker = RawWorker(receiver.endpoint)
    worker.hello()
    await worker.answer()
    worker.bundle(1)
    await until(lambda: receiver.got)
    taken = receiver.bundle_receiver.taken()
    worker.bundle(2)
    await until(lambda: len(receiver.got) == 2)
    receiver.bundle_receiver.acknowledge({**taken, b"worker-0#gone": 7})
    assert await worker.answer() == [bundle_protocol.numbered(bundle_protocol.ACK, 1)]
    receiver.bundle_receiver.acknowledge(receiver.bundle_receiver.taken())
    assert await worker.answer() == [bundle_protocol.numbered(bundle_protocol.ACK, 2)]
    worker.close()
    receiver.close()


async def test_nonsense_from_a_worker_is_logged_and_passed_over() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    receiver.start()
    worker = RawWorker(receiver.endpoint)
    for nonsense in (
        [b""],
        [b"B"],
        [b"H"],
        [b"H", b"\xff"],
        [b"P123"],
        [b"zzz", b"1"],
    ):
        worker.socket.send_multipart(nonsense)
    worker.hello()
    assert (await worker.answer())[0] == bundle_protocol.WELCOME
    worker.socket.send(bundle_protocol.numbered(bundle_protocol.BUNDLE, 1) + b"\xff")
    worker.bundle(2)
    await until(lambda: receiver.got)
    assert receiver.got == [[trades(2)]]
    worker.close()
    receiver.close()


async def test_a_busy_receiver_leaves_turns_to_the_loop() -> None:
    receiver = Receiver("tcp://127.0.0.1:0", high_water_mark=10_000)
    worker = RawWorker(receiver.endpoint)
    worker.socket.setsockopt(zmq.SNDHWM, 10_000)
    worker.hello()
    for number in range(1, 901):
        worker.bundle(number)
    turns: list[int] = []
    loop = asyncio.get_running_loop()

    def on_bundle(_worker: bytes, _bundle: list[Batch]) -> None:
        loop.call_soon(turns.append, receiver.bundle_receiver.bundles)

    receiver.bundle_receiver.start(on_bundle, lambda: None, receiver._on_hello)
    await until(lambda: receiver.bundle_receiver.bundles == 900)
    assert turns[0] <= 64
    worker.close()
    receiver.close()


async def test_an_endpoint_in_use_is_a_config_error_that_names_setting_and_value() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bundle_receiver = BundleReceiver(context, "tcp://127.0.0.1:0")
    with pytest.raises(
        ConfigError, match=rf"bundle_endpoint = '{bundle_receiver.endpoint}' .* in use by another program"
    ):
        BundleReceiver(context, bundle_receiver.endpoint)
    bundle_receiver.close()
    context.term()


async def test_an_earlier_life_of_a_worker_is_forgotten_when_the_new_one_greets() -> None:
    receiver = Receiver("tcp://127.0.0.1:0")
    receiver.start()
    old, new = RawWorker(receiver.endpoint, "worker-0#1"), RawWorker(receiver.endpoint, "worker-0#2")
    for worker in (old, new):
        worker.hello()
        assert (await worker.answer())[0] == bundle_protocol.WELCOME
    old.bundle(1)
    assert await old.answer() == [bundle_protocol.CHALLENGE]
    assert list(receiver.bundle_receiver.taken()) == []
    old.close()
    new.close()
    receiver.close()


async def test_the_first_message_is_a_turn_of_its_own_and_so_is_what_waits_behind_it() -> None:
    # Within one context a message has arrived when it was sent.
    receiver = Receiver("inproc://pull", high_water_mark=10_000)
    worker = RawWorker(receiver.endpoint, context=receiver.context)
    worker.hello()
    for number in (1, 2, 3):
        worker.bundle(number)
    worker.hello(first=4)
    steps: list[object] = []

    def on_hello(hello: bundle_protocol.WorkerHello) -> bundle_protocol.Welcome:
        steps.append(hello.first_number)
        return bundle_protocol.Welcome(7, {})

    receiver.bundle_receiver.start(
        lambda _w, batches: steps.append(batches[0].last_id), lambda: steps.append("turn"), on_hello
    )
    await until(lambda: steps.count("turn") >= 4)
    # and before a greeting is answered, all that came before it is dealt with
    assert steps[:9] == ["turn", 1, "turn", 1, 2, 3, "turn", 4, "turn"]
    worker.close()
    receiver.close()
