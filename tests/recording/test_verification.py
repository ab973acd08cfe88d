"""What is wrong with a recording is named, and the rest of it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from k2workers.continuity import RECORDS
from k2workers.errors import ConfigError
from k2workers.events import BookSnapshot, Status
from k2workers.recording import layout
from k2workers.recording.conversion import convert
from k2workers.recording.verification import lines, verify
from tests.recording.support import BOOK, CHANGES, DAY, TOPIC, change, journal_in, put, trade

OTHER = "venue.trade.B"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two segments of two topics."""
    made = journal_in(tmp_path)
    for first in (1, 4):
        put(made, TOPIC, *(trade(number) for number in range(first, first + 3)))
        put(made, OTHER, *(trade(number) for number in range(first, first + 3)))
        made.roll(b"")
    convert(tmp_path, made.number)
    return tmp_path


def test_a_whole_recording_is_whole(recording: Path) -> None:
    found = verify(recording)
    assert found.whole
    assert [(topic.topic, topic.guarantee, topic.days[DAY].present) for topic in found.topics] == [
        (TOPIC, "chained and repairable", 6), (OTHER, "chained and repairable", 6),
    ]  # fmt: skip
    told = list(lines(found))
    assert told[0] == f"{TOPIC} {DAY}: chained and repairable: rows 6, expected 6, present 6, missing 0, twice 0"
    assert told[-1] == "whole: 2 topics, rows 12, missing 0, twice 0, named 0"


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("hurt", "words"),
    [(damaged, "checksum"), (Path.unlink, "it is not there"), (lambda path: path.write_bytes(b""), "checksum")],
)
def test_a_file_that_is_not_what_it_was_is_named_and_its_ids_are_missing(
    recording: Path, hurt: Callable[[Path], object], words: str
) -> None:
    path = layout.file_of(recording, TOPIC, DAY, 1)
    hurt(path)
    found = verify(recording)
    assert not found.whole
    assert words in found.damaged[path.relative_to(recording).as_posix()]
    assert [topic.days[DAY].present for topic in found.topics] == [3, 6]
    assert any(line.startswith("damaged: venue/trade/") for line in lines(found))


def test_a_file_in_the_midst_that_is_gone_leaves_a_hole(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    for number in (1, 2, 3):
        put(made, TOPIC, trade(number))
        made.roll(b"")
    convert(tmp_path, made.number)
    layout.file_of(tmp_path, TOPIC, DAY, 2).unlink()
    figures = verify(tmp_path).topics[0].days[DAY]
    assert (figures.missing, figures.present) == (1, 2)


def test_unknown_files_and_those_that_no_manifest_names_are_named(recording: Path) -> None:
    (recording / "notes.txt").touch()
    layout.manifest_of(recording, OTHER, DAY).write_text("{")
    found = verify(recording)
    assert (found.whole, found.unknown) == (False, ["notes.txt"])
    assert sorted(found.damaged) == sorted(
        path.relative_to(recording).as_posix()
        for path in (
            layout.manifest_of(recording, OTHER, DAY),
            *(layout.file_of(recording, OTHER, DAY, number) for number in (1, 2)),
        )
    )
    assert "unknown: notes.txt" in list(lines(found))


def test_what_is_in_the_journal_still_is_told_and_no_fault(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1))
    made.commit(b"p")
    found = verify(tmp_path)
    assert found.whole
    assert 0 < found.journal_bytes < made.bytes
    assert any("not made into files yet" in line for line in lines(found))


def test_a_file_that_is_just_being_made_is_left_to_its_segment(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, TOPIC, trade(1))
    made.commit(b"p")
    path = layout.file_of(tmp_path, TOPIC, DAY, made.number)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    assert verify(tmp_path).whole


def test_a_book_that_breaks_makes_it_not_whole(tmp_path: Path) -> None:
    made = journal_in(tmp_path)
    put(made, BOOK, BookSnapshot(9, [], [], 7), change(11, 11), continuity=CHANGES)
    put(made, "status.rotation.0", Status("rotation", {"shard": 0}, 7), continuity=RECORDS)
    made.roll(b"")
    convert(tmp_path, made.number)
    found = verify(tmp_path)
    assert not found.whole
    told = list(lines(found))
    assert f"{BOOK} books: books 1, changes 0, without 0, broken 1, differing 0, files without 0" in told
    assert f"status.rotation.0 {DAY}: unproven: rows 1, present 0, twice 0" in told


def test_a_directory_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        verify(tmp_path / "none")
