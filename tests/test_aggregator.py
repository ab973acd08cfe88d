"""The aggregator's memory of where topics stood: trouble with it is a warning, never an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers import checkpoint
from k2workers.aggregator import Aggregator, AggregatorSettings, CheckpointFile
from k2workers.events import LATE
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.transport.bundle_protocol import WorkerHello
from k2workers.venues.binance.streams import CHAIN
from k2workers.wire import Batch
from tests.transport.support import trades

POSITIONS = {"binance.trade.BTCUSDT": PublishedPosition(5, [(1, 2)])}


def settings(directory: Path, **changes: object) -> AggregatorSettings:
    return AggregatorSettings(
        **{  # type: ignore[arg-type]
            "bundle_endpoint": f"ipc://{directory}/push",
            "publish_endpoint": "tcp://127.0.0.1:*",
            "snapshot_endpoint": "tcp://127.0.0.1:*",
            "checkpoint": str(directory / "checkpoint"),
            "source": "wss://venue",
            **changes,
        }
    )


async def test_what_was_saved_is_recalled(tmp_path: Path) -> None:
    checkpoint_file = CheckpointFile(tmp_path / "checkpoint", "s", 60)
    assert checkpoint_file.read() == checkpoint.Checkpoint(0, {})
    checkpoint_file.save(7, POSITIONS)
    await checkpoint_file.settle()
    assert CheckpointFile(tmp_path / "checkpoint", "s", 60).read() == checkpoint.Checkpoint(7, POSITIONS)


@pytest.mark.parametrize("content", [b"", b"nonsense", checkpoint.encode("other", 9, POSITIONS, 2**62)])
def test_a_file_that_cannot_be_used_is_a_fresh_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    assert CheckpointFile(tmp_path / "checkpoint", "s", 60).read().positions == {}


def test_a_directory_in_its_place_is_a_fresh_start(tmp_path: Path) -> None:
    assert CheckpointFile(tmp_path, "s", 60).read().positions == {}


async def test_a_file_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    checkpoint_file = CheckpointFile(tmp_path / "no such directory" / "checkpoint", "s", 60)
    checkpoint_file.save(7, POSITIONS)
    await checkpoint_file.settle()
    assert checkpoint_file.failures == 1


async def test_a_new_life_numbers_later_than_the_last_one_even_if_the_clock_went_back(tmp_path: Path) -> None:
    epoch = 2**62
    (tmp_path / "checkpoint").write_bytes(checkpoint.encode("wss://venue", epoch, POSITIONS, 2**62))
    aggregator = Aggregator(settings(tmp_path))
    assert aggregator.sequencer.epoch == epoch + 1
    welcome = aggregator.on_hello(WorkerHello(1, {}))
    assert welcome.positions == POSITIONS
    aggregator.on_bundle(b"worker-0#1", [trades(6), trades(9)])
    aggregator.publish()
    assert aggregator.ring.newest("binance.trade.BTCUSDT") == {"binance.trade.BTCUSDT": 3}
    assert aggregator.sequencer.gaps_open == 2
    aggregator.on_bundle(b"worker-0#1", [Batch("binance.trade.BTCUSDT", LATE + 1, 1, 7, 7, CHAIN.number, b"no events")])
    assert aggregator.unreadable == 1
    aggregator.close()
