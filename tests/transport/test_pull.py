from __future__ import annotations

import asyncio

import pytest
import zmq

from k2workers.errors import ConfigError
from k2workers.transport.pull import BatchPuller
from k2workers.transport.push import BatchPusher


async def test_two_workers_are_heard_and_a_failing_handler_does_not_stop_the_rest() -> None:
    context = zmq.Context()
    puller = BatchPuller(context, "tcp://127.0.0.1:0")
    got: list[list[bytes]] = []
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, details: failures.append(details))
    done = asyncio.Event()

    def on_bundle(frames: list[bytes]) -> None:
        got.append(frames)
        if len(got) == 1000:
            done.set()
        if len(got) % 100 == 0:
            raise RuntimeError("made up")

    first, second = BatchPusher(puller.endpoint), BatchPusher(puller.endpoint)
    for number in range(500):
        first.push([b"first", b"%d" % number])
        second.push([b"second", b"%d" % number])
    puller.start(on_bundle)
    await asyncio.wait_for(done.wait(), 5)
    assert [frames for frames in got if frames[0] == b"first"] == [[b"first", b"%d" % n] for n in range(500)]
    assert [frames for frames in got if frames[0] == b"second"] == [[b"second", b"%d" % n] for n in range(500)]
    assert len(failures) >= 9
    assert puller.bundles == 1000
    assert puller.receive() is None
    first.close()
    second.close()
    puller.close()
    puller.close()
    context.term()


async def test_a_busy_puller_leaves_turns_to_the_loop() -> None:
    context = zmq.Context()
    puller = BatchPuller(context, "tcp://127.0.0.1:0", high_water_mark=10_000)
    pusher = BatchPusher(puller.endpoint)
    for number in range(900):
        pusher.push([b"%d" % number])
    pusher.close()
    turns: list[int] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_bundle(frames: list[bytes]) -> None:
        if frames == [b"899"]:
            done.set()
        loop.call_soon(turns.append, puller.bundles)

    puller.start(on_bundle)
    await asyncio.wait_for(done.wait(), 5)
    assert turns[0] <= 64
    puller.close()
    context.term()


async def test_an_endpoint_in_use_is_a_config_error_that_names_setting_and_value() -> None:
    context = zmq.Context()
    puller = BatchPuller(context, "tcp://127.0.0.1:0")
    with pytest.raises(ConfigError, match=rf"pull_endpoint = '{puller.endpoint}' .* in use by another program"):
        BatchPuller(context, puller.endpoint)
    puller.close()
    context.term()
