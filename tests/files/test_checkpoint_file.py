"""The checkpoint file: trouble with it is a warning, never an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers.files import checkpoint
from k2workers.files.checkpoint_file import CheckpointFile
from k2workers.sequencing.coverage import PublishedPosition
from k2workers.sequencing.tally import Tally

POSITIONS = {"binance.trade.BTCUSDT": PublishedPosition(5, [(1, 2)])}


async def test_what_was_saved_is_recalled(tmp_path: Path) -> None:
    checkpoint_file = CheckpointFile(tmp_path / "checkpoint", {"v": "s"}, 60)
    assert checkpoint_file.read() == checkpoint.Checkpoint(0, {})
    saved: list[int] = []
    checkpoint_file.save(7, POSITIONS, Tally(), lambda: saved.append(7))
    assert (checkpoint_file.busy, saved) == (True, [])
    await checkpoint_file.settle()
    assert (checkpoint_file.busy, saved) == (False, [7])
    assert CheckpointFile(tmp_path / "checkpoint", {"v": "s"}, 60).read() == checkpoint.Checkpoint(7, POSITIONS)


@pytest.mark.parametrize(
    ("content", "epoch"), [(b"", 0), (b"nonsense", 0), (checkpoint.encode({"v": "other"}, 9, POSITIONS, 2**62), 9)]
)
def test_a_file_that_cannot_be_used_is_a_fresh_start_after_its_epoch(
    tmp_path: Path, content: bytes, epoch: int
) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    assert CheckpointFile(tmp_path / "checkpoint", {"v": "s"}, 60).read() == checkpoint.Checkpoint(epoch, {})


def test_a_directory_in_its_place_is_a_fresh_start(tmp_path: Path) -> None:
    assert CheckpointFile(tmp_path, {"v": "s"}, 60).read().positions == {}


async def test_a_file_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    checkpoint_file = CheckpointFile(tmp_path / "no such directory" / "checkpoint", {"v": "s"}, 60)
    saved: list[int] = []
    checkpoint_file.save(7, POSITIONS, Tally(), lambda: saved.append(7))
    await checkpoint_file.settle()
    assert (checkpoint_file.failures, saved) == (1, [])
