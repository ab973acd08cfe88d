"""A worker's end of the link: kept until acknowledged, sent again to whoever comes next, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers.errors import ConfigError
from k2workers.events import Backfilled, Trade, Void
from k2workers.sequencing.coverage import Holes
from k2workers.transport import bundle_protocol
from k2workers.transport.bundle_sender import BundleSender
from k2workers.venues.binance.streams import CHAIN
from k2workers.wire import Batch, SendOutcome, encode_bundle
from tests.support.batches import batch_of
from tests.support.waiting import WAIT_S, until
from tests.transport.support import Receiver, batch, trades


def bytes_kept(*batches: Batch) -> int:
    """What a bundle takes of ``keep_bytes``."""
    return len(bundle_protocol.numbered(bundle_protocol.BUNDLE, 1) + encode_bundle(batches))


async def test_bundles_arrive_whole_and_in_order(tmp_path: Path) -> None:
    receiver = Receiver(f"ipc://{tmp_path}/push")
    bundle_sender = BundleSender(receiver.endpoint, "worker-0#1")
    receiver.start()
    bundle_sender.start()
    await until(lambda: bundle_sender.welcomed)
    sent = [[batch(number), batch(number, "binance.book_ticker.币安人生USDT")] for number in range(500)]
    assert {bundle_sender.push(bundle) for bundle in sent} == {SendOutcome.SENT}
    await until(lambda: len(receiver.got) == 500)
    assert receiver.got == sent
    assert (bundle_sender.counters.kept_bundles, bundle_sender.counters.pending_bundles) == (500, 0)
    bundle_sender.close()
    receiver.close()


async def test_bundles_wait_for_an_absent_aggregator_and_then_arrive_in_order(tmp_path: Path) -> None:
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1", high_water_mark=10)
    bundle_sender.start()
    sent = [[batch(number)] for number in range(300)]
    assert {bundle_sender.push(bundle) for bundle in sent} == {SendOutcome.BACK_PRESSURED}
    assert not await bundle_sender.drain(0.05)
    receiver = Receiver(f"ipc://{tmp_path}/push")
    receiver.start()
    assert await bundle_sender.drain(WAIT_S)
    assert bundle_sender.counters.pending_bundles == 0
    await until(lambda: len(receiver.got) == 300)
    assert receiver.got == sent
    bundle_sender.close()
    receiver.close()


async def test_a_new_aggregator_gets_again_what_the_dead_one_had_not_acknowledged(tmp_path: Path) -> None:
    first = Receiver(f"ipc://{tmp_path}/push")
    bundle_sender = BundleSender(first.endpoint, "worker-0#1")
    first.start()
    bundle_sender.start(
        reached=lambda: {"binance.trade.BTCUSDT": (CHAIN.number, 8), "binance.trade.QUIET": (CHAIN.number, 55)}
    )
    await until(lambda: bundle_sender.welcomed)
    for number in (5, 6):
        bundle_sender.push([trades(number)])
    await until(lambda: len(first.got) == 2)
    first.bundle_receiver.acknowledge(first.bundle_receiver.taken())
    await until(lambda: bundle_sender.counters.kept_bundles == 0)
    for number in (7, 8):
        bundle_sender.push([trades(number)])
    await until(lambda: len(first.got) == 4)
    first.close()
    second = Receiver(f"ipc://{tmp_path}/push")
    second.start()
    bundle_sender.push([trades(9)])
    await until(lambda: len(second.got) == 3)
    assert second.got == [[trades(7)], [trades(8)], [trades(9)]]
    # What was acknowledged counts as published: the new one need not wonder where the topics stood.
    assert second.hellos[-1].acknowledged == {
        "binance.trade.BTCUSDT": (CHAIN.number, 6),
        "binance.trade.QUIET": (CHAIN.number, 55),
    }
    bundle_sender.close()
    second.close()


async def test_holes_that_the_aggregator_found_are_reported(tmp_path: Path) -> None:
    receiver = Receiver(f"ipc://{tmp_path}/push")
    bundle_sender = BundleSender(receiver.endpoint, "worker-0#1")
    told: list[Holes] = []
    receiver.start()
    bundle_sender.start(on_holes=told.append)
    await until(lambda: bundle_sender.welcomed)
    receiver.bundle_receiver.tell_holes(b"worker-0#1", {"t": (CHAIN.number, [(3, 4)])})
    await until(lambda: told)
    assert told == [{"t": (CHAIN.number, [(3, 4)])}]
    bundle_sender.close()
    receiver.close()


async def test_without_a_reader_new_bundles_are_refused_at_the_bound(tmp_path: Path) -> None:
    size = bytes_kept(trades(0))
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1", keep_bytes=3 * size, linger_ms=0)
    outcomes = [bundle_sender.push([trades(number)]) for number in range(6)]
    assert outcomes == [SendOutcome.BACK_PRESSURED] * 3 + [SendOutcome.REFUSED] * 3
    assert (bundle_sender.counters.bundles_refused, bundle_sender.counters.kept_bytes) == (3, 3 * size)
    receiver = Receiver(f"ipc://{tmp_path}/push")
    receiver.start()
    bundle_sender.start(reached=lambda: {"binance.trade.BTCUSDT": (CHAIN.number, 5)})
    await until(lambda: len(receiver.got) == 3)
    # The refused ids must not be claimed as published, or the aggregator could not find the hole.
    assert receiver.hellos[-1].acknowledged == {}
    assert receiver.hellos[-1].dropped_after == {"binance.trade.BTCUSDT": (CHAIN.number, -1)}
    bundle_sender.close()
    receiver.close()


async def test_an_aggregator_that_does_not_acknowledge_costs_bounded_memory(tmp_path: Path) -> None:
    size = bytes_kept(trades(0))
    receiver = Receiver(f"ipc://{tmp_path}/push")
    bundle_sender = BundleSender(receiver.endpoint, "worker-0#1", keep_bytes=3 * size)
    receiver.start()
    bundle_sender.start()
    await until(lambda: bundle_sender.welcomed)
    assert {bundle_sender.push([trades(number)]) for number in range(9)} == {SendOutcome.SENT}
    assert (bundle_sender.counters.forgotten, bundle_sender.counters.kept_bundles) == (6, 3)
    await until(lambda: len(receiver.got) == 9)
    bundle_sender.close()
    receiver.close()


async def test_what_was_dropped_is_forgiven_when_later_ids_are_acknowledged(tmp_path: Path) -> None:
    size = bytes_kept(trades(0))
    first = Receiver(f"ipc://{tmp_path}/push")
    bundle_sender = BundleSender(first.endpoint, "worker-0#1", keep_bytes=3 * size)
    first.start()
    bundle_sender.start(reached=lambda: {"binance.trade.BTCUSDT": (CHAIN.number, 8)})
    await until(lambda: bundle_sender.welcomed)
    for number in range(9):
        bundle_sender.push([trades(number)])
    await until(lambda: len(first.got) == 9)
    first.bundle_receiver.acknowledge({b"worker-0#1": 8})
    await until(lambda: bundle_sender.counters.kept_bundles == 1)
    first.close()
    second = Receiver(f"ipc://{tmp_path}/push")
    second.start()
    await until(lambda: second.got)
    assert second.hellos[-1].acknowledged == {"binance.trade.BTCUSDT": (CHAIN.number, 7)}
    bundle_sender.close()
    second.close()


async def test_a_hello_tells_which_announced_ids_the_worker_will_still_send(tmp_path: Path) -> None:
    topic = "binance.trade.BTCUSDT"
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    late = [Backfilled(Trade(number, "1", "1", True, 0, 0, number)) for number in (6, 8)]
    for events in (late, [Void(11, 12, 0)], [Void(20, 20, 0)]):
        bundle_sender.push([batch_of(topic, events)])
    bundle_sender.start(
        reached=lambda: {topic: (CHAIN.number, 20)}, open_gaps=lambda: {topic: (CHAIN.number, [(3, 4)])}
    )
    receiver = Receiver(f"ipc://{tmp_path}/push")
    receiver.start()
    await until(lambda: len(receiver.got) == 3)
    hello = receiver.hellos[-1]
    assert (hello.dropped_after, hello.open) == (
        {topic: (CHAIN.number, 19)},
        {topic: (CHAIN.number, [(3, 4), (6, 6), (8, 8), (11, 12)])},
    )
    bundle_sender.close()
    receiver.close()


async def test_close_hands_over_what_zeromq_still_holds(tmp_path: Path) -> None:
    receiver = Receiver(f"ipc://{tmp_path}/push", high_water_mark=10_000)
    receiver.start()
    bundle_sender = BundleSender(receiver.endpoint, "worker-0#1")
    bundle_sender.start()
    await until(lambda: bundle_sender.welcomed)
    for number in range(900):
        bundle_sender.push([batch(number)])
    bundle_sender.close()
    bundle_sender.close()
    assert bundle_sender.push([batch(1)]) is SendOutcome.CLOSED
    await until(lambda: len(receiver.got) == 900)
    receiver.close()


def test_a_malformed_endpoint_is_a_config_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"bundle_endpoint = 'nonsense' cannot be used"):
        BundleSender("nonsense", "worker-0#1")


async def test_a_void_for_an_old_gap_does_not_move_a_topic_back(tmp_path: Path) -> None:
    first = Receiver(f"ipc://{tmp_path}/push")
    bundle_sender = BundleSender(first.endpoint, "worker-0#1")
    first.start()
    bundle_sender.start(reached=lambda: {"binance.trade.BTCUSDT": (CHAIN.number, 101)})
    await until(lambda: bundle_sender.welcomed)
    bundle_sender.push([batch_of("binance.trade.BTCUSDT", [Void(5, 5, 0)])])
    bundle_sender.push([trades(101)])
    await until(lambda: len(first.got) == 2)
    first.close()
    second = Receiver(f"ipc://{tmp_path}/push")
    second.start()
    await until(lambda: len(second.got) == 2)
    assert second.hellos[-1].dropped_after == {"binance.trade.BTCUSDT": (CHAIN.number, 100)}
    bundle_sender.close()
    second.close()
