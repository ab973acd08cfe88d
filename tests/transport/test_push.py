from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import zmq

from k2workers.errors import ConfigError
from k2workers.events import BookTicker
from k2workers.transport.pull import BatchPuller
from k2workers.transport.push import BatchPusher, PushOutcome
from k2workers.wire import encode_batch


def batch(update_id: int, topic: str = "binance.book_ticker.BTCUSDT") -> bytes:
    return encode_batch(topic, [BookTicker(update_id, "1", "1", "2", "1", 1)])


async def until(condition: object, deadline_s: float = 5.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_bundles_arrive_whole_and_in_order(tmp_path: Path) -> None:
    context = zmq.Context()
    puller = BatchPuller(context, f"ipc://{tmp_path}/push")
    got: list[list[bytes]] = []
    pusher = BatchPusher(puller.endpoint)
    puller.start(got.append)
    pusher.start()
    sent = [[batch(number), batch(number, "binance.book_ticker.币安人生USDT")] for number in range(500)]
    assert {pusher.push(bundle) for bundle in sent} == {PushOutcome.SENT}
    await until(lambda: len(got) == 500)
    assert got == sent
    assert pusher.counters.bundles_sent == 500
    assert pusher.counters.batches_sent == 1000
    assert pusher.counters.bytes_sent == sum(len(frame) for bundle in sent for frame in bundle)
    pusher.close()
    puller.close()
    context.term()


async def test_bundles_wait_for_an_absent_aggregator_and_then_arrive_in_order(tmp_path: Path) -> None:
    pusher = BatchPusher(f"ipc://{tmp_path}/push", high_water_mark=10)
    pusher.start()
    sent = [[batch(number)] for number in range(300)]
    outcomes = [pusher.push(bundle) for bundle in sent]
    assert outcomes == [PushOutcome.SENT] * 10 + [PushOutcome.BACK_PRESSURED] * 290
    assert pusher.counters.pending_bundles == 290
    assert not await pusher.drain(0.05)
    context = zmq.Context()
    puller = BatchPuller(context, f"ipc://{tmp_path}/push")
    got: list[list[bytes]] = []
    puller.start(got.append)
    assert await pusher.drain(5)
    assert (pusher.counters.pending_bundles, pusher.counters.pending_bytes) == (0, 0)
    await until(lambda: len(got) == 300)
    assert got == sent
    pusher.close()
    puller.close()
    context.term()


async def test_beyond_the_bound_new_bundles_are_refused_and_their_events_counted(tmp_path: Path) -> None:
    size = len(batch(0))
    pusher = BatchPusher(f"ipc://{tmp_path}/push", high_water_mark=1, pending_limit_bytes=3 * size, linger_ms=0)
    pusher.start()
    outcomes = [pusher.push([batch(number)]) for number in range(6)]
    assert outcomes[:4] == [PushOutcome.SENT] + [PushOutcome.BACK_PRESSURED] * 3
    assert outcomes[4:] == [PushOutcome.REFUSED] * 2
    assert pusher.push([b"not a batch", batch(9, "binance.trade.X")] * 9) is PushOutcome.REFUSED
    assert pusher.refused_events == {"binance.book_ticker.BTCUSDT": 2, "binance.trade.X": 9}
    assert pusher.counters.bundles_refused == 3
    assert pusher.counters.pending_bytes == 3 * size
    pusher.close()


async def test_close_hands_over_what_zeromq_still_holds(tmp_path: Path) -> None:
    context = zmq.Context()
    puller = BatchPuller(context, f"ipc://{tmp_path}/push", high_water_mark=10_000)
    pusher = BatchPusher(puller.endpoint)
    pusher.start()
    for number in range(900):
        pusher.push([batch(number)])
    pusher.close()
    pusher.close()
    assert pusher.push([batch(1)]) is PushOutcome.CLOSED
    got: list[list[bytes]] = []
    puller.start(got.append)
    await until(lambda: len(got) == 900)
    puller.close()
    context.term()


def test_a_malformed_endpoint_is_a_config_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"push_endpoint = 'nonsense' cannot be used"):
        BatchPusher("nonsense")
