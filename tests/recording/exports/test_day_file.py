"""A file is there whole, or not at all."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from k2workers.events import Trade
from k2workers.recording.exports.book_steps import Step
from k2workers.recording.exports.day_file import HftbacktestFile, TardisFile
from k2workers.recording.exports.sources import TRADES
from k2workers.recording.exports.tardis import TardisLines

STEPS = [Step(9 * number, 5 * number, Trade(number, "1.50", "2", False, 5 * number, 6, 9)) for number in range(1, 4)]

Begin = Callable[[Path], HftbacktestFile | TardisFile]


def csv_file(path: Path) -> TardisFile:
    return TardisFile(path, TRADES, TardisLines("v", "A", TRADES))


BEGINNINGS: list[Begin] = [csv_file, HftbacktestFile]


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_it_is_there_only_once_it_is_finished(tmp_path: Path, begin: Begin) -> None:
    path = tmp_path / "file"
    file = begin(path)
    for step in STEPS:
        file.take(step)
    assert not path.exists()
    file.finish()
    file.discard()
    assert (list(tmp_path.iterdir()), file.entries) == ([path], 3)


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path, begin: Begin) -> None:
    file = begin(tmp_path / "file")
    file.take(STEPS[0])
    file.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_the_same_steps_give_the_same_file(tmp_path: Path, begin: Begin) -> None:
    contents = []
    for name in ("first", "second"):
        file = begin(tmp_path / name)
        for step in STEPS:
            file.take(step)
        file.finish()
        file.discard()
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_what_is_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k2workers.recording.exports.day_file.BUFFER_BYTES", 40)
    for begin in BEGINNINGS:
        file = begin(tmp_path / begin.__name__)
        for step in STEPS:
            file.take(step)
        file.finish()
        file.discard()
    assert gzip.decompress((tmp_path / "csv_file").read_bytes()).decode().splitlines()[1:] == [
        f"v,A,0,0,{number},buy,1.50,2" for number in (1, 2, 3)
    ]
    data = np.load(io.BytesIO((tmp_path / "HftbacktestFile").read_bytes()))["data"]
    assert data["local_ts"].tolist() == [9, 18, 27]
    assert data["px"].tolist() == [1.5, 1.5, 1.5]
