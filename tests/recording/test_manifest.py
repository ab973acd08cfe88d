from __future__ import annotations

from pathlib import Path

import pytest

from k2workers.events import Backfilled, Gap
from k2workers.recording import manifest
from k2workers.recording.manifest import FileTold, Manifest
from k2workers.recording.row import Row
from tests.recording.support import NOON_NS, row, trade


def told(name: str, segment: int, first_id: int | None = None, last_id: int | None = None, count: int = 1) -> FileTold:
    return FileTold(name, segment, 5, "00", {"Trade": count}, first_id=first_id, last_id=last_id)


def test_a_file_is_told_with_its_counts_ids_times_and_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"bytes")
    rows = [row(Gap(1, 4, "x", 3)), row(trade(5, 20)), row(trade(6, 30)), row(Backfilled(trade(2, 40)))]
    found = manifest.told_of(path, 7, rows)
    assert (found.name, found.segment, found.bytes, found.rows, found.late) == (
        "a.parquet",
        7,
        5,
        {"Gap": 1, "Trade": 3},
        1,
    )
    assert (found.first_id, found.last_id, found.first_received_ns, found.last_received_ns) == (5, 6, 3, 40)
    assert found.blake2b == manifest.digest_of(path)
    path.write_bytes(b"bytez")
    assert found.blake2b != manifest.digest_of(path)
    assert manifest.told_of(path, 7, [Row(None, None, Gap(1, 4, "x", NOON_NS))]).first_id is None


def test_files_are_in_order_and_one_of_the_same_name_takes_its_place() -> None:
    whole = (
        Manifest("t", "d")
        .having(told("b", 2, 5, 9))
        .having(told("a", 1))
        .having(told("c", 3, 10, 11))
        .having(told("b", 2, 5, 8, 3))
    )
    assert [file.name for file in whole.files] == ["a", "b", "c"]
    assert (whole.first_id, whole.last_id, whole.rows) == (5, 11, {"Trade": 5})
    assert (Manifest("t", "d").having(told("a", 1)).first_id, Manifest("t", "d").having(told("a", 1)).last_id) == (
        None,
        None,
    )


def test_what_was_told_is_read_again_and_one_that_is_damaged_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    manifest.add(path, "t", "d", told("a", 1, 5, 9))
    manifest.add(path, "t", "d", told("b", 2))
    assert manifest.read(path) == Manifest("t", "d").having(told("a", 1, 5, 9)).having(told("b", 2))
    path.write_text("{")
    with pytest.raises(ValueError, match="truncated"):
        manifest.read(path)
    manifest.add(path, "t", "d", told("c", 3))
    assert [file.name for file in manifest.read(path).files] == ["c"]


def test_what_was_merged_takes_the_place_of_its_parts_and_knows_where_the_rows_of_each_are(tmp_path: Path) -> None:
    parts = [told("a", 1, count=3), told("b", 2, 5, 9, count=4), told("c", 3, 10, 11)]
    path = tmp_path / "a-b"
    path.touch()
    merged = manifest.told_of_merged(path, parts[:2])
    assert (merged.segment, merged.rows, merged.count, merged.parts) == (2, {"Trade": 7}, 7, {"a": (0, 3), "b": (3, 4)})
    assert (merged.first_id, merged.last_id, merged.first_received_ns, merged.last_received_ns) == (5, 9, None, None)
    whole = Manifest("t", "d").having(parts[0]).having(parts[1]).having(parts[2])
    assert whole.having(merged).files == [merged, parts[2]]
    again = manifest.told_of_merged(tmp_path / "a-b", [merged, parts[2]])
    assert again.parts == {"a": (0, 3), "b": (3, 4), "a-b": (0, 7), "c": (7, 1)}


def test_what_was_fetched_later_has_no_time_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.touch()
    rows = [Row(None, None, Backfilled(trade(2, 40)))]
    found = manifest.told_of(path, 7, rows, 2)
    assert (found.addition, found.late, found.first_received_ns, found.last_received_ns) == (2, 1, None, None)
    found = manifest.told_of(path, 7, [row(trade(1, 30)), *rows])
    assert (found.first_received_ns, found.last_received_ns) == (30, 30)
