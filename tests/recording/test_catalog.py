"""Each row of a recording is in one file that counts, whatever else is there beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from k2workers.recording import catalog, journal, layout, manifest
from k2workers.recording.compaction import compact
from k2workers.recording.conversion import convert
from k2workers.recording.layout import FilePlace
from k2workers.recording.parquet_file import RecordingUnreadable
from tests.recording.support import DAY, TOPIC, journal_in, put, trade


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Four files of a topic and day."""
    made = journal_in(tmp_path)
    for number in range(1, 5):
        put(made, TOPIC, trade(number))
        made.roll(b"")
    convert(tmp_path, made.number)
    return tmp_path


def place(to: Path, name: str) -> FilePlace:
    found = layout.place_of(to, layout.folder_of(to, TOPIC, DAY) / f"AB%2FC.{name}.parquet")
    assert found is not None
    return found


def numbers(files: list[FilePlace]) -> list[str]:
    return [file.path.name.split(".")[1] for file in files]


def test_what_a_manifest_names_counts_and_what_it_does_not_is_loose(recording: Path) -> None:
    place(recording, "00000009").path.touch()
    there = catalog.look(recording)
    assert numbers(there.named) == ["00000001", "00000002", "00000003", "00000004"]
    assert numbers(there.loose) == ["00000009"]
    assert numbers(there.files) == numbers(there.named) + numbers(there.loose)
    assert there.told[there.named[0].path].first_id == 1
    place(recording, "00000002").path.unlink()
    assert catalog.look(recording).named == there.named


def test_what_waits_in_the_journal_is_just_being_made(recording: Path) -> None:
    place(recording, "00000005").path.touch()
    assert journal.segments(journal.folder_of(recording)) == [5]
    there = catalog.look(recording)
    assert (there.loose, there.spare) == ([], [])


def test_files_that_are_merged_or_added_count_once_the_manifest_names_them(recording: Path) -> None:
    for name in ("00000001-00000004", "00000004+1"):
        place(recording, name).path.touch()
    there = catalog.look(recording)
    assert numbers(there.spare) == ["00000004+1", "00000001-00000004"] or numbers(there.spare) == ["00000001-00000004", "00000004+1"]  # fmt: skip
    assert (len(there.named), there.loose) == (4, [])
    before = {path: path.read_bytes() for path in (file.path for file in there.named)}
    compact(recording)
    for path, content in before.items():
        path.write_bytes(content)  # as if it was ended before it removed them
    there = catalog.look(recording)
    assert numbers(there.named) == ["00000001-00000004"]
    assert numbers(there.spare) == ["00000001", "00000002", "00000003", "00000004"]
    assert there.loose == []


def test_without_a_manifest_what_was_merged_stands_for_its_parts(recording: Path) -> None:
    for name in ("00000001-00000003", "00000003+1"):
        place(recording, name).path.touch()
    layout.manifest_of(recording, TOPIC, DAY).write_text("{")
    there = catalog.look(recording)
    assert list(there.unreadable) == [layout.manifest_of(recording, TOPIC, DAY)]
    assert (there.named, numbers(there.loose)) == ([], ["00000001-00000003", "00000003+1", "00000004"])
    layout.manifest_of(recording, TOPIC, DAY).unlink()
    assert numbers(catalog.look(recording).loose) == numbers(there.loose)


def test_what_a_manifest_that_began_anew_does_not_know_of_is_loose_and_stays(recording: Path) -> None:
    compact(recording)
    place(recording, "00000004+1").path.touch()
    layout.manifest_of(recording, TOPIC, DAY).unlink()
    made = journal_in(recording)
    put(made, TOPIC, trade(5))
    made.roll(b"")
    convert(recording, made.number)
    there = catalog.look(recording)
    assert (numbers(there.named), there.spare) == (["00000005"], [])
    assert numbers(there.loose) == ["00000001-00000004", "00000004+1"]
    found = compact(recording)
    assert place(recording, "00000001-00000004").path.exists()
    assert len(found.damaged) == 2


def test_what_is_not_as_its_manifest_says_is_told(recording: Path) -> None:
    path = place(recording, "00000001").path
    (told, *_) = manifest.read(layout.manifest_of(recording, TOPIC, DAY)).files
    catalog.check(path, told)
    path.write_bytes(b"x")
    for file, words in ((told, "checksum"), (None, "no manifest names it")):
        with pytest.raises(RecordingUnreadable, match=words):
            catalog.check(path, file)
    path.unlink()
    with pytest.raises(RecordingUnreadable, match="it is not there"):
        catalog.check(path, told)


def test_the_rows_of_a_file_are_found_where_they_were_merged_into(recording: Path) -> None:
    compact(recording)
    third = place(recording, "00000003")
    assert [row.of for row in catalog.opened(third).rows()] == [trade(3)]
    with pytest.raises(RecordingUnreadable, match="00000009"):
        catalog.opened(place(recording, "00000009"))
    layout.manifest_of(recording, TOPIC, DAY).unlink()
    with pytest.raises(RecordingUnreadable, match="00000003"):
        catalog.opened(third)


def test_a_file_that_is_merged_while_it_is_looked_at_is_found_again(recording: Path) -> None:
    third, seen = place(recording, "00000003"), list[catalog.RowsFound]()

    def look(rows: catalog.RowsFound) -> None:
        if not seen:
            compact(recording)
        seen.append(rows)

    assert [row.of for row in catalog.opened(third, None, look).rows()] == [trade(3)]
    assert [rows.path.name for rows in seen] == ["AB%2FC.00000003.parquet", "AB%2FC.00000001-00000004.parquet"]
