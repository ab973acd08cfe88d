from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from k2workers.recording import parquet_file
from k2workers.recording.parquet_file import FileHead, ParquetReader, RecordingUnreadable
from tests.recording.support import row, trade

HEAD = FileHead(parquet_file.FORMAT, "venue.trade.A", "2026-11-27", 7, 585)
ROWS = [row(trade(number)) for number in range(10_000)]


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.parquet"
    parquet_file.write(path, HEAD, ROWS)
    reader = ParquetReader(path)
    assert (reader.head, reader.count, list(reader.rows())) == (HEAD, len(ROWS), ROWS)
    assert [each.name for each in path.parent.iterdir()] == ["a.parquet"]


def test_row_groups_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    monkeypatch.setattr(parquet_file, "ROW_GROUP_BYTES", 100_000)
    parquet_file.write(path, HEAD, ROWS)
    assert pq.ParquetFile(path).metadata.num_row_groups > 5
    assert list(ParquetReader(path).rows()) == ROWS


@pytest.mark.parametrize(("begin", "count"), [(0, 10), (150, 2_000), (999, 1), (9_000, 1_000), (0, 0)])
@pytest.mark.parametrize("at_once", [100, 5_000])
def test_a_part_of_the_rows_is_read_from_the_row_groups_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: int, count: int, at_once: int
) -> None:
    path = tmp_path / "a.parquet"
    monkeypatch.setattr(parquet_file, "ROW_GROUP_BYTES", 100_000)
    parquet_file.write(path, HEAD, ROWS)
    reader = ParquetReader(path, begin, count)
    assert reader.count == count
    found = [row for stretch in reader.stretches(at_once) for row in stretch.rows()]
    assert found == ROWS[begin : begin + count]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a.parquet"),
        (b"PAR1 no more", "a.parquet"),
    ],
)
def test_what_is_no_file_of_ours_is_told_with_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(RecordingUnreadable, match=words):
        ParquetReader(path)
    with pytest.raises(RecordingUnreadable, match="No such file"):
        ParquetReader(tmp_path / "none.parquet")


def test_another_program_s_file_and_another_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(RecordingUnreadable, match="no b'k2workers' in it"):
        ParquetReader(path)
    parquet_file.write(path, FileHead(99, "t", "d", 1), ROWS[:1])
    with pytest.raises(RecordingUnreadable, match="format 99, known is 1"):
        ParquetReader(path)


def test_damage_within_is_told_when_it_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet_file.write(path, HEAD, ROWS)
    data = bytearray(path.read_bytes())
    for at in range(100, len(data) // 3, 7):
        data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(RecordingUnreadable, match=r"a\.parquet"):
        list(ParquetReader(path).rows())


@pytest.fixture
def no_room() -> Iterator[Callable[[int], None]]:
    """No file of this process may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_nothing_is_there(tmp_path: Path, no_room: Callable[[int], None]) -> None:
    no_room(1_000)
    with pytest.raises(OSError, match="large"):
        parquet_file.write(tmp_path / "a.parquet", HEAD, ROWS)
    assert list(tmp_path.iterdir()) == []
