"""What is acknowledged, what a checkpoint holds, and what the next life makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from k2workers import metrics, native, wire
from k2workers.book_events import BookTop
from k2workers.continuity import MADE, renumbered
from k2workers.events import LATE, Backfilled, Gap, Reset, Trade
from k2workers.feed.intake import Intake
from k2workers.files import checkpoint
from k2workers.files.checkpoint_file import CheckpointFile
from k2workers.processes.aggregator import Aggregator, _serve
from k2workers.processes.child_settings import AggregatorSettings
from k2workers.sequencing.coverage import Holes, PublishedPosition
from k2workers.supervision.control_channel import ControlServer
from k2workers.supervision.control_messages import AnyControlMessage, Beat, Drain
from k2workers.transport.bundle_protocol import WorkerHello
from k2workers.transport.bundle_sender import BundleSender
from k2workers.transport.latest_outbox import LatestOutbox
from k2workers.venues.binance.spot import BinanceSpot
from k2workers.venues.binance.streams import CHAIN
from k2workers.wire import Batch
from tests.support.batches import batch_of
from tests.support.told import LOGS
from tests.support.waiting import WAIT_S, until
from tests.transport.support import trades

TOPIC = "binance.trade.BTCUSDT"
POSITIONS = {TOPIC: PublishedPosition(5, [(1, 2)])}
GAP = (6, 9)
NO_ROOM = "no such directory/checkpoint"


def settings(directory: Path, **changes: object) -> AggregatorSettings:
    return AggregatorSettings(
        **{  # type: ignore[arg-type]
            "bundle_endpoint": f"ipc://{directory}/push",
            "publish_endpoint": "tcp://127.0.0.1:*",
            "snapshot_endpoint": "tcp://127.0.0.1:*",
            "checkpoint": str(directory / "checkpoint"),
            "sources": {"v": "wss://venue"},
            "checkpoint_max_age_s": 3_600.0,
            "replay_bytes": 2**26,
            "replay_age_s": 300.0,
            "native": True,
            "environment": "test",
            "logs": LOGS,
            **changes,
        }
    )


async def test_a_new_life_numbers_later_than_the_last_one_even_if_the_clock_went_back(tmp_path: Path) -> None:
    epoch = 2**62
    (tmp_path / "checkpoint").write_bytes(checkpoint.encode({"v": "wss://venue"}, epoch, POSITIONS, 2**62))
    aggregator = Aggregator(settings(tmp_path))
    assert aggregator.sequencer.epoch > epoch
    welcome = aggregator.relay.hello(WorkerHello(1, {}))
    assert welcome.positions == POSITIONS
    aggregator.on_bundle(b"worker-0#1", [trades(6), trades(9)])
    aggregator.publish()
    assert aggregator.ring.newest("binance.trade.BTCUSDT") == {"binance.trade.BTCUSDT": 3}
    assert aggregator.sequencer.gaps_open == 2
    aggregator.on_bundle(b"worker-0#1", [Batch("binance.trade.BTCUSDT", LATE + 1, 1, 7, 7, CHAIN.number, b"no events")])
    assert aggregator.relay.unreadable == 1
    await aggregator.close()


@pytest.mark.parametrize("is_native", [True, False])
async def test_what_workers_send_in_order_is_published_natively_unless_that_is_turned_off(
    is_native: bool, tmp_path: Path
) -> None:
    if is_native and native.extension is None:
        pytest.skip(f"no native lane: {native.why_not}")
    aggregator = Aggregator(settings(tmp_path, native=is_native))
    aggregator.start()
    bundle_sender = BundleSender(aggregator.bundle_receiver.endpoint, "worker-0#1")
    bundle_sender.start(on_welcome=lambda _: None)
    for number in range(1, 301):
        bundle_sender.push([batch_of(TOPIC, [Trade(number, "1", "1", True, 0, 0, 2**60)])])
        await until(lambda number=number: aggregator.ring.newest(TOPIC) == {TOPIC: number})
        assert aggregator.status().events_published == number
    plain, left = aggregator.sequencer.plain_bundles, aggregator.sequencer.left_bundles
    assert (plain, left) == ((299, {"topic": 1}) if is_native else (0, {}))
    assert aggregator.sequencer.positions()[TOPIC].last_id == 300
    assert sum(aggregator.latency.counts) == 300
    assert [chain.count for chain in aggregator.published().continuity] == [300]
    bundle_sender.close()
    await aggregator.drain()
    await aggregator.last_checkpoint()
    assert (
        checkpoint.decode((tmp_path / "checkpoint").read_bytes(), {"v": "wss://venue"}, 2**62, 0)
        .positions[TOPIC]
        .last_id
        == 300
    )
    await aggregator.close()


@pytest.mark.parametrize("is_native", [True, False])
async def test_what_is_made_of_published_events_is_published_and_counts_in_no_figure_of_them(
    is_native: bool, tmp_path: Path
) -> None:
    aggregator = Aggregator(settings(tmp_path, native=is_native))
    aggregator.start()
    maker = BundleSender(aggregator.bundle_receiver.endpoint, "~books#1", outbox=LatestOutbox)
    maker.start()
    await until(lambda: maker.welcomed)
    heard_ns, topic, states = aggregator.heard_ns, "binance.book_top.X", ("whole", "stale", "whole", "whole")
    # The same id may come again, and after a reset of the venue's a lower one.
    for number, (update_id, state) in enumerate(zip((7, 7, 7, 3), states, strict=True), 1):
        event = BookTop(update_id, "1", "1", "2", "1", state, 0, 5, 2**60)
        maker.push([wire.batch_of(topic, [event], MADE.number)])
        await until(lambda number=number: aggregator.ring.newest(topic) == {topic: number})
    assert aggregator.status().events_published == 0
    assert (sum(aggregator.latency.counts), aggregator.heard_ns) == (0, heard_ns)
    assert aggregator.sequencer.positions()[topic].continuity == MADE.number
    frames = aggregator.ring.since(topic, 1, limit_bytes=10**6, limit_frames=9)[2]
    events = [wire.decode_events(frame, wire.read_header(frame))[0] for frame in frames]
    assert [event.state for event in events if isinstance(event, BookTop)] == [*states]
    maker.close()
    await aggregator.close()


def trade(number: int) -> Trade:
    return Trade(number, "1", "1", True, 0, 0, number)


def late(*numbers: int) -> Batch:
    return batch_of(TOPIC, [Backfilled(trade(number)) for number in numbers])


def living(directory: Path, checkpoint_name: str = "checkpoint") -> Aggregator:
    aggregator = Aggregator(settings(directory, checkpoint=str(directory / checkpoint_name)))
    aggregator.start()
    return aggregator


async def end(aggregator: Aggregator) -> None:
    """As if it died: nothing is written, nobody is told."""
    for duty in aggregator._duties:
        duty.stop()
    await aggregator.close()


async def announced(aggregator: Aggregator, bundle_sender: BundleSender) -> None:
    """A worker sends trade 5, announces that 6 to 9 are missing, and goes on with trade 10."""
    bundle_sender.start(reached=lambda: {TOPIC: (CHAIN.number, 10)}, open_gaps=lambda: {TOPIC: (CHAIN.number, [GAP])})
    for batch in (trades(5), batch_of(TOPIC, [Gap(*GAP, "not received", 0)]), trades(10)):
        bundle_sender.push([batch])
    await until(lambda: TOPIC in aggregator.sequencer.topics and aggregator.sequencer.topics[TOPIC].last_id == 10)


async def filled_in_the_next_life(directory: Path, checkpoint_name: str, bundle_sender: BundleSender) -> None:
    """Another aggregator takes over, REST brings what was missing, and it goes through."""
    aggregator = living(directory, checkpoint_name)
    bundle_sender.push([late(6, 7, 8, 9)])
    bundle_sender.push([trades(11)])
    await until(lambda: TOPIC in aggregator.sequencer.topics and aggregator.sequencer.topics[TOPIC].last_id == 11)
    sequencer = aggregator.sequencer
    assert (sequencer.repaired_ids, sequencer.gaps_open, sequencer.old_events) == (4, 0, 0)
    bundle_sender.close()
    await end(aggregator)


async def test_a_gap_that_no_checkpoint_holds_is_still_known_after_a_death(tmp_path: Path) -> None:
    aggregator, bundle_sender = living(tmp_path, NO_ROOM), BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    await announced(aggregator, bundle_sender)
    # However often it could not be written, and however long ago the bundles came.
    await until(lambda: aggregator.checkpoint_file.failures == 4)
    await end(aggregator)
    assert bundle_sender.counters.kept_bundles == 3
    await filled_in_the_next_life(tmp_path, NO_ROOM, bundle_sender)


async def test_what_is_acknowledged_is_in_the_checkpoint(tmp_path: Path) -> None:
    aggregator, bundle_sender = living(tmp_path), BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    await announced(aggregator, bundle_sender)
    await until(lambda: bundle_sender.counters.kept_bundles == 0)
    assert CheckpointFile(tmp_path / "checkpoint", {"v": "wss://venue"}, 60).read().positions == {
        TOPIC: PublishedPosition(10, [GAP], CHAIN.number)
    }
    await end(aggregator)
    await filled_in_the_next_life(tmp_path, "checkpoint", bundle_sender)


async def test_an_open_gap_outlives_the_checkpoint_that_held_it(tmp_path: Path) -> None:
    aggregator, bundle_sender = living(tmp_path), BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    await announced(aggregator, bundle_sender)
    await until(lambda: bundle_sender.counters.kept_bundles == 0)
    await end(aggregator)
    (tmp_path / "checkpoint").unlink()
    await filled_in_the_next_life(tmp_path, "checkpoint", bundle_sender)


async def test_what_a_worker_could_not_keep_is_named_although_there_never_was_a_checkpoint(tmp_path: Path) -> None:
    aggregator = living(tmp_path, NO_ROOM)
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1", keep_bytes=250)
    told: list[Holes] = []
    bundle_sender.start(reached=lambda: {TOPIC: (CHAIN.number, 19)}, on_holes=told.append)
    await until(lambda: bundle_sender.welcomed)
    for number in range(10, 20):
        bundle_sender.push([trades(number)])
    await until(lambda: TOPIC in aggregator.sequencer.topics and aggregator.sequencer.topics[TOPIC].last_id == 19)
    forgotten = bundle_sender.counters.forgotten
    assert 0 < forgotten < 9
    await end(aggregator)
    another = living(tmp_path, NO_ROOM)
    await until(lambda: TOPIC in another.sequencer.topics and another.sequencer.topics[TOPIC].last_id == 19)
    assert list(another.sequencer.topics[TOPIC].open) == [(10, 9 + forgotten)]
    await until(lambda: told)
    assert told[0] == {TOPIC: (CHAIN.number, [(10, 9 + forgotten)])}
    bundle_sender.close()
    await end(another)


async def test_what_a_worker_had_to_refuse_while_nobody_read_is_announced_and_comes_late(tmp_path: Path) -> None:
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1", keep_bytes=400)
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["trade"], ["BTCUSDT"])), hold_ns=0, push=bundle_sender.push,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip
    intake.resume({})
    bundle_sender.start(reached=intake.reached, open_gaps=intake.open_gaps, on_holes=intake.reopen)
    events = {number: Trade(number, "1", "1", True, 0, 0, number) for number in range(10, 31)}
    first = 10
    for number in range(10, 30):
        intake.add(0, [events[number]], 0)
        first += not intake.refused
    assert 10 < first < 30, "some are kept, the others are refused"
    aggregator = living(tmp_path)
    await until(lambda: aggregator.bundle_receiver.bundles == first - 10)
    assert aggregator.sequencer.topics[TOPIC].last_id == first - 1
    bundle_sender._outbox._acknowledged(first - 10)  # as after the next checkpoint: there is room again
    intake.add(0, [events[30]], 0)
    await until(lambda: aggregator.sequencer.topics[TOPIC].last_id == 30)
    assert aggregator.sequencer.positions()[TOPIC].open == intake.lanes[0].wanted() == [(first, 29)]
    intake.fill(0, [events[number] for number in range(first, 30)], 0)
    await until(lambda: aggregator.sequencer.repaired_ids == 30 - first)
    assert (aggregator.sequencer.gaps, aggregator.sequencer.gaps_open, intake.gaps_open) == (1, 0, 0)
    assert aggregator.sequencer.found_holes == {}
    bundle_sender.close()
    await end(aggregator)


async def test_what_filled_a_gap_and_could_not_be_kept_is_wanted_again_by_an_aggregator_that_lacks_it(
    tmp_path: Path,
) -> None:
    content = checkpoint.encode({"v": "wss://venue"}, 7, {TOPIC: PublishedPosition(10, [GAP], CHAIN.number)}, 2**62)
    (tmp_path / "checkpoint").write_bytes(content)  # the last that could be written
    bundle_sender, told = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1"), list[Holes]()
    bundle_sender.push([late(6)])  # 7 to 9 were pushed too, and forgotten
    bundle_sender.push([trades(11)])
    bundle_sender.start(reached=lambda: {TOPIC: (CHAIN.number, 11)}, on_holes=told.append)
    aggregator = living(tmp_path)
    await until(lambda: told)
    assert told[0] == {TOPIC: (CHAIN.number, [(7, 9)])}
    bundle_sender.push([late(7, 8, 9)])
    await until(lambda: not aggregator.sequencer.gaps_open)
    bundle_sender.close()
    await end(aggregator)


async def test_ids_that_began_anew_survive_every_death(tmp_path: Path) -> None:
    old, new = CHAIN.number, renumbered(CHAIN.number)
    aggregator = living(tmp_path, "missing/checkpoint")  # it cannot be written: nothing is acknowledged
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    bundle_sender.start(reached=lambda: {TOPIC: (new, 2)}, begun=lambda: {TOPIC: (new, 1)})
    for numbering, event in ((old, trade(8)), (old, trade(9)), (new, Reset(9, 1, 0)), (new, trade(1)), (new, trade(2))):
        bundle_sender.push([wire.batch_of(TOPIC, [event], numbering)])
    await until(lambda: aggregator.sequencer.positions().get(TOPIC) == PublishedPosition(2, [], new))
    await end(aggregator)
    # The checkpoint was lost with everything else: all is sent again, the old ids too.
    another = living(tmp_path, "another")
    await until(lambda: another.sequencer.positions().get(TOPIC) == PublishedPosition(2, [], new))
    assert (another.sequencer.resets, another.sequencer.gaps, another.sequencer.old_events) == (1, 0, 0)
    bundle_sender.close()
    await another.last_checkpoint()
    await end(another)
    third = living(tmp_path, "another")
    third.on_bundle(b"worker-0#2", [wire.batch_of(TOPIC, [trade(10)], old), wire.batch_of(TOPIC, [trade(3)], new)])
    assert third.sequencer.positions()[TOPIC] == PublishedPosition(3, [], new)
    assert (third.sequencer.resets, third.sequencer.old_events) == (0, 1)
    await end(third)


async def test_a_worker_that_began_without_being_told_claims_nothing_and_what_lies_between_is_fetched(
    tmp_path: Path,
) -> None:
    new = renumbered(CHAIN.number)
    content = checkpoint.encode({"v": "wss://venue"}, 7, {TOPIC: PublishedPosition(10, [], new)}, 2**62)
    (tmp_path / "checkpoint").write_bytes(content)
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    venue = BinanceSpot()
    intake = Intake(
        venue.codec(venue.stream_specs(["trade"], ["BTCUSDT"])), hold_ns=0, push=bundle_sender.push,
        on_reply=lambda *_: None, on_notice=lambda _: None, observe_latency=lambda _: None,
    )  # fmt: skip
    intake.resume({})
    intake.add(0, [trade(14)], 0)
    bundle_sender.start(
        reached=intake.reached, open_gaps=intake.open_gaps, on_holes=intake.reopen,
        on_welcome=lambda welcome: intake.resume_late(welcome.positions),
    )  # fmt: skip
    aggregator = living(tmp_path)
    await until(lambda: bundle_sender.welcomed)
    await until(lambda: aggregator.sequencer.old_events == 1)
    intake.add(0, [trade(15)], 0)
    await until(lambda: intake.lanes[0].wanted())
    assert intake.lanes[0].wanted() == [(11, 14)]
    intake.fill(0, [trade(number) for number in range(11, 15)], 0)
    await until(lambda: aggregator.sequencer.repaired_ids == 4)
    assert aggregator.sequencer.positions()[TOPIC] == PublishedPosition(15, [], new)
    bundle_sender.close()
    await end(aggregator)


async def test_at_the_end_everything_that_was_published_is_in_the_checkpoint(tmp_path: Path) -> None:
    aggregator = Aggregator(settings(tmp_path))
    aggregator.on_bundle(b"worker-0#1", [trades(6)])
    aggregator.publish()
    await aggregator.last_checkpoint()
    assert CheckpointFile(tmp_path / "checkpoint", {"v": "wss://venue"}, 60).read().positions[TOPIC].last_id == 6
    await aggregator.close()


async def test_what_is_too_old_is_replayed_no_longer(tmp_path: Path) -> None:
    aggregator = Aggregator(settings(tmp_path, replay_age_s=0.0))
    aggregator.on_bundle(b"worker-0#1", [trades(6)])
    aggregator.publish()
    assert len(aggregator.ring) == 1

    def nothing_kept() -> bool:
        aggregator.heartbeat()
        return not len(aggregator.ring)

    await until(nothing_kept)
    await aggregator.close()


async def test_an_aggregator_that_is_told_to_end_writes_down_all_that_it_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path))
    said: list[AnyControlMessage] = []
    server = ControlServer(f"ipc://{tmp_path}/control", lambda _, message: said.append(message))
    server.start()
    serving = asyncio.ensure_future(_serve("aggregator", server.endpoint, settings(tmp_path)))
    bundle_sender = BundleSender(f"ipc://{tmp_path}/push", "worker-0#1")
    bundle_sender.start()
    bundle_sender.push([trades(5)])
    await until(lambda: any(isinstance(message, Beat) and message.status["events_published"] for message in said))
    await server.send("aggregator", Drain())
    async with asyncio.timeout(WAIT_S):
        await serving
    assert CheckpointFile(tmp_path / "checkpoint", {"v": "wss://venue"}, 60).read().positions[TOPIC].last_id == 5
    bundle_sender.close()
    await server.close()
