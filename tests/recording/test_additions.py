"""Files that come in beside those of the recorder: by one program at a time, and each counts from one moment on."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import msgspec
import pytest

from k2workers.errors import ConfigError
from k2workers.files.lock_file import LockFile
from k2workers.recording import additions, catalog, journal, layout, manifest
from k2workers.recording.conversion import convert
from tests.recording.support import DAY, TOPIC, journal_in, names, put, row, trade


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1))
    made.roll(b"")
    convert(tmp_path, made.number)
    return tmp_path


def test_one_program_at_a_time(recording: Path) -> None:
    words = r"another program changes its files, pid \d+"
    with additions.changing(recording), pytest.raises(ConfigError, match=words), additions.changing(recording):
        pass
    with additions.changing(recording):
        pass


def test_where_there_is_no_journal_any_longer_too(recording: Path) -> None:
    shutil.rmtree(journal.folder_of(recording))
    with additions.changing(recording):
        assert journal.folder_of(recording).is_dir()


def test_what_an_earlier_one_left_is_removed_and_what_a_conversion_is_making_is_not(recording: Path) -> None:
    before, folder = names(recording), layout.folder_of(recording, TOPIC, DAY)
    for name in ("00000001-00000002.parquet.new", "00000001+1.parquet.new", "00000001-00000002.parquet", "00000001+1.parquet"):  # fmt: skip
        (folder / f"AB%2FC.{name}").touch()
    (folder / "AB%2FC.00000002.parquet.new").touch()
    (folder / "other.parquet.new").touch()
    with additions.changing(recording):
        assert {*names(recording)} - {*before} == {
            f"venue/trade/{DAY}/AB%2FC.00000002.parquet.new",
            f"venue/trade/{DAY}/other.parquet.new",
        }


def test_a_file_counts_in_place_of_its_parts_or_not_at_all(recording: Path) -> None:
    (place,) = catalog.look(recording).named
    (part,) = manifest.read(layout.manifest_of(recording, TOPIC, DAY)).files
    path = layout.addition_to(place, 1)
    path.write_bytes(b"new")
    told = manifest.told_of(path, 1, [row(trade(1))], 1)
    other = msgspec.structs.replace(part, blake2b="other")
    assert not additions.commit(recording, path, msgspec.structs.replace(told, parts={part.name: (0, 1)}), [other])
    assert (path.exists(), place.path.exists()) == (False, True)
    path.write_bytes(b"new")
    assert additions.commit(recording, path, msgspec.structs.replace(told, parts={part.name: (0, 1)}), [part])
    assert manifest.read(layout.manifest_of(recording, TOPIC, DAY)).files[0].name == path.name
    assert not place.path.exists()


def test_it_waits_for_a_conversion(recording: Path) -> None:
    (place,) = catalog.look(recording).named
    path = layout.addition_to(place, 1)
    path.write_bytes(b"new")
    told = manifest.told_of(path, 1, [row(trade(1))], 1)
    lock = LockFile(journal.folder_of(recording) / "conversion.lock")
    assert lock.take() == ""
    waiting = threading.Thread(target=additions.commit, args=(recording, path, told, []))
    waiting.start()
    waiting.join(0.3)
    assert len(manifest.read(layout.manifest_of(recording, TOPIC, DAY)).files) == 1
    lock.close()
    waiting.join()
    assert len(manifest.read(layout.manifest_of(recording, TOPIC, DAY)).files) == 2
